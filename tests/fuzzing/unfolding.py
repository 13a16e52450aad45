"""im2col and col2im, the functions of the book."""

from __future__ import annotations

import numpy as np

import fastconv
from fastconv import reference
from fuzzing.case import Case, plain
from fuzzing.compare import close, same
from fuzzing.geometries import AROUND_LANES


def check(case: Case) -> None:
    """Unfold, and fold what was unfolded and what was not."""
    pick = case.pick
    kernel = pick((1, 1), (3, 3), (pick(1, 2, 3, 5, 7), pick(1, 2, 3, 5, 7)))
    stride = pick(1, 2, (pick(1, 2, 3, 4), pick(1, 2, 3, 4)))
    pad = pick(0, 1, (pick(0, 1, 2, 3), pick(0, 1, 2, 3)))
    rows, columns = pad if isinstance(pad, tuple) else (pad, pad)
    size = [
        max(1, kernel[axis] - 2 * (rows, columns)[axis]) + pick(0, 1, 2, 3, 5, 8, 13)
        for axis in (0, 1)
    ]
    if case.chance(0.2):
        size[1] = max(size[1], pick(*AROUND_LANES))
    channels = pick(1, 1, 2, 3, 4, 8, 15, 16, 17, 33)
    shape = (pick(0, *[1, 2, 3] * 10), channels, *size)
    case.notes |= {"x": shape, "kernel": kernel, "stride": stride, "pad": pad}
    x = case.array(shape)
    right = reference.im2col(plain(x), *kernel, stride, pad)
    same("col", case.call(fastconv.im2col, x, *kernel, stride, pad), right)
    col = case.array(right.shape)
    values = plain(col) if case.values != "real" else plain(col).astype(np.float64)
    with np.errstate(all="ignore"):
        image = reference.col2im(values, shape, *kernel, stride, pad)
    found = case.call(fastconv.col2im, col, shape, *kernel, stride, pad)
    if case.values != "real":
        same("image", found, image)
        return
    taps = kernel[0] * kernel[1]
    sizes = reference.col2im(np.abs(values), shape, *kernel, stride, pad)
    close("image", found, image, case.bound(2 * taps, sizes), case.dtype)
