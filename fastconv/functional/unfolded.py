"""The book's algorithm, im2col, on checked arrays, for the whole batch at once or in slabs.

A slab is some output rows of the unfolded matrix: those of whole images, or some of one image.

    x [n, :, rows that the slab sees]  -- unfold -->  col [n][c, r, s][i, j]   (workspace)
    y [n, :, rows of the slab]  =  weights (K, C R S) times col: a 1x1 convolution

``im2col`` has one slab, the whole batch.  It is the same code as ``im2col_tiled``, so its bits are
the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastconv import costs, kernels, memory, threads
from fastconv.functional.packing import PackedWeight, pack_backward
from fastconv.geometry import SUM_LENGTH, Conv2DGeometry

ONES, ZEROS = (1, 1), (0, 0)


class Slab(NamedTuple):
    """Output rows [top, bottom) of the images [first, last)."""

    first: int
    last: int
    top: int
    bottom: int


def slabs(g: Conv2DGeometry, size: tuple[int, int], backward: bool = False) -> Iterator[Slab]:
    """Yield the slabs, at most `size` = (images, rows) each; `backward` from the last one."""
    images, rows = size
    order = reversed if backward else iter
    for n in order(range(0, g.N, images)):
        for top in order(range(0, g.OH, rows)):
            yield Slab(n, min(n + images, g.N), top, min(top + rows, g.OH))


def _columns(g: Conv2DGeometry, at: Slab, block: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return room for the unfolded matrix of a slab, (images, C R S, rows, OW), in `block`."""
    shape = (at.last - at.first, g.C * g.R * g.S, at.bottom - at.top, g.OW)
    return block.view(dtype)[: shape[0] * shape[1] * shape[2] * shape[3]].reshape(shape)


def _unfold(g: Conv2DGeometry, at: Slab, x: np.ndarray, block: np.ndarray) -> np.ndarray:
    col = _columns(g, at, block, x.dtype)
    threads.run(
        kernels.module(x.dtype).unfold,
        x[at.first : at.last],
        col.reshape(-1),
        (g.R, g.S),
        g.stride,
        _pad(g, at),
        g.dilation,
        at.bottom - at.top,
        g.OW,
        False,
        work=threads.MOVE * col.size,
    )
    return col


def _pad(g: Conv2DGeometry, at: Slab) -> tuple[int, int]:
    # above the first row of the slab there is less padding than above the map; it may be negative
    return g.pad[0] - at.top * g.stride[0], g.pad[1]


def _share(g: Conv2DGeometry, at: Slab) -> int:
    """Return the multiply-adds of a slab."""
    return g.multiply_adds * (at.last - at.first) * (at.bottom - at.top) // (g.N * g.OH)


def unfolded_forward(
    g: Conv2DGeometry,
    cost: costs.AlgorithmCost,
    x: np.ndarray,
    weight: PackedWeight,
    bias: np.ndarray | None,
    y: np.ndarray,
    relu: bool,
) -> None:
    """Unfold and multiply, slab by slab: a 1x1 convolution with C R S channels."""
    module = kernels.module(x.dtype)
    flat = y.reshape(g.N, g.K, 1, g.OH * g.OW)
    room = cost.together if weight.once else 0
    with memory.workspace(g.unfolded_bytes(*cost.slab, x.itemsize), room) as block:
        for at in slabs(g, cost.slab):
            col = _unfold(g, at, x, block)
            pixels = (at.bottom - at.top) * g.OW
            threads.run(
                module.conv2d,
                col.reshape(*col.shape[:2], 1, pixels),
                weight.data,
                bias,
                flat[at.first : at.last, :, :, at.top * g.OW : at.bottom * g.OW],
                1,
                1,
                ONES,
                ZEROS,
                ONES,
                g.groups,
                g.channels_per_sum * g.R * g.S,
                relu,
                False,
                not weight.plain,
                work=_share(g, at),
            )


def unfolded_backward(
    g: Conv2DGeometry,
    cost: costs.AlgorithmCost,
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    dx: np.ndarray | None,
    dweight: np.ndarray | None,
) -> None:
    """Compute both gradients, one after the other, in one block of workspace."""
    unfolded = g.unfolded_bytes(*cost.slab, x.itemsize)
    sums = cost.workspace - unfolded if dweight is not None else 0
    beside = max(sums, cost.packed if dx is not None else 0)
    with memory.workspace(unfolded, unfolded + beside) as block:
        if dweight is not None:
            _weight_gradient(g, cost.slab, dy, x, dweight, block)
        if dx is not None:
            _input_gradient(g, cost.slab, dy, weight, dx, block)


def _weight_gradient(
    g: Conv2DGeometry,
    size: tuple[int, int],
    dy: np.ndarray,
    x: np.ndarray,
    dweight: np.ndarray,
    block: np.ndarray,
) -> None:
    """Compute dweight, dy times the unfolded matrix, by the partial sums of all algorithms."""
    module = kernels.module(x.dtype)
    chunks = g.gradient_chunks(g.N, g.OH)
    with memory.workspace(g.weight_gradient_bytes(x.itemsize, module.lanes)) as held:
        for at in slabs(g, size):
            first = g.gradient_chunks(at.first, g.OH) + g.gradient_chunks(1, at.top)
            threads.run(
                module.add_slab,
                _unfold(g, at, x, block),
                dy[at.first : at.last, :, at.top : at.bottom],
                held.view(x.dtype),
                dweight.reshape(g.K, g.taps),
                g.groups,
                g.partial_sums(module.lanes),
                g.chunk_rows,
                first,
                chunks,
                g.N * g.OH * g.OW,
                work=_share(g, at),
            )


def _input_gradient(
    g: Conv2DGeometry,
    size: tuple[int, int],
    dy: np.ndarray,
    weight: np.ndarray,
    dx: np.ndarray,
    block: np.ndarray,
) -> None:
    """Compute dx: for each block of filters, fold the product of the turned weights and dy.

    Slabs are folded from the last row to the first, so that each element of dx gets its taps in
    order: the next tap of a kernel column belongs to an output row further up.
    """
    module = kernels.module(dx.dtype)
    flat = dy.reshape(g.N, g.K, 1, g.OH * g.OW)
    dx[...] = 0
    filters = g.K // g.groups
    # all groups at once where a block holds all filters of a group
    together = g.groups if filters <= SUM_LENGTH else 1
    for first in range(0, filters, SUM_LENGTH):
        last = min(first + SUM_LENGTH, filters)
        with memory.Lent() as lent:
            shares = []
            for group in range(0, g.groups, together):
                rows = slice(group * filters + first, (group + together - 1) * filters + last)
                share = weight[rows].reshape(-1, g.taps, 1, 1)
                channels = slice(group * g.taps, (group + together) * g.taps)
                shares.append((rows, channels, *pack_backward(share, together, lent)))
            for at in slabs(g, size, backward=True):
                col = _columns(g, at, block, dx.dtype)
                pixels = slice(at.top * g.OW, at.bottom * g.OW)
                for rows, channels, data, packed in shares:
                    threads.run(
                        module.conv2d_backward_input,
                        flat[at.first : at.last, rows, :, pixels],
                        data,
                        col.reshape(*col.shape[:2], 1, -1)[:, channels],
                        1,
                        1,
                        ONES,
                        ZEROS,
                        ONES,
                        together,
                        SUM_LENGTH,
                        packed,
                        work=_share(g, at) * (rows.stop - rows.start) // g.K,
                    )
                threads.run(
                    module.fold,
                    col.reshape(-1),
                    dx[at.first : at.last],
                    (g.R, g.S),
                    g.stride,
                    _pad(g, at),
                    g.dilation,
                    at.bottom - at.top,
                    g.OW,
                    False,
                    work=threads.MOVE * col.size,
                )
