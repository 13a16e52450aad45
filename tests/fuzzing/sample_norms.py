"""layer_norm, group_norm and their gradients, against the formulas in a wider dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import functional, reference
from fuzzing.case import Case, plain
from fuzzing.compare import close, same
from fuzzing.geometries import AROUND_LANES

Wide = np.longdouble
Normalize = Callable[..., Any]


def check_groups(case: Case) -> None:
    """Groups of channels, of maps and of vectors."""
    pick = case.pick
    groups = pick(1, 1, 2, 3, 8)
    shape: tuple[int, ...] = (_samples(case), groups * pick(1, 2, 3, 5, 33))
    if case.chance(0.7):
        shape = (*shape, pick(1, 2, 3), pick(1, 2, 3, 7, *AROUND_LANES))
    case.notes |= {"x": shape, "groups": groups}
    twin = _Twin(case, shape, shape[1:2], groups=groups)
    twin.check(functional.group_norm, functional.group_norm_backward, (groups,), ())


def check_layers(case: Case) -> None:
    """Axes at the end, in the middle or just behind the batch."""
    pick = case.pick
    axes: Any = pick(1, -1, (1,), (1, 2), [2, 1], 2)
    shape: tuple[int, ...] = (_samples(case), pick(1, 2, 3, 8, 33), pick(1, 2, 3, 7, 40))
    if axes in (1, -1) and case.chance(0.3):
        shape = (shape[0], pick(1, 3, 8, 33, 700, 1100))
    elif case.chance(0.5):
        shape = (*shape, pick(1, 2, 3, 7, *AROUND_LANES))
    case.notes |= {"x": shape, "axes": axes}
    if isinstance(axes, int):
        weight = shape[axes:]
    else:
        weight = tuple(shape[axis] for axis in sorted(axes))
    twin = _Twin(case, shape, weight, axes=axes)
    twin.check(functional.layer_norm, functional.layer_norm_backward, (axes,), (axes,))


def _samples(case: Case) -> int:
    return case.pick(0, *[1, 2, 3] * 4, 31, 32, 33, 65)


class _Twin:
    """Arrays, and what the formulas make of them."""

    def __init__(self, case: Case, shape: tuple[int, ...], weight: tuple[int, ...], **how: Any):
        self.case, self.how = case, how
        case.scale = 1
        self.x, self.dy = (case.lay(case.numbers(shape), native=True) for _ in range(2))
        self.weight, self.bias = (case.lay(case.numbers(weight), native=True) for _ in range(2))
        self.epsilon = case.pick(1e-5, 1e-2, 1.0)
        case.notes["epsilon"] = self.epsilon

    def check(
        self, forward: Normalize, backward: Normalize, how: tuple[Any, ...], again: tuple[Any, ...]
    ) -> None:
        """Compare values and gradients; `how` says what is normalised, `again` if asked again."""
        case, call = self.case, self.case.call
        x, dy, weight, bias = (
            plain(a).astype(Wide) for a in (self.x, self.dy, self.weight, self.bias)
        )
        y, mean, inverse = call(forward, self.x, self.weight, self.bias, *how, self.epsilon)
        right = getattr(reference, forward.__name__)(x, weight, bias, *how, self.epsilon)
        unit = case.unit
        size = [np.abs(np.where(np.isfinite(a), a, 0)).max(initial=1.0) for a in (x, dy, weight)]
        steep = 1 / np.sqrt(self.epsilon)
        largest = size[0] * size[2] * min(steep, 1000) + np.abs(np.nan_to_num(bias)).max(initial=0)
        close("mean", mean, right[1], 16 * unit * size[0], np.float64)
        close("inverse", inverse, right[2], 64 * unit * (steep + right[2] ** 3 * 16), np.float64)
        close("y", y, right[0], 256 * unit * largest, case.dtype)
        gradients = call(backward, self.dy, self.x, self.weight, mean, inverse, *again)
        with np.errstate(all="ignore"):
            exact = getattr(reference, backward.__name__)(
                dy, x, weight, mean.astype(Wide), inverse.astype(Wide), *again
            )
            far = 1 + size[0] * steep
            bounds = [size[1] * size[2] * steep * far**2, size[1] * far * x.size, size[1] * x.size]
        for which, found, twin, bound in zip(
            ("dx", "dweight", "dbias"), gradients, exact, bounds, strict=True
        ):
            with np.errstate(all="ignore"):  # an infinity and its opposite may meet in any order
                spoilt = ~np.isfinite(found) & ~np.isfinite(twin.astype(case.dtype))
            pair = (np.where(spoilt, 0, a) for a in (found, twin))
            close(which, *pair, 256 * unit * bound, case.dtype)
        alone = call(backward, self.dy, self.x, self.weight, mean, inverse, *again, needs="x")
        same("dx alone", alone[0], gradients[0])
        if alone[1] is not None or alone[2] is not None:
            raise AssertionError("gradients are made that are not needed")
