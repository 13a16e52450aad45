"""Borders of maps that once were wrong: each kernel reads what is there, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import reference

DTYPES = ["float32", "float64"]


def check(x: np.ndarray, weight: np.ndarray, **options: Any) -> None:
    """Forward and backward against the reference, bit for bit."""
    expected = reference.conv2d(x, weight, **options)
    assert np.array_equal(fastconv.conv2d(x, weight, algorithm="direct", **options), expected)
    dy = np.where(np.arange(expected.size).reshape(expected.shape) % 3, 1, -2).astype(x.dtype)
    found = fastconv.conv2d_backward(dy, x, weight, algorithm="direct", **options)
    for one, other in zip(found, reference.conv2d_backward(dy, x, weight, **options), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [23, 28, 47, 48, 100, 191])
@pytest.mark.parametrize("padding", [((0, 0), (0, 1)), ((0, 0), (1, 0)), ((0, 1), (0, 0))])
def test_a_1x1_kernel_with_padding_at_one_side(width, padding, dtype, integers):
    """A row that is read in place ends where the map ends, not where the outputs do."""
    check(integers((1, 10, 1, width), dtype), integers((16, 10, 1, 1), dtype), padding=padding)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("groups", [1, 2])
def test_few_filters_on_rows_that_run_backwards(groups, dtype, integers):
    """The distance of two rows is negative there, which is no mark of anything else."""
    x = integers((2, 4, 13, 39), dtype)[:, :, ::-1]
    weight = integers((4 * groups, 4 // groups, 5, 5), dtype)
    check(x, weight, padding=((0, 3), (4, 6)), groups=groups)
    check(x[:, ::-1, :, :20], weight, padding=1, groups=groups)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", range(5, 22))
def test_wide_depthwise_windows_of_stride_2(width, dtype, integers):
    """A window of five columns reaches further beyond the shortest vectors than they have lanes."""
    for padding in ((1, 2), (2, 4), (0, 0)):
        check(
            integers((1, 3, 9, width), dtype),
            integers((3, 1, 5, 5), dtype),
            stride=2,
            padding=((1, 1), padding),
            groups=3,
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_an_infinity_that_no_output_sees_stays_out_of_the_gradient(kernel, stride, dtype, integers):
    """Lanes after the last output hold zeros of dy, which must not meet it."""
    for width in range(kernel, 40):
        x, weight = integers((1, 2, 7, width), dtype), integers((2, 1, kernel, kernel), dtype)
        options: dict[str, Any] = {"stride": stride, "groups": 2}
        dy = integers(reference.conv2d(x, weight, **options).shape, dtype)
        for at in (0, width // 2, width - 1):
            x[0, 0, 3, at] = np.inf
            found = fastconv.conv2d_backward(dy, x, weight, needs="weight", **options)[1]
            with np.errstate(invalid="ignore"):
                expected = reference.conv2d_backward(dy, x, weight, **options)[1]
            assert np.array_equal(found, expected, equal_nan=True), (width, at)
            x[0, 0, 3, at] = 1
