"""The algorithms of convolution on checked arrays; the book's im2col is in unfolded.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import numpy as np

from fastconv import costs, engines, kernels, memory, threads
from fastconv.floating import is_finite
from fastconv.functional.choosing import Decision
from fastconv.functional.packing import (
    PackedWeight,
    few_filters,
    pack_panels_backward,
    room_backward,
    transform,
)
from fastconv.functional.unfolded import unfolded_backward, unfolded_forward
from fastconv.geometry import SUM_LENGTH, Conv2DGeometry

#: Runs a kernel on some work: `threads.run`, or `threads.ask` to be told what would run.
Run = Callable[..., int]


def direct_forward(
    g: Conv2DGeometry,
    x: np.ndarray,
    weight: PackedWeight,
    bias: np.ndarray | None,
    y: np.ndarray,
    relu: bool,
    run: Run | None = None,
    adds: bool = False,
) -> int:
    """Convolve in place, without workspace; return the engine's place in `forward_engines`.

    If it `adds`, results are added to what `y` holds, before ReLU; there must be many filters.
    """
    if g.R == g.S == 1 and g.stride == (1, 1) and not g.padded and x.flags.c_contiguous:
        # a matrix product: the map is one long row, cut without regard to its rows
        x = x.reshape(g.N, g.C, 1, g.H * g.W)
        y = y.reshape(g.N, g.K, 1, g.H * g.W)
    work = g.multiply_adds
    if weight.plain:  # few products for each element: moving it takes longer
        work = max(work, threads.MOVE * x.size)
    return (run or threads.run)(
        kernels.module(x.dtype).conv2d,
        x,
        weight.data,
        bias,
        y,
        g.R,
        g.S,
        g.stride,
        g.pad,
        g.dilation,
        g.groups,
        g.channels_per_sum,
        relu,
        adds,
        not weight.plain,
        work=work,
    )


def forward(
    decision: Decision,
    x: np.ndarray,
    weight: PackedWeight,
    bias: np.ndarray | None,
    y: np.ndarray,
    relu: bool,
) -> None:
    """Convolve by the algorithm that was chosen."""
    g, algorithm, cost, _ = decision
    if algorithm == "winograd":
        winograd_forward(g, cost, x, weight, bias, y, relu)
        return
    if algorithm != "direct":
        unfolded_forward(g, cost.slab, x, weight, bias, y, relu)
        if not g.padded or weight.is_finite():
            return
        # an infinite or NaN weight times a padded zero is NaN: the direct sum has no padding
    direct_forward(g, x, weight, bias, y, relu)


def backward(
    decision: Decision,
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    dx: np.ndarray | None,
    dweight: np.ndarray | None,
) -> None:
    """Write the gradients that are not None by the algorithm that was chosen."""
    g, algorithm, cost, _ = decision
    if algorithm in ("im2col", "im2col_tiled"):
        # few filters have no panels to multiply by; an infinite dy times a padded zero is NaN
        directly = few_filters(weight, g.groups) or (g.padded and not is_finite(dy))
        unfolded_backward(g, cost.slab, dy, x, weight, dx, None if directly else dweight)
        dx, dweight = None, dweight if directly else None
    if dx is not None and cost.tile:
        winograd_input(g, cost, dy, weight, dx)
    elif dx is not None:
        direct_input(g, dy, weight, dx)
    if dweight is not None and cost.weight_tile:
        winograd_weight(g, cost.weight_tile, dy, x, dweight)
    elif dweight is not None:
        direct_weight(g, dy, x, dweight)


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
    for n in winograd(g, cost, x, weight.transformed(cost.tile), bias, y, relu):
        one = slice(n, n + 1)
        direct_forward(replace(g, N=1), x[one], weight, bias, y[one], relu)


def winograd(
    g: Conv2DGeometry,
    cost: costs.AlgorithmCost,
    x: np.ndarray,
    u: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    relu: bool,
) -> np.ndarray:
    """Run the blocks of tiles; return the images with a result that is not finite."""
    module, m = kernels.module(x.dtype), cost.tile
    slot = g.winograd_slot_bytes(m, cost.length, x.itemsize, module.lanes)
    # each thread gets as many blocks, none longer than a slot; their length changes no bit
    blocks = -(-g.winograd_blocks(m, cost.length) // cost.slots) * cost.slots
    length = -(-g.N * g.winograd_tiles(m) // blocks)
    broken = np.zeros(g.N, np.uint8)
    with memory.workspace(cost.slots * slot) as block:
        threads.run(
            module.winograd,
            x,
            u,
            bias,
            y,
            block.view(x.dtype),
            slot // x.itemsize,
            broken,
            m,
            length,
            g.pad,
            relu,
            work=g.multiply_adds,
            most=cost.slots,
        )
    return np.flatnonzero(broken)


def winograd_input(
    g: Conv2DGeometry, cost: costs.AlgorithmCost, dy: np.ndarray, weight: np.ndarray, dx: np.ndarray
) -> None:
    """Compute dx: dy convolved with mirrored weights whose filters and channels are exchanged."""
    with memory.Lent() as lent:
        u = transform(weight, cost.tile, True, lent.packed)
        broken = winograd(g.mirrored(), cost, dy, u, None, dx, False)
    for n in broken:
        one = slice(n, n + 1)
        direct_input(replace(g, N=1), dy[one], weight, dx[one])


def direct_input(
    g: Conv2DGeometry, dy: np.ndarray, weight: np.ndarray, dx: np.ndarray, run: Run | None = None
) -> int:
    """Compute dx without workspace; return the engine's place in `input_engines`."""
    run = run or threads.run
    module, points = kernels.module(dx.dtype), g.R == g.S == 1 and not g.padded
    if points and g.stride == (1, 1):
        dy = dy.reshape(g.N, g.K, 1, g.OH * g.OW)
        dx = dx.reshape(g.N, g.C, 1, g.H * g.W)
    elif points:  # of the pixels that windows see; the others have no gradient
        dx[...] = 0
        dx = dx[:, :, :: g.stride[0], :: g.stride[1]]
        g = replace(g, H=g.OH, W=g.OW, stride=(1, 1))
    to = dx, g.R, g.S, g.stride, g.pad, g.dilation, g.groups, SUM_LENGTH
    if engines.folds(g, module):
        folded = module.conv2d_backward_input_folded
        return run(folded, dy, weight.reshape(-1), *to, work=g.multiply_adds)
    with memory.Lent() as lent:
        data, packed = room_backward(weight, lent)
        if packed:
            engine = small_input(module, g, dy, weight, data, dx, run)
            if engine >= 0:
                return engine
            pack_panels_backward(weight, g.groups, data)
        return run(module.conv2d_backward_input, dy, data, *to, packed, work=g.multiply_adds)


def small_input(
    module: ModuleType,
    g: Conv2DGeometry,
    dy: np.ndarray,
    weight: np.ndarray,
    room: np.ndarray,
    dx: np.ndarray,
    run: Run,
) -> int:
    """Compute dx of small maps with plain weights; return -1 if it was not computed so.

    Where dx has few pixels, packing all weights takes as long as multiplying by them.  So each
    thread packs one panel after the other, into its slot of the memory that would hold all panels.
    """
    count = threads.get_num_threads() if g.multiply_adds > threads.SMALL_WORK else 1
    slot = module.input_slot(
        g.N,
        g.K // g.groups,
        g.C // g.groups,
        g.R,
        g.S,
        (g.H, g.W),
        g.stride,
        g.dilation,
        SUM_LENGTH,
        room.size,
        count,
    )
    if not slot[0]:
        return -1
    return run(
        module.conv2d_backward_input_plain,
        dy,
        weight,
        room,
        slot,
        np.full(count, -1, np.int64),
        np.zeros(g.N, np.uint8),
        dx,
        g.pad,
        g.dilation,
        g.groups,
        SUM_LENGTH,
        work=g.multiply_adds,
        most=count,
    )


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


def direct_weight(
    g: Conv2DGeometry, dy: np.ndarray, x: np.ndarray, dweight: np.ndarray, run: Run | None = None
) -> int:
    """Compute dweight by partial sums in workspace; return the place in `weight_engines`."""
    module = kernels.module(x.dtype)
    sums = 0 if engines.few(g.K // g.groups, module.lanes) else g.partial_sums(module.lanes)
    with memory.workspace(partial_bytes(module, g, x.itemsize)) as block:
        for exact in (False, True):  # the exact way only if a zero of the padding gave NaN
            engine = (run or threads.run)(
                module.conv2d_backward_weight,
                x,
                dy,
                block.view(x.dtype),
                dweight,
                g.stride,
                g.pad,
                g.dilation,
                g.groups,
                sums,
                exact,
                work=g.multiply_adds,
            )
            if engine >= 0:
                break
    return engine


def partial_bytes(module: ModuleType, g: Conv2DGeometry, itemsize: int) -> int:
    """Return the bytes of workspace of the direct gradient of the weights; 0 for few filters."""
    if engines.few(g.K // g.groups, module.lanes):
        return 0
    return g.weight_gradient_bytes(itemsize, module.lanes)
