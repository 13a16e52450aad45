"""Networks as graphs: `Input`, and the settled graph that leads from inputs to outputs.

Calling a layer makes the nodes themselves (`fastconv.layers.nodes`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv.arguments import as_int, as_sizes, as_text, is_sequence
from fastconv.concurrency import computed_once
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConfigError,
    ShapeError,
    in_one_line,
    nearest,
)
from fastconv.layers.base import Layer
from fastconv.layers.nodes import Node, ancestry, connect
from fastconv.layers.spec import DTYPES, DTYPES_RULE, FLOATS, Spec
from fastconv.models.graph import names

__all__ = ["Graph", "Input", "Step", "as_nodes", "trace"]

MOST_ENDS = 1_000_000  # how many nodes are taken from an iterator, which may have no end


def Input(  # noqa: N802
    shape: Sequence[int],
    dtype: str = "float32",
    name: str | None = None,
    *,
    batch_axis: int | None = 0,
) -> Node:
    """Return the node of an input of a network.

    Parameters
    ----------
    shape : sequence of int
        Shape of one example, without the batch: (C, H, W) for images, (features,) for rows.
    dtype : {"float32", "float64", "int64", "int32", "uint8", "int8", "bool"}
        A dtype of floats is what the network computes in; it casts what it is given. Integers are
        for layers that take them, such as numbers of rows of a table. They have no gradient, and
        floats are not cast to them.
    name : str, optional
        The input's id.
    batch_axis : int or None
        The axis of the whole array that counts the examples, such as 1 for (T, N, C). None means
        an array that all examples share and no batch cuts. `shape` may then be ().

    Raises
    ------
    ShapeError
        If `shape` is empty or has a size below 1, or `batch_axis` is none of the array's.
    ArgumentTypeError
        If `shape` is no sequence of integers, `dtype` no text, or `batch_axis` no integer.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.Input((1, 28, 28))
    <Node Input (N, 1, 28, 28) float32>
    """
    rule = "must be a sequence of integers without the batch, such as (1, 28, 28)"
    if isinstance(shape, (list, tuple)) and len(shape) > 1 and shape[0] is None:
        remedy = f"leave the batch out: {tuple(shape[1:])}"
        raise ArgumentTypeError("Input", "shape", rule, tuple(shape), remedy)
    sizes = as_sizes("Input", "shape", shape, 1, rule)
    least = 0 if batch_axis is None else 1
    if not least <= len(sizes) <= 8:
        rule = f"must have {least} to 8 sizes, without the batch"
        raise ShapeError("Input", "shape", rule, sizes)
    if not isinstance(dtype, str) or dtype not in DTYPES:
        error = ArgumentError if isinstance(dtype, str) else ArgumentTypeError
        raise error("Input", "dtype", DTYPES_RULE, dtype)
    if batch_axis is not None:
        batch_axis = as_int("Input", "batch_axis", batch_axis, 0, len(sizes))
    if name is not None:
        names.check_id("Input", name)
    return Node(None, (), Spec(sizes, str(dtype), batch_axis), name)


@dataclass(frozen=True)
class Step:
    """One node of a settled network: which layer makes which value from which values.

    Values are numbered: inputs first, then one for each step. `name` is the layer's name in this
    model. `id` is the same, except for the further uses of a shared layer.
    """

    id: str
    name: str
    layer: Layer = field(repr=False)
    sources: tuple[int, ...]
    spec: Spec


@dataclass(frozen=True)
class Graph:
    """A settled network: its inputs, its steps in running order and its outputs by number."""

    input_ids: tuple[str, ...]
    input_specs: tuple[Spec, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    @computed_once
    def dtype(self) -> str:
        """The floats that the network computes in: those of its inputs, or else of its layers."""
        return next((spec.dtype for spec in self.specs if spec.is_float), "float32")

    @computed_once
    def usual_input(self) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        """Shape without the batch, and dtype, if the only input has floats and its batch first."""
        first, *others = self.input_specs
        return None if others or not first.is_plain else (first.shape, first.numpy_dtype)

    @property
    def layers(self) -> dict[str, Layer]:
        """The layers by name, each once, in running order."""
        return {step.name: step.layer for step in self.steps}

    @property
    def ids(self) -> list[str]:
        """The id of each value, by its number."""
        return [*self.input_ids, *(step.id for step in self.steps)]

    @property
    def specs(self) -> list[Spec]:
        """The shape and dtype of each value, by its number."""
        return [*self.input_specs, *[step.spec for step in self.steps]]

    def numbers(self, operation: str, ids: Any) -> tuple[int, ...]:
        """Return the numbers of the values whose id, or list of ids, `operation` was given."""
        if not is_sequence(ids) and not isinstance(ids, str):
            rule = "must be the id of a node, or a list of them"
            raise ArgumentTypeError(operation, "ids", rule, ids)
        known = {name: number for number, name in enumerate(self.ids)}
        asked = [ids] if isinstance(ids, str) else list(ids)
        for name in asked:
            as_text(operation, "ids", name)
            if name not in known:
                there = f"there are {', '.join(nearest(name, known) or list(known)[:8])}"
                raise ArgumentError(operation, "ids", "must be of nodes", name, there)
        return tuple(known[name] for name in asked)

    def source_specs(self, step: Step) -> list[Spec]:
        """The specs of what `step` reads."""
        specs, first = self.input_specs, len(self.input_specs)
        return [specs[i] if i < first else self.steps[i - first].spec for i in step.sources]


def trace(inputs: Sequence[Node], outputs: Sequence[Node]) -> Graph:
    """Return the graph that leads from `inputs` to `outputs`, without what these do not need.

    Raises
    ------
    ConfigError
        If there is no input or output, an input is given twice or missing, inputs of floats
        differ in dtype, or two layers have one name.
    """
    _check_ends(inputs, outputs)
    needed = ancestry(outputs)
    made = [node for node in needed if node.layer is not None]
    given = set(inputs)
    missing = [node for node in needed if node.layer is None and node not in given]
    if missing:
        rule = f"must hold every input that outputs depend on, missing {missing[0]!r}"
        raise ConfigError("Model", "inputs", rule)
    place = {id(node): i for i, node in enumerate([*inputs, *made])}
    ids = names.input_ids(inputs)
    named = names.layer_names(made, ids)
    node_ids = names.node_ids(made, named, ids)
    steps = []
    for node, node_id in zip(made, node_ids, strict=True):
        assert node.layer is not None
        sources = tuple(place[id(parent)] for parent in node.parents)
        steps.append(Step(node_id, named[id(node.layer)], node.layer, sources, node.spec))
    return Graph(
        ids,
        tuple(node.spec for node in inputs),
        tuple(steps),
        tuple(place[id(node)] for node in outputs),
    )


def inline(graph: Graph, nodes: Sequence[Any]) -> Node | tuple[Node, ...]:
    """Append the layers of `graph` to `nodes`, one for each input; return the new outputs."""
    if len(nodes) != len(graph.input_ids) or not all(isinstance(n, Node) for n in nodes):
        rule = f"must be one for each of {len(graph.input_ids)} inputs"
        raise ArgumentError("Model", "nodes", rule, nodes)
    values = list(nodes)
    for step in graph.steps:
        sources = (values[source] for source in step.sources)
        values.append(connect(step.layer, *sources, name=step.id))
    made = tuple(values[output] for output in graph.outputs)
    return made[0] if len(made) == 1 else made


def _check_ends(inputs: Sequence[Node], outputs: Sequence[Node]) -> None:
    for parameter, nodes in (("inputs", inputs), ("outputs", outputs)):
        if not nodes:
            raise ConfigError("Model", parameter, "must hold at least one node", shown="none")
        for node in nodes:
            if not isinstance(node, Node):
                raise _no_node(parameter, node)
    if len(set(inputs)) < len(inputs):
        raise ConfigError("Model", "inputs", "must be different nodes, one is given twice")
    for node in inputs:
        if node.layer is not None:
            raise ConfigError("Model", "inputs", "must come from fastconv.Input", node)
    floats = [node.dtype for node in inputs if node.dtype in FLOATS]
    for dtype in floats:
        if dtype != floats[0]:
            shown = f"{floats[0]} and {dtype}"
            raise ConfigError("Model", "inputs", "must have one dtype", dtype, shown=shown)


def as_nodes(parameter: str, given: Any) -> list[Node]:
    """Return the node, or the nodes in a sequence, that `Model` was given for `parameter`."""
    if isinstance(given, Node):
        return [given]
    if isinstance(given, (list, tuple)):
        return list(given)
    if not isinstance(given, Iterator):  # it is not clear which part of a mapping or text is meant
        raise _no_node(parameter, given)
    return list(itertools.islice(given, MOST_ENDS))


def _no_node(parameter: str, given: object) -> ArgumentTypeError:
    kind = given if isinstance(given, type) else type(given)
    remedy = "nodes come from fastconv.Input and from calling layers on them"
    if isinstance(given, Layer):
        remedy = "call the layer on a node first; fastconv.Sequential takes layers as they are"
    elif isinstance(given, Mapping):
        remedy = "give the nodes in a list; fastconv.from_config reads a configuration"
    name = in_one_line(kind.__name__)
    return ArgumentTypeError("Model", parameter, "must be nodes", name, remedy, shown=name)
