"""Convolution of every channel by filters of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_int
from fastconv.geometry import Window2D
from fastconv.layers.catalogue import register_layer
from fastconv.layers.convolution import Convolution
from fastconv.layers.fusing import fold, given_numbers, giver, is_affine, with_activation
from fastconv.options import as_options

__all__ = ["DepthwiseConv2D"]


@register_layer("fastconv.DepthwiseConv2D.v1")
class DepthwiseConv2D(Convolution):
    """Slide filters over each channel alone; none sees another channel.

    It is a `Conv2D` with as many groups as the input has channels. A `Conv2D` of one tap behind
    it, which mixes the channels, makes what others call a separable convolution.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Rows and columns of a filter.
    multiplier : int
        Filters of each channel.
    stride : int or (int, int)
        Steps between windows.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the image.
    dilation : int or (int, int)
        Steps between the taps of a window.
    bias : bool
        Whether a learned number is added to each channel of the output.
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
    Parameters: ``weight`` (C multiplier, 1, R, S), the filters of the first channel first, and
    ``bias`` (C multiplier,). A MobileNet of Howard et al. (2017) has such layers.

    Examples
    --------
    >>> from fastconv.layers import Spec
    >>> DepthwiseConv2D(3, multiplier=2, padding=1).infer(Spec((16, 28, 28))).shape
    (32, 28, 28)
    """

    example_config = {"kernel_size": 3, "padding": 1}
    example_shapes = ((8, 10, 9),)
    gives = property(given_numbers)  # type: ignore[assignment]
    given_by = property(giver)  # type: ignore[assignment]
    with_activation = with_activation
    folds_affine = property(is_affine)  # type: ignore[assignment]
    folded = fold

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        *,
        multiplier: int = 1,
        stride: int | tuple[int, int] = 1,
        padding: int | str | tuple[Any, Any] = 0,
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
        activation: Any = None,
        algorithm: str = "auto",
        precision: str = "standard",
        initializer: Any = "he",
    ) -> None:
        owner = "DepthwiseConv2D"
        self.multiplier = as_int(owner, "multiplier", multiplier, 1)
        options = as_options(owner, stride, padding, dilation, 1, algorithm, None, precision)
        window = Window2D.make(
            owner, kernel_size, options.stride, options.padding, options.dilation
        )
        self.keep_settings(window, options, bias, activation, initializer)

    def filters_for(self, channels: int) -> int:
        """Return the channels of the output: those of the input, `multiplier` times."""
        return channels * self.multiplier

    def options_for(self, channels: int) -> dict[str, Any]:
        """Return the options of a convolution with a group for each channel."""
        return {**self._options, "groups": channels}

    def _channels(self, weight: np.ndarray) -> int:
        return weight.shape[0] // self.multiplier
