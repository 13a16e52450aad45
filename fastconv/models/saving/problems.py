"""Every problem of a configuration, found in one pass, each with its JSON path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastconv import registry
from fastconv.errors import (
    NOTHING,
    ArgumentError,
    ConfigError,
    FastconvError,
    Problem,
    describe,
    did_you_mean,
    from_signal,
    shorten,
)
from fastconv.layers.base import Layer
from fastconv.models.graph import Input, Node, check_id

__all__ = ["MAX_NODES", "Problems", "input_node", "problems_of"]

# What other libraries call the keys of a node or a network.
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
# So many can be built within seconds. A JSON text holds fewer: see the limits of strict_json.
MAX_NODES = 100_000
_MOST = 100  # how many problems are listed; a hostile configuration may have one for each node


class Problems:
    """Collects problems; `finish` raises them together.

    Examples
    --------
    >>> problems = Problems()
    >>> problems.add("nodes[2].id", "must be a string", 3)
    >>> problems.found
    ['nodes[2].id: must be a string, got 3']
    """

    def __init__(self) -> None:
        self.found: list[str] = []  # the problems that are shown
        self.count = 0  # how many there are in all

    def add(
        self,
        path: str,
        rule: str,
        value: object = NOTHING,
        remedy: str = "",
        *,
        shown: str | None = None,
    ) -> None:
        """Note one problem; the parts are those of `fastconv.errors.Problem`."""
        if self.too_many:
            self.count += 1
        else:
            self.note(Problem(path, "", rule, value, remedy, shown=shown))

    def note(self, *problems: str) -> None:
        """Note problems that are complete texts."""
        self.found.extend(problems[: max(0, _MOST - self.count)])
        self.count += len(problems)

    def finish(self) -> None:
        """Raise ConfigError if there is any problem."""
        more = self.count - _MOST
        if more > 0:
            raise ConfigError([*self.found, f"... and {more} more"])
        if self.found:
            raise ConfigError(self.found)

    @property
    def too_many(self) -> bool:
        """Whether no further problem would be shown, so that no remedy need be looked for."""
        return self.count >= _MOST

    def near(self, name: object, candidates: Iterable[str]) -> str:
        """Return ``"did you mean 'x'?"``, or "" if no candidate is near."""
        return "" if self.too_many else did_you_mean(name, candidates)

    def keys(self, path: str, item: Mapping[Any, Any], allowed: tuple[str, ...]) -> None:
        """Note the keys of `item` that are not `allowed`."""
        prefix = f"{path}." if path else ""
        for key in item:
            if key not in allowed:
                hint = HINTS.get(key) if isinstance(key, str) else None
                near = f"did you mean {hint!r}?" if hint in allowed else self.near(key, allowed)
                label = key if isinstance(key, str) and len(key) <= 60 else shorten(key)
                remedy = near or f"there are {', '.join(allowed)}"
                self.add(f"{prefix}{label}", "unknown key", remedy=remedy)

    def is_id(self, path: str, name: object) -> bool:
        """Whether `name` can be an id; if not, that is noted."""
        try:
            check_id("", name)
        except ArgumentError as error:
            self.note(Problem.of(path, error))
            return False
        return True

    def layer(
        self, path: str, kind: object, where: str, config: object, name: str | None
    ) -> Layer | None:
        """Return a layer of a registered kind, or None after its problems are noted.

        Only plugins that the registry knows are imported, and nothing is allocated.
        """
        if not isinstance(kind, str):
            self.add(path, "must be the name of a registered layer", kind, _called(kind))
            return None
        if self.too_many and kind not in registry.layers:
            self.add(path, "must be the name of a registered layer", kind)
            return None
        try:
            make = registry.layers.get(kind)
        except ConfigError as error:
            self.note(*error.within(path).problems)
            return None
        if not isinstance(config, Mapping):
            self.add(where, "must be an object of the layer's arguments", config)
            return None
        unfit = registry.check_config(make, config, where)
        self.note(*unfit)
        sound = not unfit
        return self._construct(make, dict(config), where, name, sound)

    def _construct(
        self, make: Any, config: dict[Any, Any], where: str, name: str | None, sound: bool
    ) -> Layer | None:
        """Construct; note each refused value and go on with a harmless one, until all are known."""
        parameters = registry.parameters_of(make)
        if not sound:  # unknown and missing keys are noted already; now come the values
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
            except BaseException as error:  # a third party's layer may raise anything
                if from_signal(error):
                    raise
                if isinstance(error, FastconvError):
                    argument = error.parameter.partition("[")[0]
                    if argument in config:
                        self.note(Problem.of(f"{where}.{argument}", error))
                        refused.add(argument)
                        del config[argument]
                        continue
                if sound and not refused:
                    self.note(*problems_of(where, error))
                return None


def input_node(
    path: str,
    shape: object,
    dtype: str,
    name: str | None,
    problems: Problems,
    batch_axis: int | None = 0,
) -> Node | None:
    """Return an Input, or None after its problem is noted; `path` is that of its shape."""
    if not isinstance(shape, (list, tuple)):
        rule = "must be a list of sizes without the batch, such as [1, 28, 28]"
        problems.add(path, rule, shape)
        return None
    try:
        return Input(shape, dtype, name, batch_axis=batch_axis)
    except FastconvError as error:
        # "shape[1]" is worth saying, but "shape" is in the path already
        place = "" if error.parameter == "shape" else error.parameter
        if place in ("dtype", "batch_axis") and path.endswith(".shape"):
            path, place = f"{path.removesuffix('shape')}{place}", ""
        parts = place, error.rule, error.value, error.remedy
        problems.note(Problem(path, *parts, shown=error.shown))
        return None


def problems_of(path: str, error: BaseException) -> list[str]:
    """Return what `error` says, as problems at the place `path`."""
    if isinstance(error, ConfigError) and error.problems:
        return error.within(path).problems
    if isinstance(error, FastconvError) and error.rule:
        parts = error.operation, error.parameter, error.rule, error.value, error.remedy
        return [Problem(*parts, shown=error.shown).within(path)]
    return [Problem(path, "", describe(error))]


def _called(kind: object) -> str:
    """Return how a layer that was given as a class is made."""
    return f"call it: {kind.__name__}(...)" if isinstance(kind, type) else ""
