"""Integers are right where the book has them: exact, or an error."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import memory

X = np.arange(32).reshape(1, 2, 4, 4)
W = np.arange(18).reshape(1, 2, 3, 3)
B = np.array([3])
DY = np.arange(4).reshape(1, 1, 2, 2)
KINDS = ["int8", "uint8", "int32", "int64", "uint64", ">i2"]


def pooled(x):
    return fastconv.max_pool2d(x, 2, return_indices=True)


CALLS = {
    "conv2d": (lambda x, w, b: fastconv.conv2d(x, w, b), (X, W, B)),
    "conv2d without bias": (fastconv.conv2d, (X, W)),
    "conv2d_backward": (fastconv.conv2d_backward, (DY, X, W)),
    "im2col": (lambda x: fastconv.im2col(x, 3, 3), (X,)),
    "col2im": (lambda col: fastconv.col2im(col, (1, 1, 3, 3), 2, 2), (X.reshape(8, 4)[:4],)),
    "max_pool2d": (pooled, (X,)),
    "max_pool2d_backward": (
        lambda dy: fastconv.max_pool2d_backward(dy, pooled(X)[1], X.shape),
        (np.arange(8).reshape(1, 2, 2, 2),),
    ),
    "avg_pool2d": (lambda x: fastconv.avg_pool2d(x, 2), (X,)),
    "avg_pool2d_backward": (
        lambda dy: fastconv.avg_pool2d_backward(dy, X.shape, 2),
        (np.arange(8).reshape(1, 2, 2, 2),),
    ),
}


def parts(value):
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("how", [*KINDS, "list", "tuple"])
def test_alone_they_become_float64(name, how):
    call, arrays = CALLS[name]
    given = {"list": lambda a: a.tolist(), "tuple": lambda a: tuple(a.tolist())}
    change = given.get(how, lambda a: a.astype(how))
    right = parts(call(*(a.astype(np.float64) for a in arrays)))
    for one, other in zip(parts(call(*map(change, arrays))), right, strict=True):
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["conv2d", "conv2d without bias", "conv2d_backward"])
def test_beside_floats_they_take_their_dtype(name, dtype):
    call, arrays = CALLS[name]
    floats = [a.astype(dtype) for a in arrays]
    right = parts(call(*floats))
    for whole in range(len(arrays)):
        for change in (lambda a: a, np.ndarray.tolist, lambda a: a.astype("int16")):
            mixed = [change(a) if i == whole else floats[i] for i, a in enumerate(arrays)]
            for one, other in zip(parts(call(*mixed)), right, strict=True):
                assert one.dtype == dtype and one.tobytes() == other.tobytes()


def test_images_of_bytes_beside_float32_weights():
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 9, 9), dtype=np.uint8)
    w = np.random.default_rng(1).standard_normal((4, 3, 3, 3), dtype=np.float32)
    right = fastconv.conv2d(x.astype(np.float32), w)
    assert fastconv.conv2d(x, w).tobytes() == right.tobytes()
    assert fastconv.conv2d(x, fastconv.prepare_conv2d(w)).tobytes() == right.tobytes()


@pytest.mark.parametrize(
    ("x", "w", "text"),
    [
        (X + 2**24, W.astype(np.float32), "conv2d: x must hold integers that float32 has exactly"),
        (X.astype(np.float32), W + 2**24, "conv2d: weight must hold integers that float32 has"),
        (X + 2**53, W, "conv2d: x must hold integers that float64 has exactly, got 900719925474"),
        ((X + 2**53).tolist(), W.tolist(), "conv2d: x must hold integers that float64 has exactly"),
    ],
)
def test_what_a_float_has_not_exactly_is_refused(x, w, text):
    with pytest.raises(fastconv.ArgumentError, match=text) as caught:
        fastconv.conv2d(x, w)
    assert "astype" in caught.value.remedy


def test_lists_of_floats_are_float64():
    with pytest.raises(fastconv.ArgumentTypeError, match="weight must have the dtype of x, flo"):
        fastconv.conv2d(X.astype(np.float32), (W + 0.5).tolist())
    with pytest.raises(fastconv.ArgumentTypeError, match="bias must have the dtype of x, float32"):
        fastconv.conv2d(X.astype(np.float32), W, [0.5])


def test_the_copies_are_counted():
    with memory.track() as used:
        fastconv.conv2d(X.astype(np.int16), W.astype(np.float32))
    assert used.copies == X.size * 4
    with memory.track() as used:
        fastconv.max_pool2d(X.astype(np.uint8), 2)
    assert used.copies == X.size * 8


@pytest.mark.parametrize("dtype", ["int64", "uint8"])
def test_other_functions_say_what_to_cast(dtype):
    matrix = np.ones((2, 2), dtype)
    for call in (
        lambda: fastconv.functional.dense(matrix, matrix),
        lambda: fastconv.prepare_conv2d(W.astype(dtype)),
        lambda: fastconv.functional.prepare_dense(matrix),
    ):
        with pytest.raises(fastconv.ArgumentTypeError, match=r"cast it, for example with .*astype"):
            call()


@pytest.mark.parametrize("dtype", ["int8", "int64"])
def test_more_integers_than_memory_holds_are_a_memory_error_at_once(dtype):
    x = np.broadcast_to(np.array(1, dtype), (1, 1, 2**22, 2**22))
    for call in (lambda: fastconv.max_pool2d(x, 2), lambda: fastconv.conv2d(x, W.astype("f4"))):
        with pytest.raises((MemoryError, fastconv.ShapeError)):
            call()
