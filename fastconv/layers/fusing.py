"""Layers with a weight, a bias and an activation, and how they take over the layer behind.

`Conv2D`, `Dense` and their like take these into their own class, since subclasses do not inherit
traits. The class has ``activation = ActivationSetting()``, to which its ``__init__`` assigns what
it was given, and ``function: Any = computed_once(settled)``. In `forward` and `backward` it reads
`function`, and calls nothing if that is None::

    y = kernel(..., activation=self.function and self.function.in_kernels)
    kept = None
    if self.function is not None:
        y, kept = activate(self.function, ctx, y)
    ctx.save(x, kept)

    x, kept = ctx.saved
    if kept is not None:
        dy = self.function.gradient(dy, kept, out=ctx.reusable(dy))

`activation_costs` says what that keeps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import activations
from fastconv.activations import Act, Function
from fastconv.floating import quietly
from fastconv.layers.context import Context
from fastconv.layers.parameter import Parameter
from fastconv.layers.traits import Affine

__all__ = [
    "ActivationSetting",
    "activate",
    "activation_costs",
    "fold",
    "given_numbers",
    "giver",
    "is_affine",
    "settled",
    "with_activation",
    "with_rectifier",
]


class ActivationSetting:
    """The attribute `activation`: None, a name or ``(name, {...})``, checked when it is set."""

    def __set__(self, layer: Any, value: Any) -> None:
        owner = type(layer).__name__
        function = None if value is None else activations.resolve(value, owner)
        vars(layer).update(activation=value, function=function)


def settled(layer: Any) -> Function | None:
    """Return the function that the attribute `activation` stands for."""
    return activations.resolve(layer.activation, type(layer).__name__)


def activate(function: Function, ctx: Context, sums: np.ndarray) -> tuple[np.ndarray, Any]:
    """Return the function of `sums`, and what its gradient will read.

    `sums` is the layer's own new array, to which kernels that know the function have applied it
    already. It is overwritten, unless the gradient reads it.
    """
    if function.in_kernels:
        return sums, sums
    if function.reads == "input" and ctx.differentiated:
        return function(sums), sums
    y = function(sums, out=sums)
    return y, y


def activation_costs(function: Function | None, nbytes: int, training: bool) -> dict[str, Any]:
    """Return the LayerCosts of a layer that keeps its inputs, and `function` behind it.

    `nbytes` are those of the output.
    """
    if function is None:
        return {"keeps": frozenset({"inputs"})}
    reads_output = function.reads == "output"
    return {
        "keeps": frozenset({"inputs", "output"} if reads_output else {"inputs"}),
        "saved": nbytes if training and not reads_output else 0,
        "dy_copied": nbytes if training else 0,
    }


def with_activation(layer: Any, name: Act) -> Any:
    """Return a twin of `layer` with the activation `name`; None if it has one already."""
    if layer.function is not None:
        return None
    activation = activations.resolve_act(name)
    if activation is None:
        return None
    twin = layer.twin()
    twin.activation = activation
    return twin


def with_rectifier(layer: Any, name: Act) -> Any:
    """Return a twin of `layer` that applies ReLU too; None if this layer does so already."""
    if layer.activation or name != "relu":
        return None
    twin = layer.twin()
    twin.activation = name
    return twin


def given_numbers(layer: Any) -> str:
    """Return what the numbers of the output are."""
    return "values" if layer.function is None else layer.function.gives


def giver(layer: Any) -> str | None:
    """Return the name of the activation that makes the numbers of the output what they are."""
    known = layer.function is None or layer.function.gives == "values"
    return None if known else type(layer.function).__name__


def is_affine(layer: Any) -> bool:
    """Return whether nothing comes between the sums of `layer` and its output."""
    return layer.activation is None


@quietly
def fold(layer: Any, affine: Affine, scales: np.ndarray | None = None) -> Any:
    """Return a twin of `layer` whose own weights compute `layer` and then `affine`.

    Parameters
    ----------
    layer : Layer
        It has the parameters ``weight`` (K, ...) and, if its setting `bias` is true, ``bias``
        (K,).
    affine : Affine
        It has K channels.
    scales : ndarray, optional
        What each row of the weight is multiplied by, where rows are no filters.

    Notes
    -----
    scale * (w x + b - mean) + shift = (scale * w) x + scale * (b - mean) + shift, in float64
    until the end.
    """
    weight = layer.param("weight").value
    bias = layer.param("bias").value if layer.bias else np.zeros(len(affine.scale))
    shift = (bias - affine.mean) * affine.scale + affine.shift
    scales = affine.scale if scales is None else scales
    scaled = np.empty_like(weight)
    for row in range(len(weight)):  # one at a time, since float64 takes twice the memory
        scaled[row] = weight[row].astype(np.float64) * scales[row]
    twin = layer.twin()
    twin.bias = True
    twin.parameters = {
        "weight": Parameter(scaled, name="weight"),
        "bias": Parameter(shift.astype(weight.dtype), name="bias"),
    }
    return twin
