"""Networks as graphs: `Input`, the nodes that calling a layer makes, and their names.

A node is created after the nodes it reads, so the order of creation is an order in which a
network can run, and a graph of nodes cannot hold a cycle. `Sequential` is the simple case:
each layer called on the node before.
"""

from __future__ import annotations

import copy
import itertools
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from fastconv.arguments import as_sizes
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError, ShapeError, shorten
from fastconv.layers import base
from fastconv.layers.base import Layer
from fastconv.layers.spec import Spec
from fastconv.models import names

__all__ = ["Graph", "Input", "Node", "Step", "as_nodes", "connect", "trace"]

DTYPES = ("float32", "float64")
MOST_ENDS = 1_000_000  # taken of an iterator, which may have no end
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

    __slots__ = ("depth", "layer", "name", "number", "parents", "spec")

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
        self.depth: int = 1 + max((parent.depth for parent in parents), default=0)

    def __deepcopy__(self, memo: dict[int, Any]) -> Node:
        for node in ancestry([self]):  # no recursion: a chain may be longer than the stack
            if id(node) not in memo:
                parents = tuple(memo[id(parent)] for parent in node.parents)
                layer = copy.deepcopy(node.layer, memo)
                memo[id(node)] = Node(layer, parents, node.spec, node.name)
        copied: Node = memo[id(self)]
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        before = _Before(self) if self.depth > 50 and not _walk.active else None
        return _node, (before, self.layer, self.parents, self.spec, self.name)

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


def _node(before: object, *parts: Any) -> Node:
    """Return the node that was pickled; `before` has made sure that its parents are there."""
    return Node(*parts)


class _Walk(threading.local):
    """Which `_Before` is being pickled, if it is alive: after an error it is not."""

    current: weakref.ref[_Before] | None = None

    @property
    def active(self) -> bool:
        return self.current is not None and self.current() is not None


_walk = _Walk()


class _Before:
    """Pickles as the list of what leads to a node, so that no pickle goes deeper than a few.

    Pickle writes the items of a list one by one, and then its state: until then all nodes that
    it comes to find their parents written.
    """

    def __init__(self, node: Node) -> None:
        self.node = node

    def __reduce__(self) -> tuple[Any, ...]:
        _walk.current = weakref.ref(self)
        return _Parents, (), _End(), iter(ancestry(self.node.parents))


class _End:
    """The state that is written behind the last of a list of nodes."""

    def __reduce__(self) -> tuple[Any, ...]:
        _walk.current = None
        return int, ()


class _Parents(list[Node]):
    """What `_Before` is when it is read."""

    def __setstate__(self, state: int) -> None:
        """Take no state; that there is one has told where the list ends."""


def ancestry(nodes: Iterable[Node]) -> list[Node]:
    """Return `nodes` and everything that leads to them, in the order in which it was made."""
    needed: dict[int, Node] = {}
    pending = list(nodes)
    while pending:  # no recursion: a network may be deeper than Python's stack
        node = pending.pop()
        if id(node) not in needed:
            needed[id(node)] = node
            pending.extend(node.parents)
    return sorted(needed.values(), key=attrgetter("number"))


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
    rule = "must be a sequence of integers without the batch, such as (1, 28, 28)"
    if isinstance(shape, (list, tuple)) and len(shape) > 1 and shape[0] is None:
        remedy = f"leave the batch out: {tuple(shape[1:])}"
        raise ArgumentTypeError("Input", "shape", rule, tuple(shape), remedy)
    sizes = as_sizes("Input", "shape", shape, 1, rule)
    if not 1 <= len(sizes) <= 8:
        rule = "must have 1 to 8 sizes, without the batch"
        raise ShapeError("Input", "shape", rule, sizes)
    if not isinstance(dtype, str) or dtype not in DTYPES:
        error = ArgumentError if isinstance(dtype, str) else ArgumentTypeError
        raise error("Input", "dtype", 'must be "float32" or "float64"', dtype)
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
        given = type(nodes[0]).__name__
        raise ArgumentTypeError(
            kind, "several nodes", "are given one by one", given,
            f"write {kind}(...)(a, b) or {kind}(...)(*nodes)", shown=f"a {given}",
        )  # fmt: skip
    for node in nodes:
        if not isinstance(node, Node):
            raise ArgumentTypeError(
                kind, "a layer", "is called on nodes", type(node).__name__,
                "start from fastconv.Input, or put the layer in a model and call that on arrays",
            )  # fmt: skip
    spec = layer.infer(*(node.spec for node in nodes))
    if not isinstance(spec, Spec):
        owner = kind if layer.name is None else f"{kind} {layer.name!r}"
        got = type(spec).__name__
        raise ArgumentTypeError(
            owner, "infer", "must return a Spec", got,
            "return Spec(shape, dtype), or the Spec of an input", shown=got,
        )  # fmt: skip
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
        if node.dtype != inputs[0].dtype:
            shown = f"{inputs[0].dtype} and {node.dtype}"
            raise ConfigError("Model", "inputs", "must have one dtype", node.dtype, shown=shown)


def as_nodes(parameter: str, given: Any) -> list[Node]:
    """Return the node, or the nodes in a sequence, that `Model` was given for `parameter`."""
    if isinstance(given, Node):
        return [given]
    if isinstance(given, (list, tuple)):
        return list(given)
    if not isinstance(given, Iterator):  # of a mapping, a text or a network nobody knows what
        raise _no_node(parameter, given)
    return list(itertools.islice(given, MOST_ENDS))


def _no_node(parameter: str, given: object) -> ArgumentTypeError:
    kind = given if isinstance(given, type) else type(given)
    remedy = "nodes come from fastconv.Input and from calling layers on them"
    if isinstance(given, Layer):
        remedy = "call the layer on a node first; fastconv.Sequential takes layers as they are"
    elif isinstance(given, Mapping):
        remedy = "give the nodes in a list; fastconv.from_config reads a configuration"
    name = shorten(kind.__name__)[1:-1]
    return ArgumentTypeError("Model", parameter, "must be nodes", name, remedy, shown=name)
