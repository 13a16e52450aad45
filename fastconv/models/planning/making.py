"""Makes the plan of a network: what each node will take when it runs, with limits or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastconv.errors import MemoryLimitError
from fastconv.models.planning.fit_inference import InferenceFit
from fastconv.models.planning.fit_training import TrainingFit
from fastconv.models.planning.plan import Plan, PlannedNode
from fastconv.models.planning.prices import (
    Fitted,
    LeastBytes,
    Prices,
    Shared,
    forward_bytes,
    packing_bytes,
)
from fastconv.models.planning.steps import trace_step
from fastconv.models.planning.subject import Asked, Subject
from fastconv.models.running import Schedule, Stage
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
    live, peak, where = _alive(prices, fitted, asked)
    return Plan(
        asked.batch_size,
        asked.training,
        asked.workspace_limit,
        asked.memory_limit,
        fitted.program.rows,
        _nodes(subject, prices, fitted, [asked.held + each for each in live]),
        asked.held + peak,
        where,
        sum(slot.nbytes for key, slot in subject.slots.items() if key not in subject.released),
        subject.schedule,
        fitted.program,
        _unusual_inputs(subject),
    )


def _fitted(prices: Prices, asked: Asked, operation: str) -> Fitted:
    """Return the program, within the limit if there is one."""
    fitted, limit = prices.free(), asked.memory_limit
    if limit is None or asked.held + _alive(prices, fitted, asked)[1] <= limit:
        return fitted
    batch, room = asked.batch_size, limit - asked.held
    try:
        return _within(prices, asked, room)
    except LeastBytes as error:
        least = error.args[0] + asked.held
    mode = "training" if asked.training else "inference"
    rule = f"must be at least {least} bytes for {mode} on a batch of {batch}"
    remedy = "take a smaller batch_size" if asked.training and batch > 1 else ""
    raise MemoryLimitError(operation, "memory_limit", rule, limit, remedy, least=least)


def _within(prices: Prices, asked: Asked, room: int) -> Fitted:
    """Return a program that takes at most `room` bytes, or raise LeastBytes."""
    if asked.training:
        return TrainingFit(prices).within(room)
    after = asked.measured.most(1)
    try:
        while True:
            rows = asked.batch_size
            fitted = InferenceFit(prices, room, rows, asked.results).fitted()
            if not after or _alive(prices, fitted, asked)[1] <= room:
                return fitted
            if rows == 1:
                break
            # fewer outputs at a time leave more room for what is computed of them
            asked = replace(asked, batch_size=rows // 2, results=rows // 2)
    except LeastBytes as error:
        if not after:
            raise
        raise LeastBytes(error.args[0] + after) from None
    try:
        return InferenceFit(prices, room - after, 1, 1).fitted()
    except LeastBytes as error:
        raise LeastBytes(error.args[0] + after) from None


def _check_workspaces(prices: Prices, fitted: Fitted, asked: Asked, operation: str) -> None:
    """Raise if an algorithm that a layer names needs more than the workspace limit."""
    limit = asked.workspace_limit
    for at, cost in enumerate(fitted.costs):
        least = max(cost.lowest_limit, (cost.backward or cost).lowest_limit)
        if limit is not None and cost.algorithm and least > limit:
            rule = (
                f"must be at least {least} bytes for {_id(prices.schedule, at)} with algorithm "
                f"{cost.algorithm!r}"
            )
            raise MemoryLimitError(operation, "workspace_limit", rule, limit, least=least)


def _nodes(
    subject: Subject, prices: Prices, fitted: Fitted, live: Sequence[int]
) -> tuple[PlannedNode, ...]:
    program, tally = fitted.program, prices.tally(1)
    stages = program.stages or (Stage(0, len(fitted.costs), program.rows),)
    rows = [stage.rows for stage in stages for _ in range(stage.begin, stage.end)]
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
                id=_id(prices.schedule, at),
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


def _unusual_inputs(subject: Subject) -> tuple[str, ...]:
    """Return the inputs as text if one has integers or its batch not on axis 0, else nothing."""
    graph = subject.graph
    if all(spec.is_plain for spec in graph.input_specs):
        return ()
    return tuple(
        f"{name} {spec.letters} {spec.dtype}"
        for name, spec in zip(graph.input_ids, graph.input_specs, strict=True)
    )


def _id(schedule: Schedule, at: int) -> str:
    return "+".join(step.id for step in schedule.operations[at].steps)


def _alive(prices: Prices, fitted: Fitted, asked: Asked) -> tuple[list[int], int, str]:
    """Return the bytes alive at each node, the most of them, and where that is.

    Without a limit a run keeps its workspace from call to call, so the largest one counts
    everywhere.
    """
    steady = asked.memory_limit is None
    program, costs = fitted.program, fitted.costs
    lends = [one.lends for one in program.allowances]
    kept = {op.name for op, lent in zip(prices.operations, lends, strict=True) if not lent}
    always = packing_bytes(prices.operations, prices.resident(costs), kept)
    forward = [forward_bytes(c, lent) for c, lent in zip(costs, lends, strict=True)]
    backward = [(c.backward or c).temporary if prices.training else 0 for c in costs]
    if steady:
        arena = max([0, *forward, *backward])
        forward = backward = [arena] * len(costs)
    if not prices.training:
        stages = program.stages or (Stage(0, len(costs), program.rows),)
        alive = prices.live(stages, asked.results)
        live = [always + a + b for a, b in zip(alive, forward, strict=True)]
        moments = [(_id(prices.schedule, at), one) for at, one in enumerate(live)]
        if most := asked.measured.most(program.rows):  # when all else is gone
            after = most + prices.result_bytes(program.rows) + always
            moments.append(("the loss", after + (arena if steady else 0)))
        return live, *_most(moments)
    found = trace_step(prices.tally(program.rows), costs, program.segments)
    live, moments = [], []
    for at, _ in enumerate(costs):
        name = _id(prices.schedule, at)
        there = max(found.forward[at], found.again[at]) + forward[at] + always
        back = found.backward[at] + backward[at] + always if found.backward[at] else 0
        live.append(max(there, back))
        moments += [(name, there), (f"{name} backward", back)]
    measured, rows = asked.measured, prices.batch
    loss = found.loss + measured.loss_bytes(rows) + always
    if not steady:
        moments.append(("the loss", loss))
        moments.append(("the metrics", found.metrics + measured.metric_bytes(rows) + always))
        return live, *_most(moments)
    moments.append(("the loss", loss - measured.fixed + arena))
    peak, where = _most(moments)
    # the arrays of a step stay for the next one, while losses and metrics take others
    return live, peak + max(measured.fixed, measured.metric_bytes(rows)), where


def _most(moments: Sequence[tuple[str, int]]) -> tuple[int, str]:
    where, peak = max(moments, key=lambda moment: moment[1], default=("", 0))
    return peak, where if peak else ""
