"""The plan of a network as bars: what is alive at each node, and what im2col would add."""

from __future__ import annotations

from os import PathLike
from typing import Any

from fastconv.errors import ArgumentTypeError
from fastconv.memory import format_bytes
from fastconv.models import Plan, PlannedNode
from fastconv.plot.figure import check_path, new_figure

__all__ = ["plan_png"]

# Colours that differ in grey too, and for the colour-blind (Okabe and Ito, 2008).
BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#777777"
UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def plan_png(plan: Plan, path: str | PathLike[str]) -> None:
    """Write a PNG of a plan, with a bar for each node: the bytes alive while the node runs.

    For a convolution, a dashed bar shows how far im2col, the book's algorithm for the whole batch,
    would reach instead.

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
    nodes = plan.nodes
    largest = max([1, *(node.live + _im2col_beyond(node) for node in nodes)])
    factor, unit = next((f, u) for f, u in UNITS if largest >= f)
    figure = new_figure("plan_png", (9.0, 1.9 + 0.3 * len(nodes)))
    axis = figure.subplots()
    for at, node in enumerate(nodes):
        _draw_node(axis, at, node, factor)
    axis.plot([plan.peak / factor] * 2, [-0.55, len(nodes) - 0.4], "k:", linewidth=0.8, zorder=0)
    axis.text(
        plan.peak / factor, -0.6, f"peak {plan.peak / factor:.3g} {unit}", ha="center", va="bottom"
    )
    axis.set_yticks(range(len(nodes)), [node.id + " +" * node.recomputed for node in nodes])
    axis.set_ylim(len(nodes) - 0.4, -1.0)
    axis.set_xlim(0, 1.22 * largest / factor)
    axis.set_xlabel(f"{unit} alive while the node runs")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    figure.suptitle(_title(plan))
    _draw_legend(axis, len(nodes))
    if any(node.recomputed for node in nodes):
        figure.supxlabel("+ computed again in the backward pass", fontsize="small")
    figure.savefig(found, format="png", dpi=120)


def _draw_node(axis: Any, at: int, node: PlannedNode, factor: int) -> None:
    """Draw the bar of a node in row `at`, in units of `factor` bytes, and its text beside it."""
    live, workspace = node.live / factor, min(node.workspace, node.live) / factor
    axis.barh(at, live - workspace, color=BLUE, height=0.62)
    axis.barh(at, workspace, left=live - workspace, color=ORANGE, height=0.62)
    beyond = _im2col_beyond(node) / factor
    if beyond:
        axis.barh(at, beyond, left=live, height=0.62, fill=False, edgecolor=GREY, linestyle="--")
    text = f" {live:.3g}" + (f", im2col {live + beyond:.3g}" if beyond else "")
    axis.text(
        live + beyond,
        at,
        text,
        va="center",
        fontsize="small",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )


def _draw_legend(axis: Any, rows: int) -> None:
    """Draw what the colours mean, below a picture that has `rows` rows."""
    axis.legend(
        handles=[
            axis.barh(0, 0, color=BLUE, label="activations, packed weights"),
            axis.barh(0, 0, color=ORANGE, label="workspace"),
            axis.barh(0, 0, fill=False, edgecolor=GREY, linestyle="--", label="with im2col"),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.55 / (1.9 + 0.3 * rows)),
        ncols=3,
        frameon=False,
        fontsize="small",
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
