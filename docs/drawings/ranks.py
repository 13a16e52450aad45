"""How many times as fast training is on up to 1,024 machines, as the model predicts it."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from scaling.constants import LINKS
from scaling.measured import load
from scaling.predictions import BATCH, CORES, RANKS, ROWS, Machines
from style import INK, QUIET, headline, new, plain, save

#: Networks and their colours; Okabe and Ito's.
SHOWN = {
    "ResNet50": "#0072B2",
    "MobileNetV2": "#56B4E9",
    "VGG16": "#D55E00",
    "ResNet18 on 32x32": "#009E73",
    "DeepConvNet": "#CC79A7",
    "SimpleConvNet": "#C78A00",
}
TICKS = {n: f"{n:,}" for n in (1, 4, 16, 64, 256, 1024)} | {1 / 4: "1/4", 1 / 16: "1/16"}


def panel(axes: Axes, machines: Machines, rows: int | None) -> None:
    """Draw a line for each network, with its band up to where all that can be is hidden.

    Parameters
    ----------
    rows : int or None
        Of each machine; None is one batch for all.
    """
    plain(axes, "both")
    axes.plot(RANKS, RANKS, color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    for name, colour in SHOWN.items():
        if rows is None:
            plainly, hidden = (machines.strong(name, BATCH, overlap) for overlap in (False, True))
        else:
            plainly, hidden = (machines.weak(name, rows, overlap) for overlap in (False, True))
        axes.plot(RANKS, plainly, color=colour, solid_capstyle="round", linewidth=1.9)
        axes.fill_between(RANKS, plainly, hidden, color=colour, alpha=0.18, linewidth=0)
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(list(TICKS), list(TICKS.values()))
        axis.set_minor_locator(NullLocator())
    axes.set(xlim=(1, 1024), ylim=(1 / 16, 1400))


def draw() -> Figure:
    """Return the picture."""
    measured = load()
    figure = new(11, 7.4)
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for row, (rows, title) in enumerate(
        ((None, f"one batch of {BATCH:,} rows for all"), (ROWS, f"{ROWS} rows on every machine"))
    ):
        for axes, (name, link) in zip(panels[row], LINKS.items(), strict=True):
            panel(axes, Machines(measured, link), rows)
            axes.set_title(f"{name}: {title}", fontsize=9.5, color=INK)
        panels[row][0].set_ylabel("times as many rows a second")
    for axes in panels[1]:
        axes.set_xlabel(f"machines of {CORES} cores")
    handles = [
        panels[0][0].plot([], [], color=colour, label=name)[0] for name, colour in SHOWN.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(SHOWN), frameon=False)
    headline(figure, "Predicted: training on more and more machines, over one on its own")
    return figure


if __name__ == "__main__":
    print(save(draw, "ranks"))
