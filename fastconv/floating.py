"""NumPy's floating-point error state: the caller's own, and without effect on what we compute.

Overflow, underflow and NaN are results as any other: what must be finite is looked at where it
is made. So ``np.seterr(all="raise")``, or warnings that are errors, never reach our arithmetic.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any, ParamSpec, TypeVar

import numpy as np

__all__ = ["is_finite", "quietly"]

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

    if _STATE is None:
        # Not as a decorator: threads and recursion would share what it restores.
        @functools.wraps(function)
        def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
            with np.errstate(all="ignore"):
                return function(*args, **kwargs)

        return quiet
    state, ignoring = _STATE

    def ignore(args: Any, kwargs: Any) -> R:
        state.set(ignoring)
        return function(*args, **kwargs)

    @functools.wraps(function)
    def quiet_in_context(*args: P.args, **kwargs: P.kwargs) -> R:
        if state.get() is ignoring:
            return function(*args, **kwargs)
        # the context ends with the call, so that no interrupt leaves it set
        return copy_context().run(ignore, args, kwargs)

    return quiet_in_context


def _state_of_a_context() -> tuple[ContextVar[Any], Any] | None:
    """Return the variable that holds NumPy's error state, and the value that ignores all errors.

    None where it is no variable of contexts, before NumPy 2.
    """
    kept, before, context = np.geterr(), copy_context(), copy_context()
    context.run(np.seterr, all="ignore")
    changed = [(key, value) for key, value in context.items() if before.get(key) is not value]
    if len(changed) == 1:
        return changed[0]
    np.seterr(**kept)  # it was that of the thread
    return None


_STATE = _state_of_a_context()


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
