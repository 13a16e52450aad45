"""How long each algorithm takes for a convolution, against the bytes that it takes."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from fastconv import functional
from fastconv.arguments import as_int
from fastconv.drawing import axes_for, legend_below, legible, quiet
from fastconv.errors import ArgumentError, nearest
from fastconv.functional import conv2d_costs
from fastconv.plot.networks import as_network, graph_of
from fastconv.plot.prices import STYLES, bytes_axis, bytes_of, convolutions
from fastconv.threads import get_num_threads

__all__ = ["settings_of", "time_against_memory"]

#: Limits of the workspace of im2col_tiled, as shares of the matrix of im2col.
_SHARES = (1.0, 1 / 4, 1 / 16, 1 / 64)


class Point(NamedTuple):
    """One way to compute a convolution: bytes of workspace and packed weights, and seconds."""

    algorithm: str
    nbytes: int
    seconds: float
    limit: int | None


@legible
def time_against_memory(
    x_shape: Any,
    weight_shape: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    repeats: int = 5,
    ax: Any = None,
) -> Any:
    """Draw how long each algorithm takes for a convolution, against the bytes that it takes.

    Parameters
    ----------
    x_shape : (N, C, H, W)
    weight_shape : (K, C/groups, R, S)
    stride, padding, dilation, groups
        As in `fastconv.conv2d`.
    repeats : int
        How often each is run here, on as many threads as `fastconv.get_num_threads` says; the
        least time counts. With 0 nothing is run: the times are those that the cost model
        estimates for one thread.
    ax : matplotlib.axes.Axes, optional
        Where to draw, instead of a figure of its own.

    Returns
    -------
    matplotlib.figure.Figure
        A mark for each algorithm, several for ``im2col_tiled``, which keeps within limits. Left
        and low is good. The grey line is the least time for so many bytes, the ring is around what
        ``auto`` takes.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        As `fastconv.conv2d_costs`.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.

    Examples
    --------
    >>> figure = time_against_memory((1, 64, 56, 56), (64, 64, 3, 3), padding=1, repeats=0)
    >>> figure.axes[0].get_ylabel()
    'estimated ms on one thread'
    """
    operation = "time_against_memory"
    repeats = as_int(operation, "repeats", repeats, 0, 1000)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    points, choice = _points(x_shape, weight_shape, options)
    if repeats:
        points = _timed(points, x_shape, weight_shape, options, repeats)
    figure, axes = axes_for(operation, ax, (7.6, 4.6))
    least, most = _least(points), max(point.nbytes for point in points)
    axes.step(
        [*(point.nbytes for point in least), max(1.6 * most, 1400)],
        [*(point.seconds * 1e3 for point in least), least[-1].seconds * 1e3],
        where="post",
        color="#BBBBBB",
        label="the least time",
        zorder=1,
    )
    for algorithm, (colour, mark) in STYLES.items():
        own = sorted((p.nbytes, p.seconds * 1e3) for p in points if p.algorithm == algorithm)
        if own:
            axes.plot(*zip(*own, strict=True), f"{mark}-", color=colour, label=algorithm, zorder=3)
    taken = next(point for point in points if point.algorithm == choice)
    axes.plot(
        taken.nbytes,
        taken.seconds * 1e3,
        "o",
        markersize=13,
        fillstyle="none",
        color="black",
        label="what auto takes",
    )
    quiet(axes, "both")
    bytes_axis(axes, most)
    axes.set_ylim(0, 1.15 * max(point.seconds for point in points) * 1e3 or 1.0)
    measured = f"ms, the least of {repeats} runs on {get_num_threads()} threads"
    axes.set_ylabel(measured if repeats else "estimated ms on one thread")
    axes.set_title(f"{tuple(x_shape)} by {tuple(weight_shape)}", fontsize="medium")
    legend_below(figure, axes, ax)
    return figure


def settings_of(operation: str, net: Any, layer: str | None, batch: int) -> dict[str, Any]:
    """Return what `time_against_memory` takes, for a convolution of a network, or its first."""
    as_network(operation, net)
    graph = graph_of(net)
    found = {step.id: (step, layer) for step, layer in convolutions(operation, graph)}
    name = next(iter(found)) if layer is None else layer
    if name not in found:
        there = f"there are {', '.join(nearest(name, found) or list(found)[:8])}"
        raise ArgumentError(operation, "layer", "must be a convolution", name, there)
    step, convolution = found[name]
    shape = graph.source_specs(step)[0].shape
    options = convolution.options_for(shape[0])
    return {
        "x_shape": (batch, *convolution.maps(shape)),
        "weight_shape": convolution.weight_shape(shape[0]),
        **{key: options[key] for key in ("stride", "padding", "dilation", "groups")},
    }


def _points(x_shape: Any, weight_shape: Any, options: dict[str, Any]) -> tuple[list[Point], str]:
    """Return every algorithm, im2col_tiled within several limits, and which one `auto` takes."""
    table = conv2d_costs(x_shape, weight_shape, threads=1, **options)
    points = [
        Point(name, bytes_of(cost), cost.seconds, None)
        for name, cost in table.items()
        if name != "im2col_tiled"
    ]
    whole, seen = table["im2col"].workspace, set()
    # without a limit first, as auto takes it
    for limit in (None, *(int(share * whole) for share in _SHARES)):
        costs = conv2d_costs(x_shape, weight_shape, threads=1, workspace_limit=limit, **options)
        cost = costs["im2col_tiled"]
        if (limit is None or cost.least <= limit) and bytes_of(cost) not in seen:
            seen.add(bytes_of(cost))
            points.append(Point("im2col_tiled", bytes_of(cost), cost.seconds, limit))
    return points, table.choice


def _timed(
    points: list[Point], x_shape: Any, weight_shape: Any, options: dict[str, Any], repeats: int
) -> list[Point]:
    """Return the points with the least seconds of some runs, which take turns."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(tuple(x_shape), np.float32)
    weight = rng.standard_normal(tuple(weight_shape), np.float32)
    packed = functional.prepare_conv2d(weight, groups=options["groups"])
    seconds = [float("inf")] * len(points)
    for turn in range(repeats + 1):  # the first packs, and touches memory for the first time
        for at, point in enumerate(points):
            begin = time.perf_counter()
            functional.conv2d(
                x, packed, algorithm=point.algorithm, workspace_limit=point.limit, **options
            )
            if turn:
                seconds[at] = min(seconds[at], time.perf_counter() - begin)
    return [p._replace(seconds=took) for p, took in zip(points, seconds, strict=True)]


def _least(points: list[Point]) -> list[Point]:
    """Return the points that no other beats in both, from the fewest bytes on."""
    found: list[Point] = []
    for point in sorted(points, key=lambda point: (point.nbytes, point.seconds)):
        if not found or point.seconds < found[-1].seconds:
            found.append(point)
    return found
