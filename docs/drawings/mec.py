"""Workspace of the layers cv1 to cv12 of the paper on MEC (Cho and Brand 2017, table 2)."""

from __future__ import annotations

from matplotlib.figure import Figure
from style import COLOURS, MB, MEC, headline, new, plain, save, shape_of

import fastconv

#: The paper's own figures of its smaller matrix, in MB.
PUBLISHED_MEC = (1.65, 1.71, 2.12, 43.8, 0.92, 0.37, 1.79, 9.46, 2.32, 1.12, 0.52, 0.22)


def workspace(algorithm: str) -> list[float] | None:
    """Return MB of every layer, or None if this fastconv has no such algorithm."""
    found = []
    for layer in MEC.values():
        costs = fastconv.conv2d_costs(layer.x_shape, layer.weight_shape, **layer.options)
        if algorithm not in costs:
            return None
        found.append(costs[algorithm].workspace / MB)
    return found


def draw() -> Figure:
    """Return the picture: a row a layer, the algorithms as dots on a logarithmic scale."""
    figure = new(9.5, 6.0)
    axes = plain(figure.subplots(), grid="x")
    rows = range(len(MEC))
    series = {
        "im2col": workspace("im2col"),
        "MEC": list(PUBLISHED_MEC),
        "im2col_tiled": workspace("im2col_tiled"),
    }
    series = {name: values for name, values in series.items() if values is not None}
    axes.set_xscale("log")
    zero = 0.045  # a place for nothing, which a logarithm has not
    axes.hlines(rows, zero, series["im2col"], color=COLOURS["arrays"], lw=1.6, zorder=1)
    for name, values in series.items():
        size = 84 if name == "im2col" else 46  # seen where another has the same bytes
        axes.scatter(values, rows, s=size, color=COLOURS[name], zorder=3, clip_on=False)
    axes.scatter([zero] * len(MEC), rows, s=46, color=COLOURS["direct"], zorder=3, clip_on=False)
    for row, value in zip(rows, series["im2col"], strict=True):
        axes.annotate(
            f"{value:.3g}",
            (value, row),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            size=9,
            color=COLOURS["im2col"],
        )
    heads = {"direct": zero} | {name: values[0] for name, values in series.items()}
    for name, at in heads.items():
        text, side = ("direct: none", "left") if name == "direct" else (name, "center")
        axes.annotate(
            text,
            (at, 0),
            xytext=(0, 13),
            textcoords="offset points",
            ha=side,
            weight="bold",
            color=COLOURS[name],
            annotation_clip=False,
        )
    labels = [f"{key.split('.')[1]}   {shape_of(layer)}" for key, layer in MEC.items()]
    axes.set_yticks(rows, labels)
    axes.set(ylim=(len(MEC) - 0.4, -0.9), xlim=(zero, 300), xlabel="workspace, MB, one image")
    axes.set_xticks([zero, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
    axes.minorticks_off()
    axes.tick_params(axis="y", pad=12)
    axes.spines["left"].set_visible(False)
    headline(figure, "Layers of the paper on MEC: memory beside input, weights and output", x=0.012)
    return figure


if __name__ == "__main__":
    print(save(draw, "mec"))
