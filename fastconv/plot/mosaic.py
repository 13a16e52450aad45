"""Many small images as one: beside and below each other, with gaps between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.floating import quietly

__all__ = ["columns_for", "framed", "scaled", "show_mosaic", "tiled"]

Array = np.ndarray[Any, Any]

#: What is between the images: neither the white of the page nor a grey of theirs.
GAP = "#C6D9EC"


def columns_for(count: int, most: int = 8) -> int:
    """Return how many of `count` images stand beside each other: about as many as below."""
    return max(1, min(most, int(np.ceil(np.sqrt(count)))))


@quietly
def scaled(images: Array, low: Any = None, high: Any = None) -> Array:
    """Return images (K, ...) from 0 to 1, each from its own least to its own largest number.

    Without contrast all is in the middle. With `low` and `high` these are 0 and 1 of all images.
    """
    axes = tuple(range(1, images.ndim))
    half = np.asarray(images, np.float64) / 2  # so that the difference of any two is finite
    least = half.min(axis=axes, keepdims=True) if low is None else np.float64(low) / 2
    span = (half.max(axis=axes, keepdims=True) if high is None else np.float64(high) / 2) - least
    found: Array = np.where(span > 0, (half - least) / np.where(span > 0, span, 1), 0.5)
    return found


def tiled(images: Array, columns: int, gap: int = 1) -> Array:
    """Return images (K, H, W), or (K, H, W, 3) of colours, as one; NaN is where there is none.

    Examples
    --------
    >>> tiled(np.array([[[1.0]], [[2.0]], [[3.0]]]), 2).tolist()
    [[1.0, nan, 2.0], [nan, nan, nan], [3.0, nan, nan]]
    """
    count, height, width, *colours = images.shape
    rows = -(-count // columns)
    shape = rows * (height + gap) - gap, columns * (width + gap) - gap, *colours
    whole = np.full(shape, np.nan)
    for at, image in enumerate(images):
        top, left = at // columns * (height + gap), at % columns * (width + gap)
        whole[top : top + height, left : left + width] = image
    return whole


def show_mosaic(axes: Any, images: Array, columns: int, cmap: str = "gray") -> Any:
    """Draw images (K, H, W[, 3]) from 0 to 1 in `axes`; number rows and columns from 0.

    The number of an image is that of its row plus that of its column.
    """
    from matplotlib import colormaps, colors

    count, height, width = images.shape[:3]
    gap = max(1, round(max(height, width) / 12)) if height * width > 1 else 0
    whole = tiled(images, columns, gap)
    if whole.ndim == 3:
        empty = np.isnan(whole[..., 0])
        whole[empty] = colors.to_rgb(GAP)
    scale = colormaps[cmap].with_extremes(bad=GAP)
    drawn = axes.imshow(whole, cmap=scale, vmin=0.0, vmax=1.0, interpolation="nearest")
    rows = -(-count // columns)
    every = -(-rows // 24)  # so that numbers do not overlap
    across = -(-columns // 8)
    axes.set_xticks(
        [column * (width + gap) + (width - 1) / 2 for column in range(0, columns, across)],
        [f"+{column}" for column in range(0, columns, across)],
    )
    axes.set_yticks(
        [row * (height + gap) + (height - 1) / 2 for row in range(0, rows, every)],
        [str(row * columns) for row in range(0, rows, every)],
    )
    axes.tick_params(length=0, labelsize="small", pad=2)
    framed(axes)
    return drawn


def framed(axes: Any) -> None:
    """Give an image a thin edge, without which white would be lost on a white page."""
    for side in axes.spines.values():
        side.set(color="#888888", linewidth=0.5)
