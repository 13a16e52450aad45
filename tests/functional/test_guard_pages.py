"""Nothing is read or written outside of an array: each lies against a page nobody may touch.

A vector that reaches one element too far ends the process, so each check has one of its own.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fuzzing.guard import guarded

import fastconv
from fastconv import functional, kernels, reference
from fastconv.costs import model
from fastconv.functional import choosing, minimal
from fastconv.functional.adding import add_conv2d, may_add
from fastconv.geometry import Conv2DGeometry

TESTS = Path(__file__).parents[1]
WIDTHS = [*range(1, 36), 63, 64, 65]
DTYPES = ["float32", "float64"]
UNFOLDED = [  # kernel, stride, padding
    ((3, 3), 1, 1),
    ((3, 3), 1, 0),
    ((2, 5), 2, 0),
    ((4, 7), 1, 3),
    ((2, 1), 2, 0),
    ((1, 1), 1, 0),
    ((1, 11), 4, 2),
    ((1, 17), 1, 8),
]


def same(result: np.ndarray, right: np.ndarray) -> None:
    np.testing.assert_array_equal(result, right, strict=True)


def near(result: np.ndarray, right: np.ndarray, times: int = 1) -> None:
    """Whether errors are within so many times the usual."""
    np.testing.assert_allclose(result, right, atol=times * 1e-5 * np.abs(right).max(), rtol=0)


def whole_numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return (np.arange(np.prod(shape)) % 7 - 3).reshape(shape).astype(dtype)


def cases():
    for dtype in DTYPES:
        for width in WIDTHS:
            for at_end in (False, True):
                yield dtype, width, at_end


def check_conv2d() -> None:
    geometries = [
        ((3, 3), {"padding": 1}),
        ((3, 3), {"padding": 1, "stride": 2}),
        ((1, 1), {}),
        ((3, 1), {}),
        ((2, 3), {"padding": ((0, 1), (2, 2)), "dilation": (1, 2)}),
        ((5, 7), {"padding": (2, 3), "stride": (1, 2)}),
    ]
    for dtype, width, at_end in cases():
        for kernel, options in geometries:
            sizes = [(2, 1 + width % 20, 1), (5, 5, 5), (4, 6, 2)]
            if kernel == (1, 1):
                sizes += [(width, 19, 1)]
            for channels, filters, groups in sizes:
                x = guarded(whole_numbers((1, channels, 4, width), dtype), at_end)
                weight = whole_numbers((filters, channels // groups, *kernel), dtype)
                weight, bias = guarded(weight, at_end), guarded(weight[:, 0, 0, 0], at_end)
                given = {**options, "groups": groups}
                right = reference.conv2d(x, weight, bias, **given)
                gradients = reference.conv2d_backward(right, x, weight, **given)
                dy = guarded(right, at_end)
                for algorithm in ("direct", "im2col", "im2col_tiled"):
                    out = guarded(np.zeros_like(right), at_end)
                    fastconv.conv2d(x, weight, bias, algorithm=algorithm, out=out, **given)
                    same(out, right)
                    results = fastconv.conv2d_backward(dy, x, weight, algorithm=algorithm, **given)
                    for result, expected in zip(results, gradients, strict=True):
                        same(result, expected)
                if may_add(filters // groups, kernel, "direct"):
                    y = guarded(right, at_end)
                    add_conv2d(y, x, weight, bias, **given)
                    same(y, right + right)


def check_winograd() -> None:
    """Tiles of four inputs a side are exact on whole numbers; the larger ones touch the same
    arrays."""
    for dtype, width, at_end in cases():
        for channels, filters in ((2, 1 + width % 20), (17, 33), (16, 16), (33, 130)):
            x = guarded(whole_numbers((2, channels, 5, width), dtype), at_end)
            weight = guarded(whole_numbers((filters, channels, 3, 3), dtype), at_end)
            g = Conv2DGeometry.make("guard", x.shape, weight.shape, 1, 1, 1, 1)
            right = reference.conv2d(x, weight, padding=1)
            dx, dweight, _ = reference.conv2d_backward(right, x, weight, padding=1)
            dy, named = guarded(right, at_end), {"padding": 1, "algorithm": "winograd"}
            out = guarded(np.zeros_like(right), at_end)
            for m in (4, 2):
                model.ACCURATE[3] = {"forward": (0, m), "input": (0, m), "weight": (0, m)}
                choosing.decide.cache_clear()
                fastconv.conv2d(x, weight, out=out, **named)
                found = fastconv.conv2d_backward(dy, x, weight, needs="x", **named)[0]
                gradient = guarded(np.zeros_like(weight), at_end)
                minimal.winograd_weight(g, m, dy, x, gradient)
            same(out, right)
            same(found, dx)
            same(gradient, dweight)
            large = guarded(whole_numbers((filters, channels, 5, 5), dtype), at_end)
            right = reference.conv2d(x, large, padding=2)
            dx = reference.conv2d_backward(dy, x, large, padding=2)[0]
            named["padding"] = 2
            for m, times in ((4, 10), (2, 1)):
                model.ACCURATE[5] = {"forward": (0, m), "input": (0, m), "weight": (0,)}
                choosing.decide.cache_clear()
                fastconv.conv2d(x, large, out=out, **named)
                found = fastconv.conv2d_backward(dy, x, large, needs="x", **named)[0]
                near(out, right, times)
                near(found, dx, times)


def check_strided_points() -> None:
    """Planes so large, and channels so many, that strips of them are laid out."""
    for dtype in DTYPES:
        for width in (37, 40, 63):
            for at_end in (False, True):
                x = whole_numbers((1, 9, 45, width), dtype)
                weight = guarded(whole_numbers((70, 9, 1, 1), dtype), at_end)
                right = reference.conv2d(x, weight, stride=2)
                dx = reference.conv2d_backward(right, x, weight, stride=2)[0]
                dy = guarded(right, at_end)
                same(fastconv.conv2d_backward(dy, x, weight, needs="x", stride=2)[0], dx)


def check_pooling() -> None:
    geometries = [
        (2, {}),
        (3, {"stride": 2}),
        (3, {"stride": 2, "ceil_mode": True}),
        (3, {"stride": 2, "padding": 1}),
        (2, {"stride": 2, "padding": 1, "ceil_mode": True}),
        ((2, 1), {"stride": 1}),
        (5, {"stride": 1, "padding": 2}),
        ((4, 4), {"stride": (1, 3), "padding": 2}),
    ]
    for dtype, width, at_end in cases():
        for size, options in geometries:
            if "padding" not in options and isinstance(size, int) and width < size:
                continue  # the window is larger than the map
            x = guarded(whole_numbers((1, 9, 5, width), dtype), at_end)
            right, places = reference.max_pool2d(x, size, **options, return_indices=True)
            out = guarded(np.zeros_like(right), at_end)
            same(fastconv.max_pool2d(x, size, **options, out=out), right)
            same(fastconv.max_pool2d(x, size, **options, return_indices=True)[1], places)
            dy, indices = guarded(right, at_end), guarded(places, at_end)
            dx = reference.max_pool2d_backward(right, places, x.shape)
            same(fastconv.max_pool2d_backward(dy, indices, x.shape), dx)
            _, argmax = functional.max_pool2d_argmax(x, size, **options)
            argmax = guarded(argmax, at_end)
            same(functional.max_pool2d_argmax_backward(dy, argmax, x.shape, size, **options), dx)
            out = guarded(np.zeros_like(right), at_end)
            right = reference.avg_pool2d(x, size, **options)
            same(fastconv.avg_pool2d(x, size, **options, out=out), right)
            dy = guarded(np.full_like(right, 3600), at_end)
            dx = reference.avg_pool2d_backward(dy, x.shape, size, **options)
            same(fastconv.avg_pool2d_backward(dy, x.shape, size, **options), dx)


def check_unfold() -> None:
    for dtype, width, at_end in cases():
        for kernel, stride, pad in UNFOLDED:
            if width + 2 * pad < kernel[1]:
                continue
            x = guarded(whole_numbers((2, 2, 4, width), dtype), at_end)
            right = reference.im2col(x, *kernel, stride, pad)
            same(fastconv.im2col(x, *kernel, stride, pad), right)
            col = guarded(np.zeros_like(right), at_end)
            steps = [(size, size) for size in (stride, pad, 1)]
            outputs = [
                (n + 2 * pad - k) // stride + 1 for n, k in zip((4, width), kernel, strict=True)
            ]
            unfold = kernels.module(x.dtype).unfold
            unfold(x, col.reshape(-1), kernel, *steps, *outputs, True, 0, 1, 1)
            same(col, right)
            image = reference.col2im(right, x.shape, *kernel, stride, pad)
            same(fastconv.col2im(col, x.shape, *kernel, stride, pad), image)


def check_dense() -> None:
    for dtype, size, at_end in cases():
        sizes = ((size, 5, 6), (3, size, 6), (3, 5, size), (130, 32 + size, 7), (300, 40, 13))
        for rows, inputs, units in sizes:
            x = guarded(whole_numbers((rows, inputs), dtype), at_end)
            weight = guarded(whole_numbers((units, inputs), dtype), at_end)
            bias = guarded(whole_numbers((units,), dtype), at_end)
            right = reference.dense(x, weight, bias)
            out = guarded(np.zeros_like(right), at_end)
            same(functional.dense(x, weight, bias, out=out), right)
            dy = guarded(right, at_end)
            results = functional.dense_backward(dy, x, weight)
            expected = reference.dense_backward(right, x, weight)
            for result, gradient in zip(results, expected, strict=True):
                same(result, gradient)


def check_functions() -> None:
    """One value, its neighbours untouched: what is written is what plain arrays give."""
    names = ("exp", "expm1", "log", "log1p", "sigmoid", "tanh", "erf")
    for dtype, size, at_end in cases():
        plain = whole_numbers((size,), dtype)
        x = guarded(plain, at_end)
        module, out = kernels.module(x.dtype), guarded(plain, at_end)
        for name in names:
            getattr(module, name)(x, out, 0, 1, 1)
            same(out, getattr(functional, name)(plain))
        for name in ("sigmoid_backward", "tanh_backward"):
            getattr(module, name)(x, x, out, 0, 1, 1)
            same(out, getattr(functional, name)(plain, plain))


def check_activations() -> None:
    for dtype, size, at_end in cases():
        plain = whole_numbers((size,), dtype)
        x, out = guarded(plain, at_end), guarded(plain, at_end)
        module = kernels.module(x.dtype)
        for number in range(len(module.activations)):
            copy = np.zeros_like(plain)
            module.activate(plain, copy, number, 0.2, 0.5, 0, 1, 1)
            module.activate(x, out, number, 0.2, 0.5, 0, 1, 1)
            same(out, copy)
            module.activate_backward(plain, plain, copy, number, 0.2, 0, 1, 1)
            module.activate_backward(x, x, out, number, 0.2, 0, 1, 1)
            same(out, copy)


def check_channels() -> None:
    for dtype, size, at_end in cases():
        for shape in ((3, size, 1), (2, 3, size)):
            plain, slopes = whole_numbers(shape, dtype), whole_numbers((shape[1],), dtype)
            x, out = guarded(plain, at_end), guarded(plain, at_end)
            weight, module = guarded(slopes, at_end), kernels.module(x.dtype)
            module.prelu(x, out, weight, 0, 1, 1)
            same(out, functional.prelu(plain, slopes))
            module.rescale(x, out, weight, weight, 0, 1, 1)
            same(out, reference.rescale(plain, slopes, slopes))
            pixels = np.abs(plain).astype(np.uint8)
            module.rescale_bytes(guarded(pixels, at_end), out, weight, weight, 0, 1, 1)
            same(out, reference.rescale(pixels.astype(dtype), slopes, slopes))
            sums = guarded(np.zeros(shape[1]), at_end)
            module.prelu_backward(x, x, out, weight, sums, 0, 1, 1)
            dx, dweight = functional.prelu_backward(plain, plain, slopes)
            same(out, dx)
            same(sums.astype(dtype), dweight)


def check_softmax() -> None:
    for dtype, size, at_end in cases():
        for shape in ((3, size, 1), (9, size, 1), (2, 3, size), (1, 70, size)):
            plain = whole_numbers(shape, dtype)
            x, out = guarded(plain, at_end), guarded(plain, at_end)
            module = kernels.module(x.dtype)
            for name in ("softmax", "log_softmax"):
                getattr(module, name)(x, out, 0, 1, 1)
                same(out, getattr(functional, name)(plain))
            module.softmax_backward(x, x, out, 0, 1, 1)
            same(out, functional.softmax_backward(plain, plain))


def check_local_response() -> None:
    settings = (1e-2, 0.75, 1.0)
    for dtype, size, at_end in cases():
        for shape, window in (((2, size, 3), 5), ((1, 6, size), 4), ((1, 3, size), 300)):
            plain = whole_numbers(shape, dtype)
            x, out = guarded(plain, at_end), guarded(plain, at_end)
            module = kernels.module(x.dtype)
            module.local_response_norm(x, out, window, *settings, 0, 1, 1)
            same(out, functional.local_response_norm(plain, window, *settings))
            module.local_response_norm_backward(x, x, out, window, *settings, 0, 1, 1)
            same(out, functional.local_response_norm_backward(plain, plain, window, *settings))


def check_sample_norms() -> None:
    for dtype, size, at_end in cases():
        module = kernels.module(np.dtype(dtype))
        for shape in ((2, 2, size, 1), (33, 1, size, 1), (2, 2, 3, size), (1, 1, size, 2)):
            plain = whole_numbers(shape, dtype)
            channels = shape[1] * shape[2]
            whole = plain.reshape(shape[0], channels, shape[3])
            values = whole_numbers((channels,), dtype)
            x, out, dx = (guarded(plain, at_end) for _ in range(3))
            w, b = guarded(values, at_end), guarded(values, at_end)
            mean, inverse = (guarded(np.zeros(shape[0] * shape[1]), at_end) for _ in range(2))
            module.group_norm(x, out, w, b, mean, inverse, 0.5, 0, 1, 1)
            y, *right = functional.group_norm(whole, values, values, shape[1], 0.5)
            same(out.reshape(whole.shape), y)
            items = shape[0] if shape[3] > 1 else -(-shape[0] // 32)
            sums = guarded(np.zeros((items, 2, channels), dtype), at_end)
            module.group_norm_backward(x, x, dx, sums, w, mean, inverse, 0, 1, 1)
            slopes = functional.group_norm_backward(whole, whole, values, *right)
            same(dx.reshape(whole.shape), slopes[0])
        for shape in ((2, 3, size), (1, size, 2), (1, 40, size)):
            plain, values = whole_numbers(shape, dtype), whole_numbers(shape[1:2], dtype)
            x, out, dx = (guarded(plain, at_end) for _ in range(3))
            w, b = guarded(values, at_end), guarded(values, at_end)
            mean, inverse = (guarded(np.zeros(shape[0] * shape[2]), at_end) for _ in range(2))
            module.channel_norm(x, out, w, b, mean, inverse, 0.5, 0, 1, 1)
            y, *right = functional.layer_norm(plain, values, values, (1,), 0.5)
            if shape[2] > 1:
                same(out, y)
            items = shape[0] * -(-shape[2] // 32)
            sums = guarded(np.zeros((items, 2, shape[1]), dtype), at_end)
            module.channel_norm_backward(x, x, dx, sums, w, mean, inverse, 0, 1, 1)
            slopes = functional.layer_norm_backward(plain, plain, values, *right, (1,))
            if shape[2] > 1:
                same(dx, slopes[0])


def check_embedding() -> None:
    for dtype, size, at_end in cases():
        module = kernels.module(np.dtype(dtype))
        for kind in ("int64", "int32", "uint8"):
            plain = (np.arange(size) * 7 % 5).astype(kind)
            table, slopes = whole_numbers((5, size), dtype), whole_numbers((size, size), dtype)
            bytes_of = guarded(plain, at_end).view(np.uint8)
            out, dx = guarded(slopes, at_end), guarded(table, at_end)
            module.embedding(bytes_of, plain.itemsize, guarded(table, at_end), out, 0, 1, 1)
            same(out, reference.embedding(plain, table))
            order, starts = (guarded(np.zeros(n, np.int64), at_end) for n in (size, 6))
            module.embedding_order(bytes_of, plain.itemsize, order, starts)
            same(order, np.argsort(plain, kind="stable"))
            module.embedding_backward(guarded(slopes, at_end), order, starts, dx, 0, 1, 1)
            same(dx, reference.embedding_backward(slopes, plain, 5))


def check_whole_maxima() -> None:
    for dtype, size, at_end in cases():
        for h, w in ((1, size), (7, size)):
            plain = whole_numbers((3, 2, h, w), dtype)
            x = guarded(plain, at_end)
            y, argmax = functional.max_pool2d_argmax(x, (h, w))
            right, places = reference.max_pool2d(plain, (h, w), return_indices=True)
            same(y, right)
            out = guarded(right, at_end)
            functional.max_pool2d(x, (h, w), out=out)
            same(out, right)
            module, dx = kernels.module(x.dtype), guarded(plain, at_end)
            given = (guarded(a, at_end).reshape(6, 1, 1) for a in (right, argmax))
            module.max_pool2d_backward(
                *given, dx.reshape(6, h, w), (h, w), (1, 1), (0, 0), (1, 1), 0, 1, 1
            )
            same(dx, reference.max_pool2d_backward(right, places, plain.shape))


def check_zeros() -> None:
    for dtype, size, at_end in cases():
        module = kernels.module(np.dtype(dtype))
        for sides in (((0, 0), (0, 0)), ((1, 0), (0, 1)), ((2, 1), (3, 9))):
            plain = whole_numbers((2, 2, 3, size), dtype)
            right = reference.zero_padding2d(plain, sides)
            out, (top, left) = guarded(right + 1, at_end), (sides[0][0], sides[1][0])
            for x in (guarded(plain, at_end), guarded(plain[..., ::-1], at_end)[..., ::-1]):
                module.frame_maps(x, out, top, left, 0, 1, 1)
                same(out, right)
            inner = out[:, :, top : top + 3, left : left + size]
            dx = guarded(plain + 1, at_end)
            module.frame_maps(inner, dx, 0, 0, 0, 1, 1)
            same(dx, plain)


def check_the_guard() -> None:
    """Read one byte too far on purpose."""
    ctypes.string_at(guarded(np.zeros(4), True).ctypes.data, 33)


CHECKS = {
    "conv2d": check_conv2d,
    "pooling": check_pooling,
    "winograd": check_winograd,
    "strided points": check_strided_points,
    "unfold": check_unfold,
    "dense": check_dense,
    "functions": check_functions,
    "activations": check_activations,
    "channels": check_channels,
    "softmax": check_softmax,
    "local response": check_local_response,
    "sample norms": check_sample_norms,
    "embedding": check_embedding,
    "whole maxima": check_whole_maxima,
    "zeros": check_zeros,
    "guard": check_the_guard,
}


def run(name: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "faulthandler", __file__, name]
    path = os.pathsep.join((environment["PYTHONPATH"], str(TESTS)))  # helpers of the tests
    given = {**environment, "PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, env=given)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect of Linux")
@pytest.mark.parametrize("name", sorted(set(CHECKS) - {"guard"}))
def test_stays_inside_of_its_arrays(name, environment):
    result = run(name, environment)
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect of Linux")
def test_the_guard_ends_a_process_that_reads_too_far(environment):
    assert run("guard", environment).returncode < 0


if __name__ == "__main__":
    CHECKS[sys.argv[1]]()
