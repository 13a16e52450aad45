"""Winograd's minimal filtering: convolution and its gradients, and what becomes of infinities."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import NamedTuple

import numpy as np

from fastconv import costs, kernels, memory, threads
from fastconv.functional.direct import direct_forward, direct_input, direct_weight, partial_bytes
from fastconv.functional.packing import PackedWeight, transform, transformed_room
from fastconv.geometry import Conv2DGeometry


def winograd_forward(
    g: Conv2DGeometry,
    cost: costs.AlgorithmCost,
    x: np.ndarray,
    weight: PackedWeight,
    bias: np.ndarray | None,
    y: np.ndarray,
    relu: bool,
) -> None:
    """Convolve by minimal filtering.

    Images with a result that is not finite are computed again directly.  So infinities, NaN and
    sums that overflow only in between come out as the direct sum has them.
    """
    if weight.once and weight.weight is not None:
        plain = Plain(weight.weight, turned=False)
        u = transformed_room(plain.weight, cost.tile, False, weight.take)
        broken = winograd(g, cost, x, u, bias, y, relu, plain)
    else:
        broken = winograd(g, cost, x, weight.transformed(cost.tile), bias, y, relu)
    for n in broken:
        one = slice(n, n + 1)
        direct_forward(replace(g, N=1), x[one], weight, bias, y[one], relu)


def winograd_input(
    g: Conv2DGeometry, cost: costs.AlgorithmCost, dy: np.ndarray, weight: np.ndarray, dx: np.ndarray
) -> None:
    """Compute dx: dy convolved with mirrored weights whose filters and channels are exchanged."""
    with memory.Lent(cost.together) as lent:
        u = transformed_room(weight, cost.tile, True, lent.packed)
        plain = Plain(weight, turned=True)
        broken = winograd(g.mirrored(), cost, dy, u, None, dx, False, plain)
        del u  # the sums of the images that are left use its memory
    for n in broken:
        one = slice(n, n + 1)
        direct_input(replace(g, N=1), dy[one], weight, dx[one])


def winograd_weight(
    g: Conv2DGeometry, m: int, dy: np.ndarray, x: np.ndarray, dweight: np.ndarray
) -> None:
    """Compute dweight by minimal filtering, or directly if that is not finite."""
    module = kernels.module(x.dtype)
    blocks = g.winograd_gradient(m, x.itemsize, module.lanes, module.tile_pixels)
    broken = np.zeros(1, np.uint8)
    # at least what the direct sum needs, so that a run takes the workspace that is stated
    with memory.workspace(max(blocks.nbytes, partial_bytes(module, g, x.itemsize))) as block:
        threads.run(
            module.winograd_backward_weight,
            x,
            dy,
            block.view(x.dtype),
            dweight,
            m,
            blocks.length,
            blocks.v_plane,
            blocks.d_plane,
            g.pad,
            broken,
            work=g.multiply_adds,
        )
    if broken[0]:
        direct_weight(g, dy, x, dweight)


class Plain(NamedTuple):
    """Weights (K, C, R, R) that are still to be transformed."""

    weight: np.ndarray
    turned: bool  # for the gradient of the input: mirrored, filters and channels exchanged


class Panels(NamedTuple):
    """How a convolution goes panel by panel, see winograd_plain.pxi."""

    held: int  # tiles that the transformed input has places for
    length: int  # tiles that are multiplied at one time
    slot: int  # numbers of a thread's products
    threads: int


def winograd(
    g: Conv2DGeometry,
    cost: costs.AlgorithmCost,
    x: np.ndarray,
    u: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    relu: bool,
    plain: Plain | None = None,
) -> np.ndarray:
    """Run the blocks of tiles; return the images with a result that is not finite.

    If weights are `plain`, `u` is memory for their transform.
    """
    module, m = kernels.module(x.dtype), cost.tile
    edge = g.winograd_edge(m)
    slot = g.winograd_slot_bytes(m, cost.length, x.itemsize, module.lanes)
    broken = np.zeros(g.N, np.uint8)
    with memory.workspace(cost.slots * slot) as block:
        work = block.view(x.dtype)
        if plain is not None:
            panels = by_panels(g, cost, module, work.size, u)
            if panels is not None:
                threads.run(
                    module.winograd_plain,
                    x,
                    *plain,
                    u,
                    bias,
                    y,
                    work,
                    panels.slot,
                    broken,
                    m,
                    edge,
                    panels.length,
                    panels.held,
                    g.pad,
                    relu,
                    work=g.multiply_adds,
                    most=panels.threads,
                )
                return np.flatnonzero(broken)
            transform(plain.weight, m, plain.turned, u)
        # each thread gets as many blocks, none longer than a slot; their length changes no bit
        blocks = -(-g.winograd_blocks(m, cost.length) // cost.slots) * cost.slots
        length = -(-g.N * g.winograd_tiles(m) // blocks)
        threads.run(
            module.winograd,
            x,
            u,
            bias,
            y,
            work,
            slot // x.itemsize,
            broken,
            m,
            edge,
            length,
            g.pad,
            relu,
            work=g.multiply_adds,
            most=cost.slots,
        )
    return np.flatnonzero(broken)


def by_panels(
    g: Conv2DGeometry, cost: costs.AlgorithmCost, module: ModuleType, work: int, u: np.ndarray
) -> Panels | None:
    """Return how plain weights are transformed panel by panel, just before each is multiplied.

    The transformed input of all tiles, and a panel for each thread, lie in `u`, the memory for all
    transformed weights; the products lie in workspace of `work` numbers.  Each panel reads the
    transformed input again.  So this should fit the L2 beside the panel, unless it is smaller.
    Else all weights are transformed beforehand, and None is returned.
    """
    tiles, squares = g.N * g.winograd_tiles(cost.tile), g.winograd_edge(cost.tile) ** 2
    held = tiles | 1  # planes an odd number of lines apart use different sets of a cache
    panel = squares * g.C * module.lanes
    both = squares * g.C * held + panel
    if tiles > module.lanes and both * u.itemsize > module.caches()[1]:
        return None
    length = min(tiles, cost.length)
    slot = squares * length * module.lanes
    count = min(work // slot, (u.size - both) // panel + 1)
    return Panels(held, length, slot, count) if count > 0 else None
