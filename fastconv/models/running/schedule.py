"""Which calls a network makes, in which order, and after which call each array is let go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastconv.concurrency import computed_once
from fastconv.layers.base import Layer
from fastconv.layers.spec import FLOATS
from fastconv.models.graph import Graph, Step

__all__ = ["Operation", "Schedule", "schedule"]


@dataclass(frozen=True)
class Operation:
    """One call of a layer.

    Attributes
    ----------
    layer : Layer
        The layer that is called: that of the last step, or one that stands for all steps.
    steps : tuple of Step
        The step that it computes, or two if a layer also computes the activation behind it.
    sources, target : numbers of values
    drops : tuple of int
        The values that nobody reads later.
    number : int
        The node's place in the network, which keys its random numbers.
    in_place : bool
        Whether the output may be written over the input, which nobody else reads.
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
    in_place: bool = False
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
        ours = type(self.layer).__module__.startswith("fastconv.layers.")
        return ours and "forward" not in self.layer.__dict__

    @property
    def name(self) -> str:
        """The name of the layer that holds the parameters."""
        return self.steps[0].name


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
        Whether a layer computes the activation behind it too, if it can and nobody else reads the
        value between them. The bits stay the same, and there is one array less.
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
        _swap(steps, readers)
    merged = _merges(steps, readers, training) if merge else {}
    absorbed = {source for source, _ in merged.values()}
    handed_out = set(outputs)

    calls: list[tuple[Layer, tuple[Step, ...], tuple[int, ...], int]] = []
    for target, step in steps.items():
        if target in absorbed:
            continue
        if target in merged:
            source, fused = merged[target]
            calls.append((fused, (steps[source], step), steps[source].sources, target))
        else:
            calls.append((step.layer, (step,), step.sources, target))
    last: dict[int, int] = {}
    for at, (_, _, sources, _) in enumerate(calls):
        last.update(dict.fromkeys(sources, at))
    operations = tuple(
        Operation(
            layer,
            done,
            sources,
            target,
            tuple(v for v in dict.fromkeys(sources) if last[v] == at and v not in handed_out),
            target - first,
            merge and len(done) == 1 and _may_overwrite(done[0], steps, readers, merged),
            None if usual else _rows(sources, target, axes),
            done[-1].spec.dtype in FLOATS,
        )
        for at, (layer, done, sources, target) in enumerate(calls)
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


def _swap(steps: dict[int, Step], readers: dict[int, int]) -> None:
    """Let a layer change places with the activation before it, if they commute.

    So ReLU runs behind max pooling, over fewer elements in both passes, and the array between the
    two is not kept.
    """
    for target, step in list(steps.items()):
        between = step.sources[0]
        before = steps.get(between)
        if (
            before is not None
            and before.layer.acts_as in step.layer.commutes_with
            and readers[between] == len(step.sources) == 1
            and (before.spec.dtype, before.spec.batch_axis)
            == (step.spec.dtype, step.spec.batch_axis)
            and not (before.layer.patched or step.layer.patched)
        ):
            steps[between] = replace(step, sources=before.sources)
            steps[target] = replace(before, sources=(between,), spec=step.spec)


def _merges(
    steps: dict[int, Step], readers: dict[int, int], training: bool
) -> dict[int, tuple[int, Layer]]:
    """Map the value of each activation to be merged to the value before it and the new layer."""
    merged: dict[int, tuple[int, Layer]] = {}
    for target, step in steps.items():
        source = step.sources[0]
        before = steps.get(source)
        if (
            before is not None
            and step.layer.acts_as is not None
            and readers[source] == 1
            and source not in merged
            and (before.layer.fuses_in_training or not training)
        ):
            fused = before.layer.with_activation(step.layer.acts_as)
            if fused is not None and not (before.layer.patched or step.layer.patched):
                merged[target] = source, fused
    return merged


def _may_overwrite(
    step: Step, steps: dict[int, Step], readers: dict[int, int], merged: Collection[int]
) -> bool:
    source = step.sources[0]
    before = steps.get(source)
    return (
        before is not None
        and step.layer.overwrites_input
        and before.layer.output_may_be_overwritten
        and readers[source] == len(step.sources) == 1
        and source not in merged
        and not (before.layer.patched or step.layer.patched)
    )
