"""Makes the plan of a network: what each node takes before it runs, within limits or without."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fastconv.errors import MemoryLimitError
from fastconv.models.fit_inference import InferenceFit
from fastconv.models.fit_training import TrainingFit
from fastconv.models.graph import Graph
from fastconv.models.plan import Plan, PlannedNode
from fastconv.models.prices import Fitted, LeastBytes, Prices, Shared, packing_bytes
from fastconv.models.program import Stage
from fastconv.models.schedule import Operation, Schedule
from fastconv.models.weights import Slot

__all__ = ["make_plan"]


def make_plan(
    graph: Graph,
    schedule: Schedule,
    slots: Mapping[str, Slot],
    frozen: Collection[str],
    batch_size: int,
    *,
    training: bool,
    workspace_limit: int | None = None,
    memory_limit: int | None = None,
    results: int,
    input_bytes: Sequence[int],
    held: int = 0,
    shared: Shared,
    operation: str = "plan",
) -> Plan:
    """Return the plan of running `schedule` on a batch.

    Parameters
    ----------
    graph : Graph
    schedule : Schedule
    slots : mapping of str to Slot
        The network's parameters, by key.
    frozen : collection of str
        Keys of those that do not learn.
    batch_size : int
    training : bool
    workspace_limit : int or None
        For each node.
    memory_limit : int or None
        For all.
    results : int
        Rows of results that are made in all.
    input_bytes : sequence of int
        Bytes of a row of each input that the run makes itself, as a copy of the caller's.
    held : int
        Bytes that are there all the time besides: lists of the caller as arrays.
    shared : Shared
        What plans of the same network, mode, ceiling and number of threads have found.
    operation : str
        What errors name.

    Raises
    ------
    MemoryLimitError
        If a limit cannot be kept; the message has the least figure that could.
    """
    specs = list(graph.specs)
    for op in schedule.operations:  # whose order is not always that of the graph
        specs[op.target] = op.steps[-1].spec
    learned: dict[str, list[tuple[str, Slot]]] = {}
    for key, slot in slots.items():
        if slot.learned:
            learned.setdefault(key.partition("/")[0], []).append((key, slot))
    gradients = {
        name: sum(slot.nbytes for key, slot in group if key not in frozen)
        for name, group in learned.items()
    }
    released = {
        f"{op.name}/{key}"
        for op in schedule.operations
        for key, parameter in op.layer.parameters.items()
        if parameter.size and not parameter.nbytes
    }
    prices = Prices(
        schedule,
        specs,
        batch_size,
        training=training,
        gradients=gradients if training else {},
        released={key.partition("/")[0] for key in released},
        constant={op.name for op in schedule.operations if not training or _stays(op, frozen)},
        input_bytes=input_bytes,
        ceiling=workspace_limit,
        shared=shared,
    )
    fitted = prices.free()
    peak = held + _alive(prices, fitted, results, steady=memory_limit is None)[1]
    if memory_limit is not None and peak > memory_limit:
        try:
            if training:
                fitted = TrainingFit(prices).within(memory_limit - held)
            else:
                fitted = InferenceFit(prices, memory_limit - held, batch_size, results).fitted()
        except LeastBytes as error:
            least, mode = error.args[0] + held, "training" if training else "inference"
            raise MemoryLimitError(
                operation,
                "memory_limit",
                f"must be at least {least} bytes for {mode} on a batch of {batch_size}",
                memory_limit,
                "take a smaller batch_size" if training and batch_size > 1 else "",
                least=least,
            ) from None
    program, costs = fitted.program, fitted.costs
    for at, cost in enumerate(costs):
        least = max(cost.lowest_limit, (cost.backward or cost).lowest_limit)
        if workspace_limit is not None and cost.algorithm and least > workspace_limit:
            rule = (
                f"must be at least {least} bytes for {_id(schedule, at)} with algorithm "
                f"{cost.algorithm!r}"
            )
            raise MemoryLimitError(
                operation, "workspace_limit", rule, workspace_limit, least=least
            )
    live, peak, where = _alive(prices, fitted, results, steady=memory_limit is None)
    live, peak = [held + each for each in live], held + peak
    tally = prices.tally(1)
    stages = program.stages or (Stage(0, len(costs), program.rows),)
    rows = [stage.rows for stage in stages for _ in range(stage.begin, stage.end)]
    again = [s.recomputed for s in program.segments for _ in range(s.begin, s.end)]
    counted: set[str] = set()
    nodes = []
    for at, (op, cost) in enumerate(zip(schedule.operations, costs, strict=True)):
        own = [] if op.name in counted else learned.get(op.name, [])
        counted.add(op.name)
        own_array = tally.sizes[op.target] if tally.owner[op.target] == op.target else 0
        back = cost.backward or cost if training else cost
        lent = program.allowances[at].lends
        # some layers read plain weights as they are
        packed = [one.packed for one in (cost, back) if one.temporary or not lent]
        nodes.append(
            PlannedNode(
                id=_id(schedule, at),
                layer="+".join(type(step.layer).__name__ for step in op.steps),
                algorithm=cost.algorithm,
                why=cost.why,
                multiply_adds=prices.cost(at, batch_size, None).multiply_adds,
                parameters=sum(slot.size for _, slot in own),
                rows=rows[at],
                activations=rows[at] * own_array,
                workspace=max(cost.workspace, back.workspace),
                packed=max(packed, default=0),
                lent=lent,
                saved=cost.saved if training else 0,
                live=live[at],
                recomputed=again[at],
                estimated=cost.estimated,
                im2col=cost.im2col,
            )
        )
    return Plan(
        batch_size,
        training,
        workspace_limit,
        memory_limit,
        program.rows,
        tuple(nodes),
        peak,
        where,
        sum(slot.nbytes for key, slot in slots.items() if key not in released),
        schedule,
        program,
    )


def _stays(op: Operation, frozen: Collection[str]) -> bool:
    """Whether what the layer packs, or all that it could learn, is frozen."""
    names = op.layer.packs or tuple(op.layer.parameters)
    return bool(names) and all(f"{op.name}/{name}" in frozen for name in names)


def _id(schedule: Schedule, at: int) -> str:
    return "+".join(step.id for step in schedule.operations[at].steps)


def _alive(
    prices: Prices, fitted: Fitted, results: int, *, steady: bool
) -> tuple[list[int], int, str]:
    """Return the bytes alive at each node, the most of all, and where that is.

    A `steady` run keeps its workspace from call to call, so the largest counts throughout.
    """
    program, costs = fitted.program, fitted.costs
    lends = [one.lends for one in program.allowances]
    kept = {op.name for op, lent in zip(prices.operations, lends, strict=True) if not lent}
    always = packing_bytes(prices.operations, prices.resident(costs), kept)
    forward = [c.temporary if lent else c.workspace for c, lent in zip(costs, lends, strict=True)]
    backward = [(c.backward or c).temporary if prices.training else 0 for c in costs]
    if steady:
        arena = max([0, *forward, *backward])
        forward = backward = [arena] * len(costs)
    if not prices.training:
        stages = program.stages or (Stage(0, len(costs), program.rows),)
        alive = prices.live(stages, results)
        live = [always + a + b for a, b in zip(alive, forward, strict=True)]
        return live, *_most([(one, _id(prices.schedule, at)) for at, one in enumerate(live)])
    found = prices.tally(program.rows).train(costs, program.segments)
    live, moments = [], []
    for at, _ in enumerate(costs):
        name = _id(prices.schedule, at)
        there = max(found.forward[at], found.again[at]) + forward[at] + always
        back = found.backward[at] + backward[at] + always if found.backward[at] else 0
        live.append(max(there, back))
        moments += [(name, there), (f"{name} backward", back)]
    moments.append(("the loss", found.loss + (arena if steady else 0) + always))
    return live, *_most([(nbytes, name) for name, nbytes in moments])


def _most(moments: Sequence[tuple[int, str]]) -> tuple[int, str]:
    peak, where = max(moments, key=lambda moment: moment[0], default=(0, ""))
    return peak, where if peak else ""
