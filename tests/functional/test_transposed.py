"""Transposed convolution and up-sampling: sizes, bytes, limits, layouts and errors.

The fuzzing holds their numbers against the reference.
"""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import functional, memory, threads
from fastconv.errors import ArgumentError, MemoryLimitError, ShapeError

X, WEIGHT = (2, 6, 5, 7), (6, 4, 3, 2)


def arrays(rng, x=X, weight=WEIGHT, dtype="float32"):
    return (rng.integers(-4, 5, shape).astype(dtype) for shape in (x, weight))


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (7, 8)),
        ({"stride": 2}, (11, 14)),
        ({"stride": 2, "output_padding": (1, 0)}, (12, 14)),
        ({"stride": (2, 3), "padding": 1}, (9, 18)),
        ({"stride": 3, "dilation": 2}, (17, 21)),
        ({"stride": 2, "padding": "same"}, (10, 14)),
        ({"stride": 4, "padding": "same"}, (20, 28)),
        ({"stride": 2, "padding": ((2, 0), (0, 1))}, (9, 13)),
    ],
)
def test_the_size_is_that_from_which_a_convolution_comes_back(options, size, rng):
    x, weight = arrays(rng)
    y = fastconv.conv2d_transpose(x, weight, **options)
    assert y.shape == (2, 4, *size)
    layer = fastconv.create_layer("Conv2DTranspose", filters=4, kernel_size=(3, 2), **options)
    assert layer.infer(fastconv.Spec(X[1:])).shape == (4, *size)
    dy = rng.integers(-4, 5, y.shape).astype("float32")
    dx, dweight, _ = fastconv.conv2d_transpose_backward(dy, x, weight, **options)
    # it is linear in each: the adjoint gives the same product
    product = np.vdot(y.astype("float64"), dy)
    assert product == np.vdot(dx.astype("float64"), x)
    assert product == np.vdot(dweight.astype("float64"), weight)


@pytest.mark.parametrize("algorithm", ["direct", "im2col", "im2col_tiled", "winograd"])
def test_bytes_are_those_of_the_gradients_of_the_convolution(algorithm, rng):
    x = rng.standard_normal((3, 20, 9, 8)).astype("float32")
    weight = rng.standard_normal((20, 24, 3, 3)).astype("float32")
    options = {"padding": 1, "algorithm": algorithm}
    shapes = (3, 24, 9, 8), weight.shape
    with memory.track() as used:
        y = fastconv.conv2d_transpose(x, weight, **options)
    cost = fastconv.conv2d_costs(*shapes, padding=1, direction="input")[algorithm]
    assert (used.workspace_peak, used.output) == (cost.workspace, y.nbytes)
    assert used.packed <= cost.packed
    with memory.track() as used:
        fastconv.conv2d_transpose_backward(y, x, weight, **options)
    costs = [
        fastconv.conv2d_costs(*shapes, padding=1, direction=direction)[algorithm]
        for direction in ("forward", "weight")
    ]
    assert used.workspace_peak == max(cost.workspace for cost in costs)


def test_algorithms_give_the_same_bits_within_any_limit(rng):
    x = rng.standard_normal((3, 20, 9, 8)).astype("float32")
    weight = rng.standard_normal((20, 24, 4, 4)).astype("float32")
    options = {"stride": 2, "padding": 1, "precision": "strict"}
    first = fastconv.conv2d_transpose(x, weight, algorithm="direct", **options)
    for algorithm in ("auto", "im2col", "im2col_tiled"):
        y = fastconv.conv2d_transpose(x, weight, algorithm=algorithm, **options)
        assert np.array_equal(y, first)
    limited = fastconv.conv2d_transpose(x, weight, workspace_limit=0, **options)
    assert np.array_equal(limited, first)
    with pytest.raises(MemoryLimitError, match="conv2d_transpose: workspace_limit must be at"):
        fastconv.conv2d_transpose(x, weight, workspace_limit=0, algorithm="im2col", **options)


def test_bits_depend_neither_on_threads_nor_on_the_batch(rng, monkeypatch):
    x = rng.standard_normal((5, 9, 11, 13)).astype("float32")
    weight, bias = rng.standard_normal((9, 10, 4, 3)).astype("float32"), np.ones(10, "float32")

    def results(x):
        y = fastconv.conv2d_transpose(x, weight, bias, stride=2, activation="relu")
        up = fastconv.upsample2d(y, 2, "bilinear")
        return y, up, fastconv.upsample2d_backward(up, 2, "bilinear")

    monkeypatch.setattr(threads, "_chosen", 1)
    first = results(x)
    monkeypatch.setattr(threads, "SMALL_WORK", 0)
    monkeypatch.setattr(threads, "_chosen", 3)
    for found, due in zip(results(x), first, strict=True):
        assert np.array_equal(found, due)
    for found, due in zip(results(x[2:3]), first, strict=True):
        assert np.array_equal(found, due[2:3])


def test_an_empty_batch_is_right(rng):
    x, weight = np.empty((0, 6, 5, 7), "float32"), np.ones(WEIGHT, "float32")
    y = fastconv.conv2d_transpose(x, weight, stride=2)
    assert y.shape == (0, 4, 11, 14)
    dx, dweight, dbias = fastconv.conv2d_transpose_backward(y, x, weight, stride=2)
    assert dx.shape == x.shape and not dweight.any() and not dbias.any()
    assert fastconv.upsample2d(x, 3).shape == (0, 6, 15, 21)
    assert functional.unfold2d(x, 2).shape == (0, 24, 24)
    assert functional.fold2d(functional.unfold2d(x, 2), (5, 7), 2).shape == x.shape


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"output_padding": 1}, ArgumentError, r"output_padding must be less than the stride"),
        (
            {"stride": 2, "padding": "same", "output_padding": 1},
            ArgumentError,
            "output_padding must be 0 where padding is 'same'",
        ),
        ({"padding": 9}, ShapeError, "the output must have at least one row .* take less padding"),
        ({"stride": 2**30}, ShapeError, "the output must be at most 2147483647 long"),
        ({"groups": 4}, ShapeError, r"groups must divide the channels \(= 6\), got 4"),
        ({"stride": 0}, ArgumentError, "stride must be at least 1, got 0"),
    ],
)
def test_errors_say_what_is_wrong(options, error, text, rng):
    x, weight = arrays(rng)
    with pytest.raises(error, match=f"conv2d_transpose: {text}"):
        fastconv.conv2d_transpose(x, weight, **options)


def test_shapes_that_do_not_fit_are_errors(rng):
    x, weight = arrays(rng)
    with pytest.raises(ShapeError, match="weight must be for the 6 channels of x"):
        fastconv.conv2d_transpose(x, weight[:5])
    with pytest.raises(ShapeError, match="bias must have shape"):
        fastconv.conv2d_transpose(x, weight, np.ones(3, "float32"))
    with pytest.raises(ShapeError, match="dy must have the shape of the output"):
        fastconv.conv2d_transpose_backward(x, x, weight)
    with pytest.raises(ShapeError, match="dy must have rows and columns that are multiples"):
        fastconv.upsample2d_backward(x, 2)
    with pytest.raises(ShapeError, match="dy must be larger than the padding"):
        functional.zero_padding2d_backward(x, 3)
    with pytest.raises(ShapeError, match="columns must be rows for each of 4 taps"):
        functional.fold2d(np.ones((1, 6, 9), "float32"), 4, 2)
    with pytest.raises(ArgumentError, match="scale must be at most 512, got 513"):
        fastconv.upsample2d(x, 513)


def test_windows_as_columns_are_the_rows_of_the_book(rng):
    x = rng.standard_normal((2, 3, 7, 6))
    columns = functional.unfold2d(x, (3, 2), stride=2, padding=1)
    book = fastconv.im2col(x, 3, 2, 2, 1)
    assert np.array_equal(columns.transpose(0, 2, 1).reshape(book.shape), book)


def test_bilinear_weights_are_those_of_pixels_compared_by_their_middles():
    x = np.array([[[[0.0, 4.0, 16.0]]]])
    y = fastconv.upsample2d(x, (2, 2), "bilinear")[0, 0]
    assert y.tolist() == [[0.0, 1.0, 3.0, 7.0, 13.0, 16.0]] * 2


def test_what_is_not_finite_stays_where_it_belongs():
    x = np.zeros((1, 1, 3, 40), "float32")
    x[0, 0, 1, 20] = np.inf
    nearest = fastconv.upsample2d(x, 3)
    assert np.isinf(nearest).sum() == 9 and not np.isnan(nearest).any()
    bilinear = fastconv.upsample2d(x, 3, "bilinear")
    # the outputs over it and beside it, of which none has a weight of 0 times infinity
    assert np.isinf(bilinear).sum() == 25 and not np.isnan(bilinear).any()
