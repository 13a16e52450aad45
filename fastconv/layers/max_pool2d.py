"""Max pooling."""

from __future__ import annotations

from typing import Any

from fastconv.geometry import Window2D
from fastconv.layers.catalogue import register_layer
from fastconv.layers.fusing import with_rectifier
from fastconv.layers.max_pooling import MaxPooling

__all__ = ["MaxPool2D"]


@register_layer("fastconv.MaxPool2D.v1")
class MaxPool2D(MaxPooling):
    """Take the largest element of each window; small shifts of the input change little.

    Parameters
    ----------
    pool_size : int or (int, int)
        Rows and columns of a window.
    stride : int, (int, int) or None
        Steps between windows; None is `pool_size`.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Minus infinity around the image.
    dilation : int or (int, int)
        Steps between the elements of a window.
    ceil_mode : bool
        Whether a last window that overhangs the padded image counts.

    Notes
    -----
    In training the place of each maximum is kept: a byte an output up to windows of 256
    elements, four beyond. The gradient goes to the first maximum of a window.

    Examples
    --------
    >>> from fastconv.layers import Spec
    >>> MaxPool2D(2).infer(Spec((30, 24, 24))).shape
    (30, 12, 12)
    """

    example_config = {"pool_size": 2}
    example_shapes = ((16, 28, 28),)
    gives = "elements"
    output_may_be_overwritten = True
    # The largest of rectified numbers is the rectified largest of all numbers. In either order, a
    # window without a positive number passes no gradient back.
    commutes_with = frozenset({"relu"})
    with_activation = with_rectifier

    def __init__(
        self,
        pool_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] | None = None,
        padding: int | str | tuple[Any, Any] = 0,
        dilation: int | tuple[int, int] = 1,
        ceil_mode: bool = False,
    ) -> None:
        stride = pool_size if stride is None else stride
        self.window = Window2D.make(
            "MaxPool2D", pool_size, stride, padding, dilation, ceil_mode, "pool_size"
        )
