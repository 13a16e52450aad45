"""Weights that come with a named network: which there are, and the settings that they need."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from fastconv.arguments import as_path
from fastconv.errors import ArgumentError, ArgumentTypeError, did_you_mean

__all__ = ["Trained", "chosen_weights", "offered_weights", "with_weights"]

F = TypeVar("F", bound=Callable[..., Any])
_ATTRIBUTE = "trained_weights"
_NONE: Mapping[str, Trained] = MappingProxyType({})


class Trained(NamedTuple):
    """Weights in a file.

    Attributes
    ----------
    path : str
    settings : mapping
        Settings of the network for which the weights are; a caller may give them again.
    text : str
        What they were trained on.
    """

    path: str
    settings: Mapping[str, Any]
    text: str

    def completed(self, name: object, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings of the network for these weights, which are called `name`.

        Raises
        ------
        ArgumentError
            If `config`, the settings that somebody has given, are of a network of other shapes.
        """
        for key, wanted in self.settings.items():
            given = config.get(key, wanted)
            if not (tuple(given) == tuple(wanted) if _both(given, wanted) else given == wanted):
                rule = f"must be {wanted} for the weights {name!r}"
                remedy = "or leave the weights out, and train the network"
                raise ArgumentError("create_model", key, rule, given, remedy)
        return {**self.settings, **config}


def _both(*values: Any) -> bool:
    return all(hasattr(type(value), "__len__") for value in values)


def with_weights(**offered: Trained) -> Callable[[F], F]:
    """Return a decorator for the function of a named network, whose `weights` may be a name."""

    def decorate(function: F) -> F:
        vars(function)[_ATTRIBUTE] = MappingProxyType(offered)
        return function

    return decorate


def offered_weights(owner: object) -> Mapping[str, Trained]:
    """Return the weights that come with a named network, by name."""
    found = getattr(owner, _ATTRIBUTE, _NONE)
    return found if isinstance(found, Mapping) else _NONE


def chosen_weights(
    owner: object, weights: Any, owners: Callable[[str], Sequence[str]]
) -> Trained | None:
    """Return what the argument `weights` of `create_model` stands for: a name, a path, or None.

    Parameters
    ----------
    owner : object
        The function of the named network; None for one without a name.
    owners : callable
        What names the networks that come with weights of a name.

    Raises
    ------
    ArgumentTypeError
        If it is neither a text nor a path.
    ArgumentError
        If it is no name of weights, and no file either.
    """
    if weights is None:
        return None
    offered = offered_weights(owner)
    if isinstance(weights, str) and weights in offered:
        return offered[weights]
    names = ", ".join(map(repr, offered))
    rule = f"must be None, {names} or a path" if names else "must be None or a path"
    if not isinstance(weights, (str, os.PathLike)):
        raise ArgumentTypeError("create_model", "weights", rule, weights)
    path = str(as_path("create_model", "weights", weights))
    if isinstance(weights, str) and weights.isidentifier() and not os.path.exists(path):
        remedy = did_you_mean(weights, offered) or "it is no file here"
        if others := owners(weights):
            remedy = f"networks that come with such are {', '.join(others)}"
        raise ArgumentError("create_model", "weights", rule, weights, remedy)
    return Trained(path, {}, "")
