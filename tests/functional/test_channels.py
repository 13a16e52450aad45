"""What multiplies each channel by a number of its own: rescale, prelu and its gradients."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import functional, reference
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.kernels import lanes
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
INF, NAN = np.inf, np.nan


def around_lanes(dtype):
    vector = lanes(np.dtype(dtype)) // 2
    return sorted({1, vector - 1, vector, vector + 1, 2 * vector + 1, 4095, 4097} - {0})


@pytest.fixture
def threads():
    yield fastconv.set_num_threads
    fastconv.set_num_threads(None)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int8", "int32", "int64", "bool"])
def test_rescale_is_exact_for_whole_numbers(dtype, rng):
    for count in around_lanes("float32"):
        for shape, factors in (
            ((2, 3, count), ([2.0, -1.0, 0.5], [0.0, 3.0, -4.0])),
            ((2, count), (np.arange(1.0, count + 1), 2.0)),
            ((2, count), (0.25, list(range(count)))),
            ((count,), (0.5, 1.0)),
        ):
            x = rng.integers(0, 256, shape).astype(dtype)
            y = functional.rescale(x, *factors)
            right = reference.rescale(x.astype("float64"), *factors)
            assert y.dtype == (dtype if dtype in DTYPES else "float32")
            np.testing.assert_array_equal(y, right)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rescale_rounds_once_or_twice(dtype, normal):
    x = normal((5, 3, 7, 9), dtype)
    y = functional.rescale(x, [0.3, 1 / 255, -1.7], 0.1)
    right = reference.rescale(x.astype("float64"), np.array([0.3, 1 / 255, -1.7]), 0.1)
    assert np.abs(y - right).max() <= 2 * np.finfo(dtype).eps * np.abs(right).max()


def test_bytes_to_0_and_1_keep_their_ends():
    y = functional.rescale(np.arange(256, dtype=np.uint8), 1 / 255)
    assert y[0] == 0 and y[255] == 1 and (np.diff(y) > 0).all()
    np.testing.assert_allclose(y, np.arange(256) / 255, rtol=1.2e-7)


def test_any_layout_of_bytes_is_read(rng):
    x = rng.integers(0, 256, (2, 3, 5, 7)).astype(np.uint8)
    y = functional.rescale(x, [0.5, 0.25, 2.0], 1.0)
    for same in (x[::-1].copy()[::-1], np.asfortranarray(x), np.repeat(x, 2, axis=3)[..., ::2]):
        same.flags.writeable = False
        assert_bits_equal(functional.rescale(same, [0.5, 0.25, 2.0], 1.0), y)
    assert functional.rescale(x[:0], 2.0).shape == (0, 3, 5, 7)
    assert functional.rescale(np.zeros((2, 3, 0)), [1.0, 2.0, 3.0]).shape == (2, 3, 0)


def test_rescale_may_lie_over_what_it_reads(normal):
    x = normal((3, 4, 5))
    y = functional.rescale(x, 0.5, [1.0, 2.0, 3.0, 4.0])
    over = x.copy()
    assert functional.rescale(over, 0.5, [1.0, 2.0, 3.0, 4.0], out=over) is over
    assert_bits_equal(over, y)


@pytest.mark.parametrize(
    ("factors", "error", "text"),
    [
        ((NAN,), ArgumentError, "rescale: scale must be finite"),
        ((1e-60,), ArgumentError, "rescale: scale must be finite, and not round to 0"),
        ((1.0, 1e60), ArgumentError, "rescale: offset must be finite, and not round to 0"),
        (([1.0, 2.0],), ShapeError, "rescale: scale must be one number, or 3.* got 2 of them"),
        ((1.0, [1.0, 2.0, 3.0, 4.0]), ShapeError, "rescale: offset must be one number, or 3"),
        (([[1.0]],), ShapeError, "rescale: scale must be a number, or one for each channel"),
        (([],), ShapeError, "rescale: scale must be a number, or one for each channel"),
        (("1",), ArgumentTypeError, "rescale: scale must be a number"),
        ((None,), ArgumentTypeError, "rescale: scale must be a number"),
        ((True,), ArgumentTypeError, "rescale: scale must be a number"),
        ((1.0, ["a"]), ArgumentTypeError, "rescale: offset must be an array of numbers"),
    ],
)
def test_wrong_factors_are_refused(factors, error, text):
    with pytest.raises(error, match=text):
        functional.rescale(np.ones((2, 3, 4), "float32"), *factors)


def test_what_is_no_array_of_numbers_is_refused():
    for wrong in ("text", None, np.ones(2, np.float16), np.ma.ones(3), np.ones(2, complex)):
        with pytest.raises(ArgumentTypeError, match="rescale: x must"):
            functional.rescale(wrong, 1.0)
    with pytest.raises(ShapeError, match=r"rescale: x must have shape \(N, C, ...\)"):
        functional.rescale(np.ones(3), [1.0, 2.0, 3.0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_prelu_is_exact_for_whole_numbers(dtype, integers):
    for count in around_lanes(dtype):
        for shape in ((2, 3, count), (3, count), (40, count) if count < 99 else (1, count)):
            x, dy = integers(shape, dtype), integers(shape, dtype)
            weight = integers(shape[1:2], dtype)
            assert_bits_equal(functional.prelu(x, weight), reference.prelu(x, weight))
            dx, dweight = functional.prelu_backward(dy, x, weight)
            right = reference.prelu_backward(dy, x, weight)
            assert_bits_equal(dx, right[0])
            assert_bits_equal(dweight, right[1])
            none, alone = functional.prelu_backward(dy, x, weight, needs_x=False)
            assert none is None
            assert_bits_equal(alone, dweight)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_nan_go_where_they_belong(dtype):
    x = np.array([[INF, -INF, NAN, 0.0, -0.0]], dtype)
    slopes = np.array([0.5, -2.0, 0.5, 3.0, 3.0], dtype)
    y = functional.prelu(x, slopes)
    np.testing.assert_array_equal(y, np.array([[INF, INF, NAN, 0.0, -0.0]], dtype))
    dy = np.array([[INF, 2.0, 1.0, 4.0, 4.0]], dtype)
    dx, dweight = functional.prelu_backward(dy, x, slopes)
    np.testing.assert_array_equal(dx, np.array([[INF, -4.0, 0.5, 12.0, 12.0]], dtype))
    np.testing.assert_array_equal(dweight, np.array([0.0, -INF, NAN, 0.0, 0.0], dtype))


def test_long_sums_of_slopes_are_right(rng):
    x = -rng.uniform(0.5, 1, (64, 2, 61, 67)).astype("float32")
    dy = rng.uniform(0.5, 1, x.shape).astype("float32")
    dweight = functional.prelu_backward(dy, x, np.ones(2, "float32"))[1]
    right = (dy.astype("float64") * x).sum(axis=(0, 2, 3))
    np.testing.assert_allclose(dweight, right, rtol=1e-6)
    rows = (np.ascontiguousarray(a.transpose(0, 2, 3, 1).reshape(-1, 2)) for a in (dy, x))
    dweight = functional.prelu_backward(*rows, np.ones(2, "float32"))[1]
    np.testing.assert_allclose(dweight, right, rtol=1e-6)


def test_threads_change_no_bit(threads, normal):
    x, dy, weight = normal((9, 7, 71, 73)), normal((9, 7, 71, 73)), normal((7,))
    found = []
    for number in (1, 2, 3):
        threads(number)
        y = functional.prelu(x, weight)
        small = functional.rescale(x, 0.3, 0.7)
        found.append((y, small, *functional.prelu_backward(dy, x, weight)))
    for arrays in found[1:]:
        for array, first in zip(arrays, found[0], strict=True):
            assert_bits_equal(array, first)


def test_prelu_refuses_what_does_not_fit():
    x = np.ones((2, 3, 4), "float32")
    with pytest.raises(ShapeError, match=r"prelu: weight must have shape \(3,\), got \(4,\)"):
        functional.prelu(x, np.ones(4, "float32"))
    with pytest.raises(ShapeError, match=r"prelu: x must have shape \(N, C, ...\), got \(3,\)"):
        functional.prelu(x[0, :, 0], np.ones(3, "float32"))
    with pytest.raises(ArgumentTypeError, match="prelu: weight must have the dtype of x"):
        functional.prelu(x, np.ones(3))
    with pytest.raises(ShapeError, match="prelu_backward: dy must have the shape of the input"):
        functional.prelu_backward(x[:1], x, np.ones(3, "float32"))
