"""Smooth functions and their gradients, against the formulas in a wider dtype."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import functional
from fuzzing.case import Case
from fuzzing.compare import close
from fuzzing.elementwise import draw_shape

Wide = np.longdouble


def check(case: Case) -> None:
    """Sigmoid and tanh over their whole range, softmax along any axis."""
    shape = draw_shape(case)
    case.notes |= {"shape": shape}
    x = _numbers(case, shape)
    dy = _numbers(case, shape)
    _check_sigmoid(case, x, dy)
    _check_tanh(case, x, dy)
    _check_plain(case, x)
    if len(shape) > 1:
        axis = int(case.rng.integers(len(shape)))
        case.notes |= {"axis": axis}
        _check_softmax(case, x, dy, axis)


def _numbers(case: Case, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers of every size that the functions tell apart."""
    x = case.numbers(shape).astype(np.float64)
    if case.values == "real":
        x = case.rng.standard_normal(shape) * 10 ** case.rng.uniform(-6, 2.2)
    return x.astype(case.dtype)


def _given(case: Case, *arrays: np.ndarray) -> list[np.ndarray]:
    return [case.lay(a, native=True) for a in arrays]


def _close(case: Case, what: str, found: np.ndarray, right: np.ndarray, bound: Any) -> None:
    close(what, found, right, np.where(np.isfinite(bound), bound, 0), case.dtype)


def _check_sigmoid(case: Case, x: np.ndarray, dy: np.ndarray) -> None:
    wide = x.astype(Wide)
    with np.errstate(all="ignore"):
        right = 1 / (1 + np.exp(-wide))
        y = right.astype(case.dtype)
        kept = y.astype(Wide)
        dx = dy.astype(Wide) * kept * (1 - kept)
        found = case.call(functional.sigmoid, *_given(case, x))
        _close(case, "sigmoid", found, right, case.bound(8, 1))
        found = case.call(functional.sigmoid_backward, *_given(case, dy, y))
        _close(case, "sigmoid_backward", found, dx, case.bound(4, np.abs(dy)))


def _check_tanh(case: Case, x: np.ndarray, dy: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        right = np.tanh(x.astype(Wide))
        y = right.astype(case.dtype)
        dx = dy.astype(Wide) * (1 - y.astype(Wide) ** 2)
        found = case.call(functional.tanh, *_given(case, x))
        _close(case, "tanh", found, right, case.bound(8, np.abs(right)))
        found = case.call(functional.tanh_backward, *_given(case, dy, y))
        _close(case, "tanh_backward", found, dx, case.bound(4, np.abs(dy)))


def _check_plain(case: Case, x: np.ndarray) -> None:
    for function, formula in (
        (functional.erf, np.vectorize(math.erf, otypes=[float])),
        (functional.exp, np.exp),
        (functional.expm1, np.expm1),
        (functional.log, np.log),
        (functional.log1p, np.log1p),
    ):
        with np.errstate(all="ignore"):
            right = formula(x.astype(Wide))
            found = case.call(function, *_given(case, x))
            size = np.abs(right) + np.finfo(case.dtype).tiny
            _close(case, function.__name__, found, right, case.bound(8, size))


def _check_softmax(case: Case, x: np.ndarray, dy: np.ndarray, axis: int) -> None:
    with np.errstate(all="ignore"):
        wide = x.astype(Wide)
        away = wide - wide.max(axis=axis, keepdims=True, initial=-np.inf)
        powers = np.exp(away)
        total = powers.sum(axis=axis, keepdims=True)
        right, logarithm = powers / total, away - np.log(total)
        y = right.astype(case.dtype)
        kept = y.astype(Wide)
        along = (dy.astype(Wide) * kept).sum(axis=axis, keepdims=True)
        dx = kept * (dy.astype(Wide) - along)
        count = 8 + 2 * x.shape[axis] ** 0.5
        found = case.call(functional.softmax, *_given(case, x), axis=axis)
        _close(case, "softmax", found, right, case.bound(count, right * (1 + np.abs(away))))
        found = case.call(functional.log_softmax, *_given(case, x), axis=axis)
        _close(case, "log_softmax", found, logarithm, case.bound(count, 1 + np.abs(away)))
        found = case.call(functional.softmax_backward, *_given(case, dy, y), axis=axis)
        size = kept * (np.abs(dy) + np.sum(np.abs(dy) * kept, axis=axis, keepdims=True))
        _close(case, "softmax_backward", found, dx, case.bound(count, size))
