"""Rows by their numbers, exact, and the sums of their gradients."""

from __future__ import annotations

import numpy as np

from fastconv import functional, reference
from fuzzing.case import Case, plain
from fuzzing.compare import close, same


def check(case: Case) -> None:
    """Indices of every dtype, some rows far more often than others."""
    pick = case.pick
    entries, units = pick(1, 2, 5, 40, 250), pick(1, 2, 3, 7, 8, 9, 33, 130)
    shape = tuple(pick(0, 1, 2, 3, 17, 33) for _ in range(pick(1, 1, 2, 3)))
    kind = pick("int64", "int32", "uint8")
    case.notes |= {"entries": entries, "units": units, "indices": shape, "kind": kind}
    most = pick(1, entries, entries)
    numbers = case.lay(case.rng.integers(0, most, shape).astype(kind), native=True)
    weight = case.array((entries, units))
    found = case.call(functional.embedding, numbers, weight)
    same("embedding", found, reference.embedding(plain(numbers), plain(weight)))
    dy = case.lay(case.numbers((*shape, units)), native=True)
    found = case.call(functional.embedding_backward, dy, numbers, entries)
    wide = plain(dy).astype(np.longdouble)
    with np.errstate(all="ignore"):
        right = reference.embedding_backward(wide, plain(numbers), entries)
        sizes = reference.embedding_backward(np.abs(wide), plain(numbers), entries)
    bound = case.bound(64, np.where(np.isfinite(sizes), sizes, 0))
    close("embedding_backward", found, right, bound, case.dtype)
