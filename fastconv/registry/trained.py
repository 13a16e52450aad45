"""Weights that come with a named network: which there are, and the settings that they need."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
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


def chosen_weights(owner: object, weights: Any) -> Trained | None:
    """Return what the argument `weights` of `create_model` stands for: a name, a path, or None.

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
        raise ArgumentError("create_model", "weights", rule, weights, remedy)
    return Trained(path, {}, "")
