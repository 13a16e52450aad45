"""A number that tells arrays apart."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

__all__ = ["checksum"]


def checksum(array: np.ndarray[Any, Any]) -> int:
    """Return the CRC-32 of the bytes of an array, in the order of its elements.

    Examples
    --------
    >>> checksum(np.arange(3, dtype="u1")), checksum(np.empty((0, 2)))
    (139757951, 0)
    """
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data) if array.size else 0
