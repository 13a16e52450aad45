"""How a layer's settings are recorded when it is made, and written as JSON values."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from fastconv import registry
from fastconv.errors import ArgumentTypeError, ConfigError

__all__ = ["missing", "recording", "taking_limit", "unrecorded", "written"]


def recording(init: Callable[..., None]) -> Callable[..., None]:
    """Return `init` so that it takes ``name=`` and records what it is given first.

    Raises
    ------
    ArgumentTypeError
        At once if `init` takes ``*args``, settings by position alone or a `name` of its own;
        later if arguments do not fit.
    """
    signature = inspect.signature(init)
    parameters = signature.parameters
    kinds = {key: parameter.kind for key, parameter in parameters.items()}
    unnamed = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY}
    if "name" in parameters or not unnamed.isdisjoint(list(kinds.values())[1:]):
        raise ArgumentTypeError(
            init.__qualname__,
            "settings",
            "must be named, and 'name' belongs to the base class",
            str(signature),
            shown=str(signature),
        )

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if "_config" in vars(self):
            return init(self, *args, **kwargs)
        name = kwargs.pop("name", None)
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            by_position = dict(zip(list(parameters)[1:], args, strict=False))
            problems = registry.setting_problems(type(self), by_position | kwargs, "")
            owner = type(self).__name__
            if not problems:
                raise _positions(owner, parameters, len(args), error) from None
            first, *others = problems
            rule = "; ".join(filter(None, (first.rule, first.remedy if others else "", *others)))
            remedy = "" if others else first.remedy
            raise ArgumentTypeError(owner, first.parameter, rule, remedy=remedy) from None
        bound.apply_defaults()
        config: dict[str, Any] = {}
        for key, value in list(bound.arguments.items())[1:]:  # without self
            config.update(value if kinds[key] is inspect.Parameter.VAR_KEYWORD else {key: value})
        self._begin(name, {key: _frozen(value) for key, value in config.items()})
        init(*bound.args, **bound.kwargs)

    __init__._records = True  # type: ignore[attr-defined]
    return __init__


def unrecorded(cls: type, operation: str) -> ArgumentTypeError | None:
    """Return the error that says why the Layer `cls` does not record its settings, or None."""
    if hasattr(cls.__init__, "_records"):  # type: ignore[misc]
        return None
    made = "@dataclass makes it" if hasattr(cls, "__dataclass_fields__") else "it was replaced"
    return ArgumentTypeError(
        operation,
        "__init__",
        "must be written in the class, where its arguments are recorded as the layer's settings",
        made,
        "write it by hand",
        shown=f"one that is not: {made} afterwards",
    )


class missing:  # noqa: N801
    """An attribute that the recorded ``__init__`` sets; if it is read before, the error says why.

    A ``__getattr__`` could do so too, but would slow down the reading of a layer's attributes.
    """

    def __new__(cls) -> Any:
        return super().__new__(cls)

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> NoReturn:
        error = None if instance is None else unrecorded(owner, owner.__name__)
        raise error or AttributeError(f"{owner.__name__}: {self._name} is set by the base class")


def _positions(
    owner: str, parameters: Mapping[str, inspect.Parameter], given: int, error: TypeError
) -> ArgumentTypeError:
    """Return the error for too many arguments without names; it says which settings may be such."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    allowed = [key for key, p in list(parameters.items())[1:] if p.kind in kinds]
    named = [key for key, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    if given <= len(allowed):
        return ArgumentTypeError(owner, "arguments", f"must be its settings: {error}", given)
    first = f"{' and '.join(allowed)} alone" if allowed else "no setting"
    rest = f"write {', '.join(f'{key}=...' for key in named)}" if named else ""
    return ArgumentTypeError(
        owner, first, "may come without a name", given, rest, shown=f"{given} positional arguments"
    )


def taking_limit(costs: Callable[..., Any]) -> Callable[..., Any]:
    """Return `costs` so that it takes ``workspace_limit=``, also if the layer has left that out."""
    parameters = inspect.signature(costs).parameters.values()
    if any(p.name == "workspace_limit" or p.kind is p.VAR_KEYWORD for p in parameters):
        return costs

    @functools.wraps(costs)
    def limited(*args: Any, workspace_limit: int | str | None = None, **kwargs: Any) -> Any:
        return costs(*args, **kwargs)

    return limited


def written(value: Any, owner: str, key: str) -> Any:
    """Return the setting `key` of the class `owner` as JSON has it; tuples become lists.

    Raises
    ------
    ConfigError
        If it has no form in JSON.
    """
    if isinstance(value, tuple):
        return [written(item, owner, key) for item in value]
    if isinstance(value, dict):
        for k in value:
            if not isinstance(k, str) or not _has_utf8(k):
                raise ConfigError(owner, key, "must have keys that are texts to be written", k)
        return {k: written(item, owner, f"{key}.{k}") for k, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(owner, key, "must be finite to be written", value)
    if isinstance(value, int) and abs(value) >= 10**19:
        raise ConfigError(owner, key, "must have at most 19 digits to be written", value)
    if isinstance(value, str) and not _has_utf8(value):
        raise ConfigError(owner, key, "must be a text in Unicode to be written", value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    name = registry.initializers.name_of(type(value))
    if name is not None:
        return [name, written(dict(vars(value)), owner, key)] if vars(value) else name
    raise ConfigError(
        owner,
        key,
        "must be a name, number, list or mapping to be written",
        value,
        "register it and give its name",
    )


def _has_utf8(text: str) -> bool:
    """Whether `text` can be written as UTF-8; half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _frozen(value: Any) -> Any:
    """Return `value` with its lists as tuples and NumPy's scalars as Python's."""
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _frozen(item) for key, item in value.items()}
    return value.item() if isinstance(value, np.generic) else value
