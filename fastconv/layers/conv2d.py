"""Convolution in two dimensions."""

from __future__ import annotations

from typing import Any

from fastconv.arguments import as_int
from fastconv.geometry import Window2D
from fastconv.layers.catalogue import register_layer
from fastconv.layers.convolution import Convolution, with_addition
from fastconv.layers.fusing import fold, given_numbers, giver, is_affine, with_activation
from fastconv.options import as_options

__all__ = ["Conv2D"]


@register_layer("fastconv.Conv2D.v1")
class Conv2D(Convolution):
    """Slide filters over an image; each makes one channel of the output.

    It is a cross-correlation, as in every framework: the filter is not turned around.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size : int or (int, int)
        Rows and columns of a filter.
    stride : int or (int, int)
        Steps between windows.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the image.
    dilation : int or (int, int)
        Steps between the taps of a window.
    groups : int
        Into how many parts channels and filters are divided; each part sees only itself.
    bias : bool
        Whether a learned number is added to each channel.
    activation : None, name or (name, {...})
        What is applied to the output: "relu" in the same pass over memory, any other function of
        each element over the output itself.
    algorithm : {"auto", "direct", "im2col", "im2col_tiled", "winograd"}
        Which algorithm computes; auto takes the fastest that keeps within the limit.
    precision : {"strict", "standard", "fast"}
        Which algorithms auto may take; strict: those of equal bits; standard: Winograd's too, in
        float32, with at most four times the rounding errors of the direct sum; fast: also with up
        to ten times in gradients, and by 5x5 kernels twenty forward, forty in those of the input.
    initializer : name, (name, {...}) or callable
        Starting values of the weight.

    Notes
    -----
    Parameters: ``weight`` (filters, C / groups, R, S) and ``bias`` (filters,).

    Examples
    --------
    >>> from fastconv.layers import Spec
    >>> Conv2D(30, 5).infer(Spec((1, 28, 28))).shape
    (30, 24, 24)
    """

    example_config = {"filters": 32, "kernel_size": 3, "padding": 1}
    example_shapes = ((16, 28, 28),)
    gives = property(given_numbers)  # type: ignore[assignment]
    given_by = property(giver)  # type: ignore[assignment]
    with_activation = with_activation
    with_addition = with_addition
    folds_affine = property(is_affine)  # type: ignore[assignment]
    folded = fold

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | str | tuple[Any, Any] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        activation: Any = None,
        algorithm: str = "auto",
        precision: str = "standard",
        initializer: Any = "he",
    ) -> None:
        self.filters = as_int("Conv2D", "filters", filters, 1)
        options = as_options(
            "Conv2D", stride, padding, dilation, groups, algorithm, None, precision
        )
        window = Window2D.make(
            "Conv2D", kernel_size, options.stride, options.padding, options.dilation
        )
        self.keep_settings(window, options, bias, activation, initializer)
        self.check_filters()
