"""Bytes, multiply-adds and seconds of every algorithm for one convolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

from fastconv import geometry
from fastconv.costs import seconds
from fastconv.costs.target import Target
from fastconv.engines import folds
from fastconv.geometry import Conv2DGeometry
from fastconv.options import ConvOptions

__all__ = ["ACCURATE", "TILES", "AlgorithmCost", "compared", "convolution_costs", "winograd_cost"]

#: The images for which algorithms of a gradient are compared: a small batch of training.
GRADIENT_IMAGES = 8

#: Outputs a side of Winograd's tiles, by the side of the kernel and by what they compute; 0 is the
#: direct sum.
TILES: dict[int, dict[str, tuple[int, ...]]] = {
    3: {"forward": (0, 2, 4), "input": (0, 2, 4), "weight": (0, 2, 4)},
    5: {"forward": (0, 2, 4), "input": (0, 2, 4), "weight": (0,)},
}

#: Those whose rounding errors are at most four times those of the direct sum.  In gradients the
#: direct sum is more exact, and tiles of six inputs a side have two to ten times its errors.  Those
#: of eight have up to twenty times forward, and up to forty in the gradient of the input.
ACCURATE: dict[int, dict[str, tuple[int, ...]]] = {
    3: {"forward": (0, 2, 4), "input": (0, 2), "weight": (0, 2)},
    5: {"forward": (0, 2), "input": (0,), "weight": (0,)},
}


@dataclass(frozen=True)
class AlgorithmCost:
    """What one algorithm takes for one convolution.

    Attributes
    ----------
    workspace, packed, output : int
        Bytes of scratch memory, of packed weights as `prepare_conv2d` keeps them, and of the
        result.  A call on plain weights packs no more than that.
    multiply_adds : int
        Those of the convolution itself; what an algorithm saves is not taken off.
    seconds : float
        What the model estimates for one thread.  It serves to compare algorithms.
    least : int
        The smallest `workspace_limit` that it can keep.
    together : int
        The most bytes of workspace and packed weights that a call on plain weights holds at one
        time.
    tile, weight_tile : int
        The m of F(m x m, R x R), and of F(R x R, m x m) for the gradient of the weights; 0 where
        the sum is direct.
    slots : int
        The threads whose Winograd tiles the workspace has room for.
    length : int
        The most Winograd tiles that each of these threads has at a time.
    slab : (int, int)
        The images, and the output rows of each, that im2col unfolds at a time.
    tile_least : int
        The smallest `workspace_limit` under which these tiles are taken, and no smaller ones.
    """

    workspace: int
    packed: int
    output: int
    multiply_adds: int
    seconds: float
    least: int
    together: int
    tile: int = 0
    weight_tile: int = 0
    slots: int = 0
    length: int = 0
    slab: tuple[int, int] = (0, 0)
    tile_least: int = 0


def compared(g: Conv2DGeometry, direction: str) -> Conv2DGeometry:
    """Return `g` with the images for which the seconds of algorithms are compared: one forward, and
    `GRADIENT_IMAGES` for gradients.

    The batch that runs must not decide, for the choice decides about bits.
    """
    return replace(g, N=1 if direction == "forward" else GRADIENT_IMAGES)


class _Shared(NamedTuple):
    """What all algorithms have in common for one direction."""

    output: int
    multiply_adds: int
    sums: int  # bytes of the partial sums of the gradient of the weights
    direct: float  # seconds of the convolution, or the gradient of the input, directly
    weight: float  # of the gradient of the weights


def _shared(g: Conv2DGeometry, on: Target, direction: str) -> _Shared:
    size = on.itemsize
    if direction == "forward":
        took = seconds.direct(g, on, direction)
        return _Shared(geometry.nbytes(g.output_shape, size), g.multiply_adds, 0, took, 0.0)
    images, kernel = (g.N, g.C, g.H, g.W), (g.K, g.C // g.groups, g.R, g.S)
    output = geometry.nbytes(images, size) + geometry.nbytes(kernel, size) + g.K * size
    of_input, of_weight, sums = 0.0, 0.0, 0
    if direction != "weight":
        of_input = seconds.direct(g, on, direction)
    if direction != "input":
        of_weight = seconds.weight_gradient(g, on)
        sums = 0 if on.few(g.K // g.groups) else g.weight_gradient_bytes(size, on.lanes)
    return _Shared(output, 2 * g.multiply_adds, sums, of_input, of_weight)


def _packed(g: Conv2DGeometry, on: Target, direction: str) -> int:
    """Return the bytes of the weights as `direct` packs them."""
    if direction == "weight":
        return 0
    if direction == "forward":
        return 0 if on.few(g.K // g.groups) else g.packed_bytes(on.itemsize, on.lanes)
    if on.few(g.C // g.groups) or folds(g, on):
        return 0
    return g.packed_backward_bytes(on.itemsize, on.lanes)


def convolution_costs(
    g: Conv2DGeometry, on: Target, direction: str, options: ConvOptions, threads: int
) -> dict[str, AlgorithmCost]:
    """Return the cost of every algorithm that can compute `g`, within the limit of `options`.

    `direction` is "forward", "backward", or the half of it that makes the gradient of the
    "input" or the "weight" alone.
    """
    limit = options.workspace_limit
    size, shared, packed = on.itemsize, _shared(g, on, direction), _packed(g, on, direction)
    result: dict[str, Any] = {"output": shared.output, "multiply_adds": shared.multiply_adds}
    found = {
        "direct": AlgorithmCost(
            workspace=shared.sums,
            packed=packed,
            seconds=shared.direct + shared.weight,
            least=shared.sums,
            together=max(packed, shared.sums),
            **result,
        )
    }
    if direction in ("input", "backward") and not on.few(g.taps):
        packed = -(-g.taps // on.lanes) * on.lanes * g.K * size
    elif direction != "forward":
        packed = 0
    unit = g.chunk_rows if shared.sums else 1
    most = geometry.SLAB_BYTES if limit is None else min(geometry.SLAB_BYTES, limit - shared.sums)
    for name, slab, least in (
        ("im2col", (g.N, g.OH), (g.N, g.OH)),
        ("im2col_tiled", g.slab(most, unit, size), (1, unit)),
    ):
        unfolded = g.unfolded_bytes(*slab, size)
        found[name] = AlgorithmCost(
            workspace=shared.sums + unfolded,
            packed=packed,
            seconds=seconds.unfolded(g, on, direction, name == "im2col"),
            least=shared.sums + g.unfolded_bytes(*least, size),
            together=unfolded + max(packed, shared.sums),
            slab=slab,
            **result,
        )
    if g.suits_winograd:
        found["winograd"] = _best_winograd(g, on, direction, options, threads)
    if g.N == 0:  # nothing runs
        nothing = {"workspace": 0, "packed": 0, "least": 0, "together": 0}
        return {name: replace(cost, **nothing) for name, cost in found.items()}  # type: ignore[arg-type]
    return found


def _best_winograd(
    g: Conv2DGeometry, on: Target, direction: str, options: ConvOptions, threads: int
) -> AlgorithmCost:
    """Return the cost of the tiles that are fastest within the limit."""
    limit = options.workspace_limit
    found = [
        winograd_cost(g, *tiles, on, direction, limit, threads)
        for tiles in _tiles(g, direction, options.precision)
    ]
    least = min(cost.least for cost in found)
    fitting = [cost for cost in found if limit is None or cost.least <= max(least, limit)]
    batch = compared(g, direction)

    def took(cost: AlgorithmCost) -> float:
        tiles = cost.tile, cost.weight_tile
        return winograd_cost(batch, *tiles, on, direction, None, 1).seconds

    best = min(fitting, key=took)
    return replace(best, least=least, tile_least=best.least)


def _tiles(g: Conv2DGeometry, direction: str, precision: str) -> list[tuple[int, int]]:
    """Return pairs (m of the tile, m of the gradient of the weights).  The direct (0, 0) is among
    them only if there is no other."""
    allowed = (TILES if precision == "fast" else ACCURATE)[g.R]
    of_input = "forward" if direction == "forward" else "input"
    pairs = product(
        (0,) if direction == "weight" else allowed[of_input],
        allowed["weight"] if direction in ("weight", "backward") else (0,),
    )
    return [tiles for tiles in pairs if any(tiles)] or [(0, 0)]


def winograd_cost(
    g: Conv2DGeometry,
    m: int,
    weight_m: int,
    on: Target,
    direction: str,
    limit: int | None,
    threads: int,
) -> AlgorithmCost:
    """Return the cost of minimal filtering with tiles of `m` and `weight_m`; 0 is the direct sum.

    F(m x m, R x R) computes the convolution `g`, or backward the gradient of its input;
    F(R x R, weight_m x weight_m) computes the gradient of its weights.  Panels and their transform
    count as packed.  The workspace is a slot for each thread or, for the gradient of the weights,
    the transformed input, the transformed dy and their products.
    """
    shared, size = _shared(g, on, direction), on.itemsize
    packed = packed_in_call = _packed(g, on, direction)
    took, slots, slot, length, least = shared.direct, 0, 0, 0, 0
    if m:
        minimal = g if direction == "forward" else g.mirrored()
        transformed = packed_in_call = minimal.winograd_packed_bytes(m, size, on.lanes)
        length, short = on.winograd_length(minimal, m), 2 * on.tile
        least = minimal.winograd_slot_bytes(m, short, size, on.lanes) + transformed
        slot = minimal.winograd_slot_bytes(m, length, size, on.lanes)
        if limit is not None and slot + transformed > limit:
            length, slot = short, least - transformed
        slots = max(1, min(threads, minimal.winograd_blocks(m, short)))
        if limit is not None:
            slots = max(1, min(slots, (limit - transformed) // slot))
        took = seconds.winograd(minimal, m, on)
        if direction == "forward":
            packed = minimal.packed_bytes(size, on.lanes) + transformed
        else:  # the weights change with every step: transformed as they lie, in the call
            packed = transformed
            took += packed / on.table.transform * 1e-9
    # there is room for the direct sums too, which replace a gradient that is not finite
    sums = max(shared.sums, on.gradient_blocks(g, weight_m).nbytes if weight_m else 0)
    took += seconds.winograd_weight_gradient(g, weight_m, on) if weight_m else shared.weight
    return AlgorithmCost(
        workspace=max(slots * slot, sums),
        packed=packed,
        output=shared.output,
        multiply_adds=shared.multiply_adds,
        seconds=took,
        least=max(least, sums),
        together=max(slots * slot + packed_in_call, sums),
        tile=m,
        weight_tile=weight_m,
        slots=slots,
        length=length,
    )
