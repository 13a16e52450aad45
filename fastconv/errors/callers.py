"""Who called: warnings name the line of a user's program, and none of this package."""

from __future__ import annotations

import sys
from types import FrameType

__all__ = ["outside"]


def outside() -> int:
    """Return the stacklevel of the first caller that is not one of fastconv's own functions."""
    level = 2
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("fastconv."):
        level, frame = level + 1, frame.f_back
    return level
