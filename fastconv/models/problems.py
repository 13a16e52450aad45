"""Every problem of a configuration, found in one pass, each with its JSON path."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from fastconv import registry
from fastconv.errors import ArgumentError, ConfigError, FastconvError, shorten
from fastconv.layers.base import Layer
from fastconv.models.graph import Input, Node
from fastconv.models.names import check_id, closest

__all__ = ["MAX_NODES", "Problems", "describe", "input_node"]

# Other libraries' names for what a node or a network has.
HINTS = {
    "args": "config",
    "class_name": "layer",
    "dtypes": "dtype",
    "inbound_nodes": "from",
    "input": "inputs",
    "inputs": "from",
    "kwargs": "config",
    "name": "id",
    "op": "layer",
    "output": "outputs",
    "params": "config",
    "shared": "use",
    "type": "layer",
}
MAX_NODES = 10_000
_MOST = 100  # problems listed; a hostile configuration has one a node


class Problems:
    """Collects problems; `finish` raises them together.

    Examples
    --------
    >>> problems = Problems()
    >>> problems.add("nodes[2].id", "must be a string, got 3")
    >>> problems.found
    ['nodes[2].id: must be a string, got 3']
    """

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, path: str, text: str) -> None:
        """Note one problem."""
        self.found.append(f"{path}: {text}")

    def finish(self) -> None:
        """Raise ConfigError if there is any problem."""
        more = len(self.found) - _MOST
        if more > 0:
            raise ConfigError([*self.found[:_MOST], f"... and {more} more"])
        if self.found:
            raise ConfigError(self.found)

    def near(self, name: object, candidates: Iterable[str]) -> str:
        """Return ``"; did you mean 'x'?"``, or nothing when nothing is near."""
        if len(self.found) > _MOST:  # the search is slow, and nobody would read it
            return ""
        return closest(name, candidates)

    def keys(self, path: str, item: Mapping[Any, Any], allowed: tuple[str, ...]) -> None:
        """Note the keys of `item` that are not `allowed`."""
        prefix = f"{path}." if path else ""
        for key in item:
            if key not in allowed:
                hint = HINTS.get(key) if isinstance(key, str) else None
                near = f"; did you mean {hint!r}?" if hint in allowed else self.near(key, allowed)
                remedy = near or f"; there are {', '.join(allowed)}"
                label = key if isinstance(key, str) and len(key) <= 60 else shorten(key)
                self.add(f"{prefix}{label}", f"unknown key{remedy}")

    def is_id(self, path: str, name: object) -> bool:
        """Whether `name` can be an id; if not, that is noted."""
        try:
            check_id("", name)
        except ArgumentError as error:
            self.add(path, str(error).removeprefix(": name "))
            return False
        return True

    def layer(
        self, path: str, kind: object, where: str, config: object, name: str | None
    ) -> Layer | None:
        """Return a layer of a registered kind, or None after its problems are noted.

        Nothing is imported but the plugins that the registry knows, and nothing allocated.
        """
        if not isinstance(kind, str):
            self.add(path, f"must be the name of a registered layer, got {shorten(kind)}")
            return None
        try:
            make = registry.layers.get(kind)
        except ConfigError as error:
            self.found.extend(f"{path}: {problem}" for problem in error.problems)
            return None
        if not isinstance(config, Mapping):
            self.add(where, f"must be an object of the layer's arguments, got {shorten(config)}")
            return None
        before = len(self.found)
        self.found.extend(registry.check_config(make, config, where))
        sound = len(self.found) == before
        return self._construct(make, dict(config), where, name, sound)

    def _construct(
        self, make: Any, config: dict[Any, Any], where: str, name: str | None, sound: bool
    ) -> Layer | None:
        """Construct; what is refused is noted and left at a harmless value, until all is known."""
        parameters = inspect.signature(make).parameters
        if not sound:  # the unknown and missing keys are noted; now the values of the others
            config = {key: value for key, value in config.items() if key in parameters}
        refused: set[str] = set()
        while True:
            missing = {
                key: 1
                for key, parameter in parameters.items()
                if key not in config
                and parameter.default is parameter.empty
                and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            }
            try:
                layer = make(**missing, **config, name=name)
                return layer if sound and not refused else None
            except Exception as error:  # a third party's layer may raise anything
                argument, rule = _split(error, config)
                if argument is not None:
                    self.add(f"{where}.{argument}", rule)
                    refused.add(argument)
                    del config[argument]
                    continue
                if sound and not refused:
                    self.add(where, rule)
                return None


def input_node(
    path: str, shape: object, dtype: str, name: str | None, problems: Problems
) -> Node | None:
    """Return an Input, or None after its problem is noted."""
    try:
        if not isinstance(shape, (list, tuple)):
            raise ArgumentError(
                "must be a list of sizes without the batch, such as [1, 28, 28], "
                f"got {shorten(shape)}"
            )
        return Input(shape, dtype, name)
    except FastconvError as error:
        problems.add(path, str(error).removeprefix("Input: ").removeprefix("shape "))
        return None


def describe(error: Exception) -> str:
    """Return the text of an error; of one that is not ours, with its class."""
    return str(error) if isinstance(error, FastconvError) else f"{type(error).__name__}: {error}"


def _split(error: Exception, config: Mapping[str, Any]) -> tuple[str | None, str]:
    """Split ``Conv2D: filters must be ..., got 0`` into the argument at fault and the rule."""
    text = str(error)
    if not isinstance(error, FastconvError):
        return None, describe(error)
    found = re.match(r"(?:[\w.]+: )?(\w+)(?:\[\d+\])* (.*)", text, re.DOTALL)
    if found and found[1] in config:
        return found[1], found[2]
    return None, text
