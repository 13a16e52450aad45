"""What convolutions and networks took over the history: the files of benchmarks/results/exact."""

from __future__ import annotations

import json
from bisect import bisect_left
from itertools import product
from math import isnan, nan
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from style import COLOURS, MB, QUIET, new, plain, save

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "exact"
OVERHEAD = "memory.Overhead.track_overhead_ratio"
PEAK = "models.Peak.track_peak_bytes"
#: Named in benchmarks/suite/shapes.py; the lines of im2col go from the highest to the lowest.
LAYERS = ("mec.cv4", "vgg1.2", "cifar", "alex2", "book", "rn5.3x3")
OTHERS = {"im2col_tiled": COLOURS["im2col_tiled"], "auto": COLOURS["direct"]}
NETWORKS = {
    "ResNet-50": "#0072B2",
    "conv128": "#D55E00",
    "DeepConvNet": "#009E73",
    "SimpleConvNet": "#8A5FA8",
    "LeNet-5": "#C78A00",
}
#: How far apart names stand beside lines that end near each other, in their unit.
LINE = 0.045
#: When `fastconv.__version__` was raised, in seconds since 1970; append only:
#: ``git log --first-parent --format=%ct -G'^__version__' -- fastconv/__init__.py``
VERSIONS = {
    "0.2": 1795214406,
    "0.3": 1795225163,
    "0.4": 1795732857,
    "0.5": 1795746595,
    "0.6": 1795760433,
    "0.7": 1795772797,
    "0.8": 1795783615,
    "0.9": 1795796919,
    "0.10": 1795809754,
    "0.11": 1795825038,
    "0.12": 1795835137,
}


class Commit(NamedTuple):
    """When a commit was made, in seconds, and its value of each benchmark and case."""

    seconds: int
    values: dict[tuple[str, ...], float]

    def of(self, benchmark: str, *case: str) -> float:
        """Return a value; NaN if the case was skipped, which breaks its line."""
        return self.values.get((benchmark, *case), nan)


def read(path: Path) -> Commit:
    """Return what a file says, without the cases that were skipped or failed."""
    data = json.loads(path.read_text(encoding="utf-8"))
    values = {}
    for name, (measured, params, _) in data["results"].items():
        for case, value in zip(product(*params), measured or (), strict=False):
            if value is not None and not isnan(value):
                values[name, *(text.strip("'") for text in case)] = value
    return Commit(data["date"] // 1000, values)


def commits() -> list[Commit]:
    """Return all commits that have a file, the oldest first."""
    return sorted(map(read, RESULTS.glob("*-exact.json")), key=lambda commit: commit.seconds)


def mark_versions(axes: Axes, history: list[Commit], named: bool = True) -> None:
    """Draw a line before the first commit of each version, named above where there is room."""
    dates = [commit.seconds for commit in history]
    starts = [bisect_left(dates, seconds) - 0.5 for seconds in VERSIONS.values()]
    ends = [*starts[1:], len(history) - 0.5]
    for name, start, end in zip(VERSIONS, starts, ends, strict=True):
        axes.axvline(start, color=COLOURS["arrays"], lw=0.9, zorder=0)
        if named and end - start > 0.045 * len(history):
            axes.annotate(
                name,
                (start, 1),
                xycoords=("data", "axes fraction"),
                xytext=(2, 3),
                textcoords="offset points",
                size=8,
                color=QUIET,
            )
    axes.set_xlim(-0.5, len(history) - 0.5)
    axes.set_xticks([])


def line(axes: Axes, values: list[float], colour: str) -> None:
    """Draw a value over the commits, in steps, each from its commit to the next."""
    axes.step([i - 0.5 for i in range(len(values) + 1)], [values[0], *values], color=colour, lw=1.6)


def at_the_end(axes: Axes, value: float, text: str, colour: str) -> None:
    """Write beside the end of a line."""
    axes.annotate(
        text,
        (axes.get_xlim()[1], value),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        size=8.5,
        color=colour,
    )


def unfolded(axes: Axes, history: list[Commit]) -> None:
    """Draw what im2col takes for each layer."""
    plain(axes)
    mark_versions(axes, history)
    for layer in LAYERS:
        values = [commit.of(OVERHEAD, layer, "im2col") for commit in history]
        line(axes, values, COLOURS["im2col"])
        at_the_end(axes, values[-1], f"{layer}  {values[-1]:.1f}", COLOURS["im2col"])
    axes.set_yscale("log")
    axes.set(ylim=(0.95, 12))
    axes.set_yticks([1, 2, 3, 4, 6, 8, 10])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title("im2col over direct: bytes of input, weights,\noutput and workspace", pad=18)


def others(axes: Axes, history: list[Commit]) -> None:
    """Draw the same of im2col_tiled and of what `auto` takes."""
    plain(axes)
    mark_versions(axes, history, named=False)
    highest = {}
    for algorithm, colour in OTHERS.items():
        for layer in LAYERS:
            values = [commit.of(OVERHEAD, layer, algorithm) for commit in history]
            line(axes, values, colour)
            highest[algorithm] = max(values[-1], highest.get(algorithm, 1))
    axes.set_ylim(0.99, 1.02 * max(highest.values()))
    for algorithm, value in highest.items():
        at_the_end(axes, value, algorithm, OTHERS[algorithm])
    axes.set_title("im2col_tiled and auto over direct")


def peaks(axes: Axes, history: list[Commit]) -> None:
    """Draw the peaks of a step of training, over those of the first commit."""
    plain(axes)
    mark_versions(axes, history)
    ends = []
    for network, colour in NETWORKS.items():
        values = [commit.of(PEAK, network, "training", "32") for commit in history]
        line(axes, [value / values[0] for value in values], colour)
        size = f"{values[-1] / MB:,.{1 if values[-1] < 100 * MB else 0}f} MB"
        ends.append((values[-1] / values[0], f"{network}  {size}", colour))
    at = 0.0
    for value, text, colour in sorted(ends):
        at = max(value, at + LINE)
        at_the_end(axes, at, text, colour)
    axes.set_ylim(0, 1.15)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_title("Peak of a training step, batch of 32,\nover that of the first commit", pad=18)


def draw() -> Figure:
    """Return the picture."""
    figure = new(11, 5)
    history = commits()
    columns = figure.add_gridspec(2, 2, height_ratios=(2, 1))
    unfolded(figure.add_subplot(columns[0, 0]), history)
    others(figure.add_subplot(columns[1, 0]), history)
    peaks(figure.add_subplot(columns[:, 1]), history)
    figure.supxlabel(
        f"{len(history)} measured commits in their order; lines mark the first of a version",
        size=9,
        color=QUIET,
    )
    return figure


if __name__ == "__main__":
    print(save(draw, "history"))
