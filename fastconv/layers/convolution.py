"""What layers of convolutions have in common: settings, parameters, both passes, and costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import functional, initializers
from fastconv.arguments import as_bool, briefly
from fastconv.concurrency import computed_once
from fastconv.costs import ConvolutionCosts
from fastconv.errors import ArgumentError, ShapeError
from fastconv.functional.adding import add_conv2d, may_add
from fastconv.geometry import Window2D
from fastconv.layers.context import Context
from fastconv.layers.fusing import ActivationSetting, activate, activation_costs, settled
from fastconv.layers.spatial import Spatial
from fastconv.layers.spec import LayerCosts, PassCosts, Spec
from fastconv.options import ConvOptions

__all__ = ["Convolution", "with_addition"]

#: What every algorithm takes, and the one that is taken.
Priced = tuple[ConvolutionCosts, str]


class Convolution(Spatial):
    """A layer that slides filters over maps; a subclass says what its settings are.

    Attributes
    ----------
    filters, groups : int
    window : Window2D
    bias : bool
    activation : str, (str, dict) or None
    algorithm, precision : str
    initializer : callable
    """

    new_gradients = True
    packs: tuple[str, ...] = ("weight",)
    filters: int
    activation = ActivationSetting()
    function: Any = computed_once(settled)
    #: Whether the layer stands for itself and the sum behind it. This is no setting.
    adds = False

    def keep_settings(
        self, window: Window2D, options: ConvOptions, bias: Any, activation: Any, initializer: Any
    ) -> None:
        """Check and keep what all convolutions have beside their numbers of filters."""
        owner = type(self).__name__
        self.window, self.groups = window, options.groups
        self.algorithm, self.precision = options.algorithm, options.precision
        self.bias = as_bool(owner, "bias", bias)
        self.activation = activation
        self.initializer = initializers.resolve(initializer, owner)

    def check_filters(self) -> None:
        """Raise ArgumentError unless the groups divide the filters."""
        if self.filters % self.groups:
            rule = f"must divide the filters (= {self.filters})"
            raise ArgumentError(type(self).__name__, "groups", rule, self.groups)

    def check_algorithm(self, channels: int) -> None:
        """Raise ArgumentError if the kernel cannot take the algorithm that the layer names."""
        _, _, r, s = self.weight_shape(channels)
        given = ConvOptions(
            stride=self.window.stride,
            dilation=self.window.dilation,
            groups=self.options_for(channels)["groups"],
            algorithm=self.algorithm,
            precision=self.precision,
        )
        given.check_named(type(self).__name__, (r, s))

    def check_groups(self, channels: int) -> None:
        """Raise ShapeError unless the groups divide the channels of the input."""
        if channels % self.groups:
            rule = f"must divide the channels of the input (= {channels})"
            raise ShapeError(type(self).__name__, "groups", rule, self.groups)

    def filters_for(self, channels: int) -> int:
        """Return the channels of the output for those of the input."""
        return self.filters

    def options_for(self, channels: int) -> dict[str, Any]:
        """Return the options of `fastconv.conv2d` for an input of so many channels."""
        return self._options

    def infer(self, *specs: Spec) -> Spec:
        """Return (filters, OH, OW) for (C, H, W); of signals (filters, OL) for (C, L)."""
        spec = self.one_input(specs, self.axes)
        self.check_groups(spec.shape[0])
        self.check_algorithm(spec.shape[0])
        return self.spec_of(self.filters_for(spec.shape[0]), self.output_size(spec), spec.dtype)

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make the weight and the bias."""
        k, c, r, s = self.weight_shape(specs[0].shape[0])
        self.add_param(
            "weight", (k, c, r, s) if self.axes == "CHW" else (k, c, s), self.initializer
        )
        if self.bias:
            self.add_param("bias", (k,))

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, filters, OH, OW) for x (N, C, H, W)."""
        if self.adds:
            return self.added(ctx, *xs)
        x = xs[0] if xs[0].ndim == 4 else self.as_maps(xs[0])
        weight = self.param("weight")
        # in training, packed weights would serve only one step
        plain = ctx.lends or (ctx.training and weight.trainable)
        y = functional.conv2d(
            x,
            self.as_maps(weight.value) if plain else weight.packed(self._key, self._prepare),
            self.parameters["bias"].value if self.bias else None,
            activation=self.function and self.function.in_kernels,
            workspace_limit=ctx.workspace_limit,
            **self.options_for(x.shape[1]),
        )
        if self.axes != "CHW":
            y = self.as_given(y)
        if self.function is not None:
            return self.finished(ctx, xs[0], y)
        ctx.save(xs[0], None)
        return y

    def added(self, ctx: Context, x: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Return the sum of the results for `x` and `held`, written over that if it may be."""
        y = ctx.reusable(held)
        if y is None:
            y = ctx.empty(held.shape, held.dtype)
            y[...] = held
        x, weight = self.as_maps(x), self.param("weight")
        add_conv2d(
            self.as_maps(y),
            x,
            self.as_maps(weight.value) if ctx.lends else weight.packed(self._key, self._prepare),
            self.parameters["bias"].value if self.bias else None,
            self.function and self.function.in_kernels,
            **self.options_for(x.shape[1]),
        )
        return y if self.function is None else self.finished(ctx, x, y)

    def finished(self, ctx: Context, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the activation of the sums `y`, if any; save what the backward pass reads."""
        kept = None
        if self.function is not None:
            y, kept = activate(self.function, ctx, y)
        ctx.save(x, kept)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C, H, W) for dy (N, filters, OH, OW)."""
        x, kept = ctx.saved
        if kept is not None:
            dy = self.function.gradient(dy, kept, out=ctx.reusable(dy))
        needs = [name for name in ("weight", "bias") if ctx.needs_param(name)]
        weight = self.param("weight").value
        dx, dweight, dbias = functional.conv2d_backward(
            self.as_maps(dy),
            self.as_maps(x),
            self.as_maps(weight),
            needs=(*(("x",) if ctx.needs(0) else ()), *needs),
            workspace_limit=ctx.workspace_limit,
            **self.options_for(x.shape[1]),
        )
        ctx.add_grad("weight", None if dweight is None else dweight.reshape(weight.shape))
        ctx.add_grad("bias", dbias)
        return None if dx is None else dx.reshape(x.shape)

    def pack(self) -> None:
        """Pack the weight."""
        self._packed()

    def costs(
        self,
        batch: int,
        *specs: Spec,
        training: bool = False,
        workspace_limit: int | str | None = None,
    ) -> LayerCosts:
        """Return the figures of `fastconv.conv2d_costs`; in training those of both directions."""
        spec = specs[0]
        ((table, taken),) = self.passes(batch, spec, "forward", workspace_limit)
        cost, backs, alone = table[taken], [], []
        if training:
            backs = self.passes(batch, spec, "backward", workspace_limit)
            alone = self.passes(batch, spec, "without_dx", workspace_limit)
        return LayerCosts(
            workspace=cost.workspace,
            packed=cost.packed,
            together=cost.together,
            least=max(cost.least, cost.tile_least),
            seconds=cost.seconds,
            multiply_adds=cost.multiply_adds,
            algorithm=taken,
            why=self._why(table),
            backward=_pass_costs(backs) if training else None,
            im2col=max(other["im2col"].workspace for other, _ in backs or [(table, taken)]),
            backward_algorithm=_names(backs),
            without_dx=_pass_costs(alone) if training else None,
            without_dx_algorithm=_names(alone),
            **activation_costs(self.function, batch * self.infer(spec).nbytes, training),
        )

    def passes(
        self,
        batch: int,
        spec: Spec,
        which: str = "forward",
        workspace_limit: int | str | None = None,
    ) -> list[Priced]:
        """Return what `priced` does for the convolutions of a pass: ``"forward"``,
        ``"backward"``, or ``"without_dx"``, which makes no gradient of the input."""
        return [self.priced(batch, spec, one, workspace_limit) for one in self.directions(which)]

    def priced(
        self,
        batch: int,
        spec: Spec,
        direction: str = "forward",
        workspace_limit: int | str | None = None,
    ) -> Priced:
        """Return the costs of every algorithm for a batch, and which one the layer takes."""
        shapes, options = self.as_conv2d(batch, spec)
        table = functional.conv2d_costs(
            *shapes,
            dtype=spec.dtype,
            direction=direction,
            workspace_limit=workspace_limit,
            **options,
        )
        if self.adds:
            return table, "direct"
        return table, table.choice if self.algorithm == "auto" else self.algorithm

    def _why(self, table: ConvolutionCosts) -> str:
        if self.adds:
            return "adds to the other branch where that lies"
        return table.why if self.algorithm == "auto" else "named in the configuration"

    def as_conv2d(
        self, batch: int, spec: Spec
    ) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], dict[str, Any]]:
        """Return the shapes and options of the `conv2d` that computes the layer."""
        channels = spec.shape[0]
        options = dict(self.options_for(channels))
        del options["algorithm"]
        return ((batch, *self.maps(spec.shape)), self.weight_shape(channels)), options

    def directions(self, which: str) -> tuple[str, ...]:
        """Return the directions of `conv2d_costs` of a pass, as the pass itself asks for them."""
        if which == "forward":
            return ("forward",)
        if not self.learns:
            return ("input",) if which == "backward" else ()
        return ("backward" if which == "backward" else "weight",)

    @property
    def learns(self) -> bool:
        """Whether the weight has a gradient."""
        weight = self.parameters.get("weight")
        return weight is None or weight.trainable

    def weight_shape(self, channels: int) -> tuple[int, int, int, int]:
        """Return (K, C/groups, R, S), with one row of taps for signals."""
        groups = self.options_for(channels)["groups"]
        return (self.filters_for(channels), channels // groups, *self.window.kernel)

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

    def _packed(self) -> functional.PackedWeight:
        packed = self.param("weight").packed(self._key, self._prepare)
        assert isinstance(packed, functional.PackedWeight)
        return packed

    def _prepare(self, value: np.ndarray) -> functional.PackedWeight:
        weight = self.as_maps(value)
        return functional.prepare_conv2d(weight, **self.options_for(self._channels(weight)))

    def _channels(self, weight: np.ndarray) -> int:
        """Return the channels of the input for which `weight` (K, C/groups, R, S) was made."""
        return weight.shape[1] * self.groups


def _pass_costs(passes: Sequence[Priced]) -> PassCosts:
    """Return what convolutions take that run one after the other."""
    found = [table[name] for table, name in passes]
    return PassCosts(
        max((cost.workspace for cost in found), default=0),
        max((cost.packed for cost in found), default=0),
        max((cost.together for cost in found), default=0),
        max((cost.least for cost in found), default=0),
        seconds=sum(cost.seconds for cost in found),
    )


def _names(passes: Sequence[Priced]) -> str:
    """Return the algorithms of `passes`, each once."""
    return " and ".join(dict.fromkeys(name for _, name in passes))


def with_addition(layer: Any) -> Any:
    """Return a twin of a convolution that adds a second input; None if it cannot."""
    serves = may_add(layer.filters // layer.groups, layer.window.kernel, layer.algorithm)
    if layer.adds or layer.function is not None or not serves:
        return None
    twin = layer.twin()
    twin.adds = True
    return twin
