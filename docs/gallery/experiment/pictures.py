"""How the pictures of the experiments look: every seed is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

__all__ = ["COLOURS", "dots", "lines", "new"]

#: Okabe and Ito's, which the colour-blind can tell.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56B4E9", "#000000", "#888888")


def new(panels: int = 1, width: float = 4.5, height: float = 3.8, **options: object) -> list[Axes]:
    """Return the axes of a new figure, in a row; the options are those of ``plt.subplots``."""
    _, axes = plt.subplots(
        1, panels, figsize=(width * panels, height), layout="constrained", squeeze=False, **options
    )
    for one in axes[0]:
        one.grid(axis="y", color="#E7E9EB")
        one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
    return list(axes[0])


def dots(
    axes: Axes, figures: Mapping[str, Sequence[float]], colours: Sequence[str] = COLOURS
) -> None:
    """Draw a column for each name: a dot for each seed, and a line at their mean."""
    for at, (values, colour) in enumerate(zip(figures.values(), colours * 3, strict=False)):
        aside = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else [0]
        axes.plot(at + np.asarray(aside), values, "o", color=colour, alpha=0.55, markersize=5)
        axes.hlines(np.mean(values), at - 0.3, at + 0.3, color=colour, linewidth=2.5)
    axes.set_xticks(range(len(figures)), [name.replace(", ", ",\n") for name in figures])
    axes.set_xlim(-0.6, len(figures) - 0.4)


def lines(
    axes: Axes,
    xs: Sequence[float],
    figures: Mapping[str, Sequence[Sequence[float]]],
    colours: Sequence[str] = COLOURS,
) -> None:
    """Draw a line for each name through the means over seeds, and a band from least to most.

    The figures of a name are a row for each seed, as long as `xs`.
    """
    for (name, rows), colour in zip(figures.items(), colours * 3, strict=False):
        rows = np.asarray(rows, float)
        axes.fill_between(xs, rows.min(0), rows.max(0), color=colour, alpha=0.15, linewidth=0)
        dot = 4 if len(xs) < 20 else 0
        axes.plot(xs, rows.mean(0), "o-", color=colour, label=name, markersize=dot)
    axes.legend(loc="best", frameon=False)  # named, so that a slow machine is told nothing
