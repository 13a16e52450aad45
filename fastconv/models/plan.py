"""What a network costs, node by node, before it runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fastconv import registry
from fastconv.layers.spec import LayerCosts
from fastconv.memory import format_bytes
from fastconv.models.graph import Graph
from fastconv.models.schedule import Schedule
from fastconv.models.table import table
from fastconv.models.weights import Slot

__all__ = ["Plan", "PlannedNode", "make_plan"]

# What stands in the column of that name, and so in the peak, the largest of it.
_ALIVE = "the activations that are still needed, the workspace, and the packed weights of all nodes"
_ALIVE_TRAINING = (
    "the activations and gradients that are still needed, what was saved, the workspace, and\n"
    "  the packed weights of all nodes; the larger of forward and backward"
)
_DROPOUT, _FLATTEN = "fastconv.Dropout.v1", "fastconv.Flatten.v1"


@dataclass(frozen=True)
class PlannedNode:
    """What one node takes; sizes in bytes for the whole batch.

    Attributes
    ----------
    id, layer : str
        The node and the class of its layer; of merged nodes both, joined by ``+``.
    algorithm, why : str
        What is taken where there is a choice, and the reason.
    multiply_adds : int
        Of the forward pass.
    parameters : int
        How many numbers the layer learns; 0 for the further uses of a shared layer.
    activations : int
        Bytes of the output; 0 where it is a view of the input.
    workspace, packed : int
        Temporary memory of the call, and packed weights beside the plain ones.
    saved : int
        What training keeps for the backward pass besides inputs and outputs.
    live : int
        Everything alive while the node runs, forward or, in training, backward.
    estimated : bool
        Whether the layer states no costs, so that these leave its workspace out.
    """

    id: str
    layer: str
    algorithm: str
    why: str
    multiply_adds: int
    parameters: int
    activations: int
    workspace: int
    packed: int
    saved: int
    live: int
    estimated: bool


@dataclass(frozen=True)
class Plan:
    """The costs of one batch, as `fastconv.Model.plan` gives them; ``print(plan)`` is a table.

    Attributes
    ----------
    nodes : tuple of PlannedNode
        In running order.
    peak : int
        The most bytes alive at one time: activations, workspace, packed weights and, in
        training, gradients; not parameters, optimizer state or the caller's arrays.
    where : str
        The id of the node at the peak, with ``" backward"`` behind it if it is there.
    """

    batch_size: int
    training: bool
    workspace_limit: int | None
    nodes: tuple[PlannedNode, ...]
    peak: int
    where: str
    parameter_bytes: int
    schedule: Schedule = field(repr=False, compare=False)

    @property
    def multiply_adds(self) -> int:
        """Of the forward pass of the whole batch."""
        return sum(node.multiply_adds for node in self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values that JSON can hold."""
        return {
            "batch_size": self.batch_size,
            "training": self.training,
            "workspace_limit": self.workspace_limit,
            "peak": self.peak,
            "where": self.where,
            "multiply_adds": self.multiply_adds,
            "parameter_bytes": self.parameter_bytes,
            "nodes": [asdict(node) for node in self.nodes],
        }

    def __str__(self) -> str:
        mode = "training" if self.training else "inference"
        head = ["node", "algorithm", "multiply-adds", "parameters", "activations", "workspace",
                "packed", "alive", "why"]  # fmt: skip
        rows = [
            [
                node.id + ("*" if node.estimated else ""),
                node.algorithm,
                f"{node.multiply_adds:,}",
                f"{node.parameters:,}",
                format_bytes(node.activations),
                format_bytes(node.workspace),
                format_bytes(node.packed),
                format_bytes(node.live),
                re.split(r", (?=[\d.e+-]+ ms )", node.why)[0],  # to_dict has the figures
            ]
            for node in self.nodes
        ]
        lines = [
            f"plan of {mode}, batch of {self.batch_size}",
            table(head, rows, align="<<>>>>>><"),
            "packed: weights in the order that kernels read, kept beside the plain ones",
            f"alive: {_ALIVE_TRAINING if self.training else _ALIVE}",
            f"peak {format_bytes(self.peak)}{f' at {self.where}' if self.where else ''}, "
            f"beside {format_bytes(self.parameter_bytes)} of parameters",
        ]
        if any(node.estimated for node in self.nodes):
            lines.append("* estimated: the layer does not state its costs")
        return "\n".join(lines)

    __repr__ = __str__


def make_plan(
    graph: Graph,
    schedule: Schedule,
    slots: Mapping[str, Slot],
    frozen: Collection[str],
    batch_size: int,
    *,
    training: bool,
    workspace_limit: int | None,
) -> Plan:
    """Return the plan of running `schedule` on a batch; `slots` are the network's parameters."""
    specs = list(graph.specs)
    for op in schedule.operations:  # whose order is not always that of the graph
        specs[op.target] = op.steps[-1].spec
    costs = [
        op.layer.costs(
            batch_size,
            *(specs[source] for source in op.sources),
            training=training,
            workspace_limit=workspace_limit,
        )
        for op in schedule.operations
    ]
    sizes = [0 if i < schedule.inputs else batch_size * s.nbytes for i, s in enumerate(specs)]
    owner = _owners(schedule, training)
    learned: dict[str, list[tuple[str, Slot]]] = {}
    for key, slot in slots.items():
        if slot.learned:
            learned.setdefault(key.rpartition("/")[0], []).append((key, slot))
    gradients = {
        name: sum(slot.nbytes for key, slot in group if key not in frozen)
        for name, group in learned.items()
    }
    live = _Simulation(schedule, costs, sizes, owner, gradients).run(training)
    counted: set[str] = set()
    nodes = []
    for at, (op, cost) in enumerate(zip(schedule.operations, costs, strict=True)):
        own = [] if op.name in counted else learned.get(op.name, [])
        counted.add(op.name)
        nodes.append(
            PlannedNode(
                id="+".join(step.id for step in op.steps),
                layer="+".join(type(step.layer).__name__ for step in op.steps),
                algorithm=cost.algorithm,
                why=cost.why,
                multiply_adds=cost.multiply_adds,
                parameters=sum(slot.size for _, slot in own),
                activations=sizes[op.target] if owner[op.target] == op.target else 0,
                workspace=cost.workspace,
                packed=cost.packed,
                saved=cost.saved if training else 0,
                live=max(live[at]),
                estimated=cost.estimated,
            )
        )
    peak = max((max(both) for both in live), default=0)
    where = ""
    for node, both in zip(nodes, live, strict=True):
        if not where and peak in both:
            where = node.id if both[0] == peak else f"{node.id} backward"
    return Plan(
        batch_size,
        training,
        workspace_limit,
        tuple(nodes),
        peak,
        where,
        sum(slot.nbytes for slot in slots.values()),
        schedule,
    )


def _owners(schedule: Schedule, training: bool) -> list[int]:
    """For each value the one whose memory it is: Flatten, and Dropout at rest, give views.

    An operation in place gives its input.
    """
    owner = list(range(schedule.values))
    for op in schedule.operations:
        name = registry.layers.name_of(type(op.layer))
        idle = name == _DROPOUT and not (training and op.layer.config["rate"])
        if name == _FLATTEN or idle or op.in_place:
            owner[op.target] = owner[op.sources[0]]
    return owner


class _Simulation:
    """Follows which arrays are alive through a run."""

    def __init__(
        self,
        schedule: Schedule,
        costs: list[LayerCosts],
        sizes: list[int],
        owner: list[int],
        gradients: Mapping[str, int],
    ):
        self.schedule, self.costs, self.sizes, self.owner = schedule, costs, sizes, owner
        self.gradients = gradients
        self.packed = sum(cost.packed for cost in costs)

    def run(self, training: bool) -> list[tuple[int, int]]:
        """Return for each operation the bytes alive while it runs forward and backward."""
        operations, last = self.schedule.operations, len(self.schedule.operations)
        keeps = [self._kept(at) if training else set() for at in range(last)]
        until: dict[int, int] = {}  # value -> the last operation that needs it going forward
        for at, op in enumerate(operations):
            for value in (*op.sources, op.target):
                until[self.owner[value]] = at
        until.update({self.owner[value]: last for value in self.schedule.outputs})
        forward, saved = [], 0
        kept: set[int] = set()
        alive: set[int] = set()
        for at, op in enumerate(operations):
            alive.add(self.owner[op.target])
            cost = self.costs[at]
            saved += cost.saved if training else 0
            forward.append(self._bytes(alive | kept) + saved + cost.workspace + self.packed)
            kept |= keeps[at]
            alive = {value for value in alive if until[value] > at}
        if not training:
            return [(here, 0) for here in forward]
        backward = [0] * last
        gradients = {self.owner[value] for value in self.schedule.outputs}
        learned: dict[str, int] = {}
        for at in reversed(range(last)):
            op, cost = operations[at], self.costs[at]
            gradients |= {self.owner[v] for v in op.sources if v >= self.schedule.inputs}
            learned[op.name] = self.gradients.get(op.name, 0)
            held = set(self.schedule.outputs).union(*keeps[: at + 1])
            backward[at] = (
                self._bytes({self.owner[v] for v in held})
                + self._bytes(gradients)
                + saved
                + sum(learned.values())
                + cost.workspace
                + self.packed
            )
            saved -= cost.saved
            if self.owner[op.target] == op.target:
                gradients.discard(op.target)
        return list(zip(forward, backward, strict=True))

    def _kept(self, at: int) -> set[int]:
        op, keeps = self.schedule.operations[at], self.costs[at].keeps
        values = list(op.sources) if "inputs" in keeps else []
        values += [op.target] if "output" in keeps else []
        return {self.owner[value] for value in values}

    def _bytes(self, values: set[int]) -> int:
        return sum(self.sizes[value] for value in values)
