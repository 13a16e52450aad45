"""Max pooling of signals."""

from __future__ import annotations

from fastconv.geometry import Window2D
from fastconv.layers.catalogue import register_layer
from fastconv.layers.fusing import with_rectifier
from fastconv.layers.max_pooling import MaxPooling

__all__ = ["MaxPool1D"]


@register_layer("fastconv.MaxPool1D.v1")
class MaxPool1D(MaxPooling):
    """Take the largest element of each window of a signal (C, L).

    Parameters
    ----------
    pool_size : int
        Elements of a window.
    stride : int or None
        Steps between windows; None is `pool_size`.
    padding : int, (left, right), "same" or "valid"
        Minus infinity beside the signal.
    dilation : int
        Steps between the elements of a window.
    ceil_mode : bool
        Whether a last window that overhangs the padded signal counts.

    Notes
    -----
    It is `MaxPool2D` of maps of one row, bit for bit.

    Examples
    --------
    >>> from fastconv.layers import Spec
    >>> MaxPool1D(2).infer(Spec((30, 24))).shape
    (30, 12)
    """

    example_config = {"pool_size": 2}
    example_shapes = ((16, 28),)
    axes = "CL"
    gives = "elements"
    output_may_be_overwritten = True
    commutes_with = frozenset({"relu"})
    with_activation = with_rectifier

    def __init__(
        self,
        pool_size: int,
        *,
        stride: int | None = None,
        padding: int | str | tuple[int, int] = 0,
        dilation: int = 1,
        ceil_mode: bool = False,
    ) -> None:
        stride = pool_size if stride is None else stride
        self.window = Window2D.row(
            "MaxPool1D", pool_size, stride, padding, dilation, ceil_mode, "pool_size"
        )
