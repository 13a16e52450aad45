"""Which code runs for the algorithm that was chosen; the book's im2col is in unfolded.py."""

from __future__ import annotations

import numpy as np

from fastconv.floating import is_finite
from fastconv.functional.choosing import Decision
from fastconv.functional.direct import direct_forward, direct_input, direct_weight
from fastconv.functional.minimal import winograd_forward, winograd_input, winograd_weight
from fastconv.functional.packing import PackedWeight, few_filters
from fastconv.functional.unfolded import unfolded_backward, unfolded_forward


def forward(
    decision: Decision,
    x: np.ndarray,
    weight: PackedWeight,
    bias: np.ndarray | None,
    y: np.ndarray,
    relu: bool,
) -> None:
    """Convolve by the algorithm that was chosen."""
    g, algorithm, cost, _ = decision
    if algorithm == "winograd":
        winograd_forward(g, cost, x, weight, bias, y, relu)
        return
    if algorithm != "direct":
        unfolded_forward(g, cost, x, weight, bias, y, relu)
        if not g.padded or weight.is_finite():
            return
        # an infinite or NaN weight times a padded zero is NaN: the direct sum has no padding
    direct_forward(g, x, weight, bias, y, relu)


def backward(
    decision: Decision,
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    dx: np.ndarray | None,
    dweight: np.ndarray | None,
) -> None:
    """Write the gradients that are not None by the algorithm that was chosen."""
    g, algorithm, cost, _ = decision
    if algorithm in ("im2col", "im2col_tiled"):
        # few filters have no panels to multiply by; an infinite dy times a padded zero is NaN
        directly = few_filters(weight, g.groups) or (g.padded and not is_finite(dy))
        unfolded_backward(g, cost, dy, x, weight, dx, None if directly else dweight)
        dx, dweight = None, dweight if directly else None
    if dx is not None and cost.tile:
        winograd_input(g, cost, dy, weight, dx)
    elif dx is not None:
        direct_input(g, dy, weight, dx)
    if dweight is not None and cost.weight_tile:
        winograd_weight(g, cost.weight_tile, dy, x, dweight)
    elif dweight is not None:
        direct_weight(g, dy, x, dweight)
