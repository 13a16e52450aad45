"""Seconds of every algorithm on one thread, estimated from the constants of a table.

The estimates serve to compare algorithms, so they leave out what all algorithms share.
"""

from __future__ import annotations

from fastconv.costs.target import Target
from fastconv.engines import folds
from fastconv.geometry import SLAB_BYTES, Conv2DGeometry

__all__ = ["direct", "unfolded", "weight_gradient", "winograd", "winograd_weight_gradient"]

#: Up to so many bytes of transformed weights stay in a near cache between two blocks: layers with
#: more than half of that ran as if they did.
NEAR_BYTES = 1 << 20

#: Time of the folded gradient of the input, in units of the time of its products.
FOLDED = 1.25


def direct(g: Conv2DGeometry, on: Target, direction: str) -> float:
    """Return the time of the convolution, or of the gradient of the input with its packing."""
    channels, filters = g.C // g.groups, g.K // g.groups
    if direction == "forward" or channels == filters == 1:  # depthwise: the same both ways
        return _product(g, on, filters, g.taps * g.inside, g.OH * g.OW)
    if folds(g, on):
        return FOLDED * g.multiply_adds / (on.table.rate * 4 / on.itemsize) * 1e-9
    if on.few(channels):
        rate = min(on.table.rate, on.table.few * channels) * 4 / on.itemsize
        return g.multiply_adds / rate * 1e-9
    packing = g.packed_backward_bytes(on.itemsize, on.lanes) / on.table.pack * 1e-9
    # each phase of the stride is a convolution: in all as many products, and a result per input
    length = filters * g.R * g.S * g.inside * g.OH * g.OW / (g.H * g.W)
    return packing + _product(g, on, channels, length, g.H * g.W)


def unfolded(g: Conv2DGeometry, on: Target, direction: str, whole: bool) -> float:
    """Return the time through the unfolded matrix, in slabs or with the `whole` batch at once."""
    table, filters = on.table, g.K // g.groups
    nbytes = g.unfolded_bytes(g.N, g.OH, on.itemsize)
    aside = nbytes / table.memory * 1e-9 if whole and nbytes > SLAB_BYTES else 0.0
    unfolding = nbytes / table.unfold * 1e-9 + aside
    if direction == "forward":
        return unfolding + _product(g, on, filters, g.taps, g.OH * g.OW)
    took = 0.0
    if direction != "weight":
        took = -(-g.taps // on.lanes) * on.lanes * g.K * on.itemsize / table.pack * 1e-9
        took += nbytes / table.fold * 1e-9 + aside + _product(g, on, g.taps, filters, g.OH * g.OW)
    if direction != "input":
        took += weight_gradient(g, on) + (0.0 if on.few(filters) else unfolding)
    return took


def weight_gradient(g: Conv2DGeometry, on: Target) -> float:
    """Return the time of the gradient of the weights."""
    rate = on.table.rate * 4 / on.itemsize
    filters = g.groups * on.padded(g.K // g.groups)
    products = g.N * g.OH * g.OW * filters * g.taps * g.inside / rate
    return (products + _written(g, on)) * 1e-9


def _written(g: Conv2DGeometry, on: Target) -> float:
    return g.K * g.taps * on.itemsize / on.table.written


def winograd_weight_gradient(g: Conv2DGeometry, m: int, on: Target) -> float:
    """Return the time of the gradient of the weights by F(3x3, m x m)."""
    table, tiles, squares = on.table, g.N * g.winograd_tiles(m), g.winograd_edge(m) ** 2
    filters = on.padded(g.K)
    products = tiles * squares * g.C * filters / (table.rate * 4 / on.itemsize)
    blocks = on.gradient_blocks(g, m)
    transforms = (
        tiles * (blocks.channels + filters) * (table.gradient2 if m == 2 else table.gradient4)
    )
    sums = squares * g.C * filters * on.itemsize  # each block reads and writes all of them
    moved = 2 * blocks.blocks * sums if sums > SLAB_BYTES else 0
    return (products + transforms * on.itemsize / 4 + moved / table.sums + _written(g, on)) * 1e-9


def winograd(g: Conv2DGeometry, m: int, on: Target) -> float:
    """Return the time of F(m x m, R x R) on weights that are transformed already."""
    table = on.table
    tiles = g.N * g.winograd_tiles(m)
    vector = on.lanes // 2
    filters = -(-g.K // vector) * vector  # in lanes even where direct has too few for them
    edge = g.winograd_edge(m)
    products = tiles * edge**2 * g.C * filters / (table.rate * 4 / on.itemsize)
    transformed = g.winograd_packed_bytes(m, on.itemsize, on.lanes)
    if transformed > NEAR_BYTES:
        stream = transformed * g.winograd_blocks(m, on.winograd_length(g, m)) / table.stream
        products = max(products, stream)
        if edge > 4:
            # 36 or 64 numbers for 9 or 25 weights, each for few products: their first reading is
            # hidden by half
            products += transformed / table.stream / 2
    into, out = (table.input2, table.output2) if edge == 4 else (table.input4, table.output4)
    if edge == 8:  # 64 numbers of a tile, not 36, in longer lines: measured on Zen 3 with AVX2
        into, out = 2.2 * into, 2 * out
    elif edge > m + 2:
        out /= 2  # four results of a tile, not sixteen
    return (products + tiles * (g.C * into + filters * out)) * 1e-9


def _product(g: Conv2DGeometry, on: Target, channels: int, length: float, pixels: int) -> float:
    """Return the time of the products, and of storing the sums.

    Each of the `pixels` of an image has `channels` sums a group, each of `length` products.
    """
    products = on.padded(channels) * length / (on.table.rate * 4 / on.itemsize)
    stores = channels * on.table.store * on.itemsize / 4
    return g.N * g.groups * pixels * (products + stores) * 1e-9
