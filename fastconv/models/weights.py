"""The parameters of a network: which there are, how they start, and loading them."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastconv.arguments import as_text
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConfigError,
    Problem,
    ShapeError,
    describe,
    did_you_mean,
    nearest,
    shorten,
)
from fastconv.layers.base import Layer
from fastconv.layers.parameter import Parameter, assign_all
from fastconv.layers.spec import Spec
from fastconv.models import strict_json
from fastconv.models.files import FROZEN, WeightFile
from fastconv.models.graph import Graph, Step

__all__ = [
    "Slot", "build", "check_file", "copies", "fill", "fill_layer", "frozen_in", "hand_out",
    "load_into", "matching", "named", "slots", "slots_of",
]  # fmt: skip

Array = np.ndarray[Any, Any]


class Slot(NamedTuple):
    """What a parameter will be, before it takes memory."""

    shape: tuple[int, ...]
    dtype: str
    learned: bool

    @property
    def size(self) -> int:
        """How many numbers."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the plain value."""
        return self.size * np.dtype(self.dtype).itemsize


def slots_of(layer: Layer, *specs: Spec) -> dict[str, Slot]:
    """Return what `layer` makes in `build` for `specs`, without making it."""
    if not layer.has_parameters:
        return {}
    if layer.built:
        layer.ensure_built(0, *specs)  # raises where its parameters do not fit
        return _made(layer)
    found: dict[str, Slot] = {}

    def add_param(name: str, shape: Any, initializer: Any = None, *, dtype: Any = None,
                  fan_in: Any = None) -> None:  # fmt: skip
        found[name] = Slot(tuple(shape), np.dtype(dtype or specs[0].dtype).name, True)

    def add_state(name: str, shape: Any, value: float = 0.0) -> None:
        found[name] = Slot(tuple(shape), specs[0].dtype, False)

    try:
        listing = layer._twin()
        vars(listing).update(add_param=add_param, add_state=add_state)
        listing.build(np.random.default_rng(0), *specs)
    except Exception:  # a third party's build may want the arrays; if it is broken, this says so
        trial = copy.deepcopy(layer)
        trial.ensure_built(0, *specs)
        return _made(trial)
    return found


def _made(layer: Layer) -> dict[str, Slot]:
    return {
        name: Slot(p.shape, p.dtype.name, learned)
        for group, learned in ((layer.parameters, True), (layer.states, False))
        for name, p in group.items()
    }


def slots(graph: Graph) -> dict[str, Slot]:
    """Return the parameters of a network by ``layer/parameter``, without making them.

    Raises
    ------
    ShapeError
        If a shared layer is used on inputs that need other parameters.
    """
    found: dict[str, dict[str, Slot]] = {}
    for step in graph.steps:
        if not step.layer.has_parameters:
            continue
        here = slots_of(step.layer, *graph.source_specs(step))
        if found.setdefault(step.name, here) != here:
            raise mismatch(step.id, step.name, found[step.name], here)
    return {f"{name}/{key}": slot for name, group in found.items() for key, slot in group.items()}


def mismatch(
    user: str, name: str, first: Mapping[str, Slot], here: Mapping[str, Slot]
) -> ShapeError:
    """Return the error that says why a shared layer cannot be used here."""
    key = next(key for key in {**first, **here} if first.get(key) != here.get(key))
    shapes = [slots[key].shape if key in slots else "none" for slots in (first, here)]
    return ShapeError(
        user, "inputs", f"must be such that the parameters of {name} fit, {key} is {shapes[0]} "
        f"and would be {shapes[1]} here", remedy="a shared layer takes inputs of one kind",
    )  # fmt: skip


def build(graph: Graph, seed: int) -> None:
    """Make the parameters of every layer that has none; each layer has a stream of its own."""
    numbers = {name: number for number, name in enumerate(graph.layers)}
    for step in graph.steps:
        if not step.layer.built:
            step.layer.ensure_built([seed, numbers[step.name]], *graph.source_specs(step))


def fill(graph: Graph, file: WeightFile) -> None:
    """Make the parameters of every layer from a file that has exactly these.

    Raises
    ------
    FormatError
        If names, shapes or dtypes differ; nothing has been allocated then.
    """
    check_file(graph, file)
    for step in graph.steps:
        fill_layer(graph, step, file)


def check_file(graph: Graph, file: WeightFile) -> None:
    """Raise FormatError unless the file has exactly the parameters of the network."""
    wanted, entries = slots(graph), file.entries
    problems = [f"{key} is missing" for key in wanted if key not in entries]
    problems += [f"{key} belongs to no layer" for key in entries if key not in wanted]
    for key, slot in wanted.items():
        if key in entries and not (
            slot.shape == entries[key].shape and file.fits(key, slot.dtype)
        ):
            got = f"{entries[key].shape} {entries[key].dtype}"
            problems.append(f"{key} must be {slot.shape} {slot.dtype}, got {got}")
    if problems:
        more = f" (and {len(problems) - 8} more)" if len(problems) > 8 else ""
        listed = f"{'; '.join(problems[:8])}{more}"
        raise file.refusal(f"arrays must be those of the network: {listed}")


def frozen_in(graph: Graph, file: WeightFile) -> list[str]:
    """Return the keys of the weights that were frozen when the network was saved.

    Raises
    ------
    FormatError
        If the file names others than learned weights of the network.
    """
    text = file.metadata.get(FROZEN)
    if text is None:
        return []
    try:
        keys = strict_json.parse(text, FROZEN)
    except ConfigError as error:
        raise file.refusal(str(error)) from None
    learned = {key for key, slot in slots(graph).items() if slot.learned}
    if not isinstance(keys, list) or not all(type(k) is str and k in learned for k in keys):
        raise file.refusal(f"{FROZEN} must be a list of learned weights, got {shorten(keys)}")
    return keys


def fill_layer(graph: Graph, step: Step, file: WeightFile) -> None:
    """Make the parameters of one layer, unless it has them, from a file that was checked."""
    layer = step.layer
    if layer.built:
        return

    def blank(rng: Any, shape: tuple[int, ...], fan_in: int, dtype: Any) -> Any:
        return np.broadcast_to(np.zeros((), dtype), shape)

    layer.ensure_built(0, *graph.source_specs(step), initializer=blank)
    for group in (layer.parameters, layer.states):
        for name, parameter in group.items():
            file.read_into(f"{step.name}/{name}", parameter.value)


def named(graph: Graph) -> dict[str, Parameter]:
    """Return learned parameters and statistics by ``layer/parameter``, in running order."""
    return {
        f"{name}/{key}": parameter
        for name, layer in graph.layers.items()
        for group in (layer.parameters, layer.states)
        for key, parameter in group.items()
    }


def copies(graph: Graph) -> dict[str, Array]:
    """Return copies of all values, which are of one time within `exclusively`."""
    return {key: parameter.value.copy() for key, parameter in named(graph).items()}


def hand_out(graph: Graph) -> list[Array | None]:
    """Return copies that pickles of the parameters are made of as long as they live."""
    return [parameter.hand_out() for parameter in named(graph).values()]


def matching(pattern: object, graph: Graph, operation: str) -> list[str]:
    """Return the keys ``layer/parameter`` that `pattern` means: of layers, or keys if it has "/".

    Raises
    ------
    ArgumentError
        If no layer or key matches.
    """
    pattern = as_text(operation, "pattern", pattern)
    keys = list(named(graph))
    pool = keys if "/" in pattern else list(graph.layers)
    found = set(fnmatch.filter(pool, pattern))
    if not found and pattern != "*":
        close = nearest(pattern, pool) or pool[:8]
        raise ArgumentError(
            operation, "pattern", "must match a layer", pattern, f"there are {', '.join(close)}"
        )
    return [key for key in keys if key in found or key.rpartition("/")[0] in found]


def _mapped(
    mapping: Mapping[str, str] | Callable[[str], str | None] | None, name: str
) -> str | None:
    """Return the key for what a file calls `name`."""
    if not callable(mapping):
        return (mapping or {}).get(name, name)
    try:
        return mapping(name)
    except Exception as error:  # somebody else's function may raise anything
        raise ArgumentTypeError(
            "load_weights", "mapping", "must be a function of names in the file", mapping,
            shown=f"one that fails for {name!r}, {describe(error)}",
        ) from error  # fmt: skip


def load_into(
    graph: Graph,
    file: WeightFile,
    only: str,
    strict: bool,
    mapping: Mapping[str, str] | Callable[[str], str | None] | None,
) -> list[str]:
    """Read arrays of a file into the parameters they are for; all of them, or on an error none.

    Returns
    -------
    list of str
        The keys that were loaded.
    """
    parameters = named(graph)
    chosen = set(matching(only, graph, "load_weights"))
    problems: list[Problem] = []
    sources: dict[str, str] = {}

    def add(parameter: str, rule: str, remedy: str = "", shown: object = None) -> None:
        got = None if shown is None else str(shown)
        problems.append(Problem("load_weights", parameter, rule, remedy=remedy, shown=got))

    for name in file.entries:
        key = _mapped(mapping, name)
        if key is not None and not isinstance(key, str):
            raise ArgumentTypeError(
                "load_weights", "mapping", "must give 'layer/parameter' or None", key,
                shown=f"{shorten(key)} for {name!r}",
            )  # fmt: skip
        if key in sources:
            rule = f"{key} must come from one array, got {sources[key]} as well"
            add(f"{name}:", rule)
        elif key in chosen:
            sources[key] = name
        elif strict and key is not None and key not in parameters:
            add(f"{name}:", f"no layer has {shorten(key)}", remedy=did_you_mean(key, parameters))
    if isinstance(mapping, Mapping):
        for name in mapping:
            if name not in file.entries:
                add("mapping", "must be of names in the file", shown=shorten(name))
    if strict:
        for key in parameters:
            if key in chosen and key not in sources:
                add(f"{key}:", "is missing in the file")
    for key, name in sources.items():
        entry = file.entries[name]
        if entry.shape != parameters[key].shape:
            add(key, f"must have shape {parameters[key].shape}", shown=entry.shape)
        if not entry.readable:
            add(key, "must be BF16, F16, F32 or F64", shown=entry.dtype)
    if problems:
        raise ConfigError(problems)
    # all are read and checked before one changes
    assign_all([(parameters[key], parameters[key].checked(file.read(name), "load_weights", key))
                for key, name in sources.items()])  # fmt: skip
    return [key for key in parameters if key in sources]
