"""Twins of networks made for inference: layers folded or gone, weights packed, not plain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fastconv.errors import ArgumentError
from fastconv.layers.base import Layer
from fastconv.layers.parameter import exclusively
from fastconv.models.graph import Graph, Step, weights
from fastconv.models.network import Network

__all__ = ["InferenceModel", "freeze_network"]


class InferenceModel(Network):
    """A network that only runs: what `fastconv.Model.for_inference` returns.

    It computes what the network that it was made from computed at that time. If a normalisation
    was folded into the weights before it, results are equal up to rounding, else bit for bit.
    """

    def __init__(self, graph: Graph, name: str | None):
        self._settle(graph, name)

    def _in_training(self, xs: Any, training: bool, *args: Any) -> Any:
        rule, remedy = "must be left out for a network made for inference", "call the one it is of"
        name, value = ("seed", args[0]) if training is False else ("training", training)
        raise ArgumentError("Model", name, rule, value, remedy)

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
    """Return the twin of a network that is made for inference; the network stays as it is.

    Parameters
    ----------
    graph : Graph
    name : str or None
    provide : callable, optional
        It makes the parameters of a step's layer, for a network that has none yet. Then only one
        layer at a time has plain parameters, and the network is left without any.
    """
    if provide is None:
        for step in graph.steps:  # weights that are packed first need not be copied
            step.layer.pack()
        graph, provide = exclusively(_copied, graph), _nothing
    model = InferenceModel(_folded(graph, provide), name)
    # One run packs what is still to be packed, in the order in which it will be read.
    model.predict_batch(
        [np.zeros(spec.whole_shape(1), spec.dtype) for spec in model._graph.input_specs]
    )
    for layer in model._graph.layers.values():
        _release_packed(layer)
    return model


def _nothing(step: Step) -> None:
    """Provide nothing: the parameters are there."""


def _copied(graph: Graph) -> Graph:
    """Return the same network with its own parameters, all copied at one moment."""
    first = len(graph.input_specs)
    folded = {
        graph.steps[number - first].name for pair in _foldable(graph).items() for number in pair
    }
    twins: dict[str, Layer] = {}
    for name, layer in graph.layers.items():
        twin = twins[name] = _with_own_dicts(layer)
        for group in (twin.parameters, twin.states):
            for key, parameter in group.items():
                group[key] = parameter.copied(plain=name in folded)
    return replace(graph, steps=tuple(replace(s, layer=twins[s.name]) for s in graph.steps))


def _with_own_dicts(layer: Layer) -> Layer:
    """Return a twin with the same parameters, which it keeps when `layer` gives them up."""
    twin = layer.twin()
    twin.parameters, twin.states = dict(layer.parameters), dict(layer.states)
    return twin


def _release_packed(layer: Layer) -> None:
    for parameter in layer.parameters.values():
        if parameter.packed_nbytes:
            parameter.release()


def _folded(graph: Graph, provide: Callable[[Step], None]) -> Graph:
    """Return the network to run; the layers of `graph` give up their parameters one by one."""
    first = len(graph.input_specs)
    norms = _foldable(graph)
    folded, last = set(norms.values()), _last_reads(graph, norms)
    twins: dict[str, Layer] = {}
    steps: list[Step] = []
    place = list(range(first))  # old number of a value -> new one
    for number, step in enumerate(graph.steps, first):
        if _goes(step) or number in folded:
            place.append(place[step.sources[0]])
            continue
        if step.name not in twins:
            norm = graph.steps[norms[number] - first] if number in norms else None
            parts = [step] if norm is None else [step, norm]
            for part in parts:
                provide(part)
            twin = (
                _with_own_dicts(step.layer)
                if norm is None
                else step.layer.folded(norm.layer.affine())
            )
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
    """Map each layer to the value for which its parameters are read last; it may be shared."""
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
    """Map the value of a layer to that of the normalisation that the layer can take over."""
    first = len(graph.input_specs)
    readers = [0] * (first + len(graph.steps))
    uses: dict[str, int] = {}
    for number in (*graph.outputs, *(s for step in graph.steps for s in step.sources)):
        readers[number] += 1
    for step in graph.steps:
        uses[step.name] = uses.get(step.name, 0) + 1
    found: dict[int, int] = {}
    for number, step in enumerate(graph.steps, first):
        if not step.layer.channel_affine or step.layer.patched:
            continue
        source = step.sources[0]
        while source >= first and _goes(graph.steps[source - first]) and readers[source] == 1:
            source = graph.steps[source - first].sources[0]
        if source < first or readers[source] != 1:
            continue
        before = graph.steps[source - first]
        if before.layer.folds_affine and uses[before.name] == 1 and not before.layer.patched:
            found[source] = number
    return found


def _goes(step: Step) -> bool:
    """Whether the layer does nothing in inference."""
    return step.layer.idle(False) and not step.layer.patched
