"""Average pooling."""

from __future__ import annotations

from typing import Any

from fastconv.arguments import as_bool
from fastconv.geometry import Window2D
from fastconv.layers.avg_pooling import AvgPooling
from fastconv.layers.catalogue import register_layer

__all__ = ["AvgPool2D"]


@register_layer("fastconv.AvgPool2D.v1")
class AvgPool2D(AvgPooling):
    """Take the mean of each window.

    Parameters
    ----------
    pool_size : int or (int, int)
        Rows and columns of a window.
    stride : int, (int, int) or None
        Steps between windows; None is `pool_size`.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the image.
    ceil_mode : bool
        Whether a last window that overhangs the padded image counts.
    count_include_pad : bool
        Whether the zeros of the padding count as elements.

    Examples
    --------
    >>> from fastconv.layers import Spec
    >>> AvgPool2D(2).infer(Spec((30, 24, 24))).shape
    (30, 12, 12)
    """

    example_config = {"pool_size": 2}
    example_shapes = ((16, 28, 28),)
    gives = "input"
    output_may_be_overwritten = True

    def __init__(
        self,
        pool_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] | None = None,
        padding: int | str | tuple[Any, Any] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = False,
    ) -> None:
        stride = pool_size if stride is None else stride
        self.window = Window2D.make(
            "AvgPool2D", pool_size, stride, padding, 1, ceil_mode, "pool_size"
        )
        self.count_include_pad = as_bool("AvgPool2D", "count_include_pad", count_include_pad)
