"""Makes the plan of a network: what each node will take when it runs, with limits or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv.errors import MemoryLimitError
from fastconv.models.planning.fit_inference import InferenceFit
from fastconv.models.planning.fit_training import TrainingFit
from fastconv.models.planning.moments import (
    kept_beside,
    live_bytes,
    moments_of,
    peak_of,
    seconds_of,
)
from fastconv.models.planning.plan import Plan, PlannedNode
from fastconv.models.planning.prices import Fitted, LeastBytes, Prices, Shared
from fastconv.models.planning.subject import Asked, Subject
from fastconv.threads import get_num_threads

__all__ = ["plan_of"]


def plan_of(net: Any, asked: Asked, operation: str = "plan") -> Plan:
    """Return the plan of running a network on a batch; the network keeps it.

    Parameters
    ----------
    net : fastconv.Model or fastconv.InferenceModel
    asked : Asked
    operation : str
        The name that errors begin with.

    Raises
    ------
    MemoryLimitError
        If a limit cannot be kept; the message says the smallest limit that could be.
    """
    frozen = net._frozen() if asked.learns else frozenset()
    mode = (asked.training, asked.backward, asked.workspace_limit, get_num_threads(), frozen)

    def make() -> Plan:
        steps = net._schedule(net._graph.outputs, training=asked.training)
        subject = Subject(net._graph, steps, net._slots, frozen)
        return _made(subject, asked, net._cache.found(("shared", *mode), Shared), operation)

    found: Plan = net._cache.found(("plan", *mode, asked), make)
    return found


def _made(subject: Subject, asked: Asked, shared: Shared, operation: str) -> Plan:
    """Return the plan; `shared` is what earlier plans of the same mode found."""
    prices = Prices(subject, asked, shared)
    fitted = _fitted(prices, asked, operation)
    _check_workspaces(prices, fitted, asked, operation)
    moments = moments_of(prices, fitted)
    peak, where = peak_of(prices, moments)
    live = live_bytes(moments, ("forward", "again", "backward"), len(fitted.costs))
    more = asked.held - kept_beside(prices)
    return Plan(
        asked.batch_size,
        asked.training,
        asked.workspace_limit,
        asked.memory_limit,
        fitted.program.rows,
        _nodes(subject, prices, fitted, [each + more for each in live]),
        asked.held + peak,
        where,
        sum(slot.nbytes for key, slot in subject.slots.items() if key not in subject.released),
        subject.schedule,
        fitted.program,
        subject.unusual_inputs,
        moments,
        seconds_of(prices, fitted, moments),
        tuple(subject.specs),
        prices.without_dx,
    )


def _fitted(prices: Prices, asked: Asked, operation: str) -> Fitted:
    """Return the program, within the limit if there is one."""
    fitted, limit = prices.free(), asked.memory_limit
    if limit is None:
        return fitted
    peak, _ = peak_of(prices, moments_of(prices, fitted))
    if asked.held + peak <= limit:
        return fitted
    try:
        return _within(prices, asked, limit - asked.held)
    except LeastBytes as error:
        least = error.args[0]
    mode = f"{'training' if asked.training else 'inference'} on a batch of {asked.batch_size}"
    remedy = "take a smaller batch_size" if asked.training and asked.batch_size > 1 else ""
    if peak < least:  # part after part may take more, beside the results of the whole batch
        least = peak
    elif not asked.training and asked.results > 1 and not asked.measured.most(1):
        mode = f"the outputs of {asked.results} rows, computed one at a time"
        remedy = "give fewer rows in a call"
    least += asked.held
    rule = f"must be at least {least} bytes for {mode}"
    raise MemoryLimitError(operation, "memory_limit", rule, limit, remedy, least=least)


def _within(prices: Prices, asked: Asked, room: int) -> Fitted:
    """Return a program that takes at most `room` bytes, or raise LeastBytes."""
    if asked.training:
        return TrainingFit(prices).within(room)
    if asked.measured.most(1):
        return _measured_within(prices, asked, room)
    return InferenceFit(prices, room, asked.batch_size, asked.results).fitted()


def _measured_within(prices: Prices, asked: Asked, room: int) -> Fitted:
    """Return `_within` for inference, of whose outputs losses and metrics are computed."""
    for within in (room, room - asked.measured.most(1)):
        fitted, peak = _tried(prices, asked, within)
        if fitted and peak <= room:
            return fitted
    fitted, least = _tried(prices, asked, 0)
    if fitted is None:
        fitted, least = _tried(prices, asked, least)
    if fitted and least <= room:
        return fitted
    raise LeastBytes(least)


def _tried(prices: Prices, asked: Asked, within: int) -> tuple[Fitted | None, int]:
    """Return a program within a limit and its peak when its outputs are measured, or None and the
    smallest limit."""
    try:
        fitted = InferenceFit(prices, within, asked.batch_size, asked.results).fitted()
    except LeastBytes as error:
        return None, error.args[0]
    return fitted, peak_of(prices, moments_of(prices, fitted))[0]


def _check_workspaces(prices: Prices, fitted: Fitted, asked: Asked, operation: str) -> None:
    """Raise if an algorithm that a layer names needs more than the workspace limit."""
    limit = asked.workspace_limit
    for at, cost in enumerate(fitted.costs):
        least = max(cost.lowest_limit, (cost.backward or cost).lowest_limit)
        if limit is not None and cost.algorithm and least > limit:
            node = prices.operations[at].id
            rule = f"must be at least {least} bytes for {node} with algorithm {cost.algorithm!r}"
            raise MemoryLimitError(operation, "workspace_limit", rule, limit, least=least)


def _nodes(
    subject: Subject, prices: Prices, fitted: Fitted, live: Sequence[int]
) -> tuple[PlannedNode, ...]:
    program, tally = fitted.program, prices.tally(1)
    rows = [stage.rows for stage in program.parts for _ in range(stage.begin, stage.end)]
    again = [s.recomputed for s in program.segments for _ in range(s.begin, s.end)]
    counted: set[str] = set()
    nodes = []
    for at, (op, cost) in enumerate(zip(prices.operations, fitted.costs, strict=True)):
        own = [] if op.name in counted else subject.learned.get(op.name, [])
        counted.add(op.name)
        own_array = (op.target,) if tally.owner[op.target] == op.target else ()
        back = cost.backward or cost if prices.training else cost
        lent = program.allowances[at].lends
        # some layers pack nothing for a call, and read the plain weights
        packed = [one.packed for one in (cost, back) if one.temporary or not lent]
        nodes.append(
            PlannedNode(
                id=op.id,
                layer="+".join(type(step.layer).__name__ for step in op.steps),
                algorithm=cost.algorithm,
                why=cost.why,
                multiply_adds=prices.cost(at, prices.batch, None).multiply_adds,
                parameters=sum(slot.size for _, slot in own),
                rows=rows[at],
                activations=prices.bytes_of(own_array, rows[at]),
                workspace=max(cost.workspace, back.workspace),
                packed=max(packed, default=0),
                lent=lent,
                saved=cost.saved if prices.training else 0,
                live=live[at],
                recomputed=again[at],
                estimated=cost.estimated,
                im2col=cost.im2col,
            )
        )
    return tuple(nodes)
