"""Answers what training asks about a graph before it runs, from what the layers declare."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastconv.arguments import as_int
from fastconv.errors import ArgumentError
from fastconv.layers.base import Layer
from fastconv.layers.spec import FLOATS
from fastconv.models.graph.graph import Graph, Step

if TYPE_CHECKING:
    from fastconv.training.trainable import Answer

__all__ = ["answer", "choosy", "least_rows", "normalized_inputs"]

_PASSED_ON = ("input", "elements")


def answer(graph: Graph, number: int) -> Answer:
    """Return what the numbers of the value `number` are, looking past layers that pass them on."""
    from fastconv.training.trainable import Answer

    first = len(graph.input_specs)
    shares = True  # whether shares that axis 1 divides among classes are still on axis 1
    while number >= first:
        step = graph.steps[number - first]
        kind = step.layer.gives
        if kind not in _PASSED_ON:
            if kind == "probabilities" and not shares:
                kind = "chances"
            return Answer(kind, step.layer.given_by or type(step.layer).__name__)
        if len(step.sources) != 1:
            break
        (number,) = step.sources
        before, after = graph.specs[number].shape, step.spec.shape
        if kind == "elements":  # they keep their places on axis 1 where there is no other axis
            shares = shares and before[:1] == after[:1] == (math.prod(before),)
    return Answer(None, "")


def normalized_inputs(graph: Graph) -> list[bool]:
    """Return for each input whether everything that reads it first brings it to a usual scale.

    Integers have no scale: they are numbers of rows and the like, which is what their readers take.
    """
    first = len(graph.input_specs)
    found: dict[int, bool] = {}  # by value; a value that no layer reads is handed out as it is
    for at, step in reversed(list(enumerate(graph.steps, first))):
        passes = step.layer.gives in _PASSED_ON and found.get(at, False)
        for number in step.sources:
            found[number] = found.get(number, True) and (step.layer.normalizes or passes)
    specs = enumerate(graph.input_specs)
    return [found.get(number, False) or not spec.is_float for number, spec in specs]


def choosy(graph: Graph) -> list[tuple[Step, bool]]:
    """Return the steps whose layers may be unable to learn, and whether no gradient reaches them.

    These are the layers that define `least_rows`, and those that no gradient reaches.
    """
    cut_off = _cut_off(graph)
    return [
        (step, step.name in cut_off)
        for step in graph.steps
        if step.name in cut_off or type(step.layer).least_rows is not Layer.least_rows
    ]


def _cut_off(graph: Graph) -> frozenset[str]:
    """Return the layers that no gradient reaches, since only integers are made of their output."""
    first = len(graph.input_specs)
    specs = graph.specs
    if {spec.dtype for spec in specs[first:]} <= set(FLOATS):
        return frozenset()
    reached, layers = set(graph.outputs), set()
    for number, step in reversed(list(enumerate(graph.steps, first))):
        if number in reached and specs[number].is_float:
            reached.update(step.sources)
            layers.add(step.name)
    return frozenset(graph.layers) - layers


def least_rows(graph: Graph, steps: Iterable[tuple[Step, bool]]) -> tuple[int, str]:
    """Return the fewest rows that those of `steps` that learn need, and the layer that says so.

    `steps` are what `choosy` gave.

    Raises
    ------
    ArgumentError
        If a layer cannot be trained on its inputs, or is to learn though no gradient reaches it.
    """
    least, name = 1, ""
    for step, is_cut_off in steps:
        if not step.layer.frozen:
            if is_cut_off:
                _check_learns_nothing(step)
            rows = step.layer.least_rows(*graph.source_specs(step))
            rows = as_int(step.name, "least_rows", rows, 1)
            if rows > least:
                least, name = rows, step.name
    return least, name


def _check_learns_nothing(step: Step) -> None:
    if any(parameter.trainable for parameter in step.layer.parameters.values()):
        raise ArgumentError(
            step.name,
            "the output",
            "must lead to a loss by floats alone for the layer to learn",
            step.spec.dtype,
            f"net.freeze({step.name!r})",
            shown="integers, which have no gradient",
        )
