"""The direct sums: convolution and its gradients without an unfolded matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import numpy as np

from fastconv import engines, kernels, memory, threads
from fastconv.functional.packing import PackedWeight, pack_panels_backward, room_backward
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
    thread packs one panel after the other, of 1x1 up to four at a time, into its slot of the memory
    that would hold all panels.
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
