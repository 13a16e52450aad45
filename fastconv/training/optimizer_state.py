"""The slots of an optimizer as arrays by name, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv.arguments import as_int, as_mapping, as_plain_array, as_text
from fastconv.errors import ArgumentError

__all__ = ["Slots", "Steps", "arrays_of", "slots_of"]

Array = np.ndarray[Any, Any]
Slots = dict[str, tuple[Array, ...]]
Steps = dict[str, int]


def arrays_of(
    names: tuple[str, ...], steps: Steps, slots: Slots, copy: bool = True
) -> dict[str, Array]:
    """Return ``steps/<key>`` and ``<slot>/<key>`` for the slots called `names`."""
    state: dict[str, Array] = {}
    for key, group in list(slots.items()):  # a list, for a signal handler may take a step
        state[f"steps/{key}"] = np.array(steps[key])
        for name, array in zip(names, group, strict=True):
            state[f"{name}/{key}"] = array.copy() if copy else array
    return state


def slots_of(
    operation: str, names: tuple[str, ...], state: Mapping[str, Any]
) -> tuple[Steps, Slots]:
    """Return the steps and the slots that `arrays_of` gave, as copies.

    Raises
    ------
    ArgumentError
        If a slot is missing, or there is one that is not in `names`.
    """
    as_mapping(operation, "state", state, "what state_dict() names to arrays")
    for name in state:
        as_text(operation, "names in state", name)
    keys = [name[6:] for name in state if name.startswith("steps/")]
    wanted = {f"{slot}/{key}" for key in keys for slot in ("steps", *names)}
    if wrong := sorted(wanted.symmetric_difference(state)):
        raise ArgumentError(
            operation,
            "state",
            f"must hold steps and {names} of every parameter",
            wrong[0],
            shown=f"a missing or unknown entry {wrong[0]!r}",
        )
    steps = {
        key: as_int(operation, f"state['steps/{key}']", state[f"steps/{key}"], 0, 2**63 - 1)
        for key in keys
    }
    slots = {
        key: tuple(_copied(operation, f"{slot}/{key}", state) for slot in names) for key in keys
    }
    return steps, slots


def _copied(operation: str, name: str, state: Mapping[str, Any]) -> Array:
    array = as_plain_array(operation, f"state[{name!r}]", state[name], (np.floating,))
    return np.array(array, order="C")
