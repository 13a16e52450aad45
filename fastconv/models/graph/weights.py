"""The parameters of a network: which there are, how they start, and copies of them."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv.arguments import as_text
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConfigError,
    Problem,
    ShapeError,
    did_you_mean,
    nearest,
)
from fastconv.layers.builder import Slot
from fastconv.layers.parameter import Parameter, assign_all
from fastconv.models.graph.graph import Graph

__all__ = [
    "Slot",
    "assign",
    "build",
    "copies",
    "hand_out",
    "matching",
    "mismatch",
    "named",
    "set_trainable",
    "slots",
]

Array = np.ndarray[Any, Any]


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
        here = step.layer.outline(*graph.source_specs(step))
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
        user,
        "inputs",
        f"must be such that the parameters of {name} fit, {key} is {shapes[0]} "
        f"and would be {shapes[1]} here",
        remedy="a shared layer takes inputs of one kind",
    )


def build(graph: Graph, seed: int) -> None:
    """Make the parameters of every layer that has none; each has its own stream of numbers."""
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
    """Return copies of all values; within `exclusively`, they are all of one moment."""
    return {key: parameter.value.copy() for key, parameter in named(graph).items()}


def hand_out(graph: Graph) -> list[Array | None]:
    """Return copies of the parameters; as long as these live, pickles are made from them."""
    return [parameter.hand_out() for parameter in named(graph).values()]


def matching(pattern: object, graph: Graph, operation: str) -> list[str]:
    """Return the keys ``layer/parameter`` whose layer, or key if it has "/", fits `pattern`.

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


def assign(graph: Graph, arrays: Mapping[str, Any]) -> None:
    """Give the weights of `arrays` new values: all of them, or on an error none."""
    if not isinstance(arrays, Mapping):
        rule = "must be a mapping from 'layer/parameter' to arrays"
        raise ArgumentTypeError("set_weights", "arrays", rule, arrays)
    parameters = named(graph)
    rule = "must have keys of weights of the network"
    problems = [
        Problem("set_weights", "arrays", rule, key, did_you_mean(key, parameters))
        for key in arrays
        if key not in parameters
    ]
    if problems:
        raise ConfigError(problems)
    assign_all(
        [(parameters[k], parameters[k].checked(a, "set_weights", k)) for k, a in arrays.items()]
    )


def set_trainable(operation: str, graph: Graph, pattern: object, trainable: bool) -> None:
    """Let what `pattern` matches learn, or stay as it is; `operation` is what errors name."""
    parameters, found = named(graph), matching(pattern, graph, operation)
    statistics = {f"{name}/{key}" for name, layer in graph.layers.items() for key in layer.states}
    learned = [key for key in found if key not in statistics]
    if found and not learned and "/" in str(pattern):  # statistics alone
        layer = found[0].partition("/")[0]
        raise ArgumentError(
            operation,
            "pattern",
            "must match what learns, and statistics do not",
            pattern,
            f"they stay as they are in a layer that is frozen: net.freeze({layer!r})",
        )
    for key in learned:
        parameters[key].trainable = trainable
