"""Transposed convolution in two dimensions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_int, briefly
from fastconv.concurrency import computed_once
from fastconv.functional.transposed import as_output_padding, transposed
from fastconv.geometry import Window2D
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.convolution import Convolution
from fastconv.layers.fusing import fold, given_numbers, giver, is_affine, with_activation
from fastconv.layers.spec import LayerCosts, Spec
from fastconv.layers.traits import Affine
from fastconv.options import ConvOptions, as_options

__all__ = ["Conv2DTranspose"]


@register_layer("fastconv.Conv2DTranspose.v1")
class Conv2DTranspose(Convolution):
    """Spread each pixel over a window by filters: the way back through a strided convolution.

    Decoders enlarge their maps with it. Its forward pass is the gradient of the input of the
    `Conv2D` with the same settings.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size : int or (int, int)
        Rows and columns of a filter.
    stride : int or (int, int)
        Steps between windows of the output: how many times as large it becomes.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        What is cut off at the sides of the output; "same" gives H stride rows.
    output_padding : int or (int, int)
        Rows and columns more below and to the right, less than the stride.
    dilation : int or (int, int)
        Steps between the taps of a window.
    groups : int
        Into how many parts channels and filters are divided; each part sees only itself.
    bias : bool
        Whether a learned number is added to each channel.
    activation : None, name or (name, {...})
        What is applied to the output, as in `Conv2D`.
    algorithm : {"auto", "direct", "im2col", "im2col_tiled", "winograd"}
        Which algorithm computes; auto takes the fastest that keeps within the limit.
    precision : {"strict", "standard", "fast"}
        Which algorithms auto may take, as in `Conv2D`.
    initializer : name, (name, {...}) or callable
        Starting values of the weight.

    Notes
    -----
    Parameters: ``weight`` (C, filters / groups, R, S), as PyTorch and ONNX have it, and ``bias``
    (filters,). OH = (H - 1) stride + dilation (R - 1) + 1 - top - bottom + output_padding.

    Examples
    --------
    >>> Conv2DTranspose(32, 4, stride=2, padding=1).infer(Spec((64, 14, 14))).shape
    (32, 28, 28)
    """

    example_config = {"filters": 4, "kernel_size": 3, "stride": 2, "padding": "same"}
    example_shapes = ((3, 5, 4),)
    packs: tuple[str, ...] = ()
    gives = property(given_numbers)  # type: ignore[assignment]
    given_by = property(giver)  # type: ignore[assignment]
    with_activation = with_activation
    folds_affine = property(is_affine)  # type: ignore[assignment]

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | str | tuple[Any, Any] = 0,
        output_padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        activation: Any = None,
        algorithm: str = "auto",
        precision: str = "standard",
        initializer: Any = "he",
    ) -> None:
        owner = "Conv2DTranspose"
        self.filters = as_int(owner, "filters", filters, 1)
        options = as_options(owner, stride, padding, dilation, groups, algorithm, None, precision)
        window = Window2D.make(
            owner, kernel_size, options.stride, options.padding, options.dilation
        )
        self.output_padding = as_output_padding(owner, output_padding, options)
        self.keep_settings(window, options, bias, activation, initializer)
        self.check_filters()

    def output_size(self, spec: Spec) -> tuple[int, int]:
        """Return (OH, OW) for an input (C, H, W)."""
        return self._transposed(spec)[0]

    def weight_shape(self, channels: int) -> tuple[int, int, int, int]:
        """Return (C, K/groups, R, S)."""
        return (channels, self.filters // self.groups, *self.window.kernel)

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make the weight and the bias."""
        channels = specs[0].shape[0]
        taps, steps = self.window.taps, math.prod(self.window.stride)
        summands = max(1, channels // self.groups * taps // steps)
        shape = self.weight_shape(channels)
        self.add_param("weight", shape, self.initializer, fan_in=summands)
        if self.bias:
            self.add_param("bias", (self.filters,))

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, filters, OH, OW) for x (N, C, H, W)."""
        y = functional.conv2d_transpose(
            xs[0],
            self.param("weight").value,
            self.parameters["bias"].value if self.bias else None,
            activation=self.function and self.function.in_kernels,
            workspace_limit=ctx.workspace_limit,
            **self._turned_options,
        )
        return self.finished(ctx, xs[0], y)

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C, H, W) for dy (N, filters, OH, OW)."""
        x, kept = ctx.saved
        if kept is not None:
            dy = self.function.gradient(dy, kept, out=ctx.reusable(dy))
        needs = [name for name in ("weight", "bias") if ctx.needs_param(name)]
        dx, dweight, dbias = functional.conv2d_transpose_backward(
            dy,
            x,
            self.param("weight").value,
            needs=(*(("x",) if ctx.needs(0) else ()), *needs),
            workspace_limit=ctx.workspace_limit,
            **self._turned_options,
        )
        ctx.add_grad("weight", dweight)
        ctx.add_grad("bias", dbias)
        return dx

    def pack(self) -> None:
        """Pack nothing: each call packs for itself."""

    def costs(
        self,
        batch: int,
        *specs: Spec,
        training: bool = False,
        workspace_limit: int | str | None = None,
    ) -> LayerCosts:
        """Return the figures of `fastconv.conv2d_costs` for the convolution turned around."""
        found = super().costs(batch, *specs, training=training, workspace_limit=workspace_limit)
        # `together` has the weights, which each call packs; the gradient's sums are those of both
        return replace(found, packed=0, multiply_adds=found.multiply_adds // 2)

    def as_conv2d(
        self, batch: int, spec: Spec
    ) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], dict[str, Any]]:
        """Return the shapes and options of the `conv2d` that leads back."""
        (oh, ow), turned = self._transposed(spec)
        options = {
            "stride": turned.stride,
            "padding": turned.padding,
            "dilation": turned.dilation,
            "groups": turned.groups,
            "precision": turned.precision,
        }
        return ((batch, self.filters, oh, ow), self.weight_shape(spec.shape[0])), options

    def directions(self, which: str) -> tuple[str, ...]:
        """Return the directions of the `conv2d` that leads back."""
        if which == "forward":
            return ("input",)
        of_input = ("forward",) if which == "backward" else ()
        return (*of_input, "weight") if self.learns else of_input

    def folded(self, affine: Affine) -> Any:
        """Return a twin whose own weights compute this layer and then `affine`."""
        channels = self.param("weight").shape[0]
        # (groups, K/groups) -> a row for each channel of the input, which goes to its group alone
        scales = affine.scale.reshape(self.groups, -1, 1, 1)
        return fold(self, affine, scales.repeat(channels // self.groups, axis=0))

    def _transposed(self, spec: Spec) -> tuple[tuple[int, int], ConvOptions]:
        """Return (OH, OW), and the options of the convolution back."""
        window = self.window
        options = ConvOptions(
            window.stride,
            window.padding,
            window.dilation,
            self.groups,
            self.algorithm,
            None,
            self.precision,
        )
        size = spec.shape[1], spec.shape[2]
        return transposed("Conv2DTranspose", size, window.kernel, options, self.output_padding)

    @computed_once
    def _turned_options(self) -> dict[str, Any]:
        return {**self._options, "output_padding": briefly(self.output_padding)}
