"""What the cost model has to know of the kernels that will run."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Table

__all__ = ["Target", "few"]


def few(channels: int, lanes: int) -> bool:
    """Return whether a group has so few output channels that pixels fill the lanes instead."""
    return 4 * channels <= lanes


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

    @property
    def block(self) -> int:
        """Winograd tiles that are carried through the cache together."""
        return 2 * self.tile

    def few(self, channels: int) -> bool:
        """Return whether pixels fill the lanes for so few output channels of a group."""
        return few(channels, self.lanes)

    def padded(self, channels: int) -> int:
        """Output channels of a group with those that only fill a panel."""
        return channels if self.few(channels) else -(-channels // self.lanes) * self.lanes
