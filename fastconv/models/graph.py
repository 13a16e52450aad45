"""Networks as graphs: `Input`, the nodes that calling a layer makes, and their names.

A node is created after the nodes it reads, so the order of creation is an order in which a
network can run, and a graph of nodes cannot hold a cycle. `Sequential` is the simple case:
each layer called on the node before.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fastconv.arguments import as_int
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError, ShapeError, shorten
from fastconv.layers import base
from fastconv.layers.base import Layer
from fastconv.layers.spec import Spec
from fastconv.models import names

__all__ = ["Graph", "Input", "Node", "Step", "connect", "trace"]

DTYPES = ("float32", "float64")
_numbers = itertools.count()


class Node:
    """One array of a network that has no data yet: an input, or what a layer makes of others.

    Attributes
    ----------
    layer : Layer or None
        The layer that makes the array; None for an input.
    parents : tuple of Node
        The arrays that the layer reads.
    spec : Spec
        Shape without the batch, and dtype.
    name : str or None
        The id asked for; ids are settled by the model.
    """

    __slots__ = ("layer", "name", "number", "parents", "spec")

    def __init__(
        self,
        layer: Layer | None,
        parents: tuple[Node, ...],
        spec: Spec,
        name: str | None = None,
    ):
        self.layer = layer
        self.parents = parents
        self.spec = spec
        self.name = name
        self.number = next(_numbers)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without the batch."""
        return self.spec.shape

    @property
    def dtype(self) -> str:
        """``"float32"`` or ``"float64"``."""
        return self.spec.dtype

    def __repr__(self) -> str:
        made_by = "Input" if self.layer is None else type(self.layer).__name__
        return f"<Node {made_by} (N, {', '.join(map(str, self.shape))}) {self.dtype}>"


def Input(shape: Sequence[int], dtype: str = "float32", name: str | None = None) -> Node:  # noqa: N802
    """Return the node of an input of a network.

    Parameters
    ----------
    shape : sequence of int
        Shape of one example, without the batch: (C, H, W) for images, (features,) for rows.
    dtype : {"float32", "float64"}
        What the network computes in; it casts what it is given.
    name : str, optional
        The input's id.

    Raises
    ------
    ShapeError
        If `shape` is empty or has a size below 1.
    ArgumentTypeError
        If `shape` is no sequence of integers, or `dtype` no text.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.Input((1, 28, 28))
    <Node Input (N, 1, 28, 28) float32>
    """
    if isinstance(shape, (str, bytes)) or not isinstance(shape, Iterable):
        raise ArgumentTypeError(
            f"Input: shape must be a sequence of integers without the batch, such as (1, 28, 28), "
            f"got {shorten(shape)}"
        )
    sizes = tuple(as_int("Input", f"shape[{i}]", size, 1) for i, size in enumerate(shape))
    if not 1 <= len(sizes) <= 8:
        raise ShapeError(
            f"Input: shape must have 1 to 8 sizes, without the batch, got {shorten(sizes)}"
        )
    if not isinstance(dtype, str) or dtype not in DTYPES:
        error = ArgumentError if isinstance(dtype, str) else ArgumentTypeError
        raise error(
            f'Input: dtype must be "float32" or "float64", got {shorten(dtype)}'
        )
    if name is not None:
        names.check_id("Input", name)
    return Node(None, (), Spec(sizes, str(dtype)), name)


def connect(layer: Layer, *nodes: Node, name: str | None = None) -> Node:
    """Return the node that `layer` makes of `nodes`; this is what calling a layer does.

    Raises
    ------
    ArgumentTypeError
        If something else than nodes is given, or ``infer`` returns no Spec.
    ShapeError
        If the layer cannot take these shapes.
    """
    kind = type(layer).__name__
    if len(nodes) == 1 and isinstance(nodes[0], (list, tuple)):
        raise ArgumentTypeError(
            f"{kind}: several nodes are given one by one, got a {type(nodes[0]).__name__}; write "
            f"{kind}(...)(a, b) or {kind}(...)(*nodes)"
        )
    for node in nodes:
        if not isinstance(node, Node):
            raise ArgumentTypeError(
                f"{kind}: a layer is called on nodes, got {shorten(type(node).__name__)}; start "
                f"from fastconv.Input, or put the layer in a model and call that on arrays"
            )
    spec = layer.infer(*(node.spec for node in nodes))
    if not isinstance(spec, Spec):
        owner = kind if layer.name is None else f"{kind} {layer.name!r}"
        raise ArgumentTypeError(
            f"{owner}: infer must return a Spec, got {type(spec).__name__}; "
            "return Spec(shape, dtype), or the Spec of an input"
        )
    return Node(layer, nodes, spec, name)


base._connect = connect


@dataclass(frozen=True)
class Step:
    """One node of a network that is settled: which layer makes which value of which values.

    Values are numbered: inputs first, then one a step. `name` is the layer's name in this
    model; `id` is the same but for the further uses of a shared layer.
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
        return [*self.input_specs, *(step.spec for step in self.steps)]

    def source_specs(self, step: Step) -> list[Spec]:
        """The specs of what `step` reads."""
        specs, first = self.input_specs, len(self.input_specs)
        return [specs[i] if i < first else self.steps[i - first].spec for i in step.sources]


def trace(inputs: Sequence[Node], outputs: Sequence[Node]) -> Graph:
    """Return the graph that leads from `inputs` to `outputs`; what they do not need is left out.

    Raises
    ------
    ConfigError
        If there is no input or output, an input is given twice or missing, inputs differ in
        dtype, or two layers have one name.
    """
    _check_ends(inputs, outputs)
    needed: dict[int, Node] = {}
    pending = list(outputs)
    while pending:  # no recursion: a network may be deeper than Python's stack
        node = pending.pop()
        if node.number not in needed:
            needed[node.number] = node
            pending.extend(node.parents)
    made = [needed[number] for number in sorted(needed) if needed[number].layer is not None]
    missing = [n for n in needed.values() if n.layer is None and n not in inputs]
    if missing:
        raise ConfigError(
            f"Model: inputs must hold every input that outputs depend on, missing {missing[0]!r}"
        )
    place = {node.number: i for i, node in enumerate([*inputs, *made])}
    ids = names.input_ids(inputs)
    named = names.layer_names(made, ids)
    node_ids = names.node_ids(made, named, ids)
    steps = []
    for node, node_id in zip(made, node_ids, strict=True):
        assert node.layer is not None
        sources = tuple(place[parent.number] for parent in node.parents)
        steps.append(Step(node_id, named[id(node.layer)], node.layer, sources, node.spec))
    return Graph(
        ids,
        tuple(node.spec for node in inputs),
        tuple(steps),
        tuple(place[node.number] for node in outputs),
    )


def _check_ends(inputs: Sequence[Node], outputs: Sequence[Node]) -> None:
    for parameter, nodes in (("inputs", inputs), ("outputs", outputs)):
        if not nodes:
            raise ConfigError(f"Model: {parameter} must hold at least one node, got none")
        for node in nodes:
            if not isinstance(node, Node):
                raise ArgumentTypeError(
                    f"Model: {parameter} must be nodes, got {shorten(type(node).__name__)}; "
                    "nodes come from fastconv.Input and from calling layers on them"
                )
    if len(set(inputs)) < len(inputs):
        raise ConfigError("Model: inputs must be different nodes, one is given twice")
    for node in inputs:
        if node.layer is not None:
            raise ConfigError(f"Model: inputs must come from fastconv.Input, got {node!r}")
        if node.dtype != inputs[0].dtype:
            raise ConfigError(
                f"Model: inputs must have one dtype, got {inputs[0].dtype} and {node.dtype}"
            )
