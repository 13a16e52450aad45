"""The memory of a network, as bars: what is alive at each node, and what im2col would add."""

from __future__ import annotations

from os import PathLike
from typing import Any

from fastconv.arguments import as_bool, as_int
from fastconv.drawing import BLUE, GREY, ORANGE, axes_for, label, legend_below, legible
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.floating import quietly
from fastconv.memory import format_bytes
from fastconv.models import InferenceModel, Model, Plan, PlannedNode
from fastconv.plot.figure import check_path

__all__ = ["memory", "plan_png"]

UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def plan_png(plan: Plan, path: str | PathLike[str]) -> None:
    """Write a PNG of a plan, as `memory` draws it.

    Parameters
    ----------
    plan : Plan
        What `fastconv.Model.plan` gave.
    path : path
        The file to write, which ends in ``.png``.

    Raises
    ------
    ArgumentError
        If `path` ends otherwise.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.
    """
    if not isinstance(plan, Plan):
        raise ArgumentTypeError(
            "plan_png",
            "plan",
            "must be what net.plan() returns",
            type(plan),
            "give it net.plan(batch_size=100)",
            shown=type(plan).__name__,
        )
    found = check_path("plan_png", "path", path)
    _drawn("plan_png", plan, None).savefig(found, format="png", dpi=120)


@quietly
def memory(
    net: Any, *, batch_size: int | None = None, training: bool = False, ax: Any = None
) -> Any:
    """Draw the bytes that are alive at each node of a network, and what im2col would add.

    Parameters
    ----------
    net : Model, InferenceModel or Plan
        A network, or what its `plan` gave.
    batch_size : int, optional
        Of a network: the images of a batch; by default 1.
    training : bool
        Of a network: whether to draw a step of training.
    ax : matplotlib.axes.Axes, optional
        Where to draw, instead of a figure of its own, which has room for a row a node.

    Returns
    -------
    matplotlib.figure.Figure
        A bar for each node: all that is alive while it runs, of which the workspace has a colour
        of its own; the algorithm stands beside it. For a convolution, a dashed bar shows how far
        im2col, the book's algorithm for the whole batch, would reach instead.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `net` is none of these, or a Plan and yet there are settings.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.

    Examples
    --------
    >>> import fastconv
    >>> net = fastconv.create_model("LeNet5")
    >>> plan = net.plan(100)
    >>> figure = memory(plan)
    >>> figure.axes[0].get_xlabel()
    'MiB alive while the node runs'
    """
    operation = "memory"
    as_bool(operation, "training", training)
    if isinstance(net, Plan):
        if batch_size is not None or training:
            rule, remedy = "must be left out with a plan", "give it the network"
            name = "training" if training else "batch_size"
            raise ArgumentError(operation, name, rule, training or batch_size, remedy)
        return _drawn(operation, net, ax)
    if not isinstance(net, (Model, InferenceModel)):
        rule, remedy = "must be a network or a plan", "give it net.plan(batch_size=100)"
        raise ArgumentTypeError(operation, "net", rule, type(net).__name__, remedy)
    rows = 1 if batch_size is None else as_int(operation, "batch_size", batch_size, 1)
    return _drawn(operation, net.plan(rows, training=training), ax)


@legible
def _drawn(operation: str, plan: Plan, ax: Any) -> Any:
    nodes = plan.nodes
    # the peak may be beyond every node: what the loss takes is no node's
    largest = max([1, plan.peak, *(node.live + _im2col_beyond(node) for node in nodes)])
    factor, unit = next((f, u) for f, u in UNITS if largest >= f)
    figure, axis = axes_for(operation, ax, (9.0, 1.9 + 0.3 * len(nodes)))
    for at, node in enumerate(nodes):
        _draw_node(axis, at, node, factor)
    axis.plot([plan.peak / factor] * 2, [-0.55, len(nodes) - 0.4], "k:", linewidth=0.8, zorder=0)
    axis.text(
        plan.peak / factor, -0.6, f"peak {plan.peak / factor:.3g} {unit}", ha="center", va="bottom"
    )
    names = [label(node.id, 48) + " +" * node.recomputed for node in nodes]
    axis.set_yticks(range(len(nodes)), names, fontsize="small" if len(nodes) > 40 else None)
    axis.set_ylim(len(nodes) - 0.4, -1.0)
    axis.set_xlim(0, 1.32 * largest / factor)
    note = "\n+ computed again in the backward pass"
    again = any(node.recomputed for node in nodes)
    axis.set_xlabel(f"{unit} alive while the node runs{note if again else ''}")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.set_title(_title(plan))
    axis.barh(0, 0, color=BLUE, label="activations, packed weights")
    axis.barh(0, 0, color=ORANGE, label="workspace")
    axis.barh(0, 0, fill=False, edgecolor=GREY, linestyle="--", label="with im2col")
    legend_below(figure, axis, ax)
    return figure


def _draw_node(axis: Any, at: int, node: PlannedNode, factor: int) -> None:
    """Draw the bar of a node in row `at`, in units of `factor` bytes, and its text beside it."""
    live, workspace = node.live / factor, min(node.workspace, node.live) / factor
    axis.barh(at, live - workspace, color=BLUE, height=0.62)
    axis.barh(at, workspace, left=live - workspace, color=ORANGE, height=0.62)
    beyond = _im2col_beyond(node) / factor
    if beyond:
        axis.barh(at, beyond, left=live, height=0.62, fill=False, edgecolor=GREY, linestyle="--")
    algorithm = f", {node.algorithm}" if node.algorithm else ""
    text = f" {live:.3g}{algorithm}" + (f"; im2col {live + beyond:.3g}" if beyond else "")
    axis.text(
        live + beyond,
        at,
        text,
        va="center",
        fontsize="small",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )


def _title(plan: Plan) -> str:
    """Return what was planned: the mode, the batch, the rows at a time, the limit."""
    mode = "training" if plan.training else "inference"
    title = f"Memory of {mode} on a batch of {plan.batch_size}"
    counts = dict.fromkeys(node.rows for node in plan.nodes)
    if list(counts) not in ([], [plan.batch_size]):
        title += f", {', then '.join(map(str, counts))} at a time"
    if plan.memory_limit is not None:
        title += f", within {format_bytes(plan.memory_limit)}"
    return title


def _im2col_beyond(node: PlannedNode) -> int:
    """Return the bytes that im2col would take beyond what the node's algorithm takes."""
    return max(0, node.im2col - node.workspace)
