"""Reads checkpoints: the newest that is whole, and of it all or nothing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv.arguments import as_path
from fastconv.errors import (
    ArgumentError,
    CheckpointWarning,
    ConfigError,
    FormatError,
    describe,
    shorten,
)
from fastconv.errors.callers import outside
from fastconv.models.graph import Graph, trace, weights
from fastconv.models.saving import configuration, loading, rotation, states
from fastconv.models.saving.files import CONFIG, TRAINING, WeightFile
from fastconv.training.checkpoint import Checkpoint
from fastconv.training.described import differences

__all__ = ["Saved", "newest"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was read and checked; nothing has been changed by it.

    Attributes
    ----------
    path : str
    checkpoint : Checkpoint
    arrays : dict of str to ndarray
        The weights by ``layer/parameter``.
    frozen : list of str
        The keys of those that are frozen.
    """

    path: str
    checkpoint: Checkpoint
    arrays: dict[str, Array]
    frozen: list[str]


def newest(operation: str, path: Any, graph: Graph) -> Saved:
    """Return the checkpoint at `path`; if that is damaged or missing, the newest one before it.

    Raises
    ------
    FormatError, OSError
        If none of them is whole; the error is that of the file at `path`.
    ArgumentError
        If it is a file without training, or of another network.

    Warns
    -----
    CheckpointWarning
        If one before it serves.
    """
    first: Exception | None = None
    name = str(as_path(operation, "resume", path))
    for candidate in (name, *rotation.older(os.path.realpath(name))):
        try:
            saved = _read(operation, candidate, graph)
        except (FormatError, FileNotFoundError) as error:
            first = first or error
            continue
        if first is not None:
            warnings.warn(
                f"{operation}: {candidate}, the checkpoint before, serves; the newest cannot: "
                f"{describe(first)}",
                CheckpointWarning,
                stacklevel=outside(),
            )
        return saved
    assert first is not None
    if isinstance(first, FileNotFoundError):
        rule = (
            "no such checkpoint; resume=path if os.path.exists(path) else None begins without one"
        )
        raise FileNotFoundError(first.errno, rule, name) from first
    raise first


def _read(operation: str, path: str, graph: Graph) -> Saved:
    with WeightFile(operation, path) as file:
        if TRAINING not in file.metadata:
            raise ArgumentError(
                operation,
                "resume",
                "must be of a checkpoint",
                path,
                "net.save(path, training=True) and the callback checkpoint write one; to go on "
                "from weights alone, load the network, compile it, and leave resume out",
                shown=f"{path!r}, which holds a network alone",
            )
        _check_network(operation, file, graph)
        loading.check_file(graph, file)
        frozen = loading.frozen_in(graph, file)
        try:
            state = states.nested(
                file.metadata[TRAINING], TRAINING, set(file.training), file.read_plain
            )
            checkpoint = Checkpoint.read(state)
            _check_optimizer(checkpoint.optimizer, graph)
        except ConfigError as error:
            raise file.refusal(str(error)) from None
        arrays = {key: file.read(key) for key in file.entries}
    return Saved(path, checkpoint, arrays, frozen)


def _check_network(operation: str, file: WeightFile, graph: Graph) -> None:
    """Raise unless the file holds a network of the configuration of `graph`."""
    try:
        (inputs, outputs), _ = configuration.read(file.metadata.get(CONFIG, ""))
        before = configuration.write(trace(inputs, outputs))
    except ConfigError as error:
        raise FormatError(operation, f"{file.path}:", str(error)) from error
    for place, then, now in differences(before, configuration.write(graph)):
        raise ArgumentError(
            operation,
            f"the network's {place}",
            f"must be {shorten(then)}, as in {file.path}",
            now,
            "resume is for the network that was saved: fastconv.load(path) returns it",
        )


def _check_optimizer(state: Mapping[str, Any], graph: Graph) -> None:
    """Raise ConfigError if a slot of an optimizer does not fit the weight that it is for."""
    slots = weights.slots(graph)
    for name, value in state.items():
        if not isinstance(value, np.ndarray) or name.startswith("steps/"):
            continue
        key = name.partition("/")[2]
        slot = slots.get(key)
        if slot is None or (value.shape, value.dtype.name) != (slot.shape, slot.dtype):
            rule = "must fit a weight of the network"
            got = f"{value.shape} {value.dtype}"
            raise ConfigError(f"training.optimizer.{shorten(name)}", "", rule, got, shown=got)
