"""relu, also of a sum, its gradient and dropout: exact, also in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.functional.elementwise import add_relu
from fuzzing.case import Case
from fuzzing.compare import same
from fuzzing.geometries import AROUND_LANES


def draw_shape(case: Case) -> tuple[int, ...]:
    """Return any shape, at times one axis with a tail, or longer than a run."""
    pick = case.pick
    if case.chance(0.5):
        return (pick(0, 1, 2, 3, 7, 8, 9, *AROUND_LANES, 4095, 4096, 4097, 8200),)
    return tuple(pick(0, *[1, 2, 3, 5, 9, 17] * 5) for _ in range(pick(2, 3, 4)))


def check(case: Case) -> None:
    """Each by NumPy's own where; `out` may be an input, or fresh."""
    shape = draw_shape(case)
    case.notes |= {"shape": shape}
    zero = np.dtype(case.dtype).type(0)
    x, dy, y = (case.numbers(shape) for _ in range(3))
    kept = case.rng.random(shape) < 0.5
    with np.errstate(all="ignore"):
        clipped, summed = (np.where(a <= 0, zero, a) for a in (x, x + y))
        passed = np.where(y > 0, dy, zero)
        dropped = np.where(kept, x * x.dtype.type(2), zero)
    _check(case, "relu", functional.relu, clipped, x)
    _check(case, "add_relu", _summed, summed, x, y)
    _check(case, "relu_backward", functional.relu_backward, passed, dy, y)
    _check(case, "dropout", functional.dropout, dropped, x, kept, 2.0)


def _summed(x: np.ndarray, other: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Call `add_relu` as the others are called."""
    y = np.empty(x.shape, x.dtype) if out is None else out
    add_relu(x, other, out=y)
    return y


def _check(case: Case, name: str, function: Any, right: np.ndarray, *given: Any) -> None:
    first, *rest = given
    others = [case.lay(a, native=True) if isinstance(a, np.ndarray) else a for a in rest]
    how = case.pick("new", "out", "in place")
    if how == "in place":
        array = case.writable(first)
        found = case.call(function, array, *others, out=array)
    else:
        out = case.output(right.shape) if how == "out" else None
        found = case.call(function, case.lay(first, native=True), *others, out=out)
    same(f"{name}, {how}", found, right)
