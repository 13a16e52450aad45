"""Makes an instance from a name and settings, and reports all unknown and missing settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from fastconv.arguments import as_mapping
from fastconv.errors import ArgumentTypeError, ConfigError, Problem, shorten
from fastconv.registry.core import Registry
from fastconv.registry.spellings import setting_remedy

__all__ = [
    "check_config",
    "create",
    "own_settings",
    "parameters_of",
    "resolve",
    "setting_problems",
    "spec_of",
]


def parameters_of(owner: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of `owner`, looked up once; ``**settings`` if it does not tell them."""
    try:
        return _parameters_of(owner)
    except (TypeError, ValueError):  # it cannot be hashed, or is a built-in without a signature
        pass
    try:
        return inspect.signature(owner).parameters
    except (TypeError, ValueError):
        return {"settings": inspect.Parameter("settings", inspect.Parameter.VAR_KEYWORD)}


@functools.lru_cache(maxsize=256)
def _parameters_of(owner: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(owner).parameters


class _Settings(NamedTuple):
    """All settings of something, those that have no default, and whether it takes any others."""

    all: list[str]
    required: list[str]
    anything: bool


def _settings_of(owner: Callable[..., Any]) -> _Settings:
    """Return the settings of `owner`, looked up once."""
    try:
        return _known_settings(owner)
    except TypeError:  # it cannot be hashed
        return _split(parameters_of(owner))


@functools.lru_cache(maxsize=256)
def _known_settings(owner: Callable[..., Any]) -> _Settings:
    return _split(parameters_of(owner))


def _split(parameters: Mapping[str, inspect.Parameter]) -> _Settings:
    named = {
        key: p for key, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    required = [key for key, p in named.items() if p.default is p.empty]
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return _Settings(list(named), required, anything)


def check_config(owner: Callable[..., Any], config: object, path: str) -> list[Problem]:
    """Return the problems that `config` has as keyword arguments of `owner`, each with its path.

    Keys are checked here; `owner` checks the values.

    Examples
    --------
    >>> def Blur(size, *, stride=1): ...
    >>> check_config(Blur, {"size": 3, "strides": 2}, "nodes[0].config")
    ["nodes[0].config.strides: unknown, Blur has no such setting; did you mean 'stride'?"]
    """
    if not isinstance(config, Mapping):
        return [Problem(path, "", "must be an object of settings", config)]
    return [
        Problem(f"{path}.{key}", "", rule, remedy=remedy)
        for key, rule, remedy in _key_problems(owner, config)
    ]


def setting_problems(
    owner: Callable[..., Any], config: Mapping[Any, Any], operation: str
) -> list[Problem]:
    """Return the problems of keys that are unknown or missing in `config`, for `operation`."""
    return [
        Problem(operation, key, f"is {rule}", remedy=remedy)
        for key, rule, remedy in _key_problems(owner, config)
    ]


def _key_problems(
    owner: Callable[..., Any], config: Mapping[Any, Any]
) -> Iterator[tuple[str, str, str]]:
    """Yield key, rule and remedy of each unknown or missing key of `config`."""
    settings, required, anything = _settings_of(owner)
    name = getattr(owner, "__name__", None) or type(owner).__name__
    for key in config:
        if isinstance(key, str) and (anything or key in settings):
            continue
        plain = isinstance(key, str) and 1 <= len(key) <= 60 and key.isprintable()
        label = str(key) if plain else shorten(key)
        yield label, f"unknown, {name} has no such setting", setting_remedy(key, settings)
    for key in required:
        if key not in config:
            yield key, f"missing, {name} needs {' and '.join(required)}", ""


def create(registry: Registry[Any], name: object, config: Mapping[str, Any], operation: str) -> Any:
    """Return the object `name` of `registry`, called with `config`.

    Raises
    ------
    ConfigError
        If the name is unknown, or settings are unknown or missing; it lists all of these. For a
        wrong value the object itself raises an error.
    """
    try:
        owner = registry.get(name)
    except ConfigError as error:
        raise error.within(operation) from None
    config = as_mapping(operation, "config", config, "settings to values")
    problems = setting_problems(owner, config, operation)
    if problems:
        raise ConfigError(problems)
    return owner(**config)


def resolve(registry: Registry[Any], spec: object, operation: str) -> Any:
    """Return the instance that `spec` stands for: a name, ``(name, {...})`` or an instance.

    Raises
    ------
    ConfigError
        As of `create`, and if a pair is not a name and its settings.
    ArgumentTypeError
        If `spec` is a class or a plain value.
    """
    if isinstance(spec, str):
        return create(registry, spec, {}, operation)
    kind, rule = registry.kind, "must be a name, (name, {...}) or an instance"
    if isinstance(spec, (tuple, list)):
        if len(spec) != 2 or not isinstance(spec[0], str) or not isinstance(spec[1], Mapping):
            raise ConfigError(operation, kind, rule, spec)
        return create(registry, spec[0], spec[1], operation)
    if isinstance(spec, type):
        name = spec.__name__
        raise ArgumentTypeError(
            operation, kind, rule, name, f"call it: {name}(...)", shown=f"the class {name}"
        )
    if type(spec).__module__ == "builtins" and not callable(spec):
        raise ArgumentTypeError(operation, kind, rule, spec)
    return spec


def own_settings(obj: object) -> dict[str, Any]:
    """Return the settings of an instance: its attributes called as the parameters of its class.

    A parameter that no attribute is called as is left out.

    Examples
    --------
    >>> from fastconv import training
    >>> own_settings(training.ConstantRate(0.5))
    {'learning_rate': 0.5, 'warm_up': 0}
    """
    return {key: getattr(obj, key) for key in parameters_of(type(obj)) if hasattr(obj, key)}


def spec_of(registry: Registry[Any], obj: object) -> list[Any] | None:
    """Return ``[name, {...}]``, from which `resolve` makes the equal of `obj`.

    None if its class is not registered, or keeps a setting in no attribute of the same name.

    Examples
    --------
    >>> from fastconv import registry, training
    >>> spec_of(registry.schedules, training.ExponentialDecay(0.5))
    ['exponential', {'factor': 0.5, 'steps': 1, 'learning_rate': None, 'warm_up': 0}]
    """
    name = registry.name_of(type(obj))
    settings = own_settings(obj)
    if name is None or settings.keys() != parameters_of(type(obj)).keys():
        return None
    return [name, settings]
