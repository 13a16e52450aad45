"""What training asks of a graph before it runs, answered from what its layers declare."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fastconv.arguments import as_int
from fastconv.layers.base import Layer
from fastconv.models.graph.graph import Graph, Step
from fastconv.training.trainable import Answer

__all__ = ["answer", "choosy", "least_rows", "normalized_inputs"]

_PASSED_ON = ("input", "elements")


def answer(graph: Graph, number: int) -> Answer:
    """Return what the numbers of the value `number` are, through layers that pass them on."""
    first = len(graph.input_specs)
    shares = True  # whether what divides among classes on axis 1 still does so
    while number >= first:
        step = graph.steps[number - first]
        kind = step.layer.gives
        if kind not in _PASSED_ON:
            if kind == "probabilities" and not shares:
                kind = "chances"
            return Answer(kind, type(step.layer).__name__)
        if len(step.sources) != 1:
            break
        (number,) = step.sources
        before, after = graph.specs[number].shape, step.spec.shape
        if kind == "elements":  # they keep their places on axis 1 where there is no other axis
            shares = shares and before[0] == after[0] == math.prod(before)
    return Answer(None, "")


def normalized_inputs(graph: Graph) -> list[bool]:
    """Return for each input whether whatever reads it brings it to a usual scale first."""
    first = len(graph.input_specs)
    found: dict[int, bool] = {}  # by value; one that nobody reads is handed out as it is
    for at, step in reversed(list(enumerate(graph.steps, first))):
        passes = step.layer.gives in _PASSED_ON and found.get(at, False)
        for number in step.sources:
            found[number] = found.get(number, True) and (step.layer.normalizes or passes)
    return [found.get(number, False) for number in range(first)]


def choosy(graph: Graph) -> list[Step]:
    """Return the steps whose layers may not learn from any batch: those that define so."""
    return [step for step in graph.steps if type(step.layer).least_rows is not Layer.least_rows]


def least_rows(graph: Graph, steps: Iterable[Step]) -> tuple[int, str]:
    """Return the fewest rows that those of `steps` that learn need, and the layer that says so.

    Raises
    ------
    ArgumentError
        If a layer cannot be trained on its inputs.
    """
    least, name = 1, ""
    for step in steps:
        if not step.layer.frozen:
            rows = step.layer.least_rows(*graph.source_specs(step))
            rows = as_int(step.name, "least_rows", rows, 1)
            if rows > least:
                least, name = rows, step.name
    return least, name
