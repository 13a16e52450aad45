"""Reads a file into the parameters of a network: into all that are asked for, or into none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastconv.arguments import as_bool
from fastconv.errors import (
    ArgumentTypeError,
    ConfigError,
    Problem,
    describe,
    did_you_mean,
    from_signal,
    shorten,
)
from fastconv.layers.parameter import Parameter, assign_all
from fastconv.models.graph import Graph, Step, weights
from fastconv.models.saving import strict_json
from fastconv.models.saving.files import FROZEN, WeightFile

__all__ = ["check_file", "fill", "fill_layer", "frozen_in", "load_into"]

Names = Mapping[str, str] | Callable[[str], str | None] | None


def fill(graph: Graph, file: WeightFile) -> None:
    """Make the parameters of every layer from a file that holds exactly these parameters.

    Raises
    ------
    FormatError
        If names, shapes or dtypes differ. Nothing has been allocated then.
    """
    check_file(graph, file)
    for step in graph.steps:
        fill_layer(graph, step, file)


def check_file(graph: Graph, file: WeightFile) -> None:
    """Raise FormatError unless the file has exactly the parameters of the network."""
    wanted, entries = weights.slots(graph), file.entries
    problems = [f"{key} is missing" for key in wanted if key not in entries]
    problems += [f"{key} belongs to no layer" for key in entries if key not in wanted]
    for key, slot in wanted.items():
        if key in entries and not (slot.shape == entries[key].shape and file.fits(key, slot.dtype)):
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
        If the file names anything but learned weights of the network.
    """
    text = file.metadata.get(FROZEN)
    if text is None:
        return []
    try:
        keys = strict_json.parse(text, FROZEN)
    except ConfigError as error:
        raise file.refusal(str(error)) from None
    learned = {key for key, slot in weights.slots(graph).items() if slot.learned}
    if not isinstance(keys, list) or not all(type(k) is str and k in learned for k in keys):
        raise file.refusal(f"{FROZEN} must be a list of learned weights, got {shorten(keys)}")
    return keys


def fill_layer(graph: Graph, step: Step, file: WeightFile) -> None:
    """Make the parameters of one layer, if it has none yet, from a file that was checked."""
    layer = step.layer
    if layer.built:
        return

    def blank(rng: Any, shape: tuple[int, ...], fan_in: int, dtype: Any) -> Any:
        return np.broadcast_to(np.zeros((), dtype), shape)

    layer.ensure_built(0, *graph.source_specs(step), initializer=blank)
    for group in (layer.parameters, layer.states):
        for name, parameter in group.items():
            file.read_into(f"{step.name}/{name}", parameter.value)


def load_into(graph: Graph, path: Any, only: str, strict: bool, mapping: Names) -> list[str]:
    """Read arrays of a file into the parameters that they are for: all, or on an error none.

    Returns
    -------
    list of str
        The keys that were loaded.
    """
    strict = as_bool("load_weights", "strict", strict)
    if mapping is not None and not callable(mapping) and not isinstance(mapping, Mapping):
        rule = "must be a mapping or a function of names in the file"
        raise ArgumentTypeError("load_weights", "mapping", rule, mapping)
    with WeightFile("load_weights", path) as file:
        return _load_into(graph, file, only, strict, mapping)


def _load_into(
    graph: Graph, file: WeightFile, only: str, strict: bool, mapping: Names
) -> list[str]:
    parameters = weights.named(graph)
    chosen = set(weights.matching(only, graph, "load_weights"))
    sources, problems = _sources(parameters, chosen, file, strict, mapping)
    for key, name in sources.items():
        entry, shape = file.entries[name], parameters[key].shape
        if entry.shape != shape:
            rule = f"must have shape {shape}"
            problems.append(Problem("load_weights", key, rule, entry.shape))
        if not entry.readable:
            rule = "must be BF16, F16, F32 or F64"
            problems.append(Problem("load_weights", key, rule, entry.dtype, shown=entry.dtype))
    if problems:
        raise ConfigError(problems)
    # all arrays are read and checked before any parameter changes
    assign_all(
        [
            (parameters[key], parameters[key].checked(file.read(name), "load_weights", key))
            for key, name in sources.items()
        ]
    )
    return [key for key in parameters if key in sources]


def _sources(
    parameters: Mapping[str, Parameter],
    chosen: set[str],
    file: WeightFile,
    strict: bool,
    mapping: Names,
) -> tuple[dict[str, str], list[Problem]]:
    """Return for each key the array of the file, and what is wrong with the names."""
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    for name in file.entries:
        key = _mapped(mapping, name)
        where = f"load_weights: {name}"
        if key in sources:
            rule = f"must come from one array, got {sources[key]} as well"
            problems.append(Problem(where, key, rule))
        elif key in chosen:
            sources[key] = name
        elif strict and key is not None and key not in parameters:
            remedy = did_you_mean(key, parameters)
            problems.append(Problem(where, "", f"no layer has {shorten(key)}", remedy=remedy))
    if isinstance(mapping, Mapping):
        rule = "must be of names in the file"
        problems += [
            Problem("load_weights", "mapping", rule, n) for n in mapping if n not in file.entries
        ]
    if strict:
        problems += [
            Problem("load_weights", key, "is missing in the file")
            for key in parameters
            if key in chosen and key not in sources
        ]
    return sources, problems


def _mapped(mapping: Names, name: str) -> str | None:
    """Return the key of the array that a file calls `name`."""
    try:
        key: Any = mapping(name) if callable(mapping) else (mapping or {}).get(name, name)
    except Exception as error:  # somebody else's function may raise anything
        if from_signal(error):
            raise
        raise ArgumentTypeError(
            "load_weights",
            "mapping",
            "must be a function of names in the file",
            mapping,
            shown=f"one that fails for {name!r}, {describe(error)}",
        ) from error
    if key is not None and not isinstance(key, str):
        raise ArgumentTypeError(
            "load_weights",
            "mapping",
            "must give 'layer/parameter' or None",
            key,
            shown=f"{shorten(key)} for {name!r}",
        )
    return key
