"""Names in a network: inputs, layers and the nodes of shared layers."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from fastconv.errors import ArgumentError, ConfigError, nearest, shorten
from fastconv.layers.base import Layer

__all__ = ["check_id", "closest", "input_ids", "layer_names", "node_ids", "snake_case"]


class _Node(Protocol):
    layer: Layer | None
    name: str | None


def check_id(operation: str, name: object) -> str:
    """Return `name` if it can be the id of an input or node, else raise an ArgumentError."""
    # neither control characters nor half a surrogate pair, which no file could have
    form = r"[^\s/*?\[\]\x00-\x1f\ud800-\udfff]{1,100}"
    if not isinstance(name, str) or not re.fullmatch(form, name):
        raise ArgumentError(
            f"{operation}: name must be 1 to 100 characters without spaces or any of / * ? [ ], "
            f"got {shorten(name)}"
        )
    return name


def closest(name: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"``, or nothing when nothing is near."""
    found = nearest(name, known, count=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def input_ids(inputs: Sequence[_Node]) -> tuple[str, ...]:
    """Name the inputs: ``x`` where there is one, else ``x1``, ``x2``, ... unless they have names.

    Raises
    ------
    ConfigError
        If two inputs have one name.
    """
    names = [node.name for node in inputs]
    doubled = [name for name, count in Counter(names).items() if name and count > 1]
    if doubled:
        raise ConfigError(f"Model: input names must differ, got {doubled[0]!r} twice")
    free = (name for i in itertools.count(1) if (name := f"x{i}") not in names)
    if len(inputs) == 1:
        return (names[0] or "x",)
    return tuple(name or next(free) for name in names)


def snake_case(kind: str) -> str:
    """Return the lower_snake spelling of a class: ``MaxPool2D`` is ``max_pool2d``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", kind).lower()


def layer_names(made: Sequence[_Node], input_ids: Sequence[str]) -> dict[int, str]:
    """Name the layers: chosen names first, automatic ones around them, in running order.

    A name that looks automatic (``conv2d_1``) gives way when it is taken, so that two models
    with automatic names can be inlined in one.
    """
    layers = {id(node.layer): node.layer for node in made if node.layer is not None}
    used = set(input_ids)
    names: dict[int, str] = {}
    looks_automatic = {}
    for key, layer in layers.items():
        stem = snake_case(type(layer).__name__)
        looks_automatic[key] = re.fullmatch(rf"{stem}_[0-9]+", layer.name or f"{stem}_1")
        if layer.name is not None and not looks_automatic[key]:
            check_id(type(layer).__name__, layer.name)
            if layer.name in used:
                raise ConfigError(
                    f"Model: names must be unique, two layers or inputs are named {layer.name!r}"
                )
            names[key] = layer.name
            used.add(layer.name)
    for key, layer in layers.items():
        if looks_automatic[key] and layer.name is not None and layer.name not in used:
            names[key] = layer.name
            used.add(layer.name)
    counters: dict[str, itertools.count] = {}
    for key, layer in layers.items():
        if key not in names:
            stem = snake_case(type(layer).__name__)
            counter = counters.setdefault(stem, itertools.count(1))
            names[key] = next(name for i in counter if (name := f"{stem}_{i}") not in used)
            used.add(names[key])
    return names


def node_ids(made: Sequence[_Node], names: dict[int, str], input_ids: Sequence[str]) -> list[str]:
    """Id of each node: the layer's name for its first use or the one that asks for it."""
    owner: dict[int, _Node] = {}
    for node in made:
        key = id(node.layer)
        if key not in owner or (node.name == names[key] and owner[key].name != names[key]):
            owner[key] = node
    used = {*input_ids, *names.values()}
    ids = []
    counters: dict[str, itertools.count] = {}
    for node in made:
        name = names[id(node.layer)]
        if owner[id(node.layer)] is not node:
            wished = node.name if node.name and node.name not in used else None
            counter = counters.setdefault(name, itertools.count(2))
            name = wished or next(again for i in counter if (again := f"{name}@{i}") not in used)
            used.add(name)
        ids.append(name)
    return ids
