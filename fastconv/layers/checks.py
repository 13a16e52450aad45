"""What the shapes of inputs must be, in several layers."""

from __future__ import annotations

from fastconv.arguments import CHANNELS_FIRST
from fastconv.errors import ShapeError
from fastconv.geometry import Window2D

__all__ = ["output_map"]


def output_map(operation: str, window: Window2D, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (OH, OW) of `window` over an image (C, H, W), with a remedy if it seems (H, W, C)."""
    _, height, width = shape
    try:
        return window.output_size(operation, (height, width))
    except ShapeError as error:
        if width > 4:
            raise
        raise ShapeError(
            operation, error.parameter, error.rule, error.value,
            f"if the last of {shape} are channels, the shape must be {(width, *shape[:2])}; "
            f"{CHANNELS_FIRST}", shown=error.shown,
        ) from None  # fmt: skip
