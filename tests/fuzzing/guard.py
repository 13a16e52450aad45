"""Memory that lies against pages nobody may touch.

::

    | no access | ........ pages ....... |array| no access |      at the end
    | no access |array| ....... pages ........ | no access |      at the start

A vector that reaches one element too far ends the process.
"""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
#: Bytes on the open side of an array that must stay as they are.
MARGIN = 64
#: All bits set: NaN as a float, -1 as an int, an impossible tap as an unsigned byte.
UNTOUCHED = 0xFF


class Region:
    """Pages with one that nobody may touch at either end, for one array at a time."""

    def __init__(self, nbytes: int):
        self.size = max(1, -(-nbytes // PAGE)) * PAGE
        memory = mmap.mmap(-1, self.size + 2 * PAGE)
        whole = np.frombuffer(memory, np.uint8)
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for start in (whole.ctypes.data, whole.ctypes.data + PAGE + self.size):
            if protect(start, PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect failed")
        self.bytes = whole[PAGE : PAGE + self.size]
        self.margins: list[np.ndarray] = []

    def place(self, nbytes: int, at_end: bool, alignment: int = 1) -> np.ndarray:
        """Return `nbytes` at one end, all of them and the bytes around them `UNTOUCHED`."""
        start = (self.size - nbytes) // alignment * alignment if at_end else 0
        end = start + nbytes
        low, high = max(0, start - MARGIN), min(self.size, end + MARGIN)
        self.bytes[low:high] = UNTOUCHED
        self.margins = [self.bytes[low:start], self.bytes[end:high]]
        return self.bytes[start:end]

    def check(self) -> None:
        """Raise an AssertionError if something was written beside the array."""
        for margin in self.margins:
            if margin.tobytes().count(UNTOUCHED) != margin.size:
                raise AssertionError("something was written outside of an array")


def guarded(array: np.ndarray, at_end: bool) -> np.ndarray:
    """Return a copy of `array` that touches a page without access at one end."""
    place = Region(array.nbytes).place(array.nbytes, at_end)
    copy = place.view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class Memory:
    """Regions that are used again and again: mapping fresh ones would take most of the time."""

    USUAL = 1 << 18

    def __init__(self) -> None:
        self.free: list[Region] = []
        self.taken: list[Region] = []

    def take(self, nbytes: int, at_end: bool, alignment: int = 1) -> np.ndarray:
        """Return `nbytes` that are this case's until `clear`."""
        usual = nbytes <= self.USUAL
        region = self.free.pop() if usual and self.free else Region(max(nbytes, self.USUAL))
        self.taken.append(region)
        return region.place(nbytes, at_end, alignment)

    def check(self) -> None:
        """Raise an AssertionError if something was written beside an array."""
        for region in self.taken:
            region.check()

    def clear(self) -> None:
        """Take all regions back; whatever still looks at them will see other numbers."""
        self.free += [region for region in self.taken if region.size == self.USUAL]
        self.taken.clear()
