"""Zeros around maps and what lies within: every width, odd layouts, and threads."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import functional, reference
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
SIDES = [0, 1, 3, ((0, 1), (2, 0)), ((2, 0), (0, 1)), ((0, 0), (9, 17)), ((5, 0), (0, 0))]


@pytest.fixture
def threads():
    """Set the number of threads; the test's end takes it back."""
    yield fastconv.set_num_threads
    fastconv.set_num_threads(None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sides", SIDES)
def test_rows_of_every_width(sides, dtype, normal):
    for width in (*range(1, 20), 31, 32, 33, 67):
        for height in (1, 2, 5):
            x = normal((2, 3, height, width), dtype)
            right = reference.zero_padding2d(x, sides)
            out = np.full(right.shape, np.nan, dtype)
            assert_bits_equal(functional.zero_padding2d(x, sides, out=out), right)
            dy = normal(right.shape, dtype)
            dx = functional.zero_padding2d_backward(dy, sides)
            assert_bits_equal(dx, reference.zero_padding2d_backward(dy, sides))


def test_layouts(normal):
    x = normal((3, 4, 6, 10))
    views = [
        x[::-1, :, ::-1],
        x[..., ::-1],
        x[:, ::2, 1:, ::3],
        x.transpose(0, 2, 3, 1),
        x.transpose(3, 2, 1, 0),
        np.broadcast_to(x[:1, :1], x.shape),
    ]
    for view in views:
        plain = view.copy()
        assert_bits_equal(functional.zero_padding2d(view, 2), reference.zero_padding2d(plain, 2))
        dx = functional.zero_padding2d_backward(view, ((1, 0), (0, 1)))
        assert_bits_equal(dx, reference.zero_padding2d_backward(plain, ((1, 0), (0, 1))))


@pytest.mark.parametrize("size", [3, 7, 40])
def test_threads_change_no_bit_of_frames(size, normal, threads):
    x = normal((20, 3000 // size, size, size))
    found = []
    for number in (1, 2, 3):
        threads(number)
        y = functional.zero_padding2d(x, 1)
        found.append(y)
        assert_bits_equal(functional.zero_padding2d_backward(y, 1), x)
    assert_bits_equal(found[1], found[0])
    assert_bits_equal(found[2], found[0])
    assert np.count_nonzero(found[0]) == np.count_nonzero(x)
