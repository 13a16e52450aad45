"""Makes the plan of a network: what each node will take when it runs, with limits or without."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from fastconv.errors import MemoryLimitError
from fastconv.layers.spec import LayerCosts, PassCosts
from fastconv.models.planning.calls import forward_bytes, packing_bytes, splitting_seconds
from fastconv.models.planning.fit_inference import InferenceFit
from fastconv.models.planning.fit_training import TrainingFit
from fastconv.models.planning.plan import Moment, Plan, PlannedNode
from fastconv.models.planning.prices import Fitted, LeastBytes, Prices, Shared
from fastconv.models.planning.steps import Held, trace_step
from fastconv.models.planning.subject import Asked, Subject
from fastconv.models.running import Schedule
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
    moments = _moments(prices, fitted, asked)
    peak, where = _peak(subject.schedule, moments)
    live = _live(moments, ("forward", "again", "backward"), len(fitted.costs))
    more = asked.held - _beside(prices, asked)
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
        _seconds(prices, fitted, moments),
        tuple(subject.specs),
        prices.without_dx,
    )


def _fitted(prices: Prices, asked: Asked, operation: str) -> Fitted:
    """Return the program, within the limit if there is one."""
    fitted, limit = prices.free(), asked.memory_limit
    if limit is None:
        return fitted
    peak, _ = _peak(prices.schedule, _moments(prices, fitted, asked))
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
    return fitted, _peak(prices.schedule, _moments(prices, fitted, asked))[0]


def _check_workspaces(prices: Prices, fitted: Fitted, asked: Asked, operation: str) -> None:
    """Raise if an algorithm that a layer names needs more than the workspace limit."""
    limit = asked.workspace_limit
    for at, cost in enumerate(fitted.costs):
        least = max(cost.lowest_limit, (cost.backward or cost).lowest_limit)
        if limit is not None and cost.algorithm and least > limit:
            node = _id(prices.schedule, at)
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


def _id(schedule: Schedule, at: int) -> str:
    return "+".join(step.id for step in schedule.operations[at].steps)


def _moments(prices: Prices, fitted: Fitted, asked: Asked) -> tuple[Moment, ...]:
    """Return the moments of a run of `fitted`.

    Without a limit a run keeps its workspace from call to call, so the largest one counts
    everywhere.
    """
    program, costs = fitted.program, fitted.costs
    lends = [one.lends for one in program.allowances]
    kept = {op.name for op, lent in zip(prices.operations, lends, strict=True) if not lent}
    packed = packing_bytes(prices.operations, prices.resident(costs), kept)
    forward = [forward_bytes(c, lent) for c, lent in zip(costs, lends, strict=True)]
    backward = [(c.backward or c).temporary if prices.training else 0 for c in costs]
    steady, arena = asked.memory_limit is None, max([0, *forward, *backward])
    stays = arena + _beside(prices, asked) if steady else 0
    calls = {"forward": forward, "again": forward, "backward": backward}
    once = _measured(prices, fitted, asked)
    found = []
    for held, share in _held(prices, fitted, asked):
        own = once[held.phase] if held.at < 0 else 0 if steady else calls[held.phase][held.at]
        algorithm, cost = _of_phase(costs, held)
        found.append(
            Moment(
                held.phase,
                held.at,
                algorithm,
                held.activations,
                held.saved,
                held.gradients,
                own + stays,
                packed,
                share * cost.seconds,
            )
        )
    return tuple(found)


def _beside(prices: Prices, asked: Asked) -> int:
    """Return what losses and metrics take while the arrays of a step stay for the next one."""
    if asked.memory_limit is not None or not prices.training:
        return 0
    return max(asked.measured.fixed, asked.measured.metric_bytes(prices.batch))


def _measured(prices: Prices, fitted: Fitted, asked: Asked) -> dict[str, int]:
    """Return what losses and metrics take of their own."""
    measured, rows = asked.measured, prices.batch
    if not prices.training:
        return {"loss": measured.most(fitted.program.rows)}
    counted = measured.fixed if asked.memory_limit is None else 0
    return {"loss": measured.loss_bytes(rows) - counted, "metrics": measured.metric_bytes(rows)}


def _held(prices: Prices, fitted: Fitted, asked: Asked) -> Iterator[tuple[Held, float]]:
    """Yield what is held at each moment, and by how much the batch exceeds the rows that run."""
    program, costs = fitted.program, fitted.costs
    if prices.training:
        for held in trace_step(prices.tally(program.rows), costs, program.segments).held:
            if held.phase != "metrics" or asked.memory_limit is not None:  # else as `_beside` says
                yield held, 1.0
        return
    stages = program.parts
    live = prices.live(stages, asked.results)
    for stage in stages:
        for at in range(stage.begin, stage.end):
            yield Held("forward", at, live[at], 0, 0), prices.batch / stage.rows
    if asked.measured.most(program.rows):  # when all else is gone
        yield Held("loss", -1, prices.result_bytes(program.rows), 0, 0), 1.0


def _of_phase(costs: Sequence[LayerCosts], held: Held) -> tuple[str, PassCosts]:
    """Return the algorithm and the costs of the call that runs at a moment."""
    if held.at < 0:
        return "", PassCosts()
    cost = costs[held.at]
    if held.phase == "backward":
        return cost.backward_algorithm, cost.backward or PassCosts()
    return cost.algorithm, cost


def _peak(schedule: Schedule, moments: Sequence[Moment]) -> tuple[int, str]:
    """Return the most bytes alive at one time, and where that is."""
    count = len(schedule.operations)
    there, back = _live(moments, ("forward", "again"), count), _live(moments, ("backward",), count)
    found = []
    for at in range(count):
        name = _id(schedule, at)
        found += [(there[at], name), (back[at], f"{name} backward")]
    found += [(moment.nbytes, f"the {moment.phase}") for moment in moments if moment.at < 0]
    peak, where = max(found, key=lambda one: one[0], default=(0, ""))
    return peak, where if peak else ""


def _live(moments: Sequence[Moment], phases: Collection[str], count: int) -> list[int]:
    """Return for each of `count` operations the most bytes alive in some phases."""
    live = [0] * count
    for moment in moments:
        if moment.phase in phases:
            live[moment.at] = max(live[moment.at], moment.nbytes)
    return live


def _seconds(prices: Prices, fitted: Fitted, moments: Sequence[Moment]) -> float:
    """Estimate the time of a run: of its calls and, in inference, of smaller runs."""
    took = sum(moment.seconds for moment in moments)
    if prices.training:
        return took

    def lent_bytes(begin: int, end: int) -> int:
        parts = zip(fitted.costs[begin:end], fitted.program.allowances[begin:end], strict=True)
        return sum(cost.packed for cost, allowed in parts if allowed.lends)

    return took + splitting_seconds(
        prices.batch, fitted.program.parts, lent_bytes, prices.row_bytes
    )
