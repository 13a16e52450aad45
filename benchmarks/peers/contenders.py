"""The contenders of a race, and the check that all of them compute the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from peers.timing import Call, Pace, Times, race

__all__ = ["Contender", "WrongResult", "check", "compare"]

TOLERANCE = 1e-4  # of the largest element; the longest sums here have 450,000 float32 terms


class WrongResult(AssertionError):
    """A contender computes something else, so that its time would mean nothing."""


def as_arrays(result: Any) -> list[np.ndarray]:
    """Return what a call gave (an array, a tensor, or several) as a list of arrays."""
    several = isinstance(result, (tuple, list))
    return [np.asarray(one) for one in (result if several else (result,))]


@dataclass(frozen=True)
class Contender:
    """A column of a table.

    Attributes
    ----------
    name : str
    call : callable
        What is timed.
    arrays : callable
        Maps what `call` returned to arrays, outside the timing.
    tolerance : float
        How far its results may be from the right ones, relative to the largest element.
    """

    name: str
    call: Call
    arrays: Callable[[Any], list[np.ndarray]] = as_arrays
    tolerance: float = TOLERANCE


def check(case: str, contenders: Sequence[Contender], tolerance: float = TOLERANCE) -> None:
    """Run each contender once, and compare its result with that of the first.

    Raises
    ------
    WrongResult
        If a shape differs; or if an element differs by more than `tolerance` (or the contender's
        own tolerance, if that is larger) times the largest element.
    """
    first = contenders[0]
    expected = [array.copy() for array in first.arrays(first.call())]
    for contender in contenders[1:]:
        actual = contender.arrays(contender.call())
        allowed = max(tolerance, contender.tolerance)
        if [a.shape for a in actual] != [e.shape for e in expected]:
            raise WrongResult(
                f"{case}: {contender.name} gives shapes {[a.shape for a in actual]}, "
                f"{first.name} {[e.shape for e in expected]}"
            )
        for a, e in zip(actual, expected, strict=True):
            error = float(np.max(np.abs(a - e), initial=0.0))
            largest = float(np.max(np.abs(e), initial=0.0))
            if not error <= allowed * largest:  # a NaN is wrong too
                raise WrongResult(
                    f"{case}: {contender.name} and {first.name} differ by {error:.3g} where the "
                    f"largest element is {largest:.3g}"
                )


def compare(
    case: str, contenders: Sequence[Contender], pace: Pace, *, beside: Sequence[Contender] = ()
) -> dict[str, Times]:
    """Check the contenders' results, then race them; those `beside` compute something else."""
    check(case, contenders)
    return race({one.name: one.call for one in (*contenders, *beside)}, pace)
