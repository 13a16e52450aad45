"""Which calls a network makes, in which order, and after which call each array is let go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv.concurrency import computed_once
from fastconv.layers.base import Layer
from fastconv.layers.spec import FLOATS
from fastconv.models.graph import Graph, Step
from fastconv.models.running.merging import (
    OURS,
    Call,
    merge_activations,
    merge_sums,
    swap,
    write_over_inputs,
)

__all__ = ["Operation", "Schedule", "schedule"]


@dataclass(frozen=True)
class Operation:
    """One call of a layer.

    Attributes
    ----------
    layer : Layer
        The layer that is called: that of the last step, or one that stands for all steps.
    steps : tuple of Step
        The step that it computes; two or three if a layer also computes those behind it.
    sources, target : numbers of values
    drops : tuple of int
        The values that nobody reads later.
    number : int
        The node's place in the network, which keys its random numbers.
    over : int or None
        Which of the sources the output may be written over, since nobody else reads it.
    rows : (int, int) or None
        The source that has the rows, and the axis that counts them. None if that is axis 0 of the
        first source, and axis 0 of the output too.
    has_gradient : bool
        Whether the output has floats.
    """

    layer: Layer = field(repr=False)
    steps: tuple[Step, ...]
    sources: tuple[int, ...]
    target: int
    drops: tuple[int, ...]
    number: int
    over: int | None = None
    rows: tuple[int, int] | None = None
    has_gradient: bool = True

    @computed_once
    def output(self) -> tuple[tuple[int, ...], np.dtype[Any], tuple[int, int] | None]:
        """The output's shape without the batch, its dtype, and `rows`."""
        spec = self.steps[-1].spec
        return spec.shape, spec.numpy_dtype, self.rows

    def whole_shape(self, xs: Sequence[np.ndarray[Any, Any]]) -> tuple[int, ...]:
        """Return the shape of the output for `xs`; for operations whose `rows` is not None."""
        assert self.rows is not None
        source, axis = self.rows
        return self.steps[-1].spec.whole_shape(xs[source].shape[axis] if axis >= 0 else 0)

    @computed_once
    def trusted(self) -> bool:
        """Whether the layer is one of fastconv's own, whose outputs need no check."""
        ours = type(self.layer).__module__.startswith(OURS)
        return ours and "forward" not in self.layer.__dict__

    @property
    def name(self) -> str:
        """The name of the layer that holds the parameters."""
        return self.steps[0].name

    @property
    def id(self) -> str:
        """The ids of its nodes, joined by "+"."""
        return "+".join(step.id for step in self.steps)


@dataclass(frozen=True)
class Schedule:
    """Operations in running order, with the numbers of inputs and of all values.

    Attributes
    ----------
    axes : tuple of (int or None)
        For each value the axis that counts the rows, or None if it has no batch.
    integers : frozenset of int
        The inputs that have no gradient.
    """

    operations: tuple[Operation, ...]
    inputs: int
    values: int
    outputs: tuple[int, ...]
    axes: tuple[int | None, ...]
    integers: frozenset[int] = frozenset()

    @computed_once
    def crossings(self) -> tuple[tuple[int, ...], ...]:
        """For each operation, the values made before it and read by it or later, or returned."""
        last = {source: at for at, op in enumerate(self.operations) for source in op.sources}
        last.update(dict.fromkeys(self.outputs, len(self.operations)))
        alive: tuple[int, ...] = ()
        found = [alive]
        for at, op in enumerate(self.operations):
            alive = tuple(value for value in (*alive, op.target) if last.get(value, -1) > at)
            found.append(alive)
        return tuple(found)


def schedule(graph: Graph, outputs: Sequence[int], merge: bool, training: bool = False) -> Schedule:
    """Return the operations that lead to the values `outputs`.

    Parameters
    ----------
    graph : Graph
    outputs : sequence of int
        The numbers of the values that are asked for. Steps that these do not need are left out.
    merge : bool
        Whether a layer computes what is behind it too, if it can and nobody else reads the value
        between them: an activation, and in inference a sum. The bits stay the same, and there is
        one array less.
    training : bool
        Whether a backward pass follows. A layer that commutes with the activation before it then
        runs before that.
    """
    first = len(graph.input_specs)
    specs = graph.specs
    axes = tuple([spec.batch_axis for spec in specs])
    usual = not any(axes) and None not in axes
    needed = set(outputs)
    for number in reversed(range(len(graph.steps))):
        if first + number in needed:
            needed.update(graph.steps[number].sources)
    steps = {first + n: step for n, step in enumerate(graph.steps) if first + n in needed}
    readers: dict[int, int] = dict.fromkeys(outputs, 1)
    for step in steps.values():
        for source in step.sources:
            readers[source] = readers.get(source, 0) + 1
    if merge and training:
        swap(steps, readers)
    calls = {target: Call(step.layer, (step,), step.sources) for target, step in steps.items()}
    if merge:
        if not training:
            merge_sums(calls, readers, outputs)
        merge_activations(calls, readers, training)
        write_over_inputs(calls, readers)
    handed_out = set(outputs)
    last: dict[int, int] = {}
    for at, call in enumerate(calls.values()):
        last.update(dict.fromkeys(call.sources, at))
    operations = tuple(
        Operation(
            call.layer,
            call.steps,
            call.sources,
            target,
            tuple(v for v in dict.fromkeys(call.sources) if last[v] == at and v not in handed_out),
            target - first,
            call.over,
            None if usual else _rows(call.sources, target, axes),
            call.steps[-1].spec.dtype in FLOATS,
        )
        for at, (target, call) in enumerate(calls.items())
    )
    return Schedule(
        operations,
        first,
        first + len(graph.steps),
        tuple(outputs),
        axes,
        frozenset(i for i, spec in enumerate(graph.input_specs) if not spec.is_float),
    )


def _rows(
    sources: Sequence[int], target: int, axes: Sequence[int | None]
) -> tuple[int, int] | None:
    """Return the value of `Operation.rows`; the axis is -1 if no source has rows."""
    found = [(i, axis) for i, axis in enumerate(axes[s] for s in sources) if axis is not None]
    if found[:1] == [(0, 0)] and axes[target] == 0:
        return None
    return found[0] if found else (0, -1)
