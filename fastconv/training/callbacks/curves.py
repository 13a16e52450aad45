"""The figures of a history as curves, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastconv.arguments import as_choice, as_list
from fastconv.drawing import BLUE, VERMILION, axes_for, label, legible, new_figure, quiet
from fastconv.errors import ArgumentError

__all__ = ["draw_curves"]

_VALIDATION, _RATE = "val_", "learning_rate"


@legible
def draw_curves(
    operation: str,
    columns: Mapping[str, Sequence[float]],
    figures: str | Sequence[str] | None,
    ax: Any,
) -> Any:
    """Return a picture of `columns`, one figure per epoch each; see `History.plot`."""
    there = [
        name
        for name, column in columns.items()
        if column and not (name.startswith(_VALIDATION) and name[len(_VALIDATION) :] in columns)
    ]
    usual = [name for name in there if name != _RATE]
    if not usual:
        rule, remedy = "must have at least one epoch", "train first: history = net.fit(x, y)"
        raise ArgumentError(operation, "history", rule, 0, remedy, shown="none")
    if isinstance(figures, str):
        figures = [figures]
    if figures is None:
        shown = usual if ax is None else usual[:1]
    else:
        rule = "must be names of figures"
        shown = as_list(operation, "figures", figures, rule, f"such as {usual[:2]}", most=100)
        for name in shown:
            as_choice(operation, "figures", name, there)
    if not shown or (ax is not None and len(shown) > 1):
        rule = "must be one where ax is given" if shown else "must be at least one"
        raise ArgumentError(operation, "figures", rule, len(shown), f"take {usual[:1]}")
    if ax is not None:
        picture, axes = axes_for(operation, ax, (5, 4))
        _curve(axes, columns, shown[0])
        return picture
    wide = min(len(shown), 3)
    high = -(-len(shown) // wide)
    picture = new_figure(operation, (4.6 * wide, 3.4 * high))
    panels = list(picture.subplots(high, wide, squeeze=False).flat)
    for axes, name in zip(panels, shown, strict=False):
        _curve(axes, columns, name)
    for axes in panels[len(shown) :]:
        axes.remove()
    return picture


def _curve(axes: Any, columns: Mapping[str, Sequence[float]], name: str) -> None:
    """Draw a figure, and that of validation dashed, over the epochs, which count from 1."""
    from matplotlib.ticker import MaxNLocator

    styles = [(name, "training", BLUE, "-", "o"), (_VALIDATION + name, "validation", VERMILION)]
    handles, texts = [], []
    for key, text, colour, *style in styles:
        column = columns.get(key)
        if not column:
            continue
        line, marker = style or ("--", "s")
        epochs = range(1, len(column) + 1)
        size = 4 if len(column) <= 40 else 0  # markers of many epochs would hide the line
        handles += axes.plot(epochs, column, line, color=colour, marker=marker, markersize=size)
        texts.append(text)
    quiet(axes, "y")
    axes.set_xlabel("epoch")
    axes.set_ylabel(label(name.replace("_", " ")))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(handles) > 1:
        axes.legend(handles, texts, loc="best", frameon=False)
