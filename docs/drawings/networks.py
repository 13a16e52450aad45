"""Bytes of every convolution of four networks: the arrays, and what im2col adds to them."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from style import COLOURS, MB, QUIET, TABLES, Layer, headline, new, plain, save, shape_of

import fastconv

#: What is drawn in each column, and the table of layers.
COLUMNS = (
    {"ResNet-50": "resnet50", "VGG-16": "vgg16"},
    {"MobileNet-v1": "mobilenet", "AlexNet": "alexnet"},
)
KEY_ROWS = 6


def panel(axes: Axes, name: str, layers: list[Layer]) -> None:
    """Draw a bar a layer: input, weights and output; then the matrix of im2col."""
    plain(axes, grid="x")
    arrays = [layer.nbytes / MB for layer in layers]
    unfolded = [
        fastconv.conv2d_costs(layer.x_shape, layer.weight_shape, **layer.options)[
            "im2col"
        ].workspace
        / MB
        for layer in layers
    ]
    rows = range(len(layers))
    axes.barh(rows, arrays, color=COLOURS["arrays"], height=0.72)
    axes.barh(rows, unfolded, left=arrays, color=COLOURS["im2col"], height=0.72)
    for row, (own, added) in enumerate(zip(arrays, unfolded, strict=True)):
        axes.annotate(
            f"+{added:.1f}" if added < 10 else f"+{added:.0f}",
            (own + added, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            size=8,
            color=COLOURS["im2col"],
        )
    axes.set_yticks(rows, [shape_of(layer) for layer in layers], size=8.5)
    largest = max(own + added for own, added in zip(arrays, unfolded, strict=True))
    axes.set(ylim=(len(layers) - 0.4, -0.6), xlim=(0, 1.13 * largest))
    axes.tick_params(axis="x", labelsize=8.5)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.spines["left"].set_visible(False)
    axes.set_title(name)
    axes.set_xlabel("MB, one image", size=9, color=QUIET)


def explain(axes: Axes) -> None:
    """Write what the two colours are."""
    axes.set_axis_off()
    axes.barh([1, 0], [0.06, 0.06], color=[COLOURS["arrays"], COLOURS["im2col"]], height=0.6)
    for row, text in (
        (1, "input, weights and output:\nall that direct holds"),
        (0, "the matrix that im2col\nholds beside them"),
    ):
        axes.annotate(
            text,
            (0.06, row),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            weight="bold",
            color=COLOURS["im2col"] if row == 0 else QUIET,
        )
    axes.set(xlim=(0, 1), ylim=(-1.2, 2.2))


def draw() -> Figure:
    """Return the picture."""
    figure = new(12, 10)
    for half, names in zip(figure.subfigures(1, 2), COLUMNS, strict=True):
        tables = [list(TABLES[table].values()) for table in names.values()]
        heights = [len(layers) for layers in tables]
        spare = names is COLUMNS[-1]
        panels = half.subplots(2 + spare, 1, height_ratios=heights + [KEY_ROWS] * spare)
        for axes, name, layers in zip(panels, names, tables):  # noqa: B905  the key is left
            panel(axes, name, layers)
    explain(panels[-1])
    headline(figure, "What one convolution holds, layer by layer", size=13)
    return figure


if __name__ == "__main__":
    print(save(draw, "networks"))
