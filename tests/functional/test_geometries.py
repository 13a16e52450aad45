"""Thousands of generated geometries: direct, im2col, its slabs and the reference agree bit for bit.

The data are whole numbers, so that every order of summation gives the same sum. A failure
names its number; ``pytest -k "geometries and 3"`` runs its block alone.
"""

from __future__ import annotations

import numpy as np
import pytest
from fuzzing.geometries import draw_convolution, draw_limit

import fastconv
from fastconv import reference, threads
from fastconv.functional.adding import add_conv2d, may_add
from fastconv.testing import assert_bits_equal

COUNT = 6000
BLOCK = 100


@pytest.fixture
def cut_small(block, monkeypatch):
    """Every third block is cut into slices and shared by three threads, small as it is."""
    if block % 3 == 0:
        monkeypatch.setattr(threads, "SMALL_WORK", 0)
        monkeypatch.setattr(threads, "slice_work", 2000)
        monkeypatch.setattr(threads, "_chosen", 3)


@pytest.mark.parametrize("block", range(COUNT // BLOCK))
def test_all_algorithms_agree_on_generated_geometries(block, cut_small):
    rng = np.random.default_rng(20240 + block)
    filled = 0
    for number in range(BLOCK):
        x_shape, weight_shape, options = draw_convolution(rng)
        dtype = ("float32", "float64")[number % 2]
        name = f"geometry {block * BLOCK + number}: {x_shape} {weight_shape} {dtype} {options}"

        def whole(shape: tuple[int, ...], dtype: str = dtype) -> np.ndarray:
            return rng.integers(-4, 5, shape).astype(dtype)

        x, weight = whole(x_shape), whole(weight_shape)
        bias = whole(weight_shape[:1]) if number % 3 else None
        activation = "relu" if number % 5 == 0 else None
        right = reference.conv2d(x, weight, bias, activation=activation, **options)
        dy = whole(right.shape)
        gradients = reference.conv2d_backward(dy, x, weight, **options)
        filled += np.count_nonzero(gradients[0]) > gradients[0].size / 3
        if may_add(weight_shape[0] // options["groups"], weight_shape[2:], "direct"):
            y = whole(right.shape)
            sums = y + reference.conv2d(x, weight, bias, **options)
            add_conv2d(y, x, weight, bias, activation, **options)
            assert_bits_equal(y, np.maximum(sums, 0) if activation else sums)
        for algorithm in ("direct", "im2col", "im2col_tiled"):
            chosen = {**options, "algorithm": algorithm}
            forward, backward = (
                draw_limit(rng, algorithm, x_shape, weight_shape, dtype, options, direction)
                for direction in ("forward", "backward")
            )
            results = (
                fastconv.conv2d(
                    x, weight, bias, activation=activation, workspace_limit=forward, **chosen
                ),
                *fastconv.conv2d_backward(dy, x, weight, workspace_limit=backward, **chosen),
            )
            for what, result, expected in zip(
                ("y", "dx", "dweight", "dbias"), results, (right, *gradients), strict=True
            ):
                try:
                    assert_bits_equal(result, expected)
                except AssertionError as error:
                    raise AssertionError(f"{name}: {what} of {algorithm}\n{error}") from None
    assert filled > BLOCK / 2, "most results are zeros, so that the test shows little"


def test_the_generator_draws_every_kind():
    drawn = []
    for block in range(COUNT // BLOCK):
        rng = np.random.default_rng(20240 + block)
        drawn += [draw_convolution(rng) for _ in range(BLOCK)]
    assert len(drawn) >= 2000
    kinds = {
        "strided": lambda x, w, o: max(o["stride"]) > 1,
        "stride above the kernel": lambda x, w, o: o["stride"][0] > w[2],
        "dilated": lambda x, w, o: max(o["dilation"]) > 1 and min(w[2:]) > 1,
        "grouped": lambda x, w, o: 1 < o["groups"] < x[1],
        "depthwise": lambda x, w, o: o["groups"] == x[1] > 1,
        "same": lambda x, w, o: o["padding"] == "same",
        "asymmetric": lambda x, w, o: (
            isinstance(o["padding"], tuple)
            and isinstance(o["padding"][0], tuple)
            and o["padding"][0][0] != o["padding"][0][1]
        ),
        "1x1": lambda x, w, o: w[2:] == (1, 1),
        "kernel as large as the input": lambda x, w, o: x[2:] == w[2:],
        "kernel above the input": lambda x, w, o: x[2] < w[2],
        "batch": lambda x, w, o: x[0] > 1,
    }
    for kind, holds in kinds.items():
        assert sum(holds(*one) for one in drawn) >= 20, kind
