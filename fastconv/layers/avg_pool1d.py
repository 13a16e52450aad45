"""Average pooling of signals."""

from __future__ import annotations

from fastconv.arguments import as_bool
from fastconv.geometry import Window2D
from fastconv.layers.avg_pooling import AvgPooling
from fastconv.layers.catalogue import register_layer

__all__ = ["AvgPool1D"]


@register_layer("fastconv.AvgPool1D.v1")
class AvgPool1D(AvgPooling):
    """Take the mean of each window of a signal (C, L).

    Parameters
    ----------
    pool_size : int
        Elements of a window.
    stride : int or None
        Steps between windows; None is `pool_size`.
    padding : int, (left, right), "same" or "valid"
        Zeros beside the signal.
    ceil_mode : bool
        Whether a last window that overhangs the padded signal counts.
    count_include_pad : bool
        Whether the zeros of the padding count as elements.

    Examples
    --------
    >>> from fastconv.layers import Spec
    >>> AvgPool1D(2).infer(Spec((30, 24))).shape
    (30, 12)
    """

    example_config = {"pool_size": 2}
    example_shapes = ((16, 28),)
    axes = "CL"
    gives = "input"
    output_may_be_overwritten = True

    def __init__(
        self,
        pool_size: int,
        *,
        stride: int | None = None,
        padding: int | str | tuple[int, int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = False,
    ) -> None:
        stride = pool_size if stride is None else stride
        self.window = Window2D.row(
            "AvgPool1D", pool_size, stride, padding, 1, ceil_mode, "pool_size"
        )
        self.count_include_pad = as_bool("AvgPool1D", "count_include_pad", count_include_pad)
