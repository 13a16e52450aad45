"""What a network costs, node by node: the figures, and how they are shown."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fastconv import notebook
from fastconv.layers.spec import Spec
from fastconv.memory import format_bytes
from fastconv.models.running import Program, Schedule
from fastconv.models.text import table

__all__ = ["Moment", "Plan", "PlannedNode"]

# What the column "alive" counts. The peak is its largest number, with what losses and metrics take.
_ALIVE = "the activations that are still needed, {}, and packed weights that are kept"
_ALIVE_TRAINING = (
    "the activations and gradients that are still needed, what was saved, and\n"
    "  {}; the larger of forward and backward"
)
# Without a limit, workspace stays for the next call, so the largest one counts everywhere.
_STAYS, _GOES = "the largest workspace of all, which stays", "the node's workspace"
_PACKED = "packed: weights in the order that kernels read, kept beside the plain ones"
_PACKED_SPLIT = f"{_PACKED}, or made for each call"
_PACKED_IN_CALL = "packed: weights in the order that kernels read, made for each call"


@dataclass(frozen=True)
class PlannedNode:
    """What one node takes; sizes in bytes for the examples that are computed at a time.

    Attributes
    ----------
    id, layer : str
        The node, and the class of its layer. Those of merged nodes are joined by ``+``.
    algorithm, why : str
        The algorithm, where there is a choice, and the reason for it.
    multiply_adds : int
        How many the forward pass of the whole batch does.
    parameters : int
        How many numbers the layer learns; 0 if a shared layer is used again.
    activations : int
        Bytes of the output; 0 if it is a view of the input.
    rows : int
        How many examples are computed at a time.
    workspace, packed : int
        Temporary memory of the call, and packed weights beside the plain ones. In training each
        is the larger one of both passes.
    lent : bool
        Whether weights are packed for each call, and not kept for the next.
    saved : int
        What training keeps for the backward pass besides inputs and outputs.
    live : int
        Everything that is alive while the node runs, but what losses and metrics of a compiled
        network keep all the time, which is in the peak. In training it is the larger figure of
        forward and backward.
    recomputed : bool
        Whether the backward pass computes the node again, so that less is kept.
    estimated : bool
        Whether the layer states no costs, so that its workspace is missing from these figures.
    im2col : int
        The workspace that im2col would take instead; 0 if the node is no convolution.
    """

    id: str
    layer: str
    algorithm: str
    why: str
    multiply_adds: int
    parameters: int
    rows: int
    activations: int
    workspace: int
    packed: int
    lent: bool
    saved: int
    live: int
    recomputed: bool
    estimated: bool
    im2col: int


@dataclass(frozen=True)
class Moment:
    """What is alive, in bytes, while one operation runs.

    Attributes
    ----------
    phase : str
        ``"forward"``; in training also ``"loss"``, ``"again"`` for what is computed once more,
        ``"backward"`` and, within a limit, ``"metrics"``.
    at : int
        The place of the operation in the plan; -1 for losses and metrics.
    algorithm : str
        The one that the call takes, where there is a choice.
    activations : int
        Inputs that the run makes itself, outputs that are still needed, and results.
    saved : int
        What was saved for the backward pass besides.
    gradients : int
        Those of parameters and of activations.
    workspace : int
        Temporary memory of the call, with the weights that it packs for itself; of the losses,
        with the gradients of outputs; of the metrics. Without a limit it is the largest of all
        calls, which stays, and in training with what losses or metrics take beside it.
    packed : int
        Packed weights that are kept, of all layers.
    seconds : float
        An estimate of the call on the whole batch and one thread; 0 where the layer states none.
    """

    phase: str
    at: int
    algorithm: str
    activations: int
    saved: int
    gradients: int
    workspace: int
    packed: int
    seconds: float

    @property
    def nbytes(self) -> int:
        """The bytes in all."""
        return self.activations + self.saved + self.gradients + self.workspace + self.packed


@dataclass(frozen=True)
class Plan:
    """The costs of one batch, as `fastconv.Model.plan` gives them; ``print(plan)`` is a table.

    Attributes
    ----------
    rows : int
        How many examples are computed at a time: the whole batch, unless `memory_limit` splits
        it. Earlier nodes may take fewer.
    nodes : tuple of PlannedNode
        In running order.
    peak : int
        The most bytes alive at one time: activations, workspace, packed weights and, in
        training, gradients. Parameters, optimizer state and the caller's arrays do not count.
    where : str
        The id of the node at the peak, followed by ``" backward"`` if the peak is in that pass, or
        ``"the loss"``.
    inputs : tuple of str
        Name, shape and dtype of each input if any of them has integers, or no batch on axis 0;
        else empty.
    moments : tuple of Moment
        What is alive while each operation runs, in running order; in training that is forward, the
        loss, and backward with what is computed again. The peak is the largest of them.
    seconds : float
        The estimated time of the convolutions on one thread and, in inference, of all calls, of
        packing for them and of gathering rows. It serves to compare limits.
    specs : tuple of Spec
        Of every value: the inputs, and what the operations of `schedule` make.
    without_dx : frozenset of int
        The places of the operations none of whose inputs needs its gradient.
    sums : int
        Bytes of the peak for sums of the gradients of pieces, and for those that are on their way
        to other processes; 0 where the batch is not cut.
    """

    batch_size: int
    training: bool
    workspace_limit: int | None
    memory_limit: int | None
    rows: int
    nodes: tuple[PlannedNode, ...]
    peak: int
    where: str
    parameter_bytes: int
    schedule: Schedule = field(repr=False, compare=False)
    program: Program = field(repr=False, compare=False)
    inputs: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = field(default=(), repr=False, compare=False)
    seconds: float = field(default=0.0, compare=False)
    specs: tuple[Spec, ...] = field(default=(), repr=False, compare=False)
    without_dx: frozenset[int] = field(default=frozenset(), repr=False, compare=False)
    sums: int = 0

    def cut(self, batch_size: int, sums: int) -> Plan:
        """Return the plan of a batch that is cut into pieces, of which this is that of one."""
        rows = max(1, self.batch_size)
        nodes = tuple(
            replace(node, multiply_adds=node.multiply_adds * batch_size // rows)
            for node in self.nodes
        )
        return replace(self, batch_size=batch_size, nodes=nodes, sums=sums)

    @property
    def multiply_adds(self) -> int:
        """How many multiply-adds the forward pass of the whole batch does."""
        return sum(node.multiply_adds for node in self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values that JSON can hold."""
        return {
            "batch_size": self.batch_size,
            "training": self.training,
            "workspace_limit": self.workspace_limit,
            "memory_limit": self.memory_limit,
            "rows": self.rows,
            "peak": self.peak,
            "where": self.where,
            "multiply_adds": self.multiply_adds,
            "parameter_bytes": self.parameter_bytes,
            **({"inputs": list(self.inputs)} if self.inputs else {}),
            **({"sums": self.sums} if self.sums else {}),
            "nodes": [asdict(node) for node in self.nodes],
        }

    @property
    def _title(self) -> str:
        title = [f"{'training' if self.training else 'inference'}, batch of {self.batch_size}"]
        counts = dict.fromkeys(node.rows for node in self.nodes)
        if list(counts) not in ([], [self.batch_size]):
            title.append(f"{', then '.join(map(str, counts))} at a time")
        if self.memory_limit is not None:
            title.append(f"within {format_bytes(self.memory_limit)}")
        return ", ".join(title)

    @property
    def _peak(self) -> str:
        where = f" at {self.where}" if self.where else ""
        if self.sums:
            where += f", {format_bytes(self.sums)} of it for sums of gradients of pieces"
        more = self.peak - max((node.live for node in self.nodes), default=self.peak)
        if more > 0 and not self.where.startswith("the "):  # which are of no node
            where += f", {format_bytes(more)} of it for losses and metrics"
        beside = f"beside {format_bytes(self.parameter_bytes)} of parameters"
        return f"peak {format_bytes(self.peak)}{where}, {beside}"

    def _repr_html_(self) -> str:
        sizes = ("activations", "workspace", "packed", "live")
        rows = [
            [
                node.id,
                node.algorithm,
                f"{node.multiply_adds:,}",
                *(format_bytes(getattr(node, size)) for size in sizes),
                notebook.bar(node.live / max(self.peak, 1)),
            ]
            for node in self.nodes
        ]
        head = ["node", "algorithm", "multiply-adds", *sizes[:3], "alive", "of the peak"]
        found = notebook.table(head, rows, align="<<>>>>><", note=self._peak)
        return notebook.page(f"Plan of {self._title}", found)

    def __str__(self) -> str:
        head = [
            "node",
            "algorithm",
            "multiply-adds",
            "parameters",
            "activations",
            "workspace",
            "packed",
            "alive",
            "why",
        ]
        rows = [
            [
                node.id + "+" * node.recomputed + "*" * node.estimated,
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
        lent = any(node.lent and node.packed for node in self.nodes) and not self.training
        lines = [
            f"plan of {self._title}",
            *([f"inputs: {', '.join(self.inputs)}"] if self.inputs else []),
            table(head, rows, align="<<>>>>>><"),
            _PACKED_IN_CALL if self.training else _PACKED_SPLIT if lent else _PACKED,
            "alive: "
            + (_ALIVE_TRAINING if self.training else _ALIVE).format(
                _STAYS if self.memory_limit is None else _GOES
            ),
            self._peak,
        ]
        if any(node.recomputed for node in self.nodes):
            lines.append("+ computed again in the backward pass, from what was kept before it")
        if any(node.estimated for node in self.nodes):
            lines.append(
                "* estimated: the layer does not state its costs; what it takes beside its output "
                "is not in these figures, nor within a limit"
            )
        return "\n".join(lines)

    __repr__ = __str__
