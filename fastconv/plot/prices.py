"""What each algorithm of convolution takes in every layer."""

from __future__ import annotations

from typing import Any

from fastconv.arguments import as_bool, as_int
from fastconv.costs import AlgorithmCost
from fastconv.drawing import (
    BLUE,
    GREEN,
    ORANGE,
    VERMILION,
    axes_for,
    label,
    legend_below,
    legible,
    quiet,
)
from fastconv.errors import ArgumentError
from fastconv.layers import Conv2DTranspose
from fastconv.layers.convolution import Convolution
from fastconv.memory import format_bytes
from fastconv.models import Model, Plan
from fastconv.models.graph import Graph, Step
from fastconv.plot.networks import as_network, graph_of

__all__ = ["STYLES", "algorithms", "bytes_axis", "bytes_of", "convolutions"]

#: Of each algorithm a colour, and a mark for who does not see it.
STYLES = {
    "direct": (BLUE, "o"),
    "im2col_tiled": (ORANGE, "s"),
    "winograd": (GREEN, "^"),
    "im2col": (VERMILION, "D"),
}


@legible
def algorithms(net: Any, *, batch_size: int = 1, training: bool = False, ax: Any = None) -> Any:
    """Draw what each algorithm would take in each convolution of a network.

    Parameters
    ----------
    net : Model or InferenceModel
    batch_size : int
        The images of a batch.
    training : bool
        Whether to draw the backward pass, all gradients that training needs, instead of the
        forward pass.
    ax : matplotlib.axes.Axes, optional
        Where to draw, instead of a figure of its own, which has room for a row a layer.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each convolution, with a mark for each algorithm: its bytes of workspace and
        packed weights. The ring is around what the layer takes. Transposed convolutions, which
        are gradients of others, are left out.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `net` is no network, or has no convolution.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.

    Examples
    --------
    >>> import fastconv
    >>> figure = algorithms(fastconv.create_model("LeNet5"), batch_size=100)
    >>> [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    ['conv1', 'conv2']
    """
    operation = "algorithms"
    as_network(operation, net)
    rows = as_int(operation, "batch_size", batch_size, 1)
    training = as_bool(operation, "training", training)
    direction = "backward" if training else "forward"
    graph, learns = graph_of(net), training and isinstance(net, Model)
    alone = without_dx(net.plan(rows, training=True)) if learns else set()
    found = {}
    for step, layer in convolutions(operation, graph):
        which = "without_dx" if step.id in alone else direction
        for priced in layer.passes(rows, graph.source_specs(step)[0], which):
            found[step.id] = priced
    if not found:
        rule = "must have a convolution that learns"
        raise ArgumentError(operation, "net", rule, remedy="unfreeze one", shown="none")
    figure, axes = axes_for(operation, ax, (8.0, 1.6 + 0.26 * len(found)))
    most = max(bytes_of(cost) for table, _ in found.values() for cost in table.values())
    for at, (table, taken) in enumerate(found.values()):
        sizes = [bytes_of(cost) for cost in table.values()]
        axes.plot([min(sizes), max(sizes)], [at, at], color="#CCCCCC", linewidth=1, zorder=1)
        ring = bytes_of(table[taken])
        name = "" if at else "what the layer takes"
        axes.plot(
            ring, at, "o", markersize=12, fillstyle="none", color="black", zorder=2, label=name
        )
    for algorithm, (colour, mark) in STYLES.items():
        places = {
            at: bytes_of(table[algorithm])
            for at, (table, _) in enumerate(found.values())
            if algorithm in table
        }
        axes.plot(
            list(places.values()), list(places), mark, color=colour, label=algorithm, zorder=3
        )
    quiet(axes, "x")
    axes.set_yticks(range(len(found)), [label(name, 48) for name in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    bytes_axis(axes, most)
    axes.set_title(f"Algorithms of the {direction} pass, batch of {rows}", fontsize="medium")
    legend_below(figure, axes, ax)
    return figure


def without_dx(plan: Plan) -> set[str]:
    """Return the ids of the layers whose inputs need no gradient."""
    return {step.id for at in plan.without_dx for step in plan.schedule.operations[at].steps}


def convolutions(operation: str, graph: Graph) -> list[tuple[Step, Convolution]]:
    """Return the steps that are convolutions; a transposed one is a gradient, with other costs."""
    found = [
        (step, step.layer)
        for step in graph.steps
        if isinstance(step.layer, Convolution) and not isinstance(step.layer, Conv2DTranspose)
    ]
    if not found:
        rule = "must have a convolution"
        raise ArgumentError(operation, "net", rule, remedy="take one that has", shown="none")
    return found


def bytes_of(cost: AlgorithmCost) -> int:
    return cost.workspace + cost.packed


def bytes_axis(axes: Any, most: int) -> None:
    """Make the horizontal axis one of bytes: even up to a KiB, then by factors."""
    ticks = [0, *(2**power for power in range(10, 60, 4) if 2**power <= max(4 * most, 1024))]
    axes.set_xscale("symlog", base=2, linthresh=1024, linscale=1.0)
    axes.set_xticks(ticks, [format_bytes(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(-150, max(1.6 * most, 1400))
    axes.set_xlabel("workspace and packed weights")
