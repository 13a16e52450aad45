"""The matrix product behind Dense against the reference, exactly, on integer-valued data."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import functional, reference
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 13, 14, 15, 16, 17, 28, 31, 32, 33, 64, 65, 100, 113, 129, 257]


def check(rows, inputs, units, dtype, integers):
    x, weight = integers((rows, inputs), dtype), integers((units, inputs), dtype)
    bias, dy = integers((units,), dtype), integers((rows, units), dtype)
    y = functional.dense(x, weight, bias)
    assert_bits_equal(y, reference.dense(x, weight, bias))
    assert np.count_nonzero(y) >= y.size / 2
    assert_bits_equal(functional.dense(x, weight), reference.dense(x, weight))
    relu = functional.dense(x, weight, bias, activation="relu")
    assert_bits_equal(relu, np.maximum(y, np.zeros((), dtype)))
    packed = functional.prepare_dense(weight)
    assert_bits_equal(functional.dense(x, packed, bias), y)
    gradients = functional.dense_backward(dy, x, weight)
    for gradient, right in zip(gradients, reference.dense_backward(dy, x, weight), strict=True):
        assert_bits_equal(gradient, right)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_every_tail_equals_the_reference(size, dtype, integers):
    check(size, 6, 10, dtype, integers)
    check(3, size, 10, dtype, integers)
    check(3, 6, size, dtype, integers)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [
        (100, 4320, 100),
        (1, 1000, 257),
        (7, 2049, 1),
        (300, 129, 130),
        (20, 300, 1030),
        (1, 2501, 530),
        (2, 1030, 600),
        (4, 1025, 33),
        (64, 2, 32),
        (130, 2, 17),
    ],
)
def test_large_products_equal_the_reference(shape, dtype, integers):
    check(*shape, dtype, integers)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [
        (37, 531, 45),
        (257, 40, 10),
        (130, 1100, 35),
        (9, 33, 1030),
        (1, 1030, 700),
        (4, 90, 531),
        (3, 1100, 45),  # turned in registers
        (101, 70, 45),  # two and three stretches of samples
        (127, 150, 37),
    ],
)
def test_the_order_of_the_sums_is_that_of_a_1x1_convolution(shape, dtype, normal):
    """Samples are the pixels of one image; on data that would show another order."""
    (rows, inputs, units) = shape
    x, weight, bias = (normal(s, dtype) for s in ((rows, inputs), (units, inputs), (units,)))
    dy = normal((rows, units), dtype)
    image, dimage = x.T[None, :, None], dy.T[None, :, None]
    kernel = weight[:, :, None, None]
    y = fastconv.conv2d(image, kernel, bias, algorithm="direct")[0, :, 0].T
    assert not np.array_equal(y, functional.dense(x[:, ::-1], weight[:, ::-1], bias))
    right = fastconv.conv2d_backward(dimage, image, kernel, algorithm="direct")
    right = right[0][0, :, 0].T, right[1][:, :, 0, 0], right[2]
    packed = functional.prepare_dense(weight)
    for threads in (1, 2, 5):
        fastconv.set_num_threads(threads)
        try:
            assert_bits_equal(functional.dense(x, weight, bias), np.ascontiguousarray(y))
            assert_bits_equal(functional.dense(x, packed, bias), np.ascontiguousarray(y))
            found = functional.dense_backward(dy, x, weight)
        finally:
            fastconv.set_num_threads(None)
        for gradient, expected in zip(found[:2], right[:2], strict=True):
            assert_bits_equal(gradient, np.ascontiguousarray(expected))
        total = np.zeros(units)
        for first in range(0, rows, 32):
            run = np.zeros(units, dtype)
            for row in dy[first : first + 32]:
                run += row
            total += run
        assert_bits_equal(found[2], total.astype(dtype))


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "reversed": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "every other": lambda a: np.repeat(np.repeat(a, 2, axis=0), 2, axis=1)[::2, ::2],
    "wide rows": lambda a: np.pad(a, ((0, 0), (3, 2)))[:, 3:-2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts_give_the_same_bits(layout, dtype, normal):
    x, weight, dy = normal((37, 150), dtype), normal((45, 150), dtype), normal((37, 45), dtype)
    right = functional.dense(x, weight), *functional.dense_backward(dy, x, weight)
    x, weight, dy = (LAYOUTS[layout](a) for a in (x, weight, dy))
    found = functional.dense(x, weight), *functional.dense_backward(dy, x, weight)
    for one, other in zip(found, right, strict=True):
        assert_bits_equal(one, other)


def test_no_temporary_bytes(normal):
    x, weight, dy = normal((37, 150)), normal((45, 150)), normal((37, 45))
    with fastconv.memory.track() as used:
        functional.dense(x, weight)
        functional.dense_backward(dy, x, weight)
    assert (used.workspace_peak, used.packed, used.copies) == (0, 0, 0)


@pytest.mark.parametrize("needs", [(), ("x",), ("weight",), ("bias",), ("weight", "bias")])
def test_needs_chooses_the_gradients(needs, integers):
    x, weight, dy = integers((3, 5)), integers((4, 5)), integers((3, 4))
    full = functional.dense_backward(dy, x, weight)
    some = functional.dense_backward(dy, x, weight, needs=needs)
    for name, gradient, right in zip(("x", "weight", "bias"), some, full, strict=True):
        if name in needs:
            assert_bits_equal(gradient, right)
        else:
            assert gradient is None


def test_an_empty_batch_stays_empty():
    x, weight = np.zeros((0, 5), np.float32), np.ones((4, 5), np.float32)
    assert functional.dense(x, weight).shape == (0, 4)
    dx, dweight, dbias = functional.dense_backward(np.zeros((0, 4), np.float32), x, weight)
    assert dx.shape == (0, 5)
    assert_bits_equal(dweight, np.zeros((4, 5), np.float32))
    assert_bits_equal(dbias, np.zeros(4, np.float32))


def test_out_is_filled_and_returned(integers):
    x, weight = integers((3, 5)), integers((40, 5))
    out = np.full((3, 40), np.nan, np.float32)
    assert functional.dense(x, weight, out=out) is out
    assert_bits_equal(out, reference.dense(x, weight))


def test_batch_split_and_layout_give_the_same_bits(normal):
    x, weight, bias = normal((37, 531)), normal((45, 531)), normal((45,))
    whole = functional.dense(x, weight, bias)
    parts = [functional.dense(x[i : i + 5], weight, bias) for i in range(0, 37, 5)]
    assert_bits_equal(np.concatenate(parts), whole)
    assert_bits_equal(functional.dense(np.asfortranarray(x), weight.T.copy().T, bias), whole)
    assert_bits_equal(functional.dense(x[::-1], weight, bias)[::-1].copy(), whole)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row(value, integers):
    x, weight = integers((20, 33)), integers((9, 33))
    right = functional.dense(x, weight)
    x[4, 5] = value
    y = functional.dense(x, weight)
    assert not np.isfinite(y[4]).any()
    others = np.arange(20) != 4
    assert_bits_equal(y[others], right[others])


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (((3, 5), (4, 6), None), ValueError, "dense: .*5 .*6"),
        (((3, 5, 1), (4, 5), None), ValueError, "dense: x"),
        (((3, 5), (4, 5), (3,)), ValueError, "dense: bias"),
        (((3, 5), (4, 5, 1), None), ValueError, "dense: weight"),
    ],
)
def test_wrong_shapes_are_refused(arguments, error, match, integers):
    x, weight, bias = (None if shape is None else integers(shape) for shape in arguments)
    with pytest.raises(error, match=match):
        functional.dense(x, weight, bias)


def test_wrong_dtypes_are_refused(integers):
    with pytest.raises(TypeError, match="dense: "):
        functional.dense(integers((3, 5)), integers((4, 5), "float64"))
    with pytest.raises(TypeError, match="dense: x"):
        functional.dense(integers((3, 5), "int64"), integers((4, 5), "int64"))
