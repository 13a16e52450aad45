"""Layers by name: register, create, list, describe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastconv import registry
from fastconv.errors import ConfigError
from fastconv.layers import description
from fastconv.layers.base import Layer
from fastconv.layers.recorded import unrecorded

__all__ = ["create_layer", "describe_layer", "list_layers", "register_layer"]

L = TypeVar("L", bound=type[Layer])


def register_layer(name: str, *, override: bool = False) -> Callable[[L], L]:
    """Return a decorator that registers a subclass of `Layer`.

    Parameters
    ----------
    name : str
        ``"namespace.Name.vN"``; the namespace ``fastconv`` is taken.
    override : bool
        Whether a layer of this name may be replaced.

    Raises
    ------
    ArgumentError
        If the name is malformed, or taken by another class and `override` is false. The same
        module and qualified name again is right, so that a notebook's cell can be run twice.
    ArgumentTypeError
        If the class is not derived from `Layer`, or is a dataclass, whose settings would not be
        recorded.

    Notes
    -----
    docs/layers.md writes a layer with a parameter from beginning to end. So that others need not
    import your module first, give your package an entry point of the group ``fastconv.layers``.

    Examples
    --------
    >>> import fastconv
    >>> @fastconv.register_layer("acme.Twice.v1")
    ... class Twice(fastconv.Layer):
    ...     def infer(self, *specs): return specs[0]
    ...     def forward(self, ctx, x): return 2 * x
    ...     def backward(self, ctx, dy): return 2 * dy
    >>> fastconv.Sequential(["acme.Twice"], (3,))([[1, 2, 3]])
    array([[2., 4., 6.]], dtype=float32)
    """

    def decorate(cls: L) -> L:
        if isinstance(cls, type) and issubclass(cls, Layer):
            if error := unrecorded(cls, f"register_layer: {cls.__name__}"):
                raise error
        return registry.layers.register(name, cls, override=override)

    return decorate


def create_layer(layer: str, /, *, name: str | None = None, **config: Any) -> Layer:
    """Return a new layer of a registered class.

    Parameters
    ----------
    layer : str
        ``"Conv2D"``, the newest version, or ``"fastconv.Conv2D.v1"``, ``"acme.Mish"``.
    name : str, optional
        The layer's name in a model.
    **config
        The layer's settings, which `describe_layer` lists.

    Raises
    ------
    UnknownNameError
        If no layer has this name; the message offers the nearest.
    ConfigError
        If settings are unknown or missing.
    ArgumentError, ArgumentTypeError
        If a setting has a wrong value.

    Examples
    --------
    >>> create_layer("MaxPool2D", pool_size=2)
    MaxPool2D(pool_size=2, stride=None, padding=0, dilation=1, ceil_mode=False)
    """
    cls = _get("create_layer", layer)
    problems = registry.setting_problems(cls, config, cls.__name__)
    if problems:
        raise ConfigError(problems)
    return cls(name=name, **config)  # type: ignore[call-arg]  # the base class takes the name


def list_layers(pattern: str = "*") -> list[str]:
    """Return the names of the layers that match `pattern`, sorted, without regard to case.

    Plugins are listed and not imported.

    Examples
    --------
    >>> list_layers("conv2d*")
    ['Conv2D', 'Conv2DTranspose']
    """
    return registry.layers.names(pattern)


def describe_layer(layer: str) -> str:
    """Return what there is to know about a layer: purpose, settings with their choices, shapes.

    Raises
    ------
    UnknownNameError
        If no layer has this name.

    Examples
    --------
    >>> print(describe_layer("Flatten").splitlines()[0])
    fastconv.Flatten.v1
    """
    cls = _get("describe_layer", layer)
    return description.describe(cls, registry.layers.canonical(layer))


def _get(operation: str, layer: str) -> type[Layer]:
    try:
        found: type[Layer] = registry.layers.get(layer)
    except ConfigError as error:
        raise error.within(operation) from None
    return found
