"""Windows of maps as columns, and columns back to maps: im2col and col2im."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_pair, briefly
from fastconv.concurrency import computed_once
from fastconv.functional.windows import folded_channels
from fastconv.geometry import Window2D
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spatial import Spatial
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["Fold", "Unfold"]


class _Windows(Spatial):
    """What both share: a window, and no array that is kept."""

    new_gradients = True

    def keep_window(self, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> None:
        """Check and keep the window."""
        owner = type(self).__name__
        self.window = Window2D.make(owner, kernel_size, stride, padding, dilation)

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return zeros: the backward pass needs no array but `dy`."""
        return LayerCosts()

    @computed_once
    def _options(self) -> dict[str, Any]:
        return {
            "kernel_size": briefly(self.window.kernel),
            "stride": briefly(self.window.stride),
            "padding": briefly(self.window.padding),
            "dilation": briefly(self.window.dilation),
        }


@register_layer("fastconv.Unfold.v1")
class Unfold(_Windows):
    """Write what each tap of a sliding window sees: im2col as a layer.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Rows and columns of a window.
    stride : int or (int, int)
        Steps between windows.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the image.
    dilation : int or (int, int)
        Steps between the taps of a window.

    Notes
    -----
    The layout is that of PyTorch's ``nn.Unfold``: rows (C, R, S), and a column for each window.
    The book's `im2col` has a row for each window of the whole batch instead, with (C, R, S) along
    it: ``y.transpose(0, 2, 1).reshape(-1, C * R * S)``.

    Examples
    --------
    >>> Unfold(3, padding=1).infer(Spec((8, 6, 6))).shape
    (72, 36)
    """

    example_config = {"kernel_size": 3, "padding": 1}
    example_shapes = ((3, 6, 5),)
    gives = "values"
    output_may_be_overwritten = True

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | str | tuple[Any, Any] = 0,
        dilation: int | tuple[int, int] = 1,
    ) -> None:
        self.keep_window(kernel_size, stride, padding, dilation)

    def infer(self, *specs: Spec) -> Spec:
        """Return (C R S, OH OW) for (C, H, W)."""
        spec = self.one_input(specs, "CHW")
        oh, ow = self.output_size(spec)
        return Spec((spec.shape[0] * self.window.taps, oh * ow), spec.dtype)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, C R S, OH OW) for x (N, C, H, W)."""
        ctx.save(xs[0].shape)
        return functional.unfold2d(xs[0], **self._options)

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C, H, W) for dy (N, C R S, OH OW)."""
        if not ctx.needs(0):
            return None
        (shape,) = ctx.saved
        return functional.fold2d(dy, shape[2:], **self._options)


@register_layer("fastconv.Fold.v1")
class Fold(_Windows):
    """Add columns back to the windows that `Unfold` takes them from: col2im as a layer.

    Parameters
    ----------
    output_size : int or (int, int)
        Rows and columns of the map.
    kernel_size : int or (int, int)
        Rows and columns of a window.
    stride : int or (int, int)
        Steps between windows.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        What was added around the map, and is cut off again.
    dilation : int or (int, int)
        Steps between the taps of a window.

    Notes
    -----
    Where windows overlap, an element is the sum of what lies on it, as in PyTorch's ``nn.Fold``.

    Examples
    --------
    >>> Fold(6, 3, padding=1).infer(Spec((72, 36))).shape
    (8, 6, 6)
    """

    example_config = {"output_size": [6, 5], "kernel_size": 3, "padding": 1}
    example_shapes = ((18, 30),)
    gives = "values"
    output_may_be_overwritten = True

    def __init__(
        self,
        output_size: int | tuple[int, int],
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | str | tuple[Any, Any] = 0,
        dilation: int | tuple[int, int] = 1,
    ) -> None:
        self.size = as_pair("Fold", "output_size", output_size, 1)
        self.keep_window(kernel_size, stride, padding, dilation)

    def infer(self, *specs: Spec) -> Spec:
        """Return (C, H, W) for (C R S, OH OW)."""
        spec = self.one_input(specs, "CL")
        channels = folded_channels("Fold", self.window, self.size, spec.shape)
        return Spec((channels, *self.size), spec.dtype)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, C, H, W) for x (N, C R S, OH OW)."""
        return functional.fold2d(xs[0], self.size, **self._options)

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C R S, OH OW) for dy (N, C, H, W)."""
        return functional.unfold2d(dy, **self._options) if ctx.needs(0) else None
