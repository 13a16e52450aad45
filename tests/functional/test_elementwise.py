"""Activations, masks, batch normalisation and optimizers' steps, compiled: exact where they copy,
in place where `out` says so, and the same bits for every number of threads."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import functional
from fastconv.errors import ArgumentError
from fastconv.functional import updates
from fastconv.functional.elementwise import add_relu
from fastconv.testing import assert_bits_equal, assert_close

DTYPES = ["float32", "float64"]
SIZES = [0, 1, 3, 15, 16, 17, 31, 33, 4095, 4097]  # around the lanes and around a run
SPECIAL = [np.nan, np.inf, -np.inf, -0.0, 0.0]


@pytest.fixture
def threads():
    """Set the number of threads; the test's end takes it back."""
    yield fastconv.set_num_threads
    fastconv.set_num_threads(None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_relu_and_its_gradient(size, dtype, normal):
    x, dy = normal((size,), dtype), normal((size,), dtype)
    x[-5:], dy[:5] = SPECIAL[: x[-5:].size], SPECIAL[: dy[:5].size]
    y = functional.relu(x)
    assert_bits_equal(y, np.where(x <= 0, x.dtype.type(0), x))
    dx = np.where(y > 0, dy, x.dtype.type(0))
    assert_bits_equal(functional.relu_backward(dy, y), dx)
    same = x.copy()
    assert functional.relu(same, out=same) is same
    assert_bits_equal(same, y)
    assert functional.relu_backward(dy, y, out=dy) is dy
    assert_bits_equal(dy, dx)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_a_sum_and_its_relu_in_one_pass(size, dtype, normal):
    x, other = normal((size,), dtype), normal((size,), dtype)
    x[-5:], other[:5] = SPECIAL[: x[-5:].size], SPECIAL[: other[:5].size]
    due, y = functional.relu(x + other), np.empty_like(x)
    add_relu(x, other, out=y)
    assert_bits_equal(y, due)
    reversed_ = x[::-1].copy()[::-1]
    add_relu(reversed_, other, out=y)
    assert_bits_equal(y, due)
    same = x.copy()
    add_relu(same, other, out=same)
    assert_bits_equal(same, due)
    add_relu(x, other, out=other)
    assert_bits_equal(other, due)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_dropout_keeps_and_scales(size, dtype, normal, rng):
    x, kept = normal((size,), dtype), rng.random(size) < 0.5
    x[~kept] = np.nan
    assert_bits_equal(functional.dropout(x, kept, 2.0), np.where(kept, 2 * x, x.dtype.type(0)))


@pytest.mark.parametrize("layout", ["strided", "reversed", "read-only"])
def test_any_layout_is_read(layout, normal):
    x = {"strided": lambda a: a[:, ::2], "reversed": lambda a: a[::-1], "read-only": lambda a: a}
    x = x[layout](normal((6, 8)))
    x.flags.writeable = False
    assert_bits_equal(functional.relu(x), np.maximum(x, 0) + np.float32(0))
    assert_bits_equal(functional.relu_backward(x, x), np.where(x > 0, x, np.float32(0)))


def batch_norm_twin(x, dy, weight, bias, epsilon):
    """The formulas of Ioffe and Szegedy 2015, in float64."""
    x, dy = x.astype("float64"), dy.astype("float64")
    axes = (0, *range(2, x.ndim))
    shape = (1, -1, *[1] * (x.ndim - 2))
    inverse = (1 / np.sqrt(x.var(axes) + epsilon)).reshape(shape)
    z = (x - x.mean(axes).reshape(shape)) * inverse
    y = z * weight.reshape(shape) + bias.reshape(shape)
    dweight, dbias = (dy * z).sum(axes), dy.sum(axes)
    count = x.size // x.shape[1]
    dx = dy - (dbias.reshape(shape) + z * dweight.reshape(shape)) / count
    return y, dx * inverse * weight.reshape(shape), dweight, dbias


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3), (5, 1), (3, 2, 1, 1), (4, 3, 5, 7), (2, 2, 33, 17)])
def test_batch_norm_follows_the_paper(shape, dtype, normal):
    x, dy = normal(shape, dtype) + 3, normal(shape, dtype)
    weight, bias = normal(shape[1:2], dtype), normal(shape[1:2], dtype)
    y, mean, variance, inverse = functional.batch_norm(x, weight, bias, 1e-5)
    dx, dweight, dbias = functional.batch_norm_backward(dy, x, weight, mean, inverse, True)
    axes = (0, *range(2, x.ndim))
    assert_close(variance.astype(dtype), x.astype("float64").var(axes).astype(dtype), factor=100)
    found = (y, dx, dweight, dbias)
    for ours, exact in zip(found, batch_norm_twin(x, dy, weight, bias, 1e-5), strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(
            ours, exact, rtol=1e-3, atol=2e-4 if dtype == "float32" else 1e-9
        )
    again = functional.batch_norm(x, weight, bias, 1e-5, (mean, variance))
    assert_bits_equal(again[0], y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_running_statistics_keep_x_out_of_its_gradient(value, dtype, integers):
    """There dx is dy times a number of the channel, whatever x is."""
    for plane in (1, 7, 33):
        x, dy = integers((2, 3, plane), dtype), integers((2, 3, plane), dtype)
        x[1, 2, plane // 2] = value
        weight, mean, inverse = integers((3,), dtype), np.zeros(3), np.full(3, 0.5)
        dx, _, dbias = functional.batch_norm_backward(dy, x, weight, mean, inverse, False)
        assert_bits_equal(dx, dy * (weight / 2).reshape(1, 3, 1))
        assert_bits_equal(dbias, dy.sum((0, 2)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_step_hangs_on_where_an_element_lies(dtype, normal):
    """In whole vectors or in the last of an array: the compiler has code for each."""
    steps = {
        "sgd": (updates.sgd, 0, (0.1,)),
        "momentum": (updates.momentum, 1, (0.1, 0.9, False)),
        "nesterov": (updates.momentum, 1, (0.1, 0.9, True)),
        "adagrad": (updates.by_squares, 1, (0.1, 1.0, 1.0, 1e-7)),
        "rmsprop": (updates.by_squares, 1, (0.1, 0.9, 0.1, 1e-7)),
        "adam": (updates.adam, 2, (0.1, (0.9, 0.999), 1e-7)),
    }
    change = updates.Change(scale=0.7, limit=0.5, weight_decay=0.1, shrink=0.1)
    for name, (step, slots, settings) in list(steps.items()):
        steps[f"changed {name}"] = step, slots, (*settings, change)
    for name, (step, slots, settings) in steps.items():
        start = [np.abs(normal((67,), dtype)) for _ in range(2 + slots)]
        whole = [array.copy() for array in start]
        step(*whole, *settings)
        for first in range(67):
            for size in (1, 2, 5, 15):
                part = [array[first : first + size].copy() for array in start]
                step(*part, *settings)
                for found, array in zip(part, whole, strict=True):
                    same = found.tobytes() == array[first : first + size].tobytes()
                    assert same, (name, first, size)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_error_state_of_the_caller_is_without_effect(dtype):
    """Numbers that overflow in a square, or underflow in a product, or are none."""
    x = np.array([[3e38, 1e-45], [-3e38, np.inf], [1.0, np.nan], [1e-40, 0.0]], dtype)
    weight, bias = np.array([1e-30, 3e38], dtype), np.array([0, 3e38], dtype)
    running = np.array([1e300, -1.0]), np.array([0.0, -1.0])

    def results():
        y, mean, variance, inverse = functional.batch_norm(x, weight, bias, 1e-5)
        found = [y, mean, variance, inverse]
        found += functional.batch_norm(x, weight, bias, 0.5, running)
        found += functional.batch_norm_backward(x, x, weight, mean, inverse, True)
        found += [functional.relu(x), functional.relu_backward(x, x)]
        return found

    with np.errstate(all="ignore"):
        right = results()
    with np.errstate(all="raise"):
        for one, other in zip(results(), right, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_of_both_signs_add_up_without_a_word(dtype):
    x, other = np.array([np.inf, 1, 2], dtype), np.array([2, 3, -np.inf], dtype)
    y = np.empty(3, dtype)
    with np.errstate(all="raise"):
        add_relu(x, other[::-1], out=y)
    assert np.isnan(y[0]) and y[1:].tolist() == [4, 4]


def test_threads_change_no_bit(threads, normal):
    x, dy = normal((40, 8, 30, 30)), normal((40, 8, 30, 30))
    weight, bias = normal((8,)), normal((8,))
    found = []
    for number in (1, 2, 3):
        threads(number)
        y, mean, _, inverse = functional.batch_norm(x, weight, bias, 1e-5)
        back = functional.batch_norm_backward(dy, x, weight, mean, inverse, True)
        value, m, v = x.reshape(-1).copy(), np.zeros(x.size, "f4"), np.zeros(x.size, "f4")
        updates.adam(value, dy.reshape(-1), m, v, 1e-3, (0.9, 0.999), 1e-8)
        found.append((functional.relu(x), functional.relu_backward(dy, x), y, *back, value, m, v))
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert_bits_equal(one, other)


def test_an_output_over_the_mask_of_dropout_is_refused():
    x, out = np.ones(8, np.float32), np.ones(8, np.float32)
    kept = out.view(np.uint8)[:8].view(bool)
    before = kept.copy()
    with pytest.raises(ArgumentError, match="dropout: out must not overlap an input"):
        functional.dropout(x, kept, 2.0, out=out)
    assert np.array_equal(kept, before)
