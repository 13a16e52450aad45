"""Filters as pictures, before and after learning."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from fastconv.arguments import as_text
from fastconv.drawing import axes_for, label, legible, new_figure
from fastconv.errors import ArgumentError, ShapeError
from fastconv.plot.figure import check_path
from fastconv.plot.mosaic import columns_for, scaled, show_mosaic
from fastconv.plot.weights import means_of, weight_of

__all__ = ["filters", "filters_png"]

Array = np.ndarray[Any, Any]

_MEAN = "each filter is the mean of its channels"
_SCALE = "on its own scale: dark is its smallest weight, bright its largest"


@legible
def filters(net: Any, before: Any = None, *, layer: str | None = None, ax: Any = None) -> Any:
    """Draw the filters of a convolution; with `before`, those before and after learning.

    Filters of three channels are drawn in colours, all others as the mean of their channels. Each
    has its own scale, from its smallest weight (dark) to its largest (bright). Of 1x1 filters the
    weights are drawn as one matrix, with a row for each filter and a column for each channel.

    Parameters
    ----------
    net : Model, Layer or ndarray (K, C, R, S)
        What has the filters.
    before : Model, Layer or ndarray (K, C, R, S), optional
        The same before it learned, such as ``net["conv1"].params["weight"].copy()``.
    layer : str, optional
        The layer of a network; by default the first that has filters.
    ax : matplotlib.axes.Axes, optional
        Where to draw, instead of a figure of its own; only without `before`.

    Returns
    -------
    matplotlib.figure.Figure
        The number of a filter is that of its row plus that of its column.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        If there are no filters, or they are not finite, or those before are of another shape.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.

    Examples
    --------
    >>> import fastconv
    >>> net = fastconv.create_model("SimpleConvNet", seed=0)
    >>> first = net["conv1"].params["weight"].copy()
    >>> [axes.get_title() for axes in filters(net, first).axes]
    ['before', 'after']
    """
    shown = {"": weight_of("filters", "net", net, layer)}
    if before is not None:
        if ax is not None:
            rule, remedy = "must be None with before, which takes two", "draw them one by one"
            raise ArgumentError("filters", "ax", rule, shown="axes", remedy=remedy)
        after = shown.pop("")
        named = layer if hasattr(before, "layers") else None
        shown = {"before": weight_of("filters", "before", before, named), "after": after}
        if shown["before"].shape != after.shape:
            rule = f"must have filters of shape {after.shape}"
            raise ShapeError("filters", "before", rule, shown["before"].shape)
    channels, *window = next(iter(shown.values())).shape[1:]
    if window == [1, 1]:
        return _draw_matrices(shown, ax)
    coloured = channels == 3
    images = {
        name: weight.transpose(0, 2, 3, 1) if coloured else weight.mean(axis=1)
        for name, weight in shown.items()
    }
    figure = _draw("filters", images, ax)
    if ax is None:
        note = "each filter " if coloured else f"{_MEAN},\n"
        figure.supxlabel(f"{note}{_SCALE}", fontsize="small")
    return figure


def filters_png(
    weights: Mapping[str, Array], path: str | PathLike[str], *, title: str = ""
) -> None:
    """Write a PNG of filters, with labelled axes for each entry, side by side.

    Parameters
    ----------
    weights : mapping of label to ndarray (K, C, R, S)
        As for `filters_text`. Each filter is drawn from its own smallest weight (dark) to its
        largest (bright).
    path : path
        The file to write, which ends in ``.png``.
    title : str

    Raises
    ------
    ArgumentError
        If `path` ends otherwise.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.
    """
    found = check_path("filters_png", "path", path)
    maps = means_of("filters_png", weights)
    as_text("filters_png", "title", title)
    _titled(maps, title).savefig(found, format="png", dpi=120)


@legible
def _titled(maps: Mapping[str, Array], title: str) -> Any:
    """Draw filters (K, R, S) below a title."""
    figure = _draw("filters_png", maps, None)
    figure.suptitle(label(title, 100))
    figure.supxlabel(f"{_MEAN}, {_SCALE}", fontsize="small")
    return figure


def _draw_matrices(weights: Mapping[str, Array], ax: Any) -> Any:
    """Draw the weights (K, C, 1, 1) of each entry as a matrix, on its own scale."""
    if ax is None:
        figure = new_figure("filters", (4.6 * len(weights), 4.4))
        panels = list(figure.subplots(1, len(weights), squeeze=False)[0])
    else:
        figure, axes = axes_for("filters", ax, (1, 1))
        panels = [axes]
    for axes, (name, weight) in zip(panels, weights.items(), strict=True):
        matrix = scaled(weight[None, :, :, 0, 0])[0]
        axes.imshow(matrix, cmap="gray", aspect="auto", interpolation="nearest")
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_major_locator().set_params(integer=True)
        axes.set_title(label(name), fontsize="medium")
        axes.set_xlabel("channel")
    panels[0].set_ylabel("filter")
    if ax is None:
        figure.supxlabel(
            "dark is the smallest weight of the matrix, bright the largest", fontsize="small"
        )
    return figure


def _draw(operation: str, images: Mapping[str, Array], ax: Any) -> Any:
    """Draw filters (K, R, S) or (K, R, S, 3), one pair of axes for each entry."""
    count, rows, across = next(iter(images.values())).shape[:3]
    columns = columns_for(count, 32)
    lines = -(-count // columns)
    unit = min(0.6, 6.5 / max(columns, lines))
    width = max(2.6, unit * columns * max(1.0, across / rows) + 0.7)
    height = max(2.0, unit * lines * max(1.0, rows / across) + 0.7)
    if ax is None:
        size = max(width * len(images), 5.6), height + 0.6
        figure = new_figure(operation, size)
        panels = figure.subplots(1, len(images), squeeze=False)[0]
    else:
        figure, axes = axes_for(operation, ax, (1, 1))
        panels = [axes]
    for axes, (name, filters) in zip(panels, images.items(), strict=True):
        show_mosaic(axes, scaled(filters), columns)
        axes.set_title(label(name), fontsize="medium")
    panels[0].set_ylabel("filter")
    return figure
