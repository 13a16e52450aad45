"""Frozen twins of networks: BatchNorm folded, Dropout gone, packed weights instead of plain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.floating import quietly
from fastconv.layers.base import Layer
from fastconv.layers.parameter import Parameter, exclusively
from fastconv.models import weights
from fastconv.models.graph import Graph, Step
from fastconv.models.network import Network

__all__ = ["InferenceModel", "freeze_network"]

_FOLDED_INTO = ("fastconv.Conv2D.v1", "fastconv.Dense.v1")
_BATCH_NORM, _DROPOUT = "fastconv.BatchNorm.v1", "fastconv.Dropout.v1"


class InferenceModel(Network):
    """A network that only runs: what `fastconv.Model.for_inference` returns.

    It computes what the network it came from computed at that time. Where BatchNorm was folded
    into the weights before it, results are equal up to rounding, else bit for bit.
    """

    def __init__(self, graph: Graph, name: str | None):
        self._settle(graph, name)

    @property
    def nbytes(self) -> int:
        """Bytes of all weights, packed and plain."""
        parameters = weights.named(self._graph).values()
        return sum(p.nbytes + p.packed_nbytes for p in parameters)

    def __repr__(self) -> str:
        title = f" {self.name!r}" if self.name else ""
        return f"<InferenceModel{title} of {len(self._graph.steps)} layers, {self.nbytes:,} bytes>"


def freeze_network(
    graph: Graph, name: str | None, provide: Callable[[Step], None] | None = None
) -> InferenceModel:
    """Return the frozen twin of a network; the network stays as it is.

    Parameters
    ----------
    graph : Graph
    name : str or None
    provide : callable, optional
        Makes the parameters of a step's layer, for a network that has none yet: one layer's at
        a time are then there in plain form, and the network is left without any.
    """
    if provide is None:
        for step in graph.steps:  # what is packed now need not be copied
            step.layer.pack()
        graph, provide = exclusively(_copied, graph), _nothing
    model = InferenceModel(_folded(graph, provide), name)
    # One run packs what is left to pack, in the order in which it will be read.
    model.predict_batch(
        [np.zeros((1, *spec.shape), spec.dtype) for spec in model._graph.input_specs]
    )
    for layer in model._graph.layers.values():
        _release_packed(layer)
    return model


def _nothing(step: Step) -> None:
    """Provide nothing: the parameters are there."""


def _copied(graph: Graph) -> Graph:
    """Return the same network with parameters of its own, all copied at one time."""
    first = len(graph.input_specs)
    folded = {
        graph.steps[number - first].name for pair in _foldable(graph).items() for number in pair
    }
    twins: dict[str, Layer] = {}
    for name, layer in graph.layers.items():
        twin = twins[name] = layer._twin()
        for group in (twin.parameters, twin.states):
            for key, parameter in group.items():
                group[key] = parameter.copied(plain=name in folded)
    return replace(graph, steps=tuple(replace(s, layer=twins[s.name]) for s in graph.steps))


def _release_packed(layer: Layer) -> None:
    for parameter in layer.parameters.values():
        if parameter.packed_nbytes:
            parameter.release()


def _folded(graph: Graph, provide: Callable[[Step], None]) -> Graph:
    """Return the network to run; that of `graph` is left without parameters, layer by layer."""
    first = len(graph.input_specs)
    norms = _foldable(graph)
    folded, last = set(norms.values()), _last_reads(graph, norms)
    twins: dict[str, Layer] = {}
    steps: list[Step] = []
    place = list(range(first))  # old number of a value -> new one
    for number, step in enumerate(graph.steps, first):
        if registry.layers.name_of(type(step.layer)) == _DROPOUT or number in folded:
            place.append(place[step.sources[0]])
            continue
        if step.name not in twins:
            norm = graph.steps[norms[number] - first] if number in norms else None
            parts = [step] if norm is None else [step, norm]
            for part in parts:
                provide(part)
            twin = step.layer._twin() if norm is None else _fold(step.layer, norm.layer)
            twins[step.name] = twin
            twin.pack()
            _release_packed(twin)
            for part in parts:
                if last[part.name] == number:
                    part.layer.parameters.clear()
                    part.layer.states.clear()
        place.append(first + len(steps))
        sources = tuple(place[source] for source in step.sources)
        steps.append(replace(step, layer=twins[step.name], sources=sources))
    outputs = tuple(place[number] for number in graph.outputs)
    return replace(graph, steps=tuple(steps), outputs=outputs)


def _last_reads(graph: Graph, norms: Mapping[int, int]) -> dict[str, int]:
    """Map each layer to the value for which its parameters are read last: a shared one's, often."""
    first = len(graph.input_specs)
    found: dict[str, int] = {}
    folded = set(norms.values())
    made = set()  # layers that have a twin, which serves all later uses
    for number, step in enumerate(graph.steps, first):
        if number in folded:
            continue
        if step.name not in made:
            made.add(step.name)
            found[step.name] = number
        if number in norms:
            found[graph.steps[norms[number] - first].name] = number
    return found


def _foldable(graph: Graph) -> dict[int, int]:
    """Map the value of a layer to that of the BatchNorm that can be folded into it."""
    first = len(graph.input_specs)
    kinds = [registry.layers.name_of(type(step.layer)) for step in graph.steps]
    readers = [0] * (first + len(graph.steps))
    uses: dict[str, int] = {}
    for number in (*graph.outputs, *(s for step in graph.steps for s in step.sources)):
        readers[number] += 1
    for step in graph.steps:
        uses[step.name] = uses.get(step.name, 0) + 1
    found = {}
    for number, step in enumerate(graph.steps, first):
        source = step.sources[0]
        while source >= first and kinds[source - first] == _DROPOUT and readers[source] == 1:
            source = graph.steps[source - first].sources[0]
        if kinds[number - first] == _BATCH_NORM and source >= first:
            before = graph.steps[source - first]
            if (
                kinds[source - first] in _FOLDED_INTO
                and before.layer.config["activation"] is None
                and readers[source] == uses[before.name] == 1
            ):
                found[source] = number
    return found


@quietly
def _fold(layer: Layer, norm: Layer) -> Layer:
    """Return a twin of `layer` that computes `norm` after it, by other weights.

    Notes
    -----
    scale * (w x + b - mean) + shift = (scale * w) x + scale * (b - mean) + shift, with
    scale = gamma / sqrt(var + epsilon), in float64 until the end.
    """
    wide = {key: norm.param(key).value.astype(np.float64)
            for key in ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
    scale = wide["weight"] / np.sqrt(wide["running_var"] + norm.config["epsilon"])
    weight = layer.param("weight").value
    bias = layer.param("bias").value if layer.config["bias"] else np.zeros(len(weight))
    shifted = (bias - wide["running_mean"]) * scale + wide["bias"]
    scaled = np.empty_like(weight)
    for filters in range(len(weight)):  # one at a time, for float64 takes twice the memory
        scaled[filters] = weight[filters].astype(np.float64) * scale[filters]
    twin: Any = layer._twin()
    twin.parameters["weight"] = Parameter(scaled, name="weight")
    twin.parameters["bias"] = Parameter(shifted.astype(weight.dtype), name="bias")
    twin.bias = True
    twin._config = {**layer.config, "bias": True}
    return twin  # type: ignore[no-any-return]
