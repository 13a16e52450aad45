"""Bytes, multiply-adds and seconds of every algorithm for one convolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from .. import geometry
from ..geometry import Conv2DGeometry
from . import seconds
from .target import Target, folds

__all__ = ["AlgorithmCost", "convolution_costs", "winograd_cost"]


@dataclass(frozen=True)
class AlgorithmCost:
    """What one algorithm takes for one convolution.

    Attributes
    ----------
    workspace, packed, output : int
        Bytes of scratch memory, of packed weights as `prepare_conv2d` keeps them (a call on
        plain weights packs no more), and of the result.
    multiply_adds : int
        Of the convolution itself, whatever the algorithm saves.
    seconds : float
        The model's estimate on one thread, good for comparing algorithms.
    least : int
        The fewest bytes of `workspace_limit` it can do with.
    tile : int
        Outputs along the side of a Winograd tile, else 0.
    slab : (int, int)
        Images, and output rows of each, that im2col unfolds at a time.
    """

    workspace: int
    packed: int
    output: int
    multiply_adds: int
    seconds: float
    least: int
    tile: int = 0
    slab: tuple[int, int] = (0, 0)


class _Shared(NamedTuple):
    """What all algorithms have in common for one direction."""

    output: int
    multiply_adds: int
    sums: int  # bytes of the partial sums of the gradient of the weights
    seconds: float  # of the gradient of the weights, as `direct` and `winograd` take it


def _shared(g: Conv2DGeometry, on: Target, direction: str) -> _Shared:
    size = on.itemsize
    if direction == "forward":
        return _Shared(geometry.nbytes(g.output_shape, size), g.multiply_adds, 0, 0.0)
    images, kernel = (g.N, g.C, g.H, g.W), (g.K, g.C // g.groups, g.R, g.S)
    output = geometry.nbytes(images, size) + geometry.nbytes(kernel, size) + g.K * size
    if direction == "input":
        return _Shared(output, 2 * g.multiply_adds, 0, 0.0)
    sums = 0 if on.few(g.K // g.groups) else g.weight_gradient_bytes(size, on.lanes)
    took = seconds.weight_gradient(g, on)
    return _Shared(output, 2 * g.multiply_adds, sums, took)


def convolution_costs(
    g: Conv2DGeometry, on: Target, direction: str, limit: int | None, precision: str, threads: int
) -> dict[str, AlgorithmCost]:
    """Return the cost of every algorithm that can compute `g`.

    `direction` is "forward", "backward", or "input" for the gradient of the input alone.
    """
    size, shared = on.itemsize, _shared(g, on, direction)
    if direction == "forward":
        packed = unfolded_packed = _packed(g.K // g.groups, g.packed_bytes(size, on.lanes), on)
    else:
        packed = _packed(g.C // g.groups, g.packed_backward_bytes(size, on.lanes), on)
        packed = 0 if folds(g, on.lanes) else packed
        unfolded_packed = _packed(g.taps, -(-g.taps // on.lanes) * on.lanes * g.K * size, on)
    found = {
        "direct": AlgorithmCost(
            shared.sums, packed, shared.output, shared.multiply_adds,
            shared.seconds + seconds.direct(g, on, direction), shared.sums,
        )
    }  # fmt: skip
    unit = g.chunk_rows if shared.sums else 1
    most = geometry.SLAB_BYTES if limit is None else min(geometry.SLAB_BYTES, limit - shared.sums)
    for name, slab, least in (
        ("im2col", (g.N, g.OH), (g.N, g.OH)),
        ("im2col_tiled", g.slab(most, unit, size), (1, unit)),
    ):
        found[name] = AlgorithmCost(
            shared.sums + g.unfolded_bytes(*slab, size), unfolded_packed, shared.output,
            shared.multiply_adds, seconds.unfolded(g, on, direction, name == "im2col"),
            shared.sums + g.unfolded_bytes(*least, size), slab=slab,
        )  # fmt: skip
    if g.suits_winograd:
        m = 2
        if precision == "fast":  # the size of the tile must not hang on the batch
            one = replace(g, N=1)
            m = min((2, 4), key=lambda m: winograd_cost(one, m, on, direction, None, 1).seconds)
        found["winograd"] = winograd_cost(g, m, on, direction, limit, threads)
    if g.N == 0:  # nothing runs
        return {n: replace(cost, workspace=0, packed=0, least=0) for n, cost in found.items()}
    return found


def _packed(channels: int, nbytes: int, on: Target) -> int:
    return 0 if on.few(channels) else nbytes


def winograd_cost(
    g: Conv2DGeometry, m: int, on: Target, direction: str, limit: int | None, threads: int
) -> AlgorithmCost:
    """F(m x m, 3x3) of `g` or, backward, of the gradient of its input.

    Panels and their transform are packed; the workspace is a slot for each thread.
    """
    shared = _shared(g, on, direction)
    minimal = g if direction == "forward" else g.mirrored()
    slot = minimal.winograd_slot_bytes(m, on.block, on.itemsize, on.lanes)
    transformed = minimal.winograd_packed_bytes(m, on.itemsize, on.lanes)
    slots = max(1, min(threads, minimal.winograd_blocks(m, on.block)))
    if limit is not None:
        slots = max(1, min(slots, (limit - transformed) // slot))
    took = shared.seconds + seconds.winograd(minimal, m, on)
    if direction == "forward":
        packed = minimal.packed_bytes(on.itemsize, on.lanes) + transformed
    else:  # the weights change with every step: transformed as they lie, in the call
        packed = transformed
        took += packed / on.table.transform * 1e-9
    return AlgorithmCost(
        max(slots * slot, shared.sums), packed, shared.output, shared.multiply_adds, took,
        max(slot + transformed, shared.sums), m,
    )  # fmt: skip
