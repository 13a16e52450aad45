"""Taps so far apart, in so much padding, that products of their distances fit no integer."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv.testing import assert_bits_equal

FAR = [2**31 - 1, 2**31 // 3, 2**30, 2**20, 65537]


def gradients(dy, x, weight, far, padding):
    """dx and dweight where the taps of each axis are `far` apart, number by number."""
    dx, dweight = np.zeros_like(x), np.zeros_like(weight)
    for r, s in np.ndindex(weight.shape[2:]):
        for i, j in np.ndindex(x.shape[2:]):
            h, v = i + padding[0] - r * far, j + padding[1] - s * far
            if 0 <= h < dy.shape[2] and 0 <= v < dy.shape[3]:
                dx[0, :, i, j] += dy[0, :, h, v] @ weight[:, :, r, s]
                dweight[:, :, r, s] += np.outer(dy[0, :, h, v], x[0, :, i, j])
    return dx, dweight


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", [(2, 2), (3, 1), (1, 2)])
@pytest.mark.parametrize("far", FAR)
def test_gradients_of_taps_that_are_far_apart(far, kernel, dtype, integers):
    """Few channels and many, few filters and many, on a map that is small."""
    for filters, channels in ((70, 2), (300, 40), (17, 20), (1, 1)):
        x = integers((1, channels, 5, 7), dtype)
        weight = integers((filters, channels, *kernel), dtype)
        padding = tuple((taps - 1) * far // 2 for taps in kernel)
        given = {"padding": padding, "dilation": far, "algorithm": "direct"}
        dy = integers(fastconv.conv2d(x, weight, **given).shape, dtype)
        dx, dweight, _ = fastconv.conv2d_backward(dy, x, weight, **given)
        right = gradients(dy, x, weight, far, padding)
        assert_bits_equal(dx, right[0])
        assert_bits_equal(dweight, right[1])
