"""Time against memory: every algorithm on six layers, measured on one thread of this machine."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator
from style import COLOURS, INK, MB, NETWORKS, QUIET, Layer, headline, new, plain, save, shape_of

import fastconv

LAYERS = ("rn2.3x3", "vgg1.2", "rn5.3x3", "alex1", "book", "rn3.s2")
ROUNDS = 15
#: Limits of the workspace of im2col_tiled, as shares of the matrix of im2col.
SHARES = (1, 1 / 4, 1 / 16, 1 / 64)
#: Where a point is named.
PLACES: dict[str, dict[str, Any]] = {
    "direct": {"xytext": (0, -12), "ha": "center", "va": "top"},
    "im2col": {"xytext": (9, 0), "ha": "left", "va": "center"},
    "im2col_tiled": {"xytext": (-8, 9), "ha": "left", "va": "bottom"},
    "winograd": {"xytext": (12, 0), "ha": "left", "va": "center"},
}


class Point(NamedTuple):
    """One way to compute a layer."""

    algorithm: str
    name: str
    options: dict[str, Any]
    nbytes: int


class Timed(NamedTuple):
    """A point, its milliseconds, and whether `auto` takes it."""

    point: Point
    milliseconds: float
    chosen: bool


def points_of(layer: Layer) -> list[Point]:
    """Return every algorithm, those with a choice at several bytes; equal ones once."""
    found: dict[tuple[str, int], Point] = {}
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("direct", "direct", {}),
        ("im2col", "im2col", {}),
        ("winograd", "F(2\N{MULTIPLICATION SIGN}2)", {}),
        ("winograd", "F(4\N{MULTIPLICATION SIGN}4)", {"precision": "fast"}),
    ]
    whole = price(layer, {})["im2col"].workspace
    ways += [
        ("im2col_tiled", "im2col_tiled", {"workspace_limit": int(share * whole)})
        for share in SHARES
    ]
    for algorithm, name, options in ways:
        costs = price(layer, options)
        limit = options.get("workspace_limit", whole * 99)
        if algorithm in costs and costs[algorithm].workspace <= limit:
            cost = costs[algorithm]
            nbytes = cost.workspace + cost.packed
            found[name, nbytes] = Point(algorithm, name, options, nbytes)
    return list(found.values())


def price(layer: Layer, options: dict[str, Any]) -> Any:
    """Return what every algorithm takes on one thread."""
    return fastconv.conv2d_costs(
        layer.x_shape, layer.weight_shape, threads=1, **layer.options, **options
    )


def race(layer: Layer) -> list[Timed]:
    """Time all points of a layer, taking turns: the least of the rounds of each."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(layer.x_shape, np.float32)
    weight = rng.standard_normal(layer.weight_shape, np.float32)
    packed = fastconv.prepare_conv2d(weight, groups=layer.groups)
    points = points_of(layer)
    seconds: list[list[float]] = [[] for _ in points]
    for turn in range(ROUNDS + 1):
        for point, taken in zip(points, seconds, strict=True):
            start = time.thread_time()
            fastconv.conv2d(x, packed, algorithm=point.algorithm, **layer.options, **point.options)
            if turn:  # the first round packs, and touches memory for the first time
                taken.append(time.thread_time() - start)
    choice = price(layer, {}).choice
    return [
        Timed(
            point,
            min(taken) * 1e3,
            point.name != "F(4\N{MULTIPLICATION SIGN}4)" and point.algorithm == choice,
        )
        for point, taken in zip(points, seconds, strict=True)
    ]


def frontier(timed: list[Timed]) -> list[tuple[float, float]]:
    """Return (MB, ms) of the points that no other beats in both, from the fewest bytes on."""
    found: list[tuple[float, float]] = []
    for one in sorted(timed, key=lambda one: (one.point.nbytes, one.milliseconds)):
        if not found or one.milliseconds < found[-1][1]:
            found.append((one.point.nbytes / MB, one.milliseconds))
    return found


def panel(axes: Axes, layer: Layer, timed: list[Timed]) -> None:
    """Draw a dot for each point, named beside it, and the frontier."""
    plain(axes, grid="both")
    axes.set_xscale("log")
    edge = frontier(timed)
    sizes = [one.point.nbytes / MB for one in timed]
    span = max(sizes) / min(sizes)
    left, right = min(sizes) / span**0.15, max(sizes) * span**0.25
    highest = max(one.milliseconds for one in timed)
    xs, ys = zip(*edge, strict=True)
    axes.step([*xs, right], [*ys, ys[-1]], where="post", color=COLOURS["arrays"], lw=1.4, zorder=1)
    tiled = sorted(
        (one.point.nbytes / MB, one.milliseconds)
        for one in timed
        if one.point.algorithm == "im2col_tiled"
    )
    if tiled:
        axes.plot(*zip(*tiled, strict=True), color=COLOURS["im2col_tiled"], lw=1.4, zorder=2)
    for one in timed:
        at = one.point.nbytes / MB, one.milliseconds
        colour = COLOURS[one.point.algorithm]
        axes.scatter(*at, s=44, color=colour, zorder=4)
        if one.chosen:
            axes.scatter(*at, s=150, facecolors="none", edgecolors=INK, lw=1.1, zorder=5)
        if one.point.algorithm != "im2col_tiled":
            name_point(axes, one.point.algorithm, one.point.name, at)
    if tiled:
        name_point(axes, "im2col_tiled", "im2col_tiled", (tiled[0][0], max(y for _, y in tiled)))
    axes.set(xlim=(left, right), ylim=(0, 1.22 * highest))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 30 else (1,)))
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    images = f"{layer.N} images of " if layer.N > 1 else ""
    axes.set_title(images + shape_of(layer), size=10)


def name_point(axes: Axes, algorithm: str, name: str, at: tuple[float, float]) -> None:
    """Write a name beside a point, on a white edge where lines run through it."""
    edge = [withStroke(linewidth=3, foreground="white")]
    place = dict(PLACES[algorithm])
    if name.startswith("F("):  # the two may be near each other
        place["xytext"] = place["xytext"][0], 4 if "2" in name else -11
    axes.annotate(
        name,
        at,
        textcoords="offset points",
        color=COLOURS[algorithm],
        weight="bold",
        size=9,
        path_effects=edge,
        zorder=6,
        **place,
    )


def draw() -> Figure:
    """Return the picture."""
    threads = fastconv.get_num_threads()
    fastconv.set_num_threads(1)
    figure = new(12, 7.2)
    panels = figure.subplots(2, 3)
    for axes, name in zip(panels.flat, LAYERS, strict=True):
        panel(axes, NETWORKS[name], race(NETWORKS[name]))
    fastconv.set_num_threads(threads)
    for axes in panels[:, 0]:
        axes.set_ylabel("ms on one thread")
    for axes in panels[1]:
        axes.set_xlabel("MB of workspace and packed weights")
    headline(
        figure,
        f"Time against memory: left and low is good ({fastconv.active_isa()}, float32; "
        "the ring is what auto takes)",
    )
    figure.supxlabel(
        "Grey: the least time for so many bytes.  F(2\N{MULTIPLICATION SIGN}2), "
        'F(4\N{MULTIPLICATION SIGN}4): Winograd; the latter by precision="fast".',
        size=9,
        color=QUIET,
    )
    return figure


if __name__ == "__main__":
    print(save(draw, "tradeoff"))
