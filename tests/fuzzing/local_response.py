"""Local response normalisation and its gradient, against the formulas in a wider dtype."""

from __future__ import annotations

import numpy as np

from fastconv import functional, reference
from fastconv.reference.local_response import base
from fuzzing.case import Case, plain
from fuzzing.compare import close
from fuzzing.geometries import AROUND_LANES

Wide = np.longdouble


def check(case: Case) -> None:
    """Values and gradients of windows of any width, also wider than the map has channels."""
    pick = case.pick
    shape: tuple[int, ...] = (pick(0, 1, 1, 2, 3), pick(1, 2, 3, 5, 8, 17, 33, 40))
    if case.chance(0.8):
        shape = (*shape, pick(1, 2, 3), pick(0, *[1, 2, 3, 7] * 4, *AROUND_LANES))
    size = pick(1, 2, 3, 4, 5, 7, 32, 33, 65, 257, 1024)
    options = {"alpha": pick(0.0, 1e-4, 0.7), "beta": pick(0.75, 0.75, 0.5, 1.0, 0.6, 0.0)}
    options["k"] = pick(1.0, 2.0)
    case.notes |= {"x": shape, "size": size, **options}
    case.scale = min(case.scale, 1)  # squares of the largest would overflow
    x, dy = (case.lay(case.numbers(shape), native=True) for _ in range(2))
    wide, slope = plain(x).astype(Wide), plain(dy).astype(Wide)
    with np.errstate(all="ignore"):
        right = reference.local_response_norm(wide, size, **options)
        dx = reference.local_response_norm_backward(slope, wide, size, **options)
        logs = np.abs(np.log(base(wide, size, options["alpha"], options["k"])))
        roundings = 12 + options["beta"] * (36 + 2 * np.where(np.isfinite(logs), logs, 0))
        size_of_dx = np.abs(slope) + np.abs(
            reference.local_response_norm_backward(-np.abs(slope), np.abs(wide), size, **options)
        )
        bounds = [case.bound(roundings, np.abs(right)), case.bound(4 * roundings, size_of_dx)]
        bounds = [np.where(np.isfinite(bound), bound, 0) for bound in bounds]
    found = case.call(functional.local_response_norm, x, size, **options)
    close("local_response_norm", found, right, bounds[0], case.dtype)
    found = case.call(functional.local_response_norm_backward, dy, x, size, **options)
    close("local_response_norm_backward", found, dx, bounds[1], case.dtype)
