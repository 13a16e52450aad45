"""Runs layers forward and backward, and asserts that the results are equal."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastconv.layers.base import Layer
from fastconv.testing.arrays import assert_bits_equal, require
from fastconv.testing.case import Case

__all__ = ["Pass", "require_equal", "require_same", "run_both_ways"]


class Pass(NamedTuple):
    """The results of one pass forward and backward."""

    y: np.ndarray
    dxs: tuple[Any, ...]
    grads: dict[str, np.ndarray]


def run_both_ways(case: Case, layer: Layer, xs: Any, training: bool, dy: Any = None) -> Pass:
    """Run `layer` on `xs` forward, and backward from `dy` or what `Case.gradient` gives."""
    ctx = case.context(training, inputs=len(xs), parameters=layer.parameters)
    y = layer.forward(ctx, *xs)
    dxs = layer.backward(ctx, case.gradient(y.shape) if dy is None else dy)
    return Pass(y, dxs if isinstance(dxs, tuple) else (dxs,), ctx.grads)


def require_equal(said: str, found: Pass, due: Pass) -> None:
    """Raise unless two passes gave the same bits."""
    try:
        assert_bits_equal(found.y, due.y)
        for dx, other in zip(found.dxs, due.dxs, strict=True):
            assert_bits_equal(dx, other)
        require(found.grads.keys() == due.grads.keys(), "other parameters have gradients")
        for name, gradient in due.grads.items():
            assert_bits_equal(found.grads[name], gradient)
    except AssertionError as error:
        raise AssertionError(f"{said} {error}") from None


def require_same(said: str, array: np.ndarray, given: np.ndarray, name: str = "the input") -> None:
    """Raise unless `array` is the memory of `given`, element by element."""
    require(np.may_share_memory(array, given), f"{said} not in the memory of {name}")
    same = array.reshape(-1).tobytes() == given.reshape(-1).tobytes()
    require(same, f"{said} not {name} element by element")
