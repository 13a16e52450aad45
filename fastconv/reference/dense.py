"""A matrix product with a bias, and its gradients."""

from __future__ import annotations

from collections.abc import Collection

from fastconv.floating import quietly
from fastconv.reference.elementwise import activate
from fastconv.reference.taps import Array


@quietly
def dense(
    x: Array, weight: Array, bias: Array | None = None, *, activation: str | None = None
) -> Array:
    """Return x (N, inputs) times the transpose of weight (units, inputs), plus bias (units,)."""
    y = x @ weight.T
    return activate(y if bias is None else y + bias, activation)


@quietly
def dense_backward(
    dy: Array, x: Array, weight: Array, *, needs: Collection[str] = ("x", "weight", "bias")
) -> tuple[Array | None, Array | None, Array | None]:
    """Return (dx, dweight, dbias) for dy (N, units); None for those not named in `needs`."""
    return (
        dy @ weight if "x" in needs else None,
        dy.T @ x if "weight" in needs else None,
        dy.sum(axis=0) if "bias" in needs else None,
    )
