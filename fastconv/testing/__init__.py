"""Helps to test fastconv itself, and the layers that others write for it.

``check_layer("acme.Mish", (2, 3, 4, 4))`` checks that a layer keeps everything that models and
training expect of it.
"""

from fastconv.testing.arrays import assert_bits_equal, assert_close, tolerance
from fastconv.testing.layers import check_layer
from fastconv.testing.networks import check_network

__all__ = ["assert_bits_equal", "assert_close", "check_layer", "check_network", "tolerance"]
