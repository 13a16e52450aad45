"""Convolution whose results are added to an array where that lies: the end of a residual block."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import engines, kernels, memory, threads
from fastconv.functional import checks
from fastconv.functional.choosing import decide
from fastconv.functional.direct import direct_forward
from fastconv.functional.packing import PackedWeight
from fastconv.options import as_options

__all__ = ["add_conv2d", "may_add"]

_DEFAULTS = {
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "workspace_limit": None,
    "precision": "standard",
}


def may_add(filters: int, kernel: tuple[int, int], algorithm: str) -> bool:
    """Return whether `add_conv2d` serves a layer with so many `filters` in a group.

    It convolves directly, so `algorithm` must be that, or come to it for its `kernel`. Few filters
    are not packed, and the kernels for plain weights do not add.
    """
    direct = algorithm == "direct" or (algorithm == "auto" and kernel == (1, 1))
    return direct and not engines.few(filters, kernels.lanes(np.dtype(np.float32)))


def add_conv2d(
    y: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | PackedWeight,
    bias: np.ndarray | None = None,
    activation: str | None = None,
    **options: Any,
) -> None:
    """Add the convolution of `x` to `y`, and apply the activation.

    The bits are those of `conv2d` by ``direct``, and then of the addition.

    Parameters
    ----------
    y : ndarray (N, K, OH, OW)
        C-contiguous, not overlapping `x`.
    x : ndarray (N, C, H, W) of the dtype of `y`, float32 or float64
    weight : ndarray (K, C/groups, R, S) or PackedWeight
        As `may_add` wants it.
    bias : ndarray (K,), optional
    activation : None or "relu"
    **options
        stride, padding, dilation, groups, algorithm and precision, as `conv2d` has them. Whatever
        the last two are, it convolves directly.

    Notes
    -----
    Temporary bytes: none beside packed weights.
    """
    settled = as_options("conv2d", **{**_DEFAULTS, **options, "algorithm": "direct"})
    count = threads.get_num_threads()
    g = decide("conv2d", "forward", x.shape, weight.shape, x.dtype, settled, count).geometry
    if y.size == 0:
        return
    x, relu = checks.readable(x), activation is not None
    if isinstance(weight, PackedWeight):
        direct_forward(g, x, weight, bias, y, relu, adds=True)
        return
    with memory.Lent() as lent:
        packed = PackedWeight(weight, g.groups, False, lent)
        direct_forward(g, x, packed, bias, y, relu, adds=True)
