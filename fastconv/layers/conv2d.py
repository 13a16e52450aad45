"""Convolution in two dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional, initializers
from fastconv.arguments import as_bool, as_choice, as_int, briefly
from fastconv.concurrency import computed_once
from fastconv.errors import ArgumentError, ShapeError
from fastconv.functional.packing import ACTIVATIONS
from fastconv.geometry import Window2D
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.fusing import fold, is_affine, with_activation
from fastconv.layers.spec import LayerCosts, PassCosts, Spec
from fastconv.options import as_options

__all__ = ["Conv2D"]


@register_layer("fastconv.Conv2D.v1")
class Conv2D(Layer):
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
    activation : {None, "relu"}
        What is applied to the output, in the same pass over memory.
    algorithm : {"auto", "direct", "im2col", "im2col_tiled", "winograd"}
        Which algorithm computes; auto takes the fastest that keeps within the limit.
    precision : {"strict", "standard", "fast"}
        Which algorithms auto may take; strict: those of equal bits; standard: Winograd
        F(2x2, 3x3) too, in float32; fast: also F(4x4, 3x3).
    initializer : name, (name, {...}) or callable
        Starting values of the weight.

    Notes
    -----
    Parameters: ``weight`` (filters, C / groups, R, S) and ``bias`` (filters,).

    Examples
    --------
    >>> Conv2D(30, 5).infer(Spec((1, 28, 28))).shape
    (30, 24, 24)
    """

    example_config = {"filters": 32, "kernel_size": 3, "padding": 1}
    example_shapes = ((16, 28, 28),)
    new_gradients = True
    gives = "values"
    packs = ("weight",)
    with_activation = with_activation
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
        activation: str | None = None,
        algorithm: str = "auto",
        precision: str = "standard",
        initializer: Any = "he",
    ) -> None:
        self.filters = as_int("Conv2D", "filters", filters, 1)
        options = as_options(
            "Conv2D", stride, padding, dilation, groups, algorithm, None, precision
        )
        self.groups, self.algorithm = options.groups, options.algorithm
        self.precision = options.precision
        if self.filters % self.groups:
            rule = f"must divide the filters (= {self.filters})"
            raise ArgumentError("Conv2D", "groups", rule, self.groups)
        self.window = Window2D.make(
            "Conv2D", kernel_size, options.stride, options.padding, options.dilation
        )
        self.bias = as_bool("Conv2D", "bias", bias)
        self.activation = as_choice("Conv2D", "activation", activation, ACTIVATIONS)
        self.initializer = initializers.resolve(initializer, "Conv2D")

    def infer(self, *specs: Spec) -> Spec:
        """Return (filters, OH, OW) for (C, H, W)."""
        spec = self.one_input(specs, "CHW")
        if spec.shape[0] % self.groups:
            rule = f"must divide the channels of the input (= {spec.shape[0]})"
            raise ShapeError("Conv2D", "groups", rule, self.groups)
        return Spec((self.filters, *self.window.output_map("Conv2D", spec.shape)), spec.dtype)

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make the weight and the bias."""
        self.add_param("weight", self._weight_shape(specs[0]), self.initializer)
        if self.bias:
            self.add_param("bias", (self.filters,))

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, filters, OH, OW) for x (N, C, H, W)."""
        weight = self.param("weight")
        # in training, packed weights would serve only one step
        plain = ctx.lends or (ctx.training and weight.trainable)
        y = functional.conv2d(
            xs[0],
            weight.value if plain else weight.packed(self._key, self._prepare),
            self.parameters["bias"].value if self.bias else None,
            activation=self.activation,
            workspace_limit=ctx.workspace_limit,
            **self._options,
        )
        ctx.save(xs[0], y if self.activation else None)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C, H, W) for dy (N, filters, OH, OW)."""
        x, y = ctx.saved
        if y is not None:
            dy = functional.relu_backward(dy, y, out=ctx.reusable(dy))
        needs = [name for name in ("weight", "bias") if ctx.needs_param(name)]
        dx, dweight, dbias = functional.conv2d_backward(
            dy,
            x,
            self.param("weight").value,
            needs=(*(("x",) if ctx.needs(0) else ()), *needs),
            workspace_limit=ctx.workspace_limit,
            **self._options,
        )
        ctx.add_grad("weight", dweight)
        ctx.add_grad("bias", dbias)
        return dx

    def pack(self) -> None:
        """Pack the weight."""
        self.param("weight").packed(self._key, self._prepare)

    def costs(
        self,
        batch: int,
        *specs: Spec,
        training: bool = False,
        workspace_limit: int | str | None = None,
    ) -> LayerCosts:
        """Return the figures of `fastconv.conv2d_costs`; in training those of both directions."""
        (spec,) = specs
        options = dict(self._options)
        algorithm = options.pop("algorithm")
        options |= {"dtype": spec.dtype, "workspace_limit": workspace_limit}
        shapes = (batch, *spec.shape), self._weight_shape(spec)
        table = functional.conv2d_costs(*shapes, **options)
        choice = table.choice if algorithm == "auto" else algorithm
        cost = table[choice]
        found, backward = table, None
        if training:
            weight = self.parameters.get("weight")
            learns = weight is None or weight.trainable
            direction = "backward" if learns else "input"  # as `backward` asks for them
            found = functional.conv2d_costs(*shapes, direction=direction, **options)
            taken = found.choice if algorithm == "auto" else algorithm
            back = found[taken]
            backward = PassCosts(back.workspace, back.packed, back.together, back.least)
        return LayerCosts(
            workspace=cost.workspace,
            packed=cost.packed,
            together=cost.together,
            least=cost.least,
            multiply_adds=cost.multiply_adds,
            algorithm=choice,
            why=table.why if algorithm == "auto" else "named in the configuration",
            keeps=frozenset({"inputs", "output"} if self.activation else {"inputs"}),
            backward=backward,
            im2col=found["im2col"].workspace,
            dy_copied=batch * self.infer(spec).nbytes if training and self.activation else 0,
        )

    def _weight_shape(self, spec: Spec) -> tuple[int, int, int, int]:
        return (self.filters, spec.shape[0] // self.groups, *self.window.kernel)

    @computed_once
    def _options(self) -> dict[str, Any]:
        return {
            "stride": briefly(self.window.stride),
            "padding": briefly(self.window.padding),
            "dilation": briefly(self.window.dilation),
            "groups": self.groups,
            "algorithm": self.algorithm,
            "precision": self.precision,
        }

    @computed_once
    def _key(self) -> tuple[Any, ...]:
        return ("conv2d", *self._options.values())

    def _prepare(self, value: np.ndarray) -> functional.PackedWeight:
        return functional.prepare_conv2d(value, **self._options)
