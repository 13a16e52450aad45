"""The network that is planned, and what the plan is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv.batches import Use
from fastconv.concurrency import computed_once
from fastconv.layers.spec import Spec
from fastconv.models.graph import Graph, Slot
from fastconv.models.running import Operation, Schedule

__all__ = ["Asked", "Measured", "Subject", "measured_of"]


@dataclass(frozen=True)
class Measured:
    """The bytes that losses and metrics take beside the outputs that they are of.

    Attributes
    ----------
    fixed : int
        For losses of any number of rows.
    loss : int
        For the losses of a row; in training, the gradients are included.
    metrics : int
        For the metrics of a row, which are computed last.
    kept : int
        For what metrics keep of all rows, from batch to batch.
    adding : int
        For a batch to be added to that.
    """

    fixed: int = 0
    loss: int = 0
    metrics: int = 0
    kept: int = 0
    adding: int = 0

    def loss_bytes(self, rows: int) -> int:
        """Return the bytes of the losses of so many rows."""
        return self.fixed + rows * self.loss

    def metric_bytes(self, rows: int) -> int:
        """Return the bytes of the metrics of so many rows."""
        return rows * self.metrics + self.adding

    def most(self, rows: int) -> int:
        """Return the bytes of losses or metrics of so many rows, whichever are more."""
        return max(self.loss_bytes(rows), self.metric_bytes(rows))


def measured_of(net: Any, rows: int, use: Use) -> Measured:
    """Return what is computed of a network's outputs for so many rows; nothing if they are results.

    If the network is not compiled, it is what a loss is taken to need that says nothing else.
    """
    if not use.training and not use.measured:
        return Measured()
    graph, compiled = net._graph, net.compiled
    specs = [graph.specs[output] for output in graph.outputs]
    if compiled is None:
        return Measured(loss=2 * sum(spec.nbytes for spec in specs))
    many, one = [
        [(spec.whole_shape(count), np.dtype(spec.dtype)) for spec in specs] for count in (rows, 1)
    ]
    fixed, loss = compiled.loss_bytes(many, use.training)
    counts = compiled.count_bytes([spec.shape for spec in specs], use.counted)
    return Measured(fixed, loss, compiled.metric_bytes(one), *counts)


@dataclass(frozen=True)
class Asked:
    """What a plan is asked for.

    Attributes
    ----------
    batch_size : int
    training : bool
    results : int
        How many rows of results the run makes in all.
    input_bytes : tuple of int
        For each input, the bytes of a row that the run itself makes as a copy of the caller's, or
        all bytes if the input has no batch.
    workspace_limit : int or None
        The limit for each node.
    memory_limit : int or None
        The limit for everything.
    held : int
        Bytes that are there besides all the time: the caller's lists, as arrays.
    backward : bool
        Whether a backward pass follows in training.
    measured : Measured
        What is computed of the outputs.
    """

    batch_size: int
    training: bool
    results: int
    input_bytes: tuple[int, ...]
    workspace_limit: int | None = None
    memory_limit: int | None = None
    held: int = 0
    backward: bool = True
    measured: Measured = Measured()

    @property
    def learns(self) -> bool:
        """Whether there are gradients."""
        return self.training and self.backward


@dataclass(frozen=True)
class Subject:
    """What is planned: a network, in the order in which it runs.

    Attributes
    ----------
    graph : Graph
    schedule : Schedule
    slots : mapping of str to Slot
        The network's parameters, by key.
    frozen : frozenset of str
        Keys of the parameters that do not learn.
    """

    graph: Graph
    schedule: Schedule
    slots: Mapping[str, Slot]
    frozen: frozenset[str]

    @computed_once
    def specs(self) -> list[Spec]:
        """The Spec of every value."""
        specs = list(self.graph.specs)
        for op in self.schedule.operations:  # whose order is not always that of the graph
            specs[op.target] = op.steps[-1].spec
        return specs

    @computed_once
    def learned(self) -> dict[str, list[tuple[str, Slot]]]:
        """What each layer could learn, frozen or not, with the keys."""
        found: dict[str, list[tuple[str, Slot]]] = {}
        for key, slot in self.slots.items():
            if slot.learned:
                found.setdefault(key.partition("/")[0], []).append((key, slot))
        return found

    @computed_once
    def gradients(self) -> dict[str, int]:
        """Bytes of the gradients that each layer learns from."""
        return {
            name: sum(slot.nbytes for key, slot in group if key not in self.frozen)
            for name, group in self.learned.items()
        }

    @computed_once
    def released(self) -> set[str]:
        """Keys of weights that exist in packed form alone."""
        return {
            f"{op.name}/{key}"
            for op in self.schedule.operations
            for key, parameter in op.layer.parameters.items()
            if parameter.size and not parameter.nbytes
        }

    @property
    def unusual_inputs(self) -> tuple[str, ...]:
        """The inputs as text if one has integers or its batch not on axis 0, else nothing."""
        if all(spec.is_plain for spec in self.graph.input_specs):
            return ()
        return tuple(
            f"{name} {spec.letters} {spec.dtype}"
            for name, spec in zip(self.graph.input_ids, self.graph.input_specs, strict=True)
        )

    def constant(self, training: bool) -> set[str]:
        """Return the layers whose weights do not change while the schedule runs."""
        return {op.name for op in self.schedule.operations if not training or self._stays(op)}

    def _stays(self, op: Operation) -> bool:
        """Whether what the layer packs is frozen or, if it packs nothing, all its parameters."""
        names = op.layer.packs or tuple(op.layer.parameters)
        return bool(names) and all(f"{op.name}/{name}" in self.frozen for name in names)
