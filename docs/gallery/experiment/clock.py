"""The time of a call."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["milliseconds"]


def milliseconds(
    function: Callable[..., object], *arguments: object, runs: int = 5, **settings: object
) -> float:
    """Return the time of the fastest of some calls of a function with these arguments."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        function(*arguments, **settings)
        taken.append(time.perf_counter() - start)
    return 1e3 * min(taken)
