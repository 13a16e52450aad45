"""Filters made by hand, and what they find in a photograph."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_mapping, as_plain_array, as_text
from fastconv.drawing import label, legible, new_figure
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.plot.mosaic import framed

__all__ = ["EXAMPLE_FILTERS", "filter_responses"]

Array = np.ndarray[Any, Any]

#: Sobel's operator in four directions, and the Laplacian of a Gaussian on 5x5 pixels.
EXAMPLE_FILTERS: Mapping[str, tuple[tuple[int, ...], ...]] = MappingProxyType(
    {
        "horizontal edges": ((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
        "vertical edges": ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
        "diagonal edges": ((-2, -1, 0), (-1, 0, 1), (0, 1, 2)),
        "antidiagonal edges": ((0, 1, 2), (-1, 0, 1), (-2, -1, 0)),
        "blobs": (
            (0, 0, -1, 0, 0),
            (0, -1, -2, -1, 0),
            (-1, -2, 16, -2, -1),
            (0, -1, -2, -1, 0),
            (0, 0, -1, 0, 0),
        ),
    }
)
#: What red, green and blue count in grey (ITU-R BT.601).
_LUMINANCE = (0.299, 0.587, 0.114)
#: This share of the pixels is not above white; else a few would make all others dark.
_WHITE = 0.995
#: Filters of at most so many rows and columns have their weights written.
_WRITTEN = 7


@legible
def filter_responses(image: Any, filters: Mapping[str, Any] | None = None) -> Any:
    """Draw an image, and beside it how strongly each of some filters responds to it.

    Parameters
    ----------
    image : array-like (H, W), (H, W, 3) or (C, H, W)
        A photograph, of one or three channels, which become grey.
    filters : mapping of name to array-like (R, S), optional
        By default `EXAMPLE_FILTERS`: edges in four directions, and blobs.

    Returns
    -------
    matplotlib.figure.Figure
        Axes with the image in grey, then for each filter the absolute value of its response
        (H - R + 1, W - S + 1), bright where it is strong, and below it the weights.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        If the image has other axes, or is smaller than a filter, or something is not finite.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.

    Examples
    --------
    >>> square = np.zeros((9, 9))
    >>> square[3:6, 3:6] = 1
    >>> figure = filter_responses(square, {"left edges": [[-1, 1]]})
    >>> figure.axes[1].images[0].get_array().sum(axis=0).tolist()
    [0.0, 0.0, 3.0, 0.0, 0.0, 3.0, 0.0, 0.0]
    """
    operation = "filter_responses"
    grey = _as_grey(operation, image)
    found = _as_kernels(operation, EXAMPLE_FILTERS if filters is None else filters, grey.shape)
    wide = min(len(found) + 1, 3)
    high = -(-(len(found) + 1) // wide)
    tall = 3.4 * min(max(grey.shape[0] / grey.shape[1], 0.4), 1.6)
    figure = new_figure(operation, (3.4 * wide, (tall + 1.5) * high))
    panels = figure.subplots(2 * high, wide, squeeze=False, height_ratios=[tall, 1.1] * high)
    for at in range(wide * high):
        axes, below = (panels[2 * (at // wide) + part, at % wide] for part in (0, 1))
        for one in (axes, below):
            one.set_xticks([])
            one.set_yticks([])
            framed(one)
        if not at:
            below.set_axis_off()
            axes.imshow(grey, cmap="gray")
            axes.set_title(f"the image, {grey.shape[0]} \N{MULTIPLICATION SIGN} {grey.shape[1]}")
        elif at <= len(found):
            name, kernel = list(found.items())[at - 1]
            _draw(axes, below, label(name, 26), grey, kernel)
        else:
            axes.remove()
            below.remove()
    return figure


def _draw(axes: Any, below: Any, name: str, grey: Array, kernel: Array) -> None:
    """Draw the response to a filter, and below it the filter with its weights."""
    response = np.abs(functional.conv2d(grey[None, None], kernel[None, None])[0, 0])
    white = float(np.quantile(response, _WHITE)) or float(response.max()) or 1.0
    axes.imshow(response, cmap="gray", vmin=0.0, vmax=white)
    axes.set_title(name)
    strongest = float(np.abs(kernel).max()) or 1.0
    below.imshow(kernel, cmap="gray", vmin=-strongest, vmax=strongest)
    if max(kernel.shape) > _WRITTEN:
        return
    for (row, column), weight in np.ndenumerate(kernel):
        colour = "black" if weight > 0 else "white"
        size = "small" if max(kernel.shape) <= 3 else 5.5
        below.text(column, row, f"{weight:g}", ha="center", va="center", color=colour, size=size)


def _as_grey(operation: str, image: Any) -> Array:
    """Return an image as float64 (H, W)."""
    array = as_plain_array(operation, "image", image)
    shape = array.shape
    wide = array.astype(np.float64)
    if array.ndim == 3 and shape[2] in (1, 3) and (shape[0] not in (1, 3) or shape[2] == 3):
        wide = wide.transpose(2, 0, 1)
    if wide.ndim == 3 and len(wide) in (1, 3):
        shares = _LUMINANCE if len(wide) == 3 else (1.0,)
        wide = sum(share * plane for share, plane in zip(shares, wide, strict=True))  # type: ignore
    if wide.ndim != 2 or not wide.size:
        rule = "must have shape (H, W), (H, W, 3) or (C, H, W) with 1 or 3 channels"
        raise ShapeError(operation, "image", rule, shape, "take one image: x[0]")
    if not np.isfinite(wide).all() or np.abs(wide).max() > 1e300:
        rule = "must be finite"
        raise ArgumentError(operation, "image", rule, shown="infinity or NaN")
    return wide


def _as_kernels(operation: str, filters: Any, most: tuple[int, ...]) -> dict[str, Array]:
    """Return the filters as float64 (R, S); none may be larger than the image."""
    remedy = "such as {'left edges': [[-1, 1]]}"
    as_mapping(operation, "filters", filters, "names to filters", remedy)
    if not 1 <= len(filters) <= 23:
        rule = "must be 1 to 23"
        raise ArgumentError(operation, "filters", rule, len(filters), remedy)
    found = {}
    for name, kernel in filters.items():
        name = as_text(operation, "names", name)
        parameter = f"filters[{name!r}]"
        array = as_plain_array(operation, parameter, kernel).astype(np.float64)
        if array.ndim != 2 or not array.size:
            raise ShapeError(operation, parameter, "must have shape (R, S)", array.shape)
        if array.shape[0] > most[0] or array.shape[1] > most[1]:
            rule = f"must be no larger than the image, {most}"
            raise ShapeError(operation, parameter, rule, array.shape)
        if not np.isfinite(array).all():
            rule = "must be finite"
            raise ArgumentTypeError(operation, parameter, rule, shown="infinity or NaN")
        found[name] = array
    return found
