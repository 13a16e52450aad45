"""Reads a file into the parameters of a network: into all that are asked for, or into none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastconv.arguments import as_bool
from fastconv.errors import ConfigError, Problem, did_you_mean, shorten
from fastconv.layers.parameter import Parameter, assign_all
from fastconv.models.graph import Graph, Step, weights
from fastconv.models.saving import formats, strict_json
from fastconv.models.saving.files import FROZEN, WeightFile, told
from fastconv.models.saving.renaming import Names, Renaming, Target
from fastconv.models.saving.torch_file import TorchFile

__all__ = ["check_file", "fill", "fill_layer", "frozen_in", "load_into"]

#: For how many problems of one kind the nearest right name is looked for.
_MOST_HINTS = 20


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
    renaming = Renaming(mapping)
    given, found = told("load_weights", path)
    kind = TorchFile if found is formats.TORCH else WeightFile
    with kind("load_weights", given) as file:
        return _load_into(graph, file, only, strict, renaming)


def _load_into(
    graph: Graph, file: WeightFile | TorchFile, only: str, strict: bool, renaming: Renaming
) -> list[str]:
    parameters = weights.named(graph)
    chosen = set(weights.matching(only, graph, "load_weights"))
    sources, problems = _sources(parameters, chosen, file, strict, renaming)
    for key, (name, target) in sources.items():
        entry, shape = file.entries[name], parameters[key].shape
        got = target.shape(entry.shape)
        if target.axes is not None and len(target.axes) != len(entry.shape):
            rule = f"must have {len(target.axes)} axes, which mapping puts in order"
            problems.append(Problem("load_weights", key, rule, entry.shape))
        elif got != shape:
            rule = f"must have shape {shape}"
            problems.append(Problem("load_weights", key, rule, got))
        if not entry.readable:
            rule = "must be BF16, F16, F32 or F64"
            problems.append(Problem("load_weights", key, rule, entry.dtype, shown=entry.dtype))
    if problems:
        raise ConfigError(problems)
    # all arrays are read and checked before any parameter changes
    found = []
    for key, (name, target) in sources.items():
        array = file.read(name)
        array = array if target.axes is None else array.transpose(target.axes)
        found.append((parameters[key], parameters[key].checked(array, "load_weights", key)))
    assign_all(found)
    return [key for key in parameters if key in sources]


def _sources(
    parameters: Mapping[str, Parameter],
    chosen: set[str],
    file: WeightFile | TorchFile,
    strict: bool,
    renaming: Renaming,
) -> tuple[dict[str, tuple[str, Target]], list[Problem]]:
    """Return for each key the array of the file, and what is wrong with the names."""
    sources: dict[str, tuple[str, Target]] = {}
    problems: list[Problem] = []
    left: list[str] = []  # names that no layer has
    for name in file.entries:
        target = renaming(name)
        key = target.key
        where = f"load_weights: {name}"
        if key in sources:
            rule = f"must come from one array, got {sources[key][0]} as well"
            problems.append(Problem(where, key, rule))
        elif key in chosen:
            sources[key] = name, target
        elif key is not None and key not in parameters:
            left.append(name)
            if strict:
                remedy = _near(key, parameters, len(left))
                rule = f"no layer has {shorten(key)}"
                problems.append(Problem(where, "", rule, remedy=remedy))
    rule = "must be of names in the file, or of their beginnings"
    problems += [Problem("load_weights", "mapping", rule, key) for key in renaming.unused()]
    missing = [key for key in parameters if key in chosen and key not in sources] if strict else []
    for number, key in enumerate(missing):
        problems.append(
            Problem("load_weights", key, "is missing in the file", remedy=_near(key, left, number))
        )
    return sources, problems


def _near(name: str, candidates: Iterable[str], number: int) -> str:
    """Return what may be meant by `name`, if its problem is among the first, and the others not.

    To look for what is near takes a millisecond or so.
    """
    return did_you_mean(name, candidates) if number < _MOST_HINTS else ""
