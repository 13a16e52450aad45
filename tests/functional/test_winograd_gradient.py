"""The gradient of the weights by minimal filtering: accuracy, blocks, threads, limits."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import kernels, memory, reference
from fastconv.functional.direct import direct_weight
from fastconv.functional.minimal import winograd_weight
from fastconv.geometry import Conv2DGeometry

# (N, C, H, W), filters, padding: tails of tiles, pieces and panels, one block and several,
# maps smaller than a tile, maps that are cut into strips
CASES = [
    ((1, 1, 3, 3), 1, 0),
    ((2, 5, 1, 1), 3, 1),
    ((3, 8, 8, 8), 64, 2),
    ((2, 17, 13, 17), 40, 1),
    ((1, 29, 30, 33), 33, ((0, 1), (2, 0))),
    ((7, 15, 7, 7), 16, 1),
    ((1, 4, 9, 70), 34, "same"),
    ((2, 3, 70, 131), 5, 1),
    ((5, 2, 4, 5), 2, ((3, 3), (4, 0))),
    ((9, 31, 14, 14), 95, 1),
]
TILES = (2, 4)


@pytest.fixture(params=CASES, ids=str)
def case(request):
    shape, filters, padding = request.param
    g = Conv2DGeometry.make("test", shape, (filters, shape[1], 3, 3), 1, padding, 1, 1)
    return g, shape, padding


def gradient(g, m, dy, x):
    dweight = np.full((g.K, g.C, 3, 3), np.nan, x.dtype)
    winograd_weight(g, m, dy, x, dweight)
    return dweight


def exactly(g, dy, x):
    dweight = np.empty((g.K, g.C, 3, 3), x.dtype)
    direct_weight(g, dy, x, dweight)
    return dweight


def blocks(g, m, dtype):
    module = kernels.module(np.dtype(dtype))
    size = np.dtype(dtype).itemsize
    return g.winograd_gradient(m, size, module.lanes, module.tile_pixels)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_tiles_are_exact_on_whole_numbers(case, dtype, integers):
    g, shape, padding = case
    x, dy = integers(shape, dtype), integers(g.output_shape, dtype)
    expected = reference.conv2d_backward(dy, x, np.zeros((g.K, g.C, 3, 3)), padding=padding)[1]
    np.testing.assert_array_equal(gradient(g, 2, dy, x), expected)


@pytest.mark.parametrize("m", TILES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agrees_with_the_direct_sum(case, m, dtype, rng):
    g, shape, _ = case
    x, dy = rng.standard_normal(shape), rng.standard_normal(g.output_shape)
    expected = exactly(g, dy, x)
    found = gradient(g, m, dy.astype(dtype), x.astype(dtype))
    unit = np.finfo(dtype).eps / 2
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error <= 60 * unit


@pytest.mark.parametrize("m", TILES)
def test_one_block_and_several(m, normal):
    for n, several in ((1, False), (8, True)):
        g = Conv2DGeometry.make("test", (n, 20, 14, 14), (40, 20, 3, 3), 1, 1, 1, 1)
        assert (blocks(g, m, "float32").blocks > 1) == several
        x, dy = normal((n, 20, 14, 14)), normal((n, 40, 14, 14))
        np.testing.assert_allclose(gradient(g, m, dy, x), exactly(g, dy, x), atol=1e-3)


@pytest.mark.parametrize("m", TILES)
def test_bits_do_not_depend_on_threads_or_layout(m, normal):
    g = Conv2DGeometry.make("test", (6, 30, 21, 40), (70, 30, 3, 3), 1, 1, 1, 1)
    x, dy = normal((6, 30, 21, 40)), normal(g.output_shape)
    alone = gradient(g, m, dy, x)
    odd = np.zeros((6, 33, 23, 43), np.float32)[:, 2:32, 1:22, 2:42]
    odd[...] = x
    backwards = x[::-1, ::-1].copy()[::-1, ::-1]
    try:
        for threads in (1, 2, 5):
            fastconv.set_num_threads(threads)
            for same in (x, odd, backwards):
                assert gradient(g, m, dy, same).tobytes() == alone.tobytes()
    finally:
        fastconv.set_num_threads(None)


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_standard_is_as_accurate_as_promised(kind, rng):
    draw = rng.standard_normal if kind == "gaussian" else rng.random
    g = Conv2DGeometry.make("test", (4, 64, 28, 28), (64, 64, 3, 3), 1, 1, 1, 1)
    x, dy = draw((4, 64, 28, 28)), draw(g.output_shape)
    x, dy = x.astype(np.float32), dy.astype(np.float32)
    exact = exactly(g, dy.astype(np.float64), x.astype(np.float64))

    def error(found):
        return np.abs(found - exact).max() / np.abs(exact).max()

    direct = error(exactly(g, dy, x))
    assert error(gradient(g, 2, dy, x)) <= 4 * direct
    assert error(gradient(g, 4, dy, x)) <= 12 * direct  # which only "fast" takes


@pytest.mark.parametrize("where", ["x", "dy"])
@pytest.mark.parametrize("value", [np.inf, np.nan, 3e38])
def test_what_is_not_finite_is_summed_directly(where, value, normal):
    g = Conv2DGeometry.make("test", (2, 16, 12, 12), (32, 16, 3, 3), 1, 1, 1, 1)
    arrays = {"x": normal((2, 16, 12, 12)), "dy": normal(g.output_shape)}
    arrays[where][1, 3, 5, 6] = value
    arrays[where][0, 4, 0, 0] = value
    found = gradient(g, 2, arrays["dy"], arrays["x"])
    np.testing.assert_array_equal(found, exactly(g, arrays["dy"], arrays["x"]))


@pytest.mark.parametrize("precision", ["standard", "fast"])
def test_stated_workspace_is_taken_and_limits_are_kept(precision, normal):
    shape, kernel = (2, 64, 56, 56), (64, 64, 3, 3)
    x, weight, dy = normal(shape), normal(kernel), normal(shape)
    given = {"padding": 1, "precision": precision}
    table = fastconv.conv2d_costs(shape, kernel, direction="backward", **given)
    taken = table["winograd"]
    assert table.choice == "winograd" and taken.weight_tile
    assert "for the weights" in table.why
    for limit in (None, taken.workspace + taken.packed, taken.least):
        table = fastconv.conv2d_costs(
            shape, kernel, direction="backward", workspace_limit=limit, **given
        )
        with memory.track() as used:
            fastconv.conv2d_backward(dy, x, weight, workspace_limit=limit, **given)
        assert table.choice == "winograd"
        assert used.workspace_peak == table["winograd"].workspace
        assert limit is None or used.workspace_peak <= limit
    assert table["winograd"].weight_tile == 0  # its blocks are more than the least


@pytest.mark.parametrize("size", [7, 12, 14])
def test_partial_sums_larger_than_the_tiles_are_stated_too(size, normal):
    x, weight = normal((1, 64, size, size)), normal((256, 64, 3, 3))
    dy = fastconv.conv2d(x, weight)
    stated = fastconv.conv2d_costs(x.shape, weight.shape, direction="backward")
    for algorithm in ("direct", "winograd"):
        with memory.track() as used:
            fastconv.conv2d_backward(dy, x, weight, algorithm=algorithm)
        assert used.workspace_peak == stated[algorithm].workspace


def test_the_batch_does_not_choose():
    for n in (1, 3, 200):
        costs = fastconv.conv2d_costs(
            (n, 64, 28, 28), (64, 64, 3, 3), padding=1, direction="backward", precision="fast"
        )
        assert (costs["winograd"].tile, costs["winograd"].weight_tile) == (4, 4)


def test_nothing_comes_of_an_empty_batch():
    for algorithm in ("auto", "winograd"):
        found = fastconv.conv2d_backward(
            np.zeros((0, 64, 6, 6)),
            np.zeros((0, 32, 8, 8)),
            np.ones((64, 32, 3, 3)),
            algorithm=algorithm,
        )
        assert not found[1].any() and found[1].shape == (64, 32, 3, 3)
