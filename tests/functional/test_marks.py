"""Threads that find at once what is not finite in one image, or in one gradient of weights.

Each marks it; ``make sanitize`` looks for marks that meet.
"""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import reference, threads


@pytest.fixture(autouse=True)
def four_threads(monkeypatch):
    monkeypatch.setattr(threads, "SMALL_WORK", 0)
    monkeypatch.setattr(threads, "_chosen", 4)


def arrays(dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, weight and dy of whole numbers, with some all over x and dy that are not finite."""
    rng = np.random.default_rng(0)
    shapes = (2, 9, 12, 12), (40, 9, 3, 3), (2, 40, 12, 12)
    x, weight, dy = (rng.integers(-3, 4, shape).astype(dtype) for shape in shapes)
    x[:, :, ::2, ::3] = np.nan
    dy[:, :, ::3, ::2] = np.inf
    return x, weight, dy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("algorithm", ["winograd", "direct"])
def test_what_many_threads_find_is_computed_as_the_sums_have_it(algorithm, dtype):
    x, weight, dy = arrays(dtype)
    for _ in range(3):
        y = fastconv.conv2d(x, weight, padding=1, algorithm=algorithm)
        dx, dweight, _ = fastconv.conv2d_backward(dy, x, weight, padding=1, algorithm=algorithm)
    with np.errstate(invalid="ignore"):
        right = reference.conv2d(x, weight, padding=1)
        gradients = reference.conv2d_backward(dy, x, weight, padding=1)
    np.testing.assert_array_equal(y, right, strict=True)
    np.testing.assert_array_equal(dx, gradients[0], strict=True)
    np.testing.assert_array_equal(dweight, gradients[1], strict=True)
