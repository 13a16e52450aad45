"""From a name and settings to an instance, with every unknown or missing setting reported."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from fastconv.errors import ArgumentTypeError, ConfigError, shorten
from fastconv.registry.core import Registry
from fastconv.registry.spellings import setting_remedy

__all__ = ["check_config", "create", "resolve", "setting_problems"]


def check_config(owner: Callable[..., Any], config: object, path: str) -> list[str]:
    """Return the problems of `config` as keyword arguments of `owner`, each with its path.

    Keys are checked here; `owner` checks the values.

    Examples
    --------
    >>> def Blur(size, *, stride=1): ...
    >>> check_config(Blur, {"size": 3, "strides": 2}, "nodes[0].config")
    ["nodes[0].config.strides: unknown, Blur has no such setting; did you mean 'stride'?"]
    """
    if not isinstance(config, Mapping):
        return [f"{path}: must be an object of settings, got {shorten(config)}"]
    return [f"{path}.{key}: {rule}" for key, rule in setting_problems(owner, config)]


def setting_problems(owner: Callable[..., Any], config: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """Return (key, what is wrong with it) for unknown and missing keys of `config`."""
    name = getattr(owner, "__name__", str(owner))
    parameters = inspect.signature(owner).parameters
    settings = [k for k, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    required = [key for key in settings if parameters[key].default is inspect.Parameter.empty]
    problems = []
    for key in config:
        if isinstance(key, str) and (
            key in settings or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        ):
            continue
        label = key if isinstance(key, str) and len(key) <= 60 else shorten(key)
        remedy = setting_remedy(key, settings)
        problems.append((label, f"unknown, {name} has no such setting; {remedy}"))
    needs = f"missing, {name} needs {' and '.join(required)}"
    return problems + [(key, needs) for key in required if key not in config]


def create(registry: Registry[Any], name: object, config: Mapping[str, Any], operation: str) -> Any:
    """Return the object `name` of `registry`, called with `config`.

    Raises
    ------
    ConfigError
        If the name is unknown, or settings are unknown or missing: all of these at once. A
        wrong value is an error of the object itself.
    """
    try:
        owner = registry.get(name)
    except ConfigError as error:
        raise type(error)([f"{operation}: {problem}" for problem in error.problems]) from None
    problems = setting_problems(owner, config)
    if problems:
        raise ConfigError([f"{operation}: {key} is {rule}" for key, rule in problems])
    return owner(**config)


def resolve(registry: Registry[Any], spec: object, operation: str) -> Any:
    """Return the instance that `spec` gives: a name, ``(name, {...})`` or an instance.

    Raises
    ------
    ConfigError
        As `create`, and if a pair is not a name and its settings.
    ArgumentTypeError
        If `spec` is a class or a plain value.
    """
    if isinstance(spec, str):
        return create(registry, spec, {}, operation)
    form = f"{registry.kind} must be a name, (name, {{...}}) or an instance"
    if isinstance(spec, (tuple, list)):
        if len(spec) != 2 or not isinstance(spec[0], str) or not isinstance(spec[1], Mapping):
            raise ConfigError(f"{operation}: {form}, got {shorten(spec)}")
        return create(registry, spec[0], spec[1], operation)
    if isinstance(spec, type):
        raise ArgumentTypeError(
            f"{operation}: {form}, got the class {spec.__name__}; call it: {spec.__name__}(...)"
        )
    if type(spec).__module__ == "builtins" and not callable(spec):
        raise ArgumentTypeError(f"{operation}: {form}, got {shorten(spec)}")
    return spec
