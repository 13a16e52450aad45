"""NumPy's floating-point error state: the caller's own, and without effect on what we compute.

Overflow, underflow and NaN are results as any other: what must be finite is looked at where it
is made. So ``np.seterr(all="raise")``, or warnings that are errors, never reach our arithmetic.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

import numpy as np

__all__ = ["is_finite", "quietly"]

# Whether a function that runs now, in this thread or task, has set the state.
_ignored: ContextVar[bool] = ContextVar("ignored", default=False)

P = ParamSpec("P")
R = TypeVar("R")


def quietly(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` that runs with every floating-point error of NumPy ignored.

    Examples
    --------
    >>> @quietly
    ... def inverse(x):
    ...     return 1.0 / x
    >>> with np.errstate(all="raise"):
    ...     inverse(np.zeros(1)).tolist()
    [inf]
    """

    # Not np.errstate as a decorator: in NumPy 1 threads and recursion share what it restores.
    @functools.wraps(function)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        if _ignored.get():
            return function(*args, **kwargs)
        token = _ignored.set(True)
        try:
            with np.errstate(all="ignore"):
                return function(*args, **kwargs)
        finally:
            _ignored.reset(token)

    return quiet


@quietly
def is_finite(*arrays: np.ndarray[Any, Any]) -> bool:
    """Return whether no element of `arrays` is infinite or NaN.

    An infinity or NaN never leaves a sum finite, so that most arrays are read once, and no mask
    of them is made.
    """
    for array in arrays:
        if not math.isfinite(np.add.reduce(array, None)) and not np.isfinite(array).all():
            return False
    return True
