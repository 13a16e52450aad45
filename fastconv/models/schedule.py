"""What is run, in which order, and after which call each array is let go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.concurrency import computed_once
from fastconv.layers.base import Layer
from fastconv.models.graph import Graph, Step

__all__ = ["Operation", "Schedule", "schedule"]

_RELU, _MAX = "fastconv.ReLU.v1", "fastconv.MaxPool2D.v1"
# Layers with `activation="relu"`, which compute the same bits as the layer and ReLU after it.
_FUSED = ("fastconv.Conv2D.v1", "fastconv.Dense.v1", _MAX)
# Layers whose output is a new array, which their backward pass does not read.
_OVERWRITTEN = (
    _MAX,
    "fastconv.Add.v1",
    "fastconv.AvgPool2D.v1",
    "fastconv.BatchNorm.v1",
    "fastconv.GlobalAvgPool2D.v1",
)


@dataclass(frozen=True)
class Operation:
    """One call of a layer.

    Attributes
    ----------
    layer : Layer
        What is called: the layer of the last step, or one that stands for all steps.
    steps : tuple of Step
        The step it computes; two where a layer computes the ReLU behind it.
    sources, target : numbers of values
    drops : tuple of int
        The values that nobody reads later.
    number : int
        The node's place in the network, which keys its random numbers.
    in_place : bool
        Whether the output may be written over the input, which nobody else reads.
    """

    layer: Layer = field(repr=False)
    steps: tuple[Step, ...]
    sources: tuple[int, ...]
    target: int
    drops: tuple[int, ...]
    number: int
    in_place: bool = False

    @computed_once
    def output(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape without the batch and dtype of the output."""
        spec = self.steps[-1].spec
        return spec.shape, spec.numpy_dtype

    @computed_once
    def kind(self) -> str | None:
        """The registered name of the layer."""
        return registry.layers.name_of(type(self.layer))

    @computed_once
    def trusted(self) -> bool:
        """Whether the layer is one of our own, whose outputs need no check."""
        ours = type(self.layer).__module__.startswith("fastconv.layers.")
        return ours and "forward" not in self.layer.__dict__

    @property
    def name(self) -> str:
        """The name of the layer that holds the parameters."""
        return self.steps[0].name


@dataclass(frozen=True)
class Schedule:
    """Operations in running order, for a number of inputs and of values in all."""

    operations: tuple[Operation, ...]
    inputs: int
    values: int
    outputs: tuple[int, ...]

    @computed_once
    def crossings(self) -> tuple[tuple[int, ...], ...]:
        """For each operation what is made before it and read by it or later, or handed out."""
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
        Numbers of the values asked for; steps they do not need are left out.
    merge : bool
        Whether ReLU is computed by the convolution, dense layer or max pooling before it where
        nobody else reads what is between: the same bits, one array less.
    training : bool
        Whether a backward pass follows; max pooling then comes before the ReLU it follows.
    """
    first = len(graph.input_specs)
    needed = set(outputs)
    for number in reversed(range(len(graph.steps))):
        if first + number in needed:
            needed.update(graph.steps[number].sources)
    steps = {first + n: step for n, step in enumerate(graph.steps) if first + n in needed}
    readers: dict[int, int] = dict.fromkeys(outputs, 1)
    for step in steps.values():
        for source in step.sources:
            readers[source] = readers.get(source, 0) + 1
    classes = {type(step.layer) for step in steps.values()}
    kinds = {kind: registry.layers.name_of(kind) for kind in classes}
    if merge and training:
        _pool_first(steps, readers, kinds)
    merged = _merges(steps, readers, kinds) if merge else {}
    absorbed, handed_out = set(merged.values()), set(outputs)

    calls: list[tuple[Layer, tuple[Step, ...], tuple[int, ...], int]] = []
    for target, step in steps.items():
        if target in absorbed:
            continue
        before = merged.get(target)
        if before is None:
            calls.append((step.layer, (step,), step.sources, target))
        else:
            conv = steps[before]
            calls.append((_with_relu(conv.layer), (conv, step), conv.sources, target))
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
            merge and len(done) == 1 and _may_overwrite(done[0], steps, readers, kinds),
        )
        for at, (layer, done, sources, target) in enumerate(calls)
    )
    return Schedule(operations, first, first + len(graph.steps), tuple(outputs))


Kinds = dict[type[Layer], str | None]


def _pool_first(steps: dict[int, Step], readers: dict[int, int], kinds: Kinds) -> None:
    """Let max pooling and the ReLU before it change places, in `steps`.

    The largest of rectified numbers is the rectified largest, and a window without a positive
    number sends no gradient either way: the same bits, but ReLU runs over fewer elements in
    both directions, and the array between the two is not kept.
    """
    for target, pool in list(steps.items()):
        relu = steps.get(pool.sources[0])
        if (
            relu is not None
            and readers[pool.sources[0]] == 1
            and kinds[type(pool.layer)] == _MAX
            and kinds[type(relu.layer)] == _RELU
        ):
            between = pool.sources[0]
            steps[between] = replace(pool, sources=relu.sources)
            steps[target] = replace(relu, sources=(between,), spec=pool.spec)


def _merges(steps: dict[int, Step], readers: dict[int, int], kinds: Kinds) -> dict[int, int]:
    """Map the value of each ReLU to that of the layer that can compute it."""
    merged = {}
    for target, step in steps.items():
        source = step.sources[0]
        before = steps.get(source)
        if (
            before is not None
            and readers[source] == 1
            and kinds[type(step.layer)] == _RELU
            and kinds[type(before.layer)] in _FUSED
            and before.layer.config.get("activation") is None
        ):
            merged[target] = source
    return merged


def _may_overwrite(
    step: Step, steps: dict[int, Step], readers: dict[int, int], kinds: Kinds
) -> bool:
    before = steps.get(step.sources[0])
    return (
        before is not None
        and readers[step.sources[0]] == 1
        and kinds[type(step.layer)] == _RELU
        and kinds[type(before.layer)] in _OVERWRITTEN
    )


def _with_relu(layer: Layer) -> Layer:
    """Return `layer` with ``activation="relu"``, on the same parameters."""
    twin = object.__new__(type(layer))
    vars(twin).update(vars(layer))
    vars(twin)["activation"] = "relu"
    return twin
