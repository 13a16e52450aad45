"""dense, dense_backward and prepare_dense."""

from __future__ import annotations

import pickle

import numpy as np

from fastconv import functional, reference
from fuzzing.case import Case, plain
from fuzzing.compare import close, same
from fuzzing.geometries import AROUND_LANES


def check(case: Case) -> None:
    """Plain and prepared weights, and the gradients, against the reference."""
    pick = case.pick
    rows = pick(0, 1, 1, 2, 3, 7, 8, 13, *AROUND_LANES, 129)
    inputs = pick(1, 2, 3, 5, 8, 30, *AROUND_LANES, 130, 513)
    units = pick(1, 2, 3, 5, 10, *AROUND_LANES, 100)
    case.notes |= {"x": (rows, inputs), "units": units}
    x, weight = case.array((rows, inputs)), case.array((units, inputs))
    bias = case.array((units,)) if case.chance(0.6) else None
    activation = pick(None, None, "relu")
    _check_forward(case, x, weight, bias, activation)
    _check_backward(case, x, weight)


def _wide(case: Case, *arrays: np.ndarray | None) -> list:
    kept = [None if a is None else plain(a) for a in arrays]
    if case.values == "real":
        kept = [None if a is None else a.astype(np.float64) for a in kept]
    return kept


def _check_forward(case, x, weight, bias, activation):
    wide = _wide(case, x, weight, bias)
    with np.errstate(all="ignore"):
        right = reference.dense(*wide, activation=activation)
    results = []
    for prepared in (False, True):
        out = case.output(right.shape) if case.chance(0.4) else None
        given = case.call(functional.prepare_dense, weight) if prepared else weight
        if prepared and case.chance(0.2):
            given = pickle.loads(pickle.dumps(given))
        y = case.call(functional.dense, x, given, bias, activation=activation, out=out)
        results.append(y)
        if case.values != "real":
            same("y of prepared weights" if prepared else "y", y, right)
    if case.values == "real":
        sizes = reference.dense(*[None if a is None else np.abs(a) for a in wide])
        close("y", results[0], right, case.bound(2 * (x.shape[1] + 1), sizes), case.dtype)
        same("y of prepared weights", results[1], results[0])
        n = int(case.rng.integers(len(x))) if len(x) else 0
        one = case.call(functional.dense, x[n : n + 1], weight, bias, activation=activation)
        same(f"row {n} for itself", one, results[0][n : n + 1])


def _check_backward(case, x, weight):
    dy = case.array((len(x), len(weight)))
    needs = case.pick(("x", "weight", "bias"), ("x",), ("weight",), ("bias", "x"))
    wide = _wide(case, dy, x, weight)
    with np.errstate(all="ignore"):
        right = reference.dense_backward(*wide)
    found = case.call(functional.dense_backward, dy, x, weight, needs=needs)
    sizes = reference.dense_backward(*map(np.abs, wide)) if case.values == "real" else right
    products = len(weight), len(x), len(x)
    for name, result, exact, size, n in zip(
        ("x", "weight", "bias"), found, right, sizes, products, strict=True
    ):
        if (result is None) != (name not in needs):
            raise AssertionError(f"d{name} is {result!r:.20} where {needs} is needed")
        if result is not None and case.values != "real":
            same(f"d{name}", result, exact)
        elif result is not None:
            close(f"d{name}", result, exact, case.bound(2 * (n + 1), size), case.dtype)
