"""What the page shows of some plans, as plain values that JSON can hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from fastconv.costs import ConvolutionCosts
from fastconv.layers.convolution import Convolution
from fastconv.models import Plan, PlannedNode

__all__ = ["figures_of"]

#: The parts of a moment, from the bottom of a bar to its top.
PARTS = ("packed", "activations", "saved", "gradients", "workspace")
#: A letter for each phase, so that the phases of a run are one text.
LETTERS = {"forward": "f", "loss": "l", "again": "a", "backward": "b", "metrics": "m"}


def figures_of(name: str, plans: Sequence[Plan], start: int) -> dict[str, Any]:
    """Return the figures of plans for rising limits, of which the last one has none.

    Parameters
    ----------
    name : str
    plans : sequence of Plan
        Of one network, batch and mode.
    start : int
        The plan that is shown at first.
    """
    free = plans[-1]
    states: dict[tuple[Any, ...], int] = {}  # what a node takes -> its place in the list
    stops = [_stop(plan, states) for plan in plans]
    return {
        "name": name,
        "training": free.training,
        "batch": free.batch_size,
        "parameterBytes": free.parameter_bytes,
        "multiplyAdds": free.multiply_adds,
        "parts": list(PARTS),
        "nodes": [[node.id, node.layer, node.parameters] for node in free.nodes],
        "estimated": [at for at, node in enumerate(free.nodes) if node.estimated],
        "convolutions": list(_convolutions(free)),
        "states": [list(state) for state in states],
        "stops": stops,
        "start": start,
    }


def _stop(plan: Plan, states: dict[tuple[Any, ...], int]) -> dict[str, Any]:
    """Return what is shown where the slider stops at the limit of `plan`."""
    algorithms: dict[tuple[int, bool], str] = {}
    for moment in plan.moments:
        algorithms[moment.at, moment.phase == "backward"] = moment.algorithm
    found = []
    for at, node in enumerate(plan.nodes):
        chosen = algorithms[at, False], algorithms.get((at, True), "")
        found.append(states.setdefault((*_state(node), *chosen), len(states)))
    return {
        "limit": plan.memory_limit,
        "peak": plan.peak,
        "where": plan.where,
        "rows": list(dict.fromkeys(node.rows for node in plan.nodes)),
        "seconds": _short(plan.seconds),
        "again": sum(node.multiply_adds for node in plan.nodes if node.recomputed),
        "states": found,
        "phases": "".join(LETTERS[moment.phase] for moment in plan.moments),
        "at": _steps(moment.at for moment in plan.moments),
        "bytes": [_steps(getattr(moment, part) for moment in plan.moments) for part in PARTS],
    }


def _state(node: PlannedNode) -> tuple[int, ...]:
    return (
        node.rows,
        node.activations,
        node.workspace,
        node.packed,
        node.saved,
        int(node.lent),
        int(node.recomputed),
    )


def _steps(values: Iterable[int]) -> list[int]:
    """Return the first value and the differences of all others, which have fewer digits."""
    return [after - before for before, after in pairwise((0, *values))]


def _convolutions(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield what each algorithm would take for each convolution of the whole batch."""
    for at, op in enumerate(plan.schedule.operations):
        if not isinstance(op.layer, Convolution):
            continue
        spec = plan.specs[op.sources[0]]
        back = "without_dx" if at in plan.without_dx else "backward"
        for which in ("forward", back)[: 1 + plan.training]:
            tables = op.layer.passes(plan.batch_size, spec, which, plan.workspace_limit)
            # where two convolutions lead back, one makes each gradient
            names = ("backward, input", "backward, weight") if len(tables) > 1 else ("backward",)
            for number, (table, _) in enumerate(tables):
                yield {
                    "node": at,
                    "back": which != "forward",
                    "pass": which if which == "forward" else names[number],
                    "costs": _costs(table),
                }


def _costs(table: ConvolutionCosts) -> dict[str, list[float]]:
    """Return workspace, packed bytes and estimated seconds of each algorithm."""
    return {
        name: [cost.workspace, cost.packed, _short(cost.seconds)] for name, cost in table.items()
    }


def _short(seconds: float) -> float:
    """Return `seconds` to four digits: it is an estimate."""
    return float(f"{seconds:.4g}")
