"""Help for tests: of fastconv itself and of the layers that others write for it.

``check_layer("acme.Mish", (2, 3, 4, 4))`` holds a layer against everything that models and
training expect of one.
"""

from fastconv.testing.arrays import assert_bits_equal, assert_close, tolerance
from fastconv.testing.layers import check_layer

__all__ = ["assert_bits_equal", "assert_close", "check_layer", "tolerance"]
