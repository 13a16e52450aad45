"""batch_norm and its gradient, by the batch's statistics and by running ones."""

from __future__ import annotations

import numpy as np

from fastconv import functional
from fuzzing.case import Case, plain
from fuzzing.compare import close, same
from fuzzing.geometries import AROUND_LANES


def check(case: Case) -> None:
    """Values, statistics and gradients against the formulas in float64."""
    pick = case.pick
    shape: tuple[int, ...] = (pick(1, 2, 3, 8, 33), pick(1, 2, 3, 5))
    if case.chance(0.8):
        shape = (*shape, pick(1, 2, 3, 5, 8), pick(1, 2, 3, 7, *AROUND_LANES))
    epsilon = pick(1e-5, 1e-3, 1.0)
    case.notes |= {"x": shape, "epsilon": epsilon}
    case.scale = 1
    case.notes["by"] = "batch"
    running = None
    if case.chance(0.4):
        case.notes["by"] = "running"
        running = case.numbers(shape[1:2]), np.abs(case.numbers(shape[1:2]))
    x, dy = _laid(case, shape), _laid(case, shape)
    weight, bias = (case.writable(case.numbers(shape[1:2])) for _ in range(2))
    y, mean, variance, inverse = case.call(functional.batch_norm, x, weight, bias, epsilon, running)
    twin = _Twin(plain(x), plain(dy), weight, bias, epsilon, running)
    unit = case.unit
    if running is None:
        close("mean", mean, twin.mean, 8 * unit * twin.largest, np.float64)
        spread = twin.variance + unit * twin.largest**2
        close("variance", variance, twin.variance, 64 * unit * spread, np.float64)
    else:
        same("mean", mean, twin.mean)
        same("variance", variance, twin.variance)
    with np.errstate(all="ignore"):
        size = twin.over(twin.largest * twin.inverse * np.abs(twin.weight)) + np.abs(
            twin.over(twin.bias)
        )
    close("y", y, twin.y, 64 * unit * np.broadcast_to(size, shape), case.dtype)
    args = (weight, mean, inverse, running is None)
    dx, dweight, dbias = case.call(functional.batch_norm_backward, dy, x, *args)
    for name, found, right, bound in twin.gradients(dx, dweight, dbias):
        close(name, found, right, 256 * unit * bound, case.dtype)
    none, *others = case.call(functional.batch_norm_backward, dy, x, *args, needs_x=False)
    if none is not None:
        raise AssertionError("dx is made where it is not needed")
    same("dweight alone", others[0], dweight)
    same("dbias alone", others[1], dbias)


def _laid(case: Case, shape: tuple[int, ...]) -> np.ndarray:
    return case.lay(case.numbers(shape), native=True)


class _Twin:
    """The formulas of Ioffe and Szegedy 2015, in float64."""

    def __init__(self, x, dy, weight, bias, epsilon, running):
        self.x, self.dy, self.weight, self.bias = (
            a.astype(np.float64) for a in (x, dy, weight, bias)
        )
        self.axes = (0, *range(2, x.ndim))
        self.batch = running is None
        with np.errstate(all="ignore"):
            self.largest = np.abs(np.where(np.isfinite(self.x), self.x, 0)).max(self.axes)
            if self.batch:
                self.mean, self.variance = self.x.mean(self.axes), self.x.var(self.axes)
            else:
                self.mean, self.variance = (a.astype(np.float64) for a in running)
                self.largest = np.maximum(self.largest, np.abs(self.mean))
            self.inverse = 1 / np.sqrt(self.variance + epsilon)
            self.z = (self.x - self.over(self.mean)) * self.over(self.inverse)
            self.y = self.z * self.over(self.weight) + self.over(self.bias)

    def over(self, channels: np.ndarray) -> np.ndarray:
        """View (C,) as what broadcasts over x."""
        return channels.reshape(1, -1, *[1] * (self.x.ndim - 2))

    def gradients(self, dx, dweight, dbias):
        """Yield the name of each, what was found, what is right, and the size of its errors."""
        count = self.x.size // self.x.shape[1]
        with np.errstate(all="ignore"):
            right = (self.dy * self.z).sum(self.axes), self.dy.sum(self.axes)
            slope = self.dy
            if self.batch:
                slope = slope - (self.over(right[1]) + self.z * self.over(right[0])) / count
            scale = self.over(self.inverse * self.weight)
            steep = np.abs(np.where(np.isfinite(self.dy), self.dy, 0)).max(self.axes)
            far = 1 + self.largest * self.inverse
            yield "dbias", dbias, right[1], steep * count
            yield "dweight", dweight, right[0], steep * far * count
            size = np.abs(scale) * self.over(steep * far**2)
            if not self.batch:
                size = np.abs(slope * scale)
            yield "dx", dx, slope * scale, np.broadcast_to(size, self.x.shape)
