"""The parameters of a network: which there are, how they start, and copies of them."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastconv.arguments import as_text
from fastconv.errors import ArgumentError, ShapeError, from_signal, nearest
from fastconv.layers.base import Layer
from fastconv.layers.parameter import Parameter
from fastconv.layers.spec import Spec
from fastconv.models.graph import Graph

__all__ = [
    "Slot", "build", "copies", "hand_out", "matching", "mismatch", "named", "slots", "slots_of",
]  # fmt: skip

Array = np.ndarray[Any, Any]


class Slot(NamedTuple):
    """What a parameter will be, before it takes memory."""

    shape: tuple[int, ...]
    dtype: str
    learned: bool

    @property
    def size(self) -> int:
        """How many numbers."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the plain value."""
        return self.size * np.dtype(self.dtype).itemsize


def slots_of(layer: Layer, *specs: Spec) -> dict[str, Slot]:
    """Return what `layer` makes in `build` for `specs`, without making it."""
    if not layer.has_parameters:
        return {}
    if layer.built:
        layer.ensure_built(0, *specs)  # raises where its parameters do not fit
        return _made(layer)
    found: dict[str, Slot] = {}

    def add(name: str, shape: Any, dtype: str, learned: bool) -> None:
        if name in found:
            raise KeyError(name)  # below, the layer itself says what is wrong
        found[name] = Slot(tuple(shape), dtype, learned)

    def add_param(name: str, shape: Any, initializer: Any = None, *, dtype: Any = None,
                  fan_in: Any = None) -> None:  # fmt: skip
        add(name, shape, np.dtype(dtype or specs[0].dtype).name, True)

    def add_state(name: str, shape: Any, value: float = 0.0) -> None:
        add(name, shape, specs[0].dtype, False)

    try:
        listing = layer._twin()
        vars(listing).update(add_param=add_param, add_state=add_state)
        listing.build(np.random.default_rng(0), *specs)
    except Exception as error:  # a third party's build may want the arrays, or be broken
        if from_signal(error):
            raise
        trial = copy.deepcopy(layer)
        trial.ensure_built(0, *specs)
        return _made(trial)
    return found


def _made(layer: Layer) -> dict[str, Slot]:
    return {
        name: Slot(p.shape, p.dtype.name, learned)
        for group, learned in ((layer.parameters, True), (layer.states, False))
        for name, p in group.items()
    }


def slots(graph: Graph) -> dict[str, Slot]:
    """Return the parameters of a network by ``layer/parameter``, without making them.

    Raises
    ------
    ShapeError
        If a shared layer is used on inputs that need other parameters.
    """
    found: dict[str, dict[str, Slot]] = {}
    for step in graph.steps:
        if not step.layer.has_parameters:
            continue
        here = slots_of(step.layer, *graph.source_specs(step))
        if found.setdefault(step.name, here) != here:
            raise mismatch(step.id, step.name, found[step.name], here)
    return {f"{name}/{key}": slot for name, group in found.items() for key, slot in group.items()}


def mismatch(
    user: str, name: str, first: Mapping[str, Slot], here: Mapping[str, Slot]
) -> ShapeError:
    """Return the error that says why a shared layer cannot be used here."""
    key = next(key for key in {**first, **here} if first.get(key) != here.get(key))
    shapes = [slots[key].shape if key in slots else "none" for slots in (first, here)]
    return ShapeError(
        user, "inputs", f"must be such that the parameters of {name} fit, {key} is {shapes[0]} "
        f"and would be {shapes[1]} here", remedy="a shared layer takes inputs of one kind",
    )  # fmt: skip


def build(graph: Graph, seed: int) -> None:
    """Make the parameters of every layer that has none; each layer has a stream of its own."""
    numbers = {name: number for number, name in enumerate(graph.layers)}
    for step in graph.steps:
        if not step.layer.built:
            step.layer.ensure_built([seed, numbers[step.name]], *graph.source_specs(step))


def named(graph: Graph) -> dict[str, Parameter]:
    """Return learned parameters and statistics by ``layer/parameter``, in running order."""
    return {
        f"{name}/{key}": parameter
        for name, layer in graph.layers.items()
        for group in (layer.parameters, layer.states)
        for key, parameter in group.items()
    }


def copies(graph: Graph) -> dict[str, Array]:
    """Return copies of all values, which are of one time within `exclusively`."""
    return {key: parameter.value.copy() for key, parameter in named(graph).items()}


def hand_out(graph: Graph) -> list[Array | None]:
    """Return copies that pickles of the parameters are made of as long as they live."""
    return [parameter.hand_out() for parameter in named(graph).values()]


def matching(pattern: object, graph: Graph, operation: str) -> list[str]:
    """Return the keys ``layer/parameter`` that `pattern` means: of layers, or keys if it has "/".

    Raises
    ------
    ArgumentError
        If no layer or key matches.
    """
    pattern = as_text(operation, "pattern", pattern)
    keys = list(named(graph))
    pool = keys if "/" in pattern else list(graph.layers)
    found = set(fnmatch.filter(pool, pattern))
    if not found and pattern != "*":
        close = nearest(pattern, pool) or pool[:8]
        raise ArgumentError(
            operation, "pattern", "must match a layer", pattern, f"there are {', '.join(close)}"
        )
    return [key for key in keys if key in found or key.partition("/")[0] in found]
