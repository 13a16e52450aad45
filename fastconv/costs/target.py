"""What the cost model must know of the kernels that will run."""

from __future__ import annotations

from dataclasses import dataclass

from fastconv import engines
from fastconv.costs.table import Table
from fastconv.geometry import Conv2DGeometry, GradientBlocks

__all__ = ["Target"]


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
    folded_taps, folded_width : int
        The most taps, and the widest map, for which the folded gradient of the input has room.
    """

    table: Table
    itemsize: int
    lanes: int
    tile: int
    folded_taps: int
    folded_width: int

    def gradient_blocks(self, g: Conv2DGeometry, m: int) -> GradientBlocks:
        """Return how minimal filtering cuts the gradient of the weights."""
        return g.winograd_gradient(m, self.itemsize, self.lanes, self.tile)

    def winograd_length(self, g: Conv2DGeometry, m: int) -> int:
        """Return the Winograd tiles that are carried through the cache together."""
        return g.winograd_length(m, self.itemsize, self.lanes, self.tile)

    def few(self, channels: int) -> bool:
        """Return whether groups have so few output channels that pixels fill the lanes instead."""
        return engines.few(channels, self.lanes)

    def padded(self, channels: int) -> int:
        """Return the output channels of a group, rounded up to whole vectors.

        A last panel that needs one of its two vectors multiplies no more than that.
        """
        vector = self.lanes // 2
        return channels if self.few(channels) else -(-channels // vector) * vector
