# What the kernels of every instruction set and dtype offer: the functions of all parts
# (parts/*.pyx), joined in the namespace that `fastconv.kernels.module` returns.
#
# There is no module of this name.  `Array` is an array of the namespace's own dtype.  A kernel
# does the share [part / parts, (part + 1) / parts) of its items.

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Pair = tuple[int, int]
Sides = tuple[Pair, Pair]
Change = tuple[float, float, float, float]

lanes: int
tile_pixels: int
forward_engines: list[str]
input_engines: list[str]
weight_engines: list[str]
vector_bytes: int
chunk: int
local_channels: int
norm_positions: int
norm_samples: int
folded_taps: int
folded_width: int
most_scale: int
winograd_sum: int

def caches() -> tuple[int, int]: ...
def set_caches(l1: int, l2: int) -> None: ...
def items_of_part(items: int, part: int, parts: int, threads: int) -> tuple[int, int]: ...
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
    adds: bool,
    packed: bool,
    part: int,
    parts: int,
    threads: int,
) -> int: ...
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
    packed: bool,
    part: int,
    parts: int,
    threads: int,
) -> int: ...
def input_slot(
    images: int,
    filters: int,
    channels: int,
    R: int,
    S: int,
    size: Pair,
    stride: Pair,
    dilation: Pair,
    block: int,
    room: int,
    threads: int,
) -> tuple[int, int, int, int]: ...
def conv2d_backward_input_plain(
    dy: Array,
    weight: Array,
    work: Array,
    slot: tuple[int, int, int, int],
    holds: Array,
    broken: Array,
    dx: Array,
    pad: Pair,
    dilation: Pair,
    groups: int,
    block: int,
    part: int,
    parts: int,
    threads: int,
) -> int: ...
def conv2d_backward_input_folded(
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
    part: int,
    parts: int,
    threads: int,
) -> int: ...
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
    exact: bool,
    part: int,
    parts: int,
    threads: int,
) -> int: ...
def add_slab(
    col: Array,
    dy: Array,
    partial: Array,
    dweight: Array,
    groups: int,
    sums: int,
    height: int,
    first: int,
    chunks: int,
    pixels: int,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def matrix_product(
    a: Array,
    b: Array,
    bias: Array | None,
    y: Array,
    block: int,
    relu: bool,
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
    relu: bool,
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
    slot: int,
    broken: NDArray[np.uint8],
    m: int,
    edge: int,
    length: int,
    pad: Pair,
    relu: bool,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def winograd_plain(
    x: Array,
    weight: Array,
    turned: bool,
    room: Array,
    bias: Array | None,
    y: Array,
    work: Array,
    slot: int,
    broken: NDArray[np.uint8],
    m: int,
    edge: int,
    length: int,
    held: int,
    pad: Pair,
    relu: bool,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def winograd_panels(
    panels: Array, u: Array, C: int, edge: int, side: int, part: int, parts: int, threads: int
) -> None: ...
def winograd_weight(
    weight: Array, u: Array, edge: int, turned: bool, part: int, parts: int, threads: int
) -> None: ...
def winograd_backward_weight(
    x: Array,
    dy: Array,
    work: Array,
    dweight: Array,
    m: int,
    length: int,
    v_plane: int,
    d_plane: int,
    pad: Pair,
    broken: NDArray[np.uint8],
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def relu(x: Array, y: Array, part: int, parts: int, threads: int) -> None: ...
def add_relu(x: Array, y: Array, out: Array, part: int, parts: int, threads: int) -> None: ...
def relu_backward(dy: Array, y: Array, dx: Array, part: int, parts: int, threads: int) -> None: ...
def dropout(
    x: Array, kept: NDArray[np.uint8], y: Array, scale: float, part: int, parts: int, threads: int
) -> None: ...
def sgd(
    value: Array, gradient: Array, rate: float, change: Change, part: int, parts: int, threads: int
) -> None: ...
def momentum(
    value: Array,
    gradient: Array,
    velocity: Array,
    rate: float,
    decay: float,
    nesterov: bool,
    change: Change,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def by_squares(
    value: Array,
    gradient: Array,
    squares: Array,
    rate: float,
    decay: float,
    fresh: float,
    epsilon: float,
    change: Change,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def adam(
    value: Array,
    gradient: Array,
    mean: Array,
    squares: Array,
    rate: float,
    decay: float,
    decay_squares: float,
    epsilon: float,
    change: Change,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def sum_squares(
    x: Array, sums: NDArray[np.float64], factor: float, part: int, parts: int, threads: int
) -> None: ...
def exp(x: Array, y: Array, part: int, parts: int, threads: int) -> None: ...
def expm1(x: Array, y: Array, part: int, parts: int, threads: int) -> None: ...
def log(x: Array, y: Array, part: int, parts: int, threads: int) -> None: ...
def log1p(x: Array, y: Array, part: int, parts: int, threads: int) -> None: ...
def sigmoid(x: Array, y: Array, part: int, parts: int, threads: int) -> None: ...
def tanh(x: Array, y: Array, part: int, parts: int, threads: int) -> None: ...
def erf(x: Array, y: Array, part: int, parts: int, threads: int) -> None: ...
def sigmoid_backward(
    dy: Array, y: Array, dx: Array, part: int, parts: int, threads: int
) -> None: ...
def tanh_backward(dy: Array, y: Array, dx: Array, part: int, parts: int, threads: int) -> None: ...

activations: tuple[str, ...]

def activate(
    x: Array, y: Array, function: int, a: float, b: float, part: int, parts: int, threads: int
) -> None: ...
def activate_backward(
    dy: Array, kept: Array, dx: Array, function: int, a: float, part: int, parts: int, threads: int
) -> None: ...
def rescale(
    x: Array, y: Array, scale: Array, offset: Array, part: int, parts: int, threads: int
) -> None: ...
def rescale_bytes(
    x: NDArray[np.uint8], y: Array, scale: Array, offset: Array, part: int, parts: int, threads: int
) -> None: ...
def prelu(x: Array, y: Array, slopes: Array, part: int, parts: int, threads: int) -> None: ...
def prelu_backward(
    dy: Array,
    x: Array,
    dx: Array | None,
    slopes: Array,
    sums: NDArray[np.float64],
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def softmax(x: Array, y: Array, part: int, parts: int, threads: int) -> None: ...
def log_softmax(x: Array, y: Array, part: int, parts: int, threads: int) -> None: ...
def softmax_backward(
    dy: Array, y: Array, dx: Array, part: int, parts: int, threads: int
) -> None: ...
def group_norm(
    x: Array,
    y: Array,
    weight: Array,
    bias: Array,
    mean: NDArray[np.float64] | None,
    inverse: NDArray[np.float64] | None,
    epsilon: float,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def group_norm_backward(
    dy: Array,
    x: Array,
    dx: Array | None,
    partial: Array | None,
    weight: Array,
    mean: NDArray[np.float64],
    inverse: NDArray[np.float64],
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def channel_norm(
    x: Array,
    y: Array,
    weight: Array,
    bias: Array,
    mean: NDArray[np.float64] | None,
    inverse: NDArray[np.float64] | None,
    epsilon: float,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def channel_norm_backward(
    dy: Array,
    x: Array,
    dx: Array | None,
    partial: Array | None,
    weight: Array,
    mean: NDArray[np.float64],
    inverse: NDArray[np.float64],
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def local_response_norm(
    x: Array,
    y: Array,
    size: int,
    alpha: float,
    beta: float,
    k: float,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def local_response_norm_backward(
    dy: Array,
    x: Array,
    dx: Array,
    size: int,
    alpha: float,
    beta: float,
    k: float,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def embedding(
    numbers: NDArray[np.uint8],
    width: int,
    table: Array,
    y: Array,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def embedding_order(
    numbers: NDArray[np.uint8], width: int, order: NDArray[np.int64], starts: NDArray[np.int64]
) -> None: ...
def embedding_backward(
    dy: Array,
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    dtable: Array,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def batch_norm(
    x: Array,
    y: Array,
    weight: Array,
    bias: Array,
    mean: NDArray[np.float64],
    inverse: NDArray[np.float64],
    variance: NDArray[np.float64],
    epsilon: float,
    batch: bool,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def batch_norm_backward(
    dy: Array,
    x: Array,
    dx: Array | None,
    weight: Array,
    mean: NDArray[np.float64],
    inverse: NDArray[np.float64],
    sums: NDArray[np.float64],
    batch: bool,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def upsample2d(
    x: Array,
    y: Array,
    scale: Pair,
    weights: tuple[Array, Array] | None,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def upsample2d_backward(
    dy: Array,
    dx: Array,
    scale: Pair,
    weights: tuple[Array, Array] | None,
    part: int,
    parts: int,
    threads: int,
) -> None: ...
def frame_maps(
    x: Array, y: Array, top: int, left: int, part: int, parts: int, threads: int
) -> None: ...
def add_channel_bias(
    y: Array, bias: Array | None, relu: bool, part: int, parts: int, threads: int
) -> None: ...
