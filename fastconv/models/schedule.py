"""What is run, in which order, and after which call each array is let go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastconv import registry
from fastconv.layers.base import Layer
from fastconv.models.graph import Graph, Step

__all__ = ["Operation", "Schedule", "schedule"]

# Layers with `activation="relu"`, which compute the same bits as the layer and ReLU after it.
_FUSED = ("fastconv.Conv2D.v1", "fastconv.Dense.v1")
_RELU = "fastconv.ReLU.v1"


@dataclass(frozen=True)
class Operation:
    """One call of a layer.

    Attributes
    ----------
    layer : Layer
        What is called: the layer of the last step, or one that stands for all steps.
    steps : tuple of Step
        The step it computes; two where a convolution computes the ReLU behind it.
    sources, target : numbers of values
    drops : tuple of int
        The values that nobody reads later.
    number : int
        The node's place in the network, which keys its random numbers.
    """

    layer: Layer = field(repr=False)
    steps: tuple[Step, ...]
    sources: tuple[int, ...]
    target: int
    drops: tuple[int, ...]
    number: int

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


def schedule(graph: Graph, outputs: Sequence[int], *, merge: bool) -> Schedule:
    """Return the operations that lead to the values `outputs`.

    Parameters
    ----------
    graph : Graph
    outputs : sequence of int
        Numbers of the values asked for; steps they do not need are left out.
    merge : bool
        Whether ReLU is computed by the convolution or dense layer before it where nobody else
        reads what is between: the same bits, one array less.
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
    merged = _merges(steps, readers) if merge else {}

    calls: list[tuple[Layer, tuple[Step, ...], tuple[int, ...], int]] = []
    for target, step in steps.items():
        if target in merged.values():
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
            tuple(v for v in dict.fromkeys(sources) if last[v] == at and v not in outputs),
            target - first,
        )
        for at, (layer, done, sources, target) in enumerate(calls)
    )
    return Schedule(operations, first, first + len(graph.steps), tuple(outputs))


def _merges(steps: dict[int, Step], readers: dict[int, int]) -> dict[int, int]:
    """Map the value of each ReLU to that of the layer that can compute it."""
    types = {type(step.layer) for step in steps.values()}
    kinds = {kind: registry.layers.name_of(kind) for kind in types}
    merged = {}
    for target, step in steps.items():
        source = step.sources[0]
        before = steps.get(source)
        if (
            before is not None
            and readers[source] == 1
            and kinds[type(step.layer)] == _RELU
            and kinds[type(before.layer)] in _FUSED
            and before.layer.config["activation"] is None
        ):
            merged[target] = source
    return merged


def _with_relu(layer: Layer) -> Layer:
    """Return `layer` with ``activation="relu"``, on the same parameters."""
    twin = object.__new__(type(layer))
    vars(twin).update(vars(layer))
    vars(twin)["activation"] = "relu"
    return twin
