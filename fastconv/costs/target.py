"""What the cost model has to know of the kernels that will run."""

from __future__ import annotations

from dataclasses import dataclass

from ..geometry import SUM_LENGTH, Conv2DGeometry, GradientBlocks
from .table import Table

__all__ = ["Target", "few", "folds"]

#: What the stack of the folded gradient holds; kernels say so as `folded_taps`, `folded_width`.
FOLDED_TAPS, FOLDED_WIDTH = 128, 4096


def few(channels: int, lanes: int) -> bool:
    """Return whether a group has so few output channels that pixels fill the lanes instead."""
    return 4 * channels <= lanes


def folds(g: Conv2DGeometry, lanes: int) -> bool:
    """Return whether the gradient of the input is a product with all taps, folded in the cache.

    It wins where input channels would leave half of the lanes empty, but for the short sums of
    just a vector of them, which take whole rows (`input_gradient.pxi`); the columns of a
    row of the output have to fit the kernel's stack.
    """
    channels, filters = g.C // g.groups, g.K // g.groups
    length = filters * g.R * g.S / (g.stride[0] * g.stride[1])  # products of an input
    rows = 8 * channels > 3 * lanes and length <= SUM_LENGTH and max(g.stride) <= 2
    return (
        2 * channels <= lanes
        and not rows
        and g.K > g.groups
        and 1 < g.R * g.S <= FOLDED_TAPS
        and g.W <= FOLDED_WIDTH
        and g.OH * g.OW >= lanes
    )


@dataclass(frozen=True)
class Target:
    """The active kernels for one dtype.

    Attributes
    ----------
    table : Table
        The constants of the machine and instruction set.
    itemsize : int
        Bytes of a number.
    lanes : int
        Output channels of a panel.
    tile : int
        Pixels of a register tile.
    """

    table: Table
    itemsize: int
    lanes: int
    tile: int

    def gradient_blocks(self, g: Conv2DGeometry, m: int) -> GradientBlocks:
        """Return how minimal filtering cuts the gradient of the weights."""
        return g.winograd_gradient(m, self.itemsize, self.lanes, self.tile)

    def winograd_length(self, g: Conv2DGeometry, m: int) -> int:
        """Return the Winograd tiles that are carried through the cache together."""
        return g.winograd_length(m, self.itemsize, self.lanes, self.tile)

    def few(self, channels: int) -> bool:
        """Return whether pixels fill the lanes for so few output channels of a group."""
        return few(channels, self.lanes)

    def padded(self, channels: int, vectors: int = 2) -> int:
        """Output channels of a group with those that only fill a panel of so many vectors."""
        width = self.lanes * vectors // 2
        return channels if self.few(channels) else -(-channels // width) * width
