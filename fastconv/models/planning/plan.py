"""What a network costs, node by node: the figures, and how they are shown."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from fastconv.memory import format_bytes
from fastconv.models.running import Program, Schedule
from fastconv.models.text import table

__all__ = ["Plan", "PlannedNode"]

# What the column "alive" counts, and so the peak, which is its largest number.
_ALIVE = "the activations that are still needed, {}, and packed weights that are kept"
_ALIVE_TRAINING = (
    "the activations and gradients that are still needed, what was saved, and\n"
    "  {}; the larger of forward and backward"
)
# Without a limit scratch memory stays for the next call, so the largest counts everywhere.
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
        The node and the class of its layer; of merged nodes both, joined by ``+``.
    algorithm, why : str
        The algorithm, where there is a choice, and the reason for it.
    multiply_adds : int
        Of the forward pass of the whole batch.
    parameters : int
        How many numbers the layer learns; 0 where a shared layer is used again.
    activations : int
        Bytes of the output; 0 where it is a view of the input.
    rows : int
        How many examples are computed at a time.
    workspace, packed : int
        Temporary memory of the call, and packed weights beside the plain ones; in training the
        larger of both passes.
    lent : bool
        Whether weights are packed for each call, and not kept for the next.
    saved : int
        What training keeps for the backward pass besides inputs and outputs.
    live : int
        Everything alive while the node runs, forward or, in training, backward.
    recomputed : bool
        Whether the backward pass computes the node again, so that less is kept.
    estimated : bool
        Whether the layer states no costs, so that these leave its workspace out.
    im2col : int
        The workspace that im2col would take in its place; 0 where the node is no convolution.
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
class Plan:
    """The costs of one batch, as `fastconv.Model.plan` gives them; ``print(plan)`` is a table.

    Attributes
    ----------
    rows : int
        Examples that are computed at a time; the batch, unless `memory_limit` splits it. Earlier
        nodes may take fewer.
    nodes : tuple of PlannedNode
        In running order.
    peak : int
        The most bytes alive at one time: activations, workspace, packed weights and, in
        training, gradients; not parameters, optimizer state or the caller's arrays.
    where : str
        The id of the node at the peak, with ``" backward"`` behind it if it is there, or
        ``"the loss"``.
    inputs : tuple of str
        Name, shape and dtype of each input, where one is of integers or has no batch on axis 0;
        else empty.
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
            "memory_limit": self.memory_limit,
            "rows": self.rows,
            "peak": self.peak,
            "where": self.where,
            "multiply_adds": self.multiply_adds,
            "parameter_bytes": self.parameter_bytes,
            **({"inputs": list(self.inputs)} if self.inputs else {}),
            "nodes": [asdict(node) for node in self.nodes],
        }

    def __str__(self) -> str:
        mode = "training" if self.training else "inference"
        title = [f"plan of {mode}, batch of {self.batch_size}"]
        counts = dict.fromkeys(node.rows for node in self.nodes)
        if list(counts) not in ([], [self.batch_size]):
            title.append(f"{', then '.join(map(str, counts))} at a time")
        if self.memory_limit is not None:
            title.append(f"within {format_bytes(self.memory_limit)}")
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
            ", ".join(title),
            *([f"inputs: {', '.join(self.inputs)}"] if self.inputs else []),
            table(head, rows, align="<<>>>>>><"),
            _PACKED_IN_CALL if self.training else _PACKED_SPLIT if lent else _PACKED,
            "alive: "
            + (_ALIVE_TRAINING if self.training else _ALIVE).format(
                _STAYS if self.memory_limit is None else _GOES
            ),
            f"peak {format_bytes(self.peak)}{f' at {self.where}' if self.where else ''}, "
            f"beside {format_bytes(self.parameter_bytes)} of parameters",
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
