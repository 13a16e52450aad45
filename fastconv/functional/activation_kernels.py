"""How activations and their gradients run: settings are checked, and a kernel is called by number.

The errors that the functions state held for every 127th of all float32 numbers, and for some
thousand float64; `fastconv.functional.functions` says how they are counted.
"""

from __future__ import annotations

import functools
import math
import sys
from typing import Any

import numpy as np

from fastconv import kernels
from fastconv.arguments import as_real, check_rounding
from fastconv.functional import checks
from fastconv.functional.elementwise import run_elements

__all__ = ["FINITE", "activated", "activation_gradient", "as_setting"]

FINITE = -sys.float_info.max
_NO_SETTINGS = 0.0, 0.0


def as_setting(operation: str, name: str, value: Any, dtype: Any, low: float = FINITE) -> float:
    """Return a finite setting that is at least `low`, and that `dtype` does not round to 0.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        Naming the setting, the rule and the value.
    """
    check = _checked if type(value) is float else _checked.__wrapped__
    return check(operation, name, value, dtype, low)


@functools.lru_cache(maxsize=256)
def _checked(operation: str, name: str, value: Any, dtype: Any, low: float) -> float:
    rule = "finite" if low == FINITE else f"at least {low:g} and finite"
    number = as_real(operation, name, value, rule, low, math.inf)
    check_rounding(operation, name, number, dtype)
    return number


@functools.cache
def _number(name: str, dtype: np.dtype) -> int:
    """Return the number by which the kernels know a function."""
    known: tuple[str, ...] = kernels.module(dtype).activations
    return known.index(name)


def _settings(operation: str, settings: tuple[tuple[str, Any, float], ...], dtype: np.dtype) -> Any:
    """Return two numbers from (name, value, least value) of each setting; 0 where there is none."""
    if not settings:
        return _NO_SETTINGS
    numbers = [as_setting(operation, name, value, dtype, low) for name, value, low in settings]
    return (*numbers, 0.0)[:2]


def activated(
    name: str, x: Any, out: Any, *settings: tuple[str, Any, float], kernel: str = ""
) -> np.ndarray:
    """Return the function `name` of every element; settings are (name, value, least value)."""
    x = checks.as_array(name, "x", x)
    a, b = _settings(name, settings, x.dtype)
    y = checks.as_output(name, out, x.shape, x.dtype, x, over=True)
    run_elements("activate", y, x, y, _number(kernel or name, x.dtype), a, b)
    return y


def activation_gradient(
    name: str, dy: Any, out: Any, *settings: tuple[str, Any, float], kernel: str = "", **kept: Any
) -> np.ndarray:
    """Return the gradient of the input; `kept` is the output ``y=`` or the input ``x=``."""
    operation = f"{name}_backward"
    ((word, array),) = kept.items()
    dy, array = checks.as_gradient(operation, dy, array, word)
    a, _ = _settings(operation, settings, dy.dtype)
    dx = checks.as_output(operation, out, dy.shape, dy.dtype, dy, array, over=True)
    run_elements("activate_backward", dx, dy, array, dx, _number(kernel or name, dy.dtype), a)
    return dx
