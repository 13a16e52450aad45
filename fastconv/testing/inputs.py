"""Checks that a layer takes the inputs that it declares: dtypes, and the axis of the batch."""

from __future__ import annotations

import numpy as np

from fastconv.errors import FastconvError
from fastconv.layers.base import Layer
from fastconv.layers.spec import DTYPES, FLOATS, Spec
from fastconv.testing.arrays import assert_bits_equal, assert_close, require
from fastconv.testing.case import Case

__all__ = ["check_batch_axes", "check_takes"]


def check_takes(layer: Layer) -> tuple[bool, tuple[str, ...]]:
    """Return whether the layer takes floats, and which other dtypes it takes."""
    takes, what = layer.takes, type(layer).__name__
    require(
        isinstance(takes, tuple) and len(takes) > 0 and set(takes) <= set(DTYPES),
        f"{what}: takes must be a tuple of some of {', '.join(DTYPES)}, got {takes!r}",
    )
    floats = set(FLOATS) & set(takes)
    require(
        floats in (set(), set(FLOATS)),
        f"{what}: takes must hold both of {' and '.join(FLOATS)}, or none, got {takes!r}",
    )
    return bool(floats), tuple(dtype for dtype in takes if dtype not in FLOATS)


def check_batch_axes(case: Case) -> None:
    """Check a layer that takes any batch axis: on each axis, a row gives what it gives alone.

    The shapes are those that `infer` says. Axes that `infer` refuses are left out.
    """
    if not case.layer.any_batch_axis:
        return
    for axis in (*range(1, 1 + min(len(spec.shape) for spec in case.specs)), None):
        specs = [Spec(spec.shape, spec.dtype, axis) for spec in case.specs]
        layer = type(case.layer)(**case.layer.config)
        try:
            output = layer.infer(*specs)
        except FastconvError:
            continue
        layer.ensure_built(0, *specs)
        rows = len(case.xs[0])
        y = layer.forward(case.context(False), *(_moved(x, slice(rows), axis) for x in case.xs))
        said = f"{case.owner}: any_batch_axis is True, and with the batch on axis {axis}"
        due = output.whole_shape(rows), output.dtype
        require((y.shape, y.dtype) == due, f"{said} y is {y.shape} {y.dtype}, infer says {due}")
        if axis is None:
            continue
        require(output.batch_axis is not None, f"{said} infer leaves the batch out")
        one = layer.forward(case.context(False), *(_moved(x, slice(1), axis) for x in case.xs))
        first = np.take(y, [0], output.batch_axis)
        (assert_close if y.dtype.kind == "f" else assert_bits_equal)(one, first)


def _moved(x: np.ndarray, rows: slice, axis: int | None) -> np.ndarray:
    """Return some rows of `x` with the batch on `axis`; None means one row without a batch."""
    return x[0].copy() if axis is None else np.moveaxis(x[rows], 0, axis).copy()
