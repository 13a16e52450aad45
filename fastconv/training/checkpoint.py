"""How far training has come, as checkpoints hold it, and as it is read: strictly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv.errors import ConfigError, did_you_mean, shorten

__all__ = ["FORMAT", "Checkpoint", "Kept", "Place"]

FORMAT = "fastconv-training/1"
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Kept:
    """A callback: its name, its settings, its state, and whether it only looks at the others."""

    name: str
    settings: dict[str, Any]
    state: dict[str, Any]
    last: bool


@dataclass(frozen=True)
class Place:
    """Where a ``fit`` is.

    Attributes
    ----------
    settings : dict
        What must be as it was for the run to go on, as JSON values.
    epoch, batch : int
        The batch that comes next, both counted from 0.
    stop : bool
        Whether a callback ended the run.
    totals : dict
        The partial sums of the figures of the epoch, as of `Totals.state`.
    history : dict
        The state of the `History`.
    callbacks : list of Kept
    """

    settings: dict[str, Any]
    epoch: int
    batch: int
    stop: bool
    totals: dict[str, Any]
    history: dict[str, Any]
    callbacks: list[Kept]


@dataclass(frozen=True)
class Checkpoint:
    """All that training changes, but for the weights.

    Attributes
    ----------
    seed : int
        That of the network, the key of dropout.
    step, epoch : int
        The steps and the epochs since the network was compiled.
    compiled : dict
        How it was compiled: ``optimizer``, ``losses`` and ``metrics``, each described as
        ``[name, {...}]``.
    optimizer : dict
        The state of the optimizer.
    fit : Place or None
        None if no ``fit`` has run since then.
    """

    seed: int
    step: int
    epoch: int
    compiled: dict[str, Any]
    optimizer: dict[str, Any]
    fit: Place | None

    def state(self) -> dict[str, Any]:
        """Return it as JSON values and arrays, nested."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        place = None
        if self.fit is not None:
            place = {name: getattr(self.fit, name) for name in self.fit.__dataclass_fields__}
            place["callbacks"] = [vars(one) for one in self.fit.callbacks]
        return {"format": FORMAT, **own, "fit": place}

    @classmethod
    def read(cls, state: Any) -> Checkpoint:
        """Return what `state` gave; nothing in it is trusted.

        Raises
        ------
        ConfigError
            If a key is missing or unknown, or a value is of another type or out of range.
        """
        found = _fields("training", state, {"format": _format, **_CHECKPOINT})
        del found["format"]
        return cls(**found)


Check = Callable[[str, Any], Any]


def _fields(place: str, value: Any, checks: Mapping[str, Check]) -> dict[str, Any]:
    """Return the values of a dict that has the keys of `checks`, each checked."""
    value = _mapping(place, value)
    for key in value:
        if key not in checks:
            remedy = did_you_mean(key, checks)
            raise ConfigError(place, "", f"must not have the key {shorten(key)}", remedy=remedy)
    for key in checks:
        if key not in value:
            raise ConfigError(place, "", f"must have the key {key!r}")
    return {key: check(f"{place}.{key}", value[key]) for key, check in checks.items()}


def _mapping(place: str, value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise ConfigError(place, "", "must be an object", value)
    return value


def _format(place: str, value: Any) -> str:
    if type(value) is not str or value != FORMAT:
        remedy = "a newer fastconv may read it"
        raise ConfigError(place, "", f"must be {FORMAT!r}", value, remedy)
    return value


def _whole(place: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise ConfigError(place, "", "must be an integer from 0 to 2**63 - 1", value)
    return value


def _flag(place: str, value: Any) -> bool:
    if type(value) is not bool:
        raise ConfigError(place, "", "must be true or false", value)
    return value


def _text(place: str, value: Any) -> str:
    if type(value) is not str:
        raise ConfigError(place, "", "must be a string", value)
    return value


def _totals(place: str, value: Any) -> dict[str, Any]:
    for name, held in _mapping(place, value).items():
        numbers = type(held) is list and len(held) == 2
        if numbers and all(type(number) in (int, float) for number in held):
            continue
        if isinstance(held, np.ndarray) and held.dtype == np.float64:
            continue
        raise ConfigError(f"{place}.{name}", "", "must be a sum and a count, or counts", held)
    return value


def _history(place: str, value: Any) -> dict[str, Any]:
    for name, held in _mapping(place, value).items():
        if not (isinstance(held, np.ndarray) and held.dtype == np.float64 and held.ndim == 1):
            raise ConfigError(f"{place}.{name}", "", "must be figures of epochs", held)
    return value


def _callbacks(place: str, value: Any) -> list[Kept]:
    if type(value) is not list:
        raise ConfigError(place, "", "must be a list", value)
    checks = {"name": _text, "settings": _mapping, "state": _mapping, "last": _flag}
    return [Kept(**_fields(f"{place}[{i}]", one, checks)) for i, one in enumerate(value)]


def _compiled(place: str, value: Any) -> dict[str, Any]:
    return _fields(place, value, {"optimizer": _pair, "losses": _pairs, "metrics": _groups})


def _pair(place: str, value: Any) -> list[Any]:
    if type(value) is not list or len(value) != 2:
        raise ConfigError(place, "", "must be [name, {...}]", value)
    return [_text(f"{place}[0]", value[0]), _mapping(f"{place}[1]", value[1])]


def _pairs(place: str, value: Any) -> list[Any]:
    if type(value) is not list:
        raise ConfigError(place, "", "must be a list", value)
    return [_pair(f"{place}[{i}]", one) for i, one in enumerate(value)]


def _groups(place: str, value: Any) -> list[Any]:
    if type(value) is not list:
        raise ConfigError(place, "", "must be a list", value)
    return [_pairs(f"{place}[{i}]", one) for i, one in enumerate(value)]


def _place(place: str, value: Any) -> Place | None:
    return None if value is None else Place(**_fields(place, value, _PLACE))


_PLACE: dict[str, Check] = {
    "settings": _mapping,
    "epoch": _whole,
    "batch": _whole,
    "stop": _flag,
    "totals": _totals,
    "history": _history,
    "callbacks": _callbacks,
}
_CHECKPOINT: dict[str, Check] = {
    "seed": _whole,
    "step": _whole,
    "epoch": _whole,
    "compiled": _compiled,
    "optimizer": _mapping,
    "fit": _place,
}
