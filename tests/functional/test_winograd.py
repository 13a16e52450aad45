"""Winograd's minimal filtering: accuracy, borders, what is not finite, limits, and its bits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import fastconv
from fastconv import kernels, memory, reference
from fastconv.costs import model
from fastconv.functional import choosing, minimal
from fastconv.geometry import Conv2DGeometry
from fastconv.testing import assert_bits_equal

# (N, C, H, W), filters, padding: tails of tiles, panels and blocks, maps smaller than a tile
CASES = [
    ((1, 1, 3, 3), 1, 0),
    ((1, 3, 7, 7), 5, 1),
    ((2, 16, 13, 17), 40, 1),
    ((3, 8, 8, 8), 64, 2),
    ((1, 20, 30, 31), 33, ((0, 1), (2, 0))),
    ((2, 5, 1, 1), 3, 1),
    ((1, 4, 9, 70), 34, "same"),
    ((1, 600, 9, 12), 33, 1),
    ((5, 2, 4, 5), 2, ((3, 3), (4, 0))),
    # channels in the lanes: strips of tiles, blocks that are not a line of them, long sums
    ((2, 32, 9, 40), 20, 1),
    ((1, 16, 6, 71), 34, 0),
    ((1, 48, 5, 64), 33, "same"),
    ((1, 528, 10, 10), 20, 1),
]


class Tile(NamedTuple):
    """A side of its outputs, and of the kernel."""

    m: int
    side: int

    def __str__(self):
        return f"F({self.m}x{self.m}, {self.side}x{self.side})"


TILES = [Tile(2, 3), Tile(4, 3), Tile(2, 5), Tile(4, 5)]
# The largest error of a tile over that of the direct sum: forward, and of the gradient of the input
TIMES = {Tile(2, 3): (4, 4), Tile(4, 3): (4, 12), Tile(2, 5): (4, 12), Tile(4, 5): (20, 40)}


@pytest.fixture(params=TILES, ids=str)
def tile(request, monkeypatch):
    """The tile of which there is no other choice."""
    only = (0, request.param.m)
    tiles = {"forward": only, "input": only, "weight": (0, 2) if request.param.side == 3 else (0,)}
    monkeypatch.setitem(model.ACCURATE, request.param.side, tiles)
    choosing.decide.cache_clear()
    yield request.param
    choosing.decide.cache_clear()


def widened(padding, side):
    """The padding that gives a larger kernel the outputs that `padding` gives one of 3x3."""
    if padding == "same":
        return padding
    more = (side - 3) // 2
    return padding + more if isinstance(padding, int) else (np.array(padding) + more).tolist()


@pytest.fixture(params=CASES, ids=str)
def case(request, rng, tile):
    shape, filters, padding = request.param
    x = rng.standard_normal(shape)
    weight = rng.standard_normal((filters, shape[1], tile.side, tile.side))
    return x, weight, rng.standard_normal(filters), widened(padding, tile.side)


def largest_error(y, exact):
    return np.abs(y - exact).max() / np.abs(exact).max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_reference(case, tile, dtype):
    x, weight, bias, padding = case
    exact = reference.conv2d(x, weight, bias, padding=padding)
    y = fastconv.conv2d(
        x.astype(dtype),
        weight.astype(dtype),
        bias.astype(dtype),
        padding=padding,
        algorithm="winograd",
    )
    unit = np.finfo(dtype).eps / 2
    assert largest_error(y, exact) <= 15 * TIMES[tile][0] * unit


def test_the_gradient_of_the_input(case):
    x, weight, _, padding = case
    exact_y = reference.conv2d(x, weight, padding=padding)
    dy = np.cos(np.arange(exact_y.size)).reshape(exact_y.shape)
    exact = reference.conv2d_backward(dy, x, weight, padding=padding)
    found = fastconv.conv2d_backward(dy, x, weight, padding=padding, algorithm="winograd")
    for gradient, expected in zip(found, exact, strict=True):
        np.testing.assert_allclose(gradient, expected, atol=1e-10 * np.abs(expected).max())


DRAWN = {
    "gaussian": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.random(shape),
    "after relu": lambda rng, shape: np.maximum(rng.standard_normal(shape), 0),
}


@pytest.mark.parametrize("channels", [16, 256, 528])
@pytest.mark.parametrize("kind", DRAWN)
def test_each_tile_is_as_accurate_as_promised(kind, channels, tile, rng):
    """With short sums and with long ones, which are added in blocks."""
    x = DRAWN[kind](rng, (1, channels, 14, 14)).astype(np.float32)
    draw = rng.random if kind == "uniform" else rng.standard_normal
    weight = draw((64, channels, tile.side, tile.side)).astype(np.float32)
    given = {"padding": tile.side // 2}
    exact = fastconv.conv2d(x.astype(np.float64), weight.astype(np.float64), **given)
    direct = fastconv.conv2d(x, weight, algorithm="direct", **given)
    found = fastconv.conv2d(x, weight, algorithm="winograd", **given)
    assert found.tobytes() != direct.tobytes()
    assert largest_error(found, exact) <= TIMES[tile][0] * largest_error(direct, exact)


@pytest.mark.parametrize("filters", [16, 64, 256])
@pytest.mark.parametrize("kind", DRAWN)
def test_the_gradient_of_the_input_is_as_accurate_as_promised(kind, filters, tile, rng):
    dy = DRAWN[kind](rng, (1, filters, 28, 28)).astype(np.float32)
    draw = rng.random if kind == "uniform" else rng.standard_normal
    weight = draw((filters, 64, tile.side, tile.side)).astype(np.float32)
    x = np.zeros((1, 64, 28, 28), np.float32)

    def gradient(algorithm, dtype=np.float32):
        arrays = (array.astype(dtype) for array in (dy, x, weight))
        given = {"padding": tile.side // 2, "algorithm": algorithm}
        return fastconv.conv2d_backward(*arrays, needs="x", **given)[0]

    exact, direct, found = gradient("direct", np.float64), gradient("direct"), gradient("winograd")
    assert found.tobytes() != direct.tobytes()
    assert largest_error(found, exact) <= TIMES[tile][1] * largest_error(direct, exact)


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_direct_is_as_accurate_as_promised(kind, rng):
    x = DRAWN[kind](rng, (1, 256, 14, 14)).astype(np.float32)
    weight = DRAWN[kind](rng, (64, 256, 3, 3)).astype(np.float32)
    exact = fastconv.conv2d(x.astype(np.float64), weight.astype(np.float64), padding=1)
    direct = fastconv.conv2d(x, weight, padding=1, algorithm="direct")
    column = fastconv.im2col(x, 3, 3, pad=1)
    product = (column @ weight.reshape(64, -1).T).reshape(1, 14, 14, 64).transpose(0, 3, 1, 2)
    assert largest_error(direct, exact) <= 2 * largest_error(product, exact)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_map_of_any_width_has_the_same_bits(tile, dtype, normal):
    """A wide map is transformed with tiles in the lanes, a narrow one with channels."""
    side = tile.side
    x, weight = normal((2, 32, 13, 150), dtype), normal((20, 32, side, side), dtype)
    options = {"algorithm": "winograd"}
    wide = fastconv.conv2d(x, weight, **options)
    for width in (10, 34, 74):
        narrow = fastconv.conv2d(x[..., : width + side - 1], weight, **options)
        whole = width - width % 4  # the last tile sees what the crop has cut off
        assert_bits_equal(narrow[..., :whole], wide[..., :whole])


def test_longer_blocks_give_the_same_bits(tile, normal):
    """Under many channels a small map is one block, or two; a limit makes them shorter."""
    m, side = tile
    x, weight = normal((1, 256, 14, 13)).astype("f4"), normal((272, 256, side, side)).astype("f4")
    given = {"padding": side // 2, "algorithm": "winograd"}
    module = kernels.module(x.dtype)
    pixels = module.tile_pixels
    g = Conv2DGeometry.make("conv2d", x.shape, weight.shape, 1, given["padding"], 1, 1)
    length, tiles = g.winograd_length(m, 4, module.lanes, pixels), g.winograd_tiles(m)
    with memory.track() as used:
        y = fastconv.conv2d(x, weight, **given)
    assert used.workspace_peak % g.winograd_slot_bytes(m, length, 4, module.lanes) == 0
    longest = g.winograd_blocks(m, 8 * pixels)
    assert length == 2 * pixels if pixels >= 12 else tiles <= length * longest
    assert 2 * pixels <= length <= 8 * pixels and length % 4 == 0
    least = g.winograd_slot_bytes(m, 2 * pixels, 4, module.lanes)
    limit = least + g.winograd_packed_bytes(m, 4, module.lanes)
    with memory.track() as used:
        found = fastconv.conv2d(x, weight, workspace_limit=limit, **given)
    assert used.workspace_peak == least
    np.testing.assert_array_equal(found, y)


# few tiles for many weights: channels or tiles in the lanes, long sums, panels that are not whole,
# several pieces and blocks of tiles
FEW_TILES = [
    ((1, 64, 7, 7), 96, 1),
    ((2, 100, 9, 6), 70, 1),
    ((1, 528, 4, 4), 160, 2),
    ((3, 32, 12, 12), 200, 0),
    ((1, 40, 5, 40), 260, 1),
]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", FEW_TILES, ids=str)
def test_panels_transformed_just_before_give_the_same_bits(
    shape, tile, dtype, threads, normal, monkeypatch
):
    (n, channels, *size), filters, padding = shape
    padding = widened(padding, tile.side)
    given = {"padding": padding, "algorithm": "winograd"}
    x, bias = normal((n, channels, *size)).astype(dtype), normal(filters).astype(dtype)
    weight = normal((filters, channels, tile.side, tile.side)).astype(dtype)
    outputs = (edge + 2 * padding - tile.side + 1 for edge in size)
    dy = normal((n, channels, *outputs)).astype(dtype)
    zeros = np.zeros((n, filters, *size), dtype)
    x[0, 0, 0, 0] = dy[-1, 0, 0, 0] = np.inf  # images that are computed again
    cuts, its_own = [], minimal.by_panels
    module = kernels.module(np.dtype(dtype))
    before = module.caches()

    def results(by_panels):
        monkeypatch.setattr(minimal, "by_panels", by_panels)
        with memory.track() as used:
            y = fastconv.conv2d(x, weight, bias, activation="relu", **given)
            turned = np.ascontiguousarray(weight.swapaxes(0, 1))
            dx = fastconv.conv2d_backward(dy, zeros, turned, needs="x", **given)[0]
        return y, dx, used.workspace_peak, used.packed

    def record(*of_convolution):
        cuts.append(its_own(*of_convolution))
        return cuts[-1]

    fastconv.set_num_threads(threads)
    module.set_caches(before[0], 4 << 20)
    try:
        just_before, beforehand = results(record), results(lambda *_: None)
    finally:
        module.set_caches(*before)
        fastconv.set_num_threads(None)
    assert len(cuts) == 2 and all(cuts)
    assert just_before[2:] == beforehand[2:]
    prepared = fastconv.prepare_conv2d(weight, **given)
    y = fastconv.conv2d(x, prepared, bias, activation="relu", **given)
    for one, other in zip((*just_before[:2], y), (*beforehand[:2], just_before[0]), strict=True):
        assert_bits_equal(one, other)


def test_tiles_that_the_l2_lacks_room_for_are_not_read_panel_by_panel():
    module = kernels.module(np.dtype(np.float32))
    g = Conv2DGeometry.make("conv2d", (8, 512, 28, 28), (512, 512, 3, 3), 1, 1, 1, 1)
    room = np.empty(g.winograd_packed_bytes(2, 4, module.lanes) // 4, np.float32)
    before = module.caches()
    try:
        for l2, suits in ((1 << 20, False), (1 << 30, True)):
            module.set_caches(before[0], l2)
            cost = fastconv.conv2d_costs((1, 512, 28, 28), (512, 512, 3, 3), padding=1)["winograd"]
            one = Conv2DGeometry.make("conv2d", (1, 512, 28, 28), (512, 512, 3, 3), 1, 1, 1, 1)
            assert (minimal.by_panels(one, cost, module, 1 << 30, room) is not None) == suits
            # more than the memory of all transformed weights is never taken
            assert minimal.by_panels(g, cost, module, 1 << 30, room) is None
    finally:
        module.set_caches(*before)


def test_relu_is_fused(case):
    x, weight, bias, padding = case
    options = {"padding": padding, "algorithm": "winograd"}
    y = fastconv.conv2d(x, weight, bias, **options)
    clipped = fastconv.conv2d(x, weight, bias, activation="relu", **options)
    np.testing.assert_array_equal(clipped, np.maximum(y, 0))


def test_bits_do_not_depend_on_batch_or_threads(tile, normal):
    x, weight = normal((5, 12, 15, 18)), normal((40, 12, tile.side, tile.side))
    options = {"padding": tile.side // 2, "algorithm": "winograd"}
    whole = fastconv.conv2d(x, weight, **options)
    for n in range(5):
        alone = fastconv.conv2d(x[n : n + 1], weight, **options)
        assert alone.tobytes() == whole[n].tobytes()
    try:
        for threads in (1, 2, 7):
            fastconv.set_num_threads(threads)
            again = fastconv.conv2d(x[::-1], weight, **options)[::-1]
            assert again.tobytes() == whole.tobytes()
    finally:
        fastconv.set_num_threads(None)


def test_what_is_not_finite_stays_where_it_belongs(tile, normal):
    x, weight = normal((3, 16, 12, 12)), normal((32, 16, tile.side, tile.side))
    x[1, 3, 5, 6], x[1, 2, 0, 0], x[2, 0, 11, 11] = np.inf, np.nan, 3e38
    given = {"padding": tile.side // 2}
    auto = fastconv.conv2d(x, weight, algorithm="winograd", **given)
    direct = fastconv.conv2d(x, weight, algorithm="direct", **given)
    np.testing.assert_array_equal(np.isnan(auto), np.isnan(direct))
    np.testing.assert_array_equal(auto[1], direct[1])
    assert np.isfinite(auto[0]).all()
    assert 0 < np.isnan(auto[1]).sum() < auto[1].size / 2


@pytest.mark.parametrize(
    ("precision", "side", "tiles"),
    [("standard", 3, (4, 2)), ("fast", 3, (4, 4)), ("standard", 5, (2, 0)), ("fast", 5, (4, 4))],
)
def test_each_precision_has_its_tiles(precision, side, tiles, normal):
    """Forward, and in the gradient of the input."""
    x, weight = normal((1, 128, 28, 28)), normal((128, 128, side, side))
    given = {"padding": side // 2, "precision": precision}
    found = tuple(
        fastconv.conv2d_costs(x.shape, weight.shape, direction=direction, **given)["winograd"].tile
        for direction in ("forward", "input")
    )
    assert found == tiles
    y = fastconv.conv2d(x, weight, algorithm="winograd", **given)
    usual = fastconv.conv2d(x, weight, algorithm="winograd", padding=side // 2)
    assert (y.tobytes() == usual.tobytes()) == (tiles[0] == (4 if side == 3 else 2))


def test_limits_are_kept(normal):
    x, weight = normal((1, 64, 56, 56)), normal((64, 64, 3, 3))
    costs = fastconv.conv2d_costs(x.shape, weight.shape, padding=1, threads=8)
    assert costs.choice == "winograd"
    least = costs["winograd"].least
    for limit in (None, least, 2 * least):
        table = fastconv.conv2d_costs(x.shape, weight.shape, padding=1, workspace_limit=limit)
        with memory.track() as used:
            y = fastconv.conv2d(x, weight, padding=1, workspace_limit=limit)
        assert used.workspace_peak == table["winograd"].workspace
        # plain weights are transformed as they lie; prepared ones would keep panels too
        assert used.packed == table["winograd"].packed - weight.nbytes
        assert limit is None or used.workspace_peak <= limit
    below = fastconv.conv2d_costs(x.shape, weight.shape, padding=1, workspace_limit=least - 1)
    assert below.choice == "direct"
    with pytest.raises(fastconv.MemoryLimitError, match=str(least)):
        fastconv.conv2d(x, weight, padding=1, algorithm="winograd", workspace_limit=least - 1)
    assert y.shape == (1, 64, 56, 56)


@pytest.mark.parametrize("options", [{"stride": 2}, {"dilation": 2}, {"groups": 2}])
def test_other_geometries_are_refused(options, normal):
    weight = normal((4, 4 // options.get("groups", 1), 3, 3))
    with pytest.raises(ValueError, match="must not be 'winograd' but for a 3x3 or 5x5 kernel"):
        fastconv.conv2d(normal((1, 4, 9, 9)), weight, algorithm="winograd", **options)
    with pytest.raises(ValueError, match="prepare_conv2d: algorithm must not be 'winograd' but"):
        fastconv.prepare_conv2d(weight, algorithm="winograd", **options)
    with pytest.raises(ValueError, match="must not be 'winograd' but for a 3x3 or 5x5 kernel"):
        fastconv.conv2d(normal((1, 4, 9, 9)), normal((4, 4, 3, 5)), algorithm="winograd")


def test_strict_never_rounds_otherwise(normal):
    x, weight = normal((1, 64, 28, 28)), normal((64, 64, 3, 3))
    strict = fastconv.conv2d(x, weight, precision="strict")
    assert strict.tobytes() == fastconv.conv2d(x, weight, algorithm="im2col").tobytes()
    with pytest.raises(ValueError, match="precision is 'strict'"):
        fastconv.conv2d(x, weight, algorithm="winograd", precision="strict")
    with pytest.raises(ValueError, match="prepare_conv2d: .*precision is 'strict'"):
        fastconv.prepare_conv2d(weight, algorithm="winograd", precision="strict")
    assert fastconv.conv2d_costs(x.shape, weight.shape).choice == "winograd"
    assert fastconv.conv2d_costs(x.shape, weight.shape, dtype="float64").choice == "direct"


def test_a_prepared_weight_gives_the_same_bits(tile, normal):
    x, weight = normal((2, 32, 20, 20)), normal((48, 32, tile.side, tile.side))
    prepared = fastconv.prepare_conv2d(weight)
    y = fastconv.conv2d(x, prepared, algorithm="winograd")
    assert y.tobytes() == fastconv.conv2d(x, weight, algorithm="winograd").tobytes()
    with memory.track() as used:
        fastconv.conv2d(x, prepared, algorithm="winograd")
    assert used.packed == 0
