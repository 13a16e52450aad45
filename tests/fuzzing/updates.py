"""The steps of optimizers: in place, each element for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.functional import updates
from fuzzing.case import Case
from fuzzing.compare import close, same
from fuzzing.geometries import AROUND_LANES

Wide = np.longdouble
Arrays = tuple[np.ndarray, ...]


def _sgd(value: Any, g: Any, rate: Any) -> Arrays:
    return (value - rate * g,)


def _momentum(value: Any, g: Any, velocity: Any, rate: Any, decay: Any, nesterov: bool) -> Arrays:
    velocity = decay * velocity - rate * g
    return value + (decay * velocity - rate * g if nesterov else velocity), velocity


def _by_squares(
    value: Any, g: Any, h: Any, rate: Any, decay: Any, fresh: Any, epsilon: Any
) -> Arrays:
    h = decay * h + fresh * g * g
    return value - rate * g / (np.sqrt(h) + epsilon), h


def _adam(
    value: Any,
    g: Any,
    m: Any,
    h: Any,
    rate: Any,
    decay: Any,
    fresh: Any,
    decay_squares: Any,
    fresh_squares: Any,
    epsilon: Any,
) -> Arrays:
    m = decay * m + fresh * g
    h = decay_squares * h + fresh_squares * g * g
    return value - rate * m / (np.sqrt(h) + epsilon), m, h


def _before(formula: Callable[..., Arrays], change: updates.Change) -> Callable[..., Arrays]:
    """Return `formula` for a gradient and a parameter that `change` changes first."""

    def changed(value: Any, g: Any, *rest: Any) -> Arrays:
        scale, limit, weight_decay, shrink = (Wide(number) for number in change)
        g = scale * g
        g = np.where(g > limit, limit, np.where(g < -limit, -limit, g))
        if weight_decay:
            g = g + weight_decay * value
        return formula(value - shrink * value if shrink else value, g, *rest)

    return changed


def check(case: Case) -> None:
    """One step of each kind; of whole numbers those without a root are exact."""
    case.scale = 1
    size = case.pick(1, 2, 3, 7, 8, 9, *AROUND_LANES, 1000, 4095, 4096, 4097, 9000)
    change = updates.UNCHANGED
    if case.chance(0.5):  # numbers that float32 has
        limit, scale = case.pick(float("inf"), 2.0, 0.5), case.pick(1.0, 0.5)
        change = updates.Change(scale, limit, case.pick(0.0, 0.25), case.pick(0.0, 0.25))
    case.notes |= {"size": size, "change": change}
    pick = case.pick
    rate, decay = pick(0.5, 0.25, 0.0, 2.0), pick(0.0, 0.5, 0.75)
    nesterov = case.chance(0.5)
    sgd, momentum = _before(_sgd, change), _before(_momentum, change)
    _check(case, updates.sgd, sgd, size, 0, (rate, change), True, (rate,))
    numbers = rate, decay, nesterov
    _check(case, updates.momentum, momentum, size, 1, (*numbers, change), True, numbers)
    small = pick(0.001, 0.1), pick(0.9, 0.0, 1.0), pick(0.1, 1.0), pick(1e-7, 1e-3)
    by_squares = _before(_by_squares, change)
    _check(case, updates.by_squares, by_squares, size, 1, (*small, change), False, small)
    rate, epsilon = pick(0.001, 0.1), pick(1e-8, 1e-3)
    decay, squares = decays = pick(0.9, 0.0), pick(0.999, 0.5)
    numbers = rate, decay, 1 - decay, squares, 1 - squares, epsilon
    adam = _before(_adam, change)
    _check(case, updates.adam, adam, size, 2, (rate, decays, epsilon, change), False, numbers)
    _check_norm(case, size)


def _check_norm(case: Case, size: int) -> None:
    """The norm of two arrays together, in float64 whatever they are."""
    arrays = [case.lay(case.numbers((length,)), native=True) for length in (size, 5)]
    arrays = [np.ascontiguousarray(array) for array in arrays]
    with np.errstate(all="ignore"):
        right = np.sqrt(sum((array.astype(Wide) ** 2).sum() for array in arrays))
        found = np.array(case.call(updates.norm, arrays))
        close("norm", found, np.asarray(right), right * 2.0**-48, "float64")


def _check(
    case: Case,
    function: Callable[..., None],
    formula: Callable[..., Arrays],
    size: int,
    slots: int,
    settings: tuple[Any, ...],
    exact: bool,
    numbers: tuple[Any, ...],
) -> None:
    """Call `function` with `settings`, and `formula` with the `numbers` in or made of them."""
    given = [case.numbers((size,)) for _ in range(2 + slots)]
    if not exact and slots:
        given[-1] = np.abs(given[-1])  # a mean of squares
    real = given[0].dtype.type
    rounded = [Wide(real(s)) if type(s) is float else s for s in numbers]
    with np.errstate(all="ignore"):
        right = formula(*(a.astype(Wide) for a in given), *rounded)
        if exact and case.values != "real":
            right = tuple(a.astype(case.dtype) for a in right)
    arrays = [case.writable(a) for a in given]
    gradient = case.lay(given[1], native=True) if not case.odd else arrays[1]
    case.call(function, arrays[0], gradient, *arrays[2:], *settings)
    changed = [arrays[0], *arrays[2:]]
    name = function.__name__
    for i, (found, expected) in enumerate(zip(changed, right, strict=True)):
        what = f"{name} {settings}: array {i}"
        if exact and case.values != "real":
            same(what, found, expected)
            continue
        with np.errstate(all="ignore"):
            sizes = sum(np.abs(np.where(np.isfinite(a), a, 0)) for a in (*given, expected))
        close(what, found, expected, 32 * case.unit * sizes, case.dtype)
    _check_alone(case, function, given, settings, changed)


def _check_alone(case, function, given, settings, changed):
    """A part of the arrays gives the same bits: no element depends on its place."""
    begin = int(case.rng.integers(len(given[0])))
    end = int(case.rng.integers(begin, len(given[0]))) + 1
    arrays = [case.writable(a[begin:end]) for a in given]
    with case.alone():
        case.call(function, *arrays, *settings)
    for found, whole in zip([arrays[0], *arrays[2:]], changed, strict=True):
        same(f"{function.__name__} of a part", found, whole[begin:end])
