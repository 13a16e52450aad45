"""Functions of each element by name, as `activation=` of layers takes them.

Each knows what its gradient reads: the output, or the input where that is not enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from fastconv import functional, registry
from fastconv.arguments import as_choice
from fastconv.concurrency import computed_once
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.functional.activation_kernels import as_setting

__all__ = [
    "ELU",
    "Function",
    "GELU",
    "HardSigmoid",
    "HardSwish",
    "LeakyReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "resolve",
    "resolve_act",
]

Array = np.ndarray[Any, Any]
#: What a layer acts as: a name, or a name and (setting, value) pairs that are no defaults.
Act = str | tuple[str, tuple[tuple[str, Any], ...]]


@dataclass(frozen=True)
class Function:
    """A function of each element, with its gradient; the fields of a subclass are its settings.

    A subclass with settings is a dataclass of its own, one without takes all of this one.

    Attributes
    ----------
    name : str
        The name by which it is registered, and that of its function in `fastconv.functional`.
    reads : {"output", "input"}
        What `gradient` is given.
    gives : str
        What the numbers of the output are, as layers say it.
    in_kernels : str or None
        The name by which the kernels of convolutions compute it as they store.
    least : float or None
        The least value of its settings; None is any finite number.
    """

    name: ClassVar[str]
    reads: ClassVar[str] = "output"
    gives: ClassVar[str] = "values"
    in_kernels: ClassVar[str | None] = None
    least: ClassVar[float | None] = None

    def __init_subclass__(cls) -> None:
        registry.activations.register(cls.name, cls)

    def __post_init__(self) -> None:
        """Check the settings, which are numbers; a subclass that has others checks them."""
        low = () if self.least is None else (self.least,)
        for setting, value in self.settings.items():
            as_setting(type(self).__name__, setting, value, np.float32, *low)

    @computed_once
    def settings(self) -> dict[str, Any]:
        """The settings by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @computed_once
    def act(self) -> Act:
        """What a layer that computes this function acts as."""
        if not self.settings:
            return self.name
        usual = type(self)().settings
        others = tuple(pair for pair in self.settings.items() if pair not in usual.items())
        return (self.name, others) if others else self.name

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        """Return the function of `x`, in `out` if that is given, which may be `x`."""
        return self._forward(x, **self.settings, out=out)

    def gradient(self, dy: Array, kept: Array, out: Array | None = None) -> Array:
        """Return the gradient of the input, in `out` if that is given, which may be `dy`."""
        return self._backward(dy, kept, **self.settings, out=out)

    @computed_once
    def _forward(self) -> Callable[..., Array]:
        forward: Callable[..., Array] = getattr(functional, self.name)
        return forward

    @computed_once
    def _backward(self) -> Callable[..., Array]:
        backward: Callable[..., Array] = getattr(functional, f"{self.name}_backward")
        return backward


#: The functions of ours that were asked for by a bare name: they never change, so one serves all.
_USUAL: dict[Any, Function] = {}


def resolve(spec: object, operation: str) -> Function | None:
    """Return the function that a name or ``(name, {...})`` stands for; None for None.

    Raises
    ------
    UnknownNameError, ConfigError, ArgumentError, ArgumentTypeError
        If there is no such function, or its settings are wrong.

    Examples
    --------
    >>> resolve(("leaky_relu", {"negative_slope": 0.2}), "Conv2D")
    LeakyReLU(negative_slope=0.2)
    """
    if spec is None:
        return None
    plain = type(spec) is str and "." not in spec  # one of ours, with its usual settings
    if plain and spec in _USUAL:
        return _USUAL[spec]
    pair = isinstance(spec, (tuple, list)) and len(spec) == 2 and isinstance(spec[1], Mapping)
    if not isinstance(spec, str) and not pair:
        rule = "must be None, a name or (name, {...})"
        raise ArgumentTypeError(operation, "activation", rule, spec, _remedy(spec))
    name = spec if isinstance(spec, str) else spec[0]  # type: ignore[index]
    if isinstance(name, str) and name.lower() in _OTHERS:
        rule = "must be a function of each element"
        raise ArgumentError(operation, "activation", rule, name, _OTHERS[name.lower()])
    function: Function = registry.resolve(registry.activations, spec, operation)
    if plain:
        _USUAL[name] = function
    return function


def resolve_act(act: Act) -> Any:
    """Return what a layer acts as in the form that `resolve` takes, or None if nobody knows it.

    Examples
    --------
    >>> resolve_act(("elu", (("alpha", 2.0),))), resolve_act("acme.mish")
    (('elu', {'alpha': 2.0}), None)
    """
    if act in _USUAL:
        return act
    name, settings = (act, ()) if isinstance(act, str) else act
    if name not in registry.activations:
        return None
    return (name, dict(settings)) if settings else name


#: What Keras calls activations, and is none here.
_OTHERS = {
    "softmax": "put a Softmax layer behind it",
    "log_softmax": "put a Softmax layer behind it",
    "linear": "leave it out: None is no activation",
    "identity": "leave it out: None is no activation",
    "none": "leave it out: None is no activation",
    "prelu": "put a PReLU layer behind it, which learns its slopes",
}


def _remedy(spec: object) -> str:
    """Return what to do about an object that is no name."""
    if hasattr(spec, "forward") or isinstance(spec, type) or callable(spec):
        return "give its name, or put a layer behind that applies it"
    return ""


class ReLU(Function):
    """max(x, 0)."""

    name = "relu"
    in_kernels = "relu"


class ReLU6(Function):
    """min(max(x, 0), 6)."""

    name = "relu6"


@dataclass(frozen=True)
class LeakyReLU(Function):
    """x where x > 0, elsewhere negative_slope x."""

    name = "leaky_relu"
    least = 0.0
    negative_slope: float = 0.01


@dataclass(frozen=True)
class ELU(Function):
    """x where x > 0, elsewhere alpha (exp(x) - 1)."""

    name = "elu"
    least = 0.0
    alpha: float = 1.0


class Sigmoid(Function):
    """1 / (1 + exp(-x))."""

    name = "sigmoid"
    gives = "chances"


class Tanh(Function):
    """The hyperbolic tangent."""

    name = "tanh"
    gives = "bounded"


class Softplus(Function):
    """log(1 + exp(x))."""

    name = "softplus"


@dataclass(frozen=True)
class HardSigmoid(Function):
    """min(max(alpha x + beta, 0), 1)."""

    name = "hard_sigmoid"
    gives = "chances"
    alpha: float = 1 / 6
    beta: float = 0.5


class HardSwish(Function):
    """x min(max(x + 3, 0), 6) / 6."""

    name = "hard_swish"
    reads = "input"


class SiLU(Function):
    """x times the logistic function of x."""

    name = "silu"
    reads = "input"


@dataclass(frozen=True)
class GELU(Function):
    """x times the share of the normal distribution below x."""

    name = "gelu"
    reads = "input"
    approximate: str = "none"

    def __post_init__(self) -> None:
        """Check the setting."""
        as_choice("GELU", "approximate", self.approximate, ("none", "tanh"))
