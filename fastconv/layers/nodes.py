"""The nodes that calling a layer makes: arrays of a network that has no data yet.

A node is created after the nodes it reads, so the order of creation is an order in which a
network can run, and a graph of nodes cannot hold a cycle.
"""

from __future__ import annotations

import copy
import itertools
import threading
import weakref
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from fastconv.errors import ArgumentTypeError, ShapeError
from fastconv.layers.spec import Spec

__all__ = ["Node", "ancestry", "connect"]

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
        Shape without the batch, dtype, and place of the batch.
    name : str or None
        The id that was asked for; the model settles the ids.
    """

    __slots__ = ("depth", "layer", "name", "number", "parents", "spec")

    def __init__(self, layer: Any, parents: tuple[Node, ...], spec: Spec, name: str | None = None):
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
        """The dtype of the array, as `Spec` has it."""
        return self.spec.dtype

    def __repr__(self) -> str:
        made_by = "Input" if self.layer is None else type(self.layer).__name__
        return f"<Node {made_by} {self.spec.letters} {self.dtype}>"


def _node(before: object, *parts: Any) -> Node:
    """Return the node that was pickled; `before` has made sure that its parents are there."""
    return Node(*parts)


class _Walk(threading.local):
    """The `_Before` that this thread is pickling; after an error it is alive no longer."""

    current: weakref.ref[_Before] | None = None

    @property
    def active(self) -> bool:
        return self.current is not None and self.current() is not None


_walk = _Walk()


class _Before:
    """Pickles as the list of the nodes that lead to a node, so that pickling nests only a little.

    Pickle writes the items of a list one by one, and then the state of the list. Every node that
    it comes to before the state finds its parents written already.
    """

    def __init__(self, node: Node) -> None:
        self.node = node

    def __reduce__(self) -> tuple[Any, ...]:
        _walk.current = weakref.ref(self)
        return _Parents, (), _End(), iter(ancestry(self.node.parents))


class _End:
    """The state of a list of nodes, which pickle writes after the last of them."""

    def __reduce__(self) -> tuple[Any, ...]:
        _walk.current = None
        return int, ()


class _Parents(list[Node]):
    """What `_Before` is when it is read."""

    def __setstate__(self, state: int) -> None:
        """Ignore the state: it was written only to mark the end of the list."""


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


def connect(layer: Any, *nodes: Node, name: str | None = None) -> Node:
    """Return the node that `layer` makes of `nodes`; this is what calling a layer does.

    Raises
    ------
    ArgumentTypeError
        If something else than nodes is given, the layer takes no such dtype, or ``infer``
        returns no Spec.
    ShapeError
        If the layer cannot take these shapes, or a batch on this axis; or if only the inputs, or
        only the output, have a batch.
    """
    kind = type(layer).__name__
    if len(nodes) == 1 and isinstance(nodes[0], (list, tuple)):
        given = type(nodes[0]).__name__
        raise ArgumentTypeError(
            kind,
            "several nodes",
            "must be given one by one",
            given,
            f"write {kind}(...)(a, b) or {kind}(...)(*nodes)",
            shown=f"a {given}",
        )
    for node in nodes:
        if not isinstance(node, Node):
            raise ArgumentTypeError(
                kind,
                "a layer",
                "must be called on nodes",
                type(node).__name__,
                "start from fastconv.Input, or put the layer in a model and call that on arrays",
            )
    specs = tuple([node.spec for node in nodes])
    for given in specs:
        if given.dtype not in layer.takes or given.batch_axis != 0:
            layer.check_inputs(specs)
    spec = layer.infer(*specs)
    if not isinstance(spec, Spec):
        owner = kind if layer.name is None else f"{kind} {layer.name!r}"
        got = type(spec).__name__
        raise ArgumentTypeError(
            owner,
            "infer",
            "must return a Spec",
            got,
            "return Spec(shape, dtype), or the Spec of an input",
            shown=got,
        )
    if spec.batch_axis != 0 or layer.any_batch_axis:
        batched = any(source.batch_axis is not None for source in specs)
        if batched != (spec.batch_axis is not None):
            rule = f"must return a Spec {'with' if batched else 'without'} a batch, as inputs are"
            remedy = "return Spec(shape, dtype, batch_axis)"
            raise ShapeError(kind, "infer", rule, spec.batch_axis, remedy, shown=spec.letters)
    return Node(layer, nodes, spec, name)
