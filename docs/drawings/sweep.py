"""Bytes of one layer over the size of its kernel, its stride, and the batch."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from style import COLOURS, MB, Layer, headline, new, plain, save

import fastconv

#: The convolution of ResNet-50's first stage; in every panel one of its numbers changes.
LAYER = Layer(64, 56, 64, 3, 1, 1)


@dataclass(frozen=True)
class Sweep:
    """A number of the layer, the values it takes, and its name."""

    field: str
    values: tuple[int, ...]
    label: str


SWEEPS = (
    Sweep("R", (1, 3, 5, 7, 9, 11), "kernel size"),
    Sweep("stride", (1, 2, 3, 4), "stride of a 3\N{MULTIPLICATION SIGN}3 kernel"),
    Sweep("N", (1, 2, 4, 6, 8, 10, 12, 14, 16), "images in the batch"),
)


def layer_at(sweep: Sweep, value: int) -> Layer:
    """Return the layer with one number changed, padded to keep its maps."""
    layer = LAYER._replace(**{sweep.field: value})
    return layer._replace(padding=layer.R // 2)


def total(layer: Layer, algorithm: str) -> int:
    """Return bytes of input, weights, output and workspace."""
    costs = fastconv.conv2d_costs(layer.x_shape, layer.weight_shape, **layer.options)
    return layer.nbytes + costs[algorithm].workspace


def algorithms() -> list[str]:
    """Return those that this fastconv has and every kernel size can take."""
    costs = fastconv.conv2d_costs(LAYER.x_shape, LAYER.weight_shape, **LAYER.options)
    return [name for name in ("direct", "im2col_tiled", "im2col") if name in costs]


def panel(axes: Axes, sweep: Sweep) -> None:
    """Draw a line for each algorithm, and how many times direct's bytes im2col takes."""
    plain(axes)
    lines = {
        name: [total(layer_at(sweep, value), name) / MB for value in sweep.values]
        for name in algorithms()
    }
    for name, values in lines.items():
        axes.plot(
            sweep.values,
            values,
            color=COLOURS[name],
            marker="o",
            markersize=4.5,
            solid_capstyle="round",
            zorder=2 + (name == "direct"),
        )
    direct, unfolded = lines["direct"], lines["im2col"]
    axes.fill_between(sweep.values, direct, unfolded, color=COLOURS["im2col"], alpha=0.10, lw=0)
    axes.set(xlabel=sweep.label, ylim=(0, 1.14 * max(unfolded)))
    span = sweep.values[-1] - sweep.values[0]
    axes.set_xlim(sweep.values[0] - 0.06 * span, sweep.values[-1] + 0.06 * span)
    shown = sweep.values if len(sweep.values) < 8 else sweep.values[::2]
    axes.set_xticks(sweep.values, [str(v) if v in shown else "" for v in sweep.values])
    at = 0 if sweep.field == "stride" else -1
    axes.annotate(
        f"{unfolded[at] / direct[at]:.1f}\N{MULTIPLICATION SIGN} direct",
        (sweep.values[at], unfolded[at]),
        xytext=(-9 if at else 9, 4),
        textcoords="offset points",
        ha="right" if at else "left",
        color=COLOURS["im2col"],
    )


def name_lines(axes: Axes, sweep: Sweep) -> None:
    """Write the algorithms' names beside their lines, where these are furthest apart."""
    for name, stride, right, up in (
        ("im2col", 1, 44, -70),
        ("im2col_tiled", 1, 2, 5),
        ("direct", 2, 4, -17),
    ):
        if name in algorithms():
            axes.annotate(
                name,
                (stride, total(layer_at(sweep, stride), name) / MB),
                xytext=(right, up),
                textcoords="offset points",
                color=COLOURS[name],
                weight="bold",
            )


def draw() -> Figure:
    """Return the picture."""
    figure = new(11, 4.1)
    panels = figure.subplots(1, 3)
    for axes, sweep in zip(panels, SWEEPS, strict=True):
        panel(axes, sweep)
    name_lines(panels[1], SWEEPS[1])
    panels[0].set_ylabel("MB of input, weights,\noutput and workspace")
    headline(
        figure,
        "64 channels of 56\N{MULTIPLICATION SIGN}56 to 64 filters of 3\N{MULTIPLICATION SIGN}3: "
        "what a convolution holds",
    )
    return figure


if __name__ == "__main__":
    print(save(draw, "sweep"))
