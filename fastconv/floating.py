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

    @functools.wraps(function)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        if _ignored.get():
            return function(*args, **kwargs)
        if not _OF_A_CONTEXT:
            # Not as a decorator: threads and recursion would share what it restores.
            with np.errstate(all="ignore"):
                return function(*args, **kwargs)
        return copy_context().run(_ignoring, function, args, kwargs)

    return quiet


# Since NumPy 2 the error state belongs to the context; what is set in one that ends with a call
# no interrupt can leave behind.
_OF_A_CONTEXT = int(np.__version__.split(".")[0]) >= 2


def _ignoring(function: Callable[..., R], args: Any, kwargs: Any) -> R:
    np.seterr(all="ignore")
    _ignored.set(True)
    return function(*args, **kwargs)


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
