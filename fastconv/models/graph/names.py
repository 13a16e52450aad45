"""Names in a network: inputs, layers and the nodes of shared layers."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from fastconv.errors import ArgumentError, ConfigError
from fastconv.layers.base import Layer

__all__ = ["check_id", "input_ids", "layer_names", "node_ids", "snake_case"]


# An id has no control characters, and no half of a surrogate pair, which no file could hold.
ID = re.compile(r"[^\s/*?\[\]\x00-\x1f\ud800-\udfff]{1,100}")


class _Node(Protocol):
    layer: Layer | None
    name: str | None


def check_id(operation: str, name: object) -> str:
    """Return `name` if it can be the id of an input or node, else raise an ArgumentError."""
    if not isinstance(name, str) or not ID.fullmatch(name):
        rule = "must be 1 to 100 characters without spaces or any of / * ? [ ]"
        raise ArgumentError(operation, "name", rule, name)
    return name


def input_ids(inputs: Sequence[_Node]) -> tuple[str, ...]:
    """Name the inputs: ``x`` where there is one, else ``x1``, ``x2``, ... unless they have names.

    Raises
    ------
    ConfigError
        If two inputs have the same name.
    """
    names = [node.name for node in inputs]
    doubled = [name for name, count in Counter(names).items() if name and count > 1]
    if doubled:
        shown = f"{doubled[0]!r} twice"
        raise ConfigError("Model", "input names", "must differ", doubled[0], shown=shown)
    taken = set(names)
    free = (name for i in itertools.count(1) if (name := f"x{i}") not in taken)
    if len(inputs) == 1:
        return (names[0] or "x",)
    return tuple(name or next(free) for name in names)


@lru_cache(maxsize=256)  # it is called for every layer of a network
def snake_case(kind: str) -> str:
    """Return the lower_snake spelling of a class: ``MaxPool2D`` is ``max_pool2d``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=\dD)(?=[A-Z])", "_", kind).lower()


def layer_names(made: Sequence[_Node], input_ids: Sequence[str]) -> dict[int, str]:
    """Name the layers: first come chosen names, then automatic ones in running order.

    A chosen name that looks automatic (``conv2d_1``) gives way if it is taken, so that two models
    with automatic names can be inlined in one.
    """
    layers = {id(node.layer): node.layer for node in made if node.layer is not None}
    used = set(input_ids)
    names: dict[int, str] = {}
    automatic = {}  # the names that look automatic, of the layers that have a name
    for key, layer in layers.items():
        if layer.name is None:
            continue
        stem, _, number = str(layer.name).rpartition("_")
        if stem == snake_case(type(layer).__name__) and number.isdecimal() and number.isascii():
            automatic[key] = layer.name
            continue
        check_id(type(layer).__name__, layer.name)
        if layer.name in used:
            rule = f"must be unique, two layers or inputs are named {layer.name!r}"
            raise ConfigError("Model", "names", rule, remedy="give one another name=")
        names[key] = layer.name
        used.add(layer.name)
    for key, name in automatic.items():
        if name not in used:
            names[key] = name
            used.add(name)
    counters: dict[str, int] = {}
    for key, layer in layers.items():
        if key not in names:
            stem = snake_case(type(layer).__name__)
            count = counters.get(stem, 1)
            while (name := f"{stem}_{count}") in used:
                count += 1
            counters[stem] = count + 1
            names[key] = name
            used.add(name)
    return names


def node_ids(made: Sequence[_Node], names: dict[int, str], input_ids: Sequence[str]) -> list[str]:
    """Return the nodes' ids: the layer's name for its first use, or the one that asks for it."""
    owner: dict[int, _Node] = {}
    for node in made:
        key = id(node.layer)
        first = owner.setdefault(key, node)
        if first is not node and node.name == names[key] and first.name != node.name:
            owner[key] = node
    used = {*input_ids, *names.values()}
    ids = []
    counters: dict[str, int] = {}
    for node in made:
        layer_name = name = names[id(node.layer)]
        if owner[id(node.layer)] is not node:
            if node.name and node.name not in used:
                name = node.name
            else:
                number = counters.get(layer_name, 2)
                while (name := f"{layer_name}@{number}") in used:
                    number += 1
                counters[layer_name] = number + 1
            used.add(name)
        ids.append(name)
    return ids
