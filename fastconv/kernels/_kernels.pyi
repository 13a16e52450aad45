# What every kernel module offers, whatever its instruction set and dtype; see body.pxi.
#
# There is no module of this name: the stubs of the real ones include it, as their sources
# include the body.  `Array` is an array of the module's own dtype.  A kernel does the share
# [part / parts, (part + 1) / parts) of its items.

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Pair = tuple[int, int]
Sides = tuple[Pair, Pair]

lanes: int
tile_pixels: int
PANELS: int
PLANES: int
LINES: int
vector_bytes: int

def pack_weight(
    weight: Array, packed: Array, groups: int, part: int, parts: int, threads: int
) -> None: ...
def pack_weight_backward(
    weight: Array, packed: Array, groups: int, part: int, parts: int, threads: int
) -> None: ...
def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    y: Array,
    R: int,
    S: int,
    stride: Pair,
    pad: Pair,
    dilation: Pair,
    groups: int,
    block: int,
    relu: bool,
    engine: int,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def conv2d_backward_input(
    dy: Array,
    weight: Array,
    dx: Array,
    R: int,
    S: int,
    stride: Pair,
    pad: Pair,
    dilation: Pair,
    groups: int,
    block: int,
    engine: int,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def conv2d_backward_weight(
    x: Array,
    dy: Array,
    partial: Array,
    dweight: Array,
    stride: Pair,
    pad: Pair,
    dilation: Pair,
    groups: int,
    sums: int,
    planes: bool,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def channel_sums(dy: Array, out: Array, threads: int) -> None: ...
def max_pool2d(
    x: Array,
    y: Array,
    argmax: NDArray[np.uint8] | NDArray[np.int32] | None,
    kernel: Pair,
    stride: Pair,
    pad: Pair,
    dilation: Pair,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def max_pool2d_backward(
    dy: Array,
    argmax: NDArray[np.uint8] | NDArray[np.int32],
    dx: Array,
    kernel: Pair,
    stride: Pair,
    pad: Pair,
    dilation: Pair,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def scatter(
    dy: Array, indices: NDArray[np.int64], dx: Array, part: int, parts: int, threads: int
) -> None: ...
def avg_pool2d(
    x: Array,
    y: Array,
    kernel: Pair,
    stride: Pair,
    pad: Sides,
    count_padding: bool,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def avg_pool2d_backward(
    dy: Array,
    dx: Array,
    kernel: Pair,
    stride: Pair,
    pad: Sides,
    count_padding: bool,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def unfold(
    x: Array,
    col: Array,
    kernel: Pair,
    stride: Pair,
    pad: Pair,
    dilation: Pair,
    OH: int,
    OW: int,
    book: bool,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def fold(
    col: Array,
    dx: Array,
    kernel: Pair,
    stride: Pair,
    pad: Pair,
    dilation: Pair,
    OH: int,
    OW: int,
    book: bool,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def winograd(
    x: Array,
    u: Array,
    bias: Array | None,
    y: Array,
    work: Array,
    broken: NDArray[np.uint8],
    m: int,
    length: int,
    pad: Pair,
    relu: bool,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def winograd_weight(
    panels: Array, u: Array, C: int, m: int, part: int, parts: int, threads: int
) -> None: ...
