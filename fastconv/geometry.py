"""Windows that slide over maps: THE output-size formula, padding, and the price of each algorithm.

Everything here is arithmetic on exact Python integers, before any array is touched.  The
letters are those of the kernels: batch N, channels C, map H x W, filters K, kernel R x S,
output OH x OW.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from fastconv.arguments import (
    CHANNELS_FIRST,
    LARGEST,
    Padding,
    as_bool,
    as_int,
    as_padding,
    as_pair,
    as_row_padding,
    check_axes,
)
from fastconv.concurrency import computed_once
from fastconv.errors import ShapeError

__all__ = ["Conv2DGeometry", "GradientBlocks", "Window2D", "nbytes"]

#: Products that are added one after the other before their sum joins the total.  A longer chain of
#: float32 additions loses accuracy, and a shorter one takes more time.
SUM_LENGTH = 512
#: The largest number of partial sums that the gradient of the weights goes through.
MOST_PARTIAL_SUMS = 16
#: Output pixels of a chunk of that sum.  The kernels export the same number as `chunk`.
CHUNK = 128
#: The most bytes of the unfolded matrix that ``im2col_tiled`` holds at a time, unless it must hold
#: more: half of a usual L2 cache.  It is the same on every machine, so that the workspace is too.
SLAB_BYTES = 512 * 1024


def winograd_edge(m: int, side: int) -> int:
    """Return the inputs a side of the Winograd tile of m x m outputs, for side x side kernels."""
    return m + side - 1


def may_filter_minimally(
    kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], groups: int
) -> bool:
    """Whether Winograd's algorithm applies: 3x3 or 5x5, stride 1, no dilation, one group."""
    return kernel in ((3, 3), (5, 5)) and (*stride, *dilation, groups) == (1, 1, 1, 1, 1)


def nbytes(shape: Sequence[int], itemsize: int) -> int:
    """Return the bytes of an array of `shape` with elements of `itemsize` bytes."""
    return math.prod(shape) * itemsize


@dataclass(frozen=True)
class Window2D:
    """A window of R x S taps that slides over a map.

    Parameters
    ----------
    kernel, stride, dilation : tuple of int
        (vertical, horizontal), each at least 1.
    padding : tuple or "same"
        ((top, bottom), (left, right)); "same" is resolved for each map, as ONNX SAME_UPPER.
    ceil_mode : bool
        Whether a last window that overhangs the padded map counts.

    Examples
    --------
    >>> Window2D.make("conv2d", kernel=5, stride=2).output_size("conv2d", (25, 25))
    (11, 11)
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    ceil_mode: bool = False

    @classmethod
    def make(
        cls,
        operation: str,
        kernel: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: Any = False,
        kernel_parameter: str = "kernel_size",
    ) -> Window2D:
        """Check what a user gave and return the window; errors name `operation`."""
        return cls(
            as_pair(operation, kernel_parameter, kernel, 1),
            as_pair(operation, "stride", stride, 1),
            as_padding(operation, padding),
            as_pair(operation, "dilation", dilation, 1),
            as_bool(operation, "ceil_mode", ceil_mode),
        )

    @classmethod
    def row(
        cls,
        operation: str,
        kernel: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: Any = False,
        kernel_parameter: str = "kernel_size",
    ) -> Window2D:
        """Check what a user gave for signals and return a window of one row."""
        return cls(
            (1, as_int(operation, kernel_parameter, kernel, 1)),
            (1, as_int(operation, "stride", stride, 1)),
            as_row_padding(operation, padding),
            (1, as_int(operation, "dilation", dilation, 1)),
            as_bool(operation, "ceil_mode", ceil_mode),
        )

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns that a dilated window spans: d(R - 1) + 1."""
        (r, s), (dh, dw) = self.kernel, self.dilation
        return dh * (r - 1) + 1, dw * (s - 1) + 1

    @property
    def taps(self) -> int:
        """Elements of the window: R S."""
        return self.kernel[0] * self.kernel[1]

    def resolve(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return ((top, bottom), (left, right)) for a map of `size` (H, W)."""
        if not isinstance(self.padding, str):
            return self.padding
        sides = []
        for length, extent, stride in zip(size, self.extent, self.stride, strict=True):
            windows = -(-length // stride)
            total = max((windows - 1) * stride + extent - length, 0)
            sides.append((total // 2, total - total // 2))
        return sides[0], sides[1]

    def output_size(self, operation: str, size: tuple[int, int]) -> tuple[int, int]:
        """Return (OH, OW) for a map of `size`: floor((H + pads - extent) / stride) + 1.

        Raises
        ------
        ShapeError
            If the window is larger than the padded map, or the output too large to count.
        """
        padding = self.resolve(size)
        output = []
        for axis in (0, 1):
            before, after = padding[axis]
            length, extent, stride = size[axis], self.extent[axis], self.stride[axis]
            room = length + before + after - extent
            if room < 0:
                padded = tuple(n + sum(sides) for n, sides in zip(size, padding, strict=True))
                raise ShapeError(
                    operation,
                    "the padded input",
                    f"must be at least as large as the window, {self.extent[0]}x{self.extent[1]}",
                    padded,
                    "use a smaller kernel or dilation, or more padding",
                    shown=f"{padded[0]}x{padded[1]}",
                )
            windows = room // stride + 1
            # The extra window must start inside the map or the padding before it, as PyTorch
            # has it; a window larger than the padded map is an error also with ceil_mode.
            if self.ceil_mode and room % stride and windows * stride < length + before:
                windows += 1
            if windows > LARGEST:
                raise ShapeError(
                    operation,
                    "padding",
                    f"must lead to an output at most {LARGEST} long",
                    windows,
                    "take a larger stride, or less padding",
                )
            output.append(windows)
        return output[0], output[1]

    def output_map(self, operation: str, shape: Sequence[int]) -> tuple[int, int]:
        """Return (OH, OW) for images (C, H, W) or (N, C, H, W), with a remedy for (…, H, W, C).

        Raises
        ------
        ShapeError
            As `output_size`.
        """
        *_, channels, height, width = shape
        try:
            return self.output_size(operation, (height, width))
        except ShapeError as error:
            if not width <= 4 < channels:  # an image of few columns, and many channels
                raise
            batch = shape[:-3]
            raise ShapeError(
                operation,
                error.parameter,
                error.rule,
                error.value,
                f"if the last of {tuple(shape)} are channels, the shape must be "
                f"{(*batch, width, channels, height)}; {CHANNELS_FIRST}",
                shown=error.shown,
            ) from None


class GradientBlocks(NamedTuple):
    """How minimal filtering cuts the sum of the gradient of the weights (winograd_gradient.pxi)."""

    blocks: int
    length: int  # Winograd tiles of a block
    v_plane: int  # numbers from one product of a tile to the next
    d_plane: int
    channels: int  # of V, rounded up to whole vectors
    nbytes: int  # of V, D and, for several blocks, Z


@dataclass(frozen=True)
class Conv2DGeometry:
    """Every size of one convolution, checked and resolved.

    ``C`` and ``K`` count all channels and filters; each of the `groups` has C/groups and
    K/groups of them.  ``pad`` is (top, left): once OH and OW are known, nobody needs the padding
    below and to the right.
    """

    N: int
    C: int
    H: int
    W: int
    K: int
    R: int
    S: int
    OH: int
    OW: int
    stride: tuple[int, int]
    pad: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    padded: bool

    @classmethod
    def make(
        cls,
        operation: str,
        x_shape: Sequence[int],
        weight_shape: Sequence[int],
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: Any,
    ) -> Conv2DGeometry:
        """Check shapes (N, C, H, W) and (K, C/groups, R, S) and resolve all sizes.

        Raises
        ------
        ShapeError, ArgumentError, ArgumentTypeError
            Naming `operation`, the parameter, the rule and the value.
        """
        check_axes(operation, "x", x_shape, "NCHW")
        check_axes(operation, "weight", weight_shape, "KCRS")
        n, c, h, w = x_shape
        k, c_group, r, s = weight_shape
        groups = as_int(operation, "groups", groups, 1)
        if c % groups or k % groups:
            raise ShapeError(
                operation,
                "groups",
                f"must divide the channels (= {c}) and the filters (= {k})",
                groups,
            )
        if c_group * groups != c:
            of = "" if groups == 1 else f" x {groups} groups"
            remedy = CHANNELS_FIRST if w == c_group * groups else ""
            if groups > 1 and c_group == c:
                remedy = f"a group sees {c // groups} of them: {(k, c // groups, r, s)}"
            raise ShapeError(
                operation,
                "weight",
                f"must be for the {c} channels of x, {tuple(x_shape)}",
                c_group,
                remedy,
                shown=f"{c_group}{of} in {tuple(weight_shape)}",
            )
        window = Window2D.make(operation, (r, s), stride, padding, dilation)
        oh, ow = window.output_map(operation, x_shape)
        (top, bottom), (left, right) = window.resolve((h, w))
        return cls(
            n,
            c,
            h,
            w,
            k,
            r,
            s,
            oh,
            ow,
            window.stride,
            (top, left),
            window.dilation,
            groups,
            bool(top or bottom or left or right),
        )

    @computed_once
    def output_shape(self) -> tuple[int, int, int, int]:
        """(N, K, OH, OW)."""
        return self.N, self.K, self.OH, self.OW

    @computed_once
    def taps(self) -> int:
        """Products that one output adds up: C/groups R S."""
        return self.C // self.groups * self.R * self.S

    @computed_once
    def multiply_adds(self) -> int:
        """Multiply-adds of the forward pass, including those with zeros of the padding."""
        return self.N * self.K * self.OH * self.OW * self.taps

    @computed_once
    def channels_per_sum(self) -> int:
        """Channels whose products are added before their sum joins the total, see `SUM_LENGTH`."""
        return max(1, SUM_LENGTH // (self.R * self.S))

    def unfolded_bytes(self, images: int, rows: int, itemsize: int) -> int:
        """Bytes of `rows` output rows of some images, unfolded: OW C R S elements a row.

        That is the workspace of ``im2col`` for the whole batch, and of ``im2col_tiled`` for a
        slab, see `slab`.
        """
        return images * rows * self.OW * self.C * self.R * self.S * itemsize

    @computed_once
    def inside(self) -> float:
        """The share of the products that do not fall in the padding; 1 for huge kernels."""
        share = 1.0
        if max(self.R, self.S) > 100:
            return share
        for size, taps, outputs, stride, pad, dilation in zip(
            (self.H, self.W),
            (self.R, self.S),
            (self.OH, self.OW),
            self.stride,
            self.pad,
            self.dilation,
            strict=True,
        ):
            seen = 0
            for tap in range(taps):  # outputs from `first` to before `end` see it
                at = pad - tap * dilation
                first, end = max(0, -(-at // stride)), min(outputs, -(-(size + at) // stride))
                seen += max(0, end - first)
            share *= seen / (taps * outputs)
        return share

    @property
    def chunk_rows(self) -> int:
        """Output rows of a chunk of the gradient of the weights; a slab has whole chunks."""
        return min(self.OH, max(1, CHUNK // self.OW))

    def gradient_chunks(self, images: int, rows: int) -> int:
        """Return the chunks of the gradient of the weights in `rows` output rows of some images."""
        return images * -(-rows // self.chunk_rows) * -(-self.OW // CHUNK)

    def slab(self, most: int, unit: int, itemsize: int) -> tuple[int, int]:
        """Return (images, rows): the output rows that are unfolded at a time within `most` bytes.

        A slab is some whole images, or some rows of one image: a multiple of `unit`, at least one
        `unit`, or all rows.  Of the sizes that lead to equally many slabs it is the smallest.
        """
        fitting = most // self.unfolded_bytes(1, 1, itemsize)
        if fitting >= self.OH:
            slabs = -(-self.N // (fitting // self.OH))
            return -(-self.N // max(1, slabs)), self.OH
        units = -(-self.OH // unit)
        slabs = -(-units // max(1, fitting // unit))
        return min(1, self.N), min(self.OH, -(-units // slabs) * unit)

    def packed_bytes(self, itemsize: int, lanes: int) -> int:
        """Return the bytes of packed weights: panels of `lanes` filters, group by group."""
        panels = -(-(self.K // self.groups) // lanes)
        return self.groups * panels * lanes * self.taps * itemsize

    def packed_backward_bytes(self, itemsize: int, lanes: int) -> int:
        """Return the bytes of weights packed for the gradient of the input, channels in panels."""
        panels = -(-(self.C // self.groups) // lanes)
        return panels * lanes * self.K * self.R * self.S * itemsize

    @property
    def suits_winograd(self) -> bool:
        """Whether minimal filtering applies."""
        return may_filter_minimally((self.R, self.S), self.stride, self.dilation, self.groups)

    def winograd_edge(self, m: int) -> int:
        """Inputs a side of the tile that makes m x m outputs."""
        return winograd_edge(m, self.R)

    def winograd_tiles(self, m: int) -> int:
        """Tiles of m x m outputs in one image."""
        return -(-self.OH // m) * -(-self.OW // m)

    def winograd_blocks(self, m: int, length: int) -> int:
        """Blocks of `length` tiles in the batch: what threads share."""
        return -(-self.N * self.winograd_tiles(m) // length)

    def winograd_length(self, m: int, itemsize: int, lanes: int, tile: int) -> int:
        """Tiles of a block: two widths of the registers' `tile`.

        Each block streams the transformed weights through the cache.  Where there are many weights
        and few tiles, as on small maps with many channels, blocks are longer, so that there are
        only one or two; the wide tiles of AVX-512 do without this.  A block of a multiple of four
        tiles fills whole cache lines.
        """
        tiles = self.N * self.winograd_tiles(m)
        many = self.winograd_packed_bytes(m, itemsize, lanes) >= 8 * SLAB_BYTES
        if tile >= 12 or not many or not 2 * tile < tiles <= 16 * tile:
            return 2 * tile
        return -(-tiles // (8 if tiles > 8 * tile else 4)) * 4

    def winograd_slot_bytes(self, m: int, length: int, itemsize: int, lanes: int) -> int:
        """Workspace of one thread: transformed input and output of a block of tiles."""
        return self.winograd_edge(m) ** 2 * length * (self.C + lanes) * itemsize

    def winograd_packed_bytes(self, m: int, itemsize: int, lanes: int) -> int:
        """Bytes of transformed weights: edge^2 numbers for the R^2 of a packed kernel."""
        return self.packed_bytes(itemsize, lanes) // self.R**2 * self.winograd_edge(m) ** 2

    def winograd_gradient(self, m: int, itemsize: int, lanes: int, tile: int) -> GradientBlocks:
        """Return the blocks of the gradient of the weights by minimal filtering.

        V is the transformed input, D the transformed dy, and Z the sums, which come from memory
        once for each block.  A block has so many tiles that V and D are as large as Z: at least 64,
        for a long enough sum, and at most 256, so that V and D stay in a cache.
        """
        vector, line = lanes // 2, 64 // itemsize
        row = -(-tile // vector) * vector  # the vectors that hold a tile's channels
        pieces, panels = -(-self.C // row), -(-self.K // lanes)
        tiles = self.N * self.winograd_tiles(m)
        count = max(1, -(-tiles // max(64, min(256, self.C * self.K // (self.C + self.K)))))
        length = -(-tiles // count)
        # an odd number of cache lines apart, planes that are written in turn use different sets
        v, d = ((-(-length * width // line) | 1) * line for width in (row, lanes))
        numbers = pieces * v + panels * d + (pieces * panels * row * lanes if count > 1 else 0)
        nbytes = self.winograd_edge(m) ** 2 * numbers * itemsize
        return GradientBlocks(count, length, v, d, pieces * row, nbytes)

    def mirrored(self) -> Conv2DGeometry:
        """Return the convolution that computes dx from dy where the stride is 1."""
        (top, left), (dh, dw) = self.pad, self.dilation
        top, left = dh * (self.R - 1) - top, dw * (self.S - 1) - left
        return replace(
            self,
            C=self.K,
            K=self.C,
            H=self.OH,
            W=self.OW,
            OH=self.H,
            OW=self.W,
            pad=(top, left),
            padded=True,
        )

    def partial_sums(self, lanes: int) -> int:
        """Return the number of partial sums of the gradient of the weights.

        The geometry alone decides it, so that no bit depends on the number of threads.  One is
        enough where threads can share the filters and channels.
        """
        panels = -(-(self.K // self.groups) // lanes)
        shares = self.groups * panels * -(-(self.C // self.groups) // 64)
        return max(1, min(MOST_PARTIAL_SUMS, self.N, MOST_PARTIAL_SUMS // shares))

    def weight_gradient_bytes(self, itemsize: int, lanes: int) -> int:
        """Workspace of the gradient of the weights: its partial sums."""
        return self.partial_sums(lanes) * self.packed_bytes(itemsize, lanes)
