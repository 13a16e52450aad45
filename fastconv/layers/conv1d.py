"""Convolution in one dimension."""

from __future__ import annotations

from typing import Any

from fastconv.arguments import as_int
from fastconv.geometry import Window2D
from fastconv.layers.catalogue import register_layer
from fastconv.layers.convolution import Convolution, with_addition
from fastconv.layers.fusing import fold, given_numbers, giver, is_affine, with_activation
from fastconv.options import as_options

__all__ = ["Conv1D"]


@register_layer("fastconv.Conv1D.v1")
class Conv1D(Convolution):
    """Slide filters over a signal (C, L); each makes one channel of the output.

    It is a cross-correlation, and `Conv2D` of maps of one row, bit for bit.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size : int
        Taps of a filter.
    stride : int
        Steps between windows.
    padding : int, (left, right), "same" or "valid"
        Zeros beside the signal.
    dilation : int
        Steps between the taps of a window.
    groups : int
        Into how many parts channels and filters are divided; each part sees only itself.
    bias : bool
        Whether a learned number is added to each channel.
    activation : None, name or (name, {...})
        What is applied to the output, as in `Conv2D`.
    algorithm : {"auto", "direct", "im2col", "im2col_tiled"}
        Which algorithm computes; auto takes the fastest that keeps within the limit.
    precision : {"strict", "standard", "fast"}
        As in `Conv2D`; here all give the same bits.
    initializer : name, (name, {...}) or callable
        Starting values of the weight.

    Notes
    -----
    Parameters: ``weight`` (filters, C / groups, S) and ``bias`` (filters,).

    Examples
    --------
    >>> from fastconv.layers import Spec
    >>> Conv1D(30, 5).infer(Spec((1, 28))).shape
    (30, 24)
    """

    example_config = {"filters": 32, "kernel_size": 3, "padding": 1}
    example_shapes = ((16, 28),)
    axes = "CL"
    gives = property(given_numbers)  # type: ignore[assignment]
    given_by = property(giver)  # type: ignore[assignment]
    with_activation = with_activation
    with_addition = with_addition
    folds_affine = property(is_affine)  # type: ignore[assignment]
    folded = fold

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | str | tuple[int, int] = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        activation: Any = None,
        algorithm: str = "auto",
        precision: str = "standard",
        initializer: Any = "he",
    ) -> None:
        self.filters = as_int("Conv1D", "filters", filters, 1)
        options = as_options("Conv1D", 1, 0, 1, groups, algorithm, None, precision)
        window = Window2D.row("Conv1D", kernel_size, stride, padding, dilation)
        self.keep_settings(window, options, bias, activation, initializer)
        self.check_filters()
