"""Max pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import briefly
from fastconv.concurrency import computed_once
from fastconv.geometry import Window2D
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["MaxPool2D"]


@register_layer("fastconv.MaxPool2D.v1")
class MaxPool2D(Layer):
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
    >>> MaxPool2D(2).infer(Spec((30, 24, 24))).shape
    (30, 12, 12)
    """

    example_config = {"pool_size": 2}
    example_shapes = ((16, 28, 28),)
    new_gradients = True
    gives = "elements"
    output_may_be_overwritten = True
    # The largest of rectified numbers is the rectified largest of all numbers. In either order, a
    # window without a positive number passes no gradient back.
    commutes_with = frozenset({"relu"})
    #: "relu" if the layer stands for itself and the ReLU behind it. This is no setting.
    activation: str | None = None

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

    def infer(self, *specs: Spec) -> Spec:
        """Return (C, OH, OW) for (C, H, W)."""
        spec = self.one_input(specs, "CHW")
        return Spec((spec.shape[0], *self.window.output_map("MaxPool2D", spec.shape)), spec.dtype)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, C, OH, OW) for x (N, C, H, W)."""
        (x,) = xs
        if not ctx.needs(0):
            y: Any = functional.max_pool2d(x, **self._options)
            return functional.relu(y, out=y) if self.activation else y
        y, argmax = functional.max_pool2d_argmax(x, activation=self.activation, **self._options)
        ctx.save(argmax, x.shape)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C, H, W) for dy (N, C, OH, OW)."""
        if not ctx.needs(0):
            return None
        argmax, shape = ctx.saved
        return functional.max_pool2d_argmax_backward(dy, argmax, shape, **self._options)

    def with_activation(self, name: str) -> MaxPool2D | None:
        """Return a twin that applies ReLU too; None if this layer does so already."""
        if self.activation or name != "relu":
            return None
        twin = self.twin()
        twin.activation = name
        return twin

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return, in training, the places of the maxima."""
        position = 1 if self.window.taps + bool(self.activation) <= 256 else 4
        outputs = batch * self.infer(*specs).size
        return LayerCosts(saved=position * outputs if training else 0)

    @computed_once
    def _options(self) -> dict[str, Any]:
        return {
            "pool_size": briefly(self.window.kernel),
            "stride": briefly(self.window.stride),
            "padding": briefly(self.window.padding),
            "dilation": briefly(self.window.dilation),
            "ceil_mode": self.window.ceil_mode,
        }
