"""Frozen twins of networks: BatchNorm folded, Dropout gone, packed weights instead of plain."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.layers.base import Layer
from fastconv.layers.parameter import Parameter
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


def freeze_network(graph: Graph, name: str | None) -> InferenceModel:
    """Return the frozen twin of a network; the network stays as it is."""
    model = InferenceModel(_folded(graph), name)
    # One run packs every weight in the order in which it will be read.
    model.predict_batch(
        [np.zeros((1, *spec.shape), spec.dtype) for spec in model._graph.input_specs]
    )
    for layer in model._graph.layers.values():
        for group in (layer.parameters, layer.states):
            for key, parameter in group.items():
                if parameter.packed_nbytes:
                    parameter.release()
                else:  # until here the array is the original's, which may be trained further
                    group[key] = copy.deepcopy(parameter)
    return model


def _folded(graph: Graph) -> Graph:
    first = len(graph.input_specs)
    readers = [0] * (first + len(graph.steps))
    uses: dict[str, int] = {}
    for number in (*graph.outputs, *(s for step in graph.steps for s in step.sources)):
        readers[number] += 1
    for step in graph.steps:
        uses[step.name] = uses.get(step.name, 0) + 1

    twins: dict[str, Layer] = {}
    steps: list[Step] = []
    place = list(range(first))  # old number of a value -> new one
    for step in graph.steps:
        kind = registry.layers.name_of(type(step.layer))
        source = place[step.sources[0]]
        before = steps[source - first] if source >= first else None
        if kind == _DROPOUT:
            place.append(source)
        elif (
            kind == _BATCH_NORM
            and before is not None
            and registry.layers.name_of(type(before.layer)) in _FOLDED_INTO
            and before.layer.config["activation"] is None
            and readers[step.sources[0]] == uses[before.name] == 1
        ):
            twins[before.name] = _fold(before.layer, step.layer)
            steps[source - first] = replace(before, layer=twins[before.name])
            place.append(source)
        else:
            layer = twins.setdefault(step.name, _twin(step.layer))
            place.append(first + len(steps))
            sources = tuple(place[number] for number in step.sources)
            steps.append(replace(step, layer=layer, sources=sources))
    outputs = tuple(place[number] for number in graph.outputs)
    return replace(graph, steps=tuple(steps), outputs=outputs)


def _twin(layer: Layer, **parameters: Parameter) -> Layer:
    """Return `layer` with parameters of its own that share the arrays until one is assigned."""
    twin: Any = object.__new__(type(layer))
    vars(twin).update(vars(layer))
    twin.parameters = {name: p.twin() for name, p in layer.parameters.items()} | parameters
    twin.states = {name: p.twin() for name, p in layer.states.items()}
    return twin


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
    by_output = scale.reshape(-1, *[1] * (weight.ndim - 1))
    shifted = (bias - wide["running_mean"]) * scale + wide["bias"]
    twin: Any = _twin(
        layer,
        weight=Parameter((weight * by_output).astype(weight.dtype), name="weight"),
        bias=Parameter(shifted.astype(weight.dtype), name="bias"),
    )
    twin.bias = True
    twin._config = {**layer.config, "bias": True}
    return twin  # type: ignore[no-any-return]
