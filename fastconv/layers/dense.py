"""The fully connected layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional, initializers, kernels
from fastconv.arguments import as_bool, as_int
from fastconv.concurrency import computed_once
from fastconv.geometry import Conv2DGeometry
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.fusing import (
    ActivationSetting,
    activate,
    activation_costs,
    fold,
    given_numbers,
    giver,
    is_affine,
    settled,
    with_activation,
)
from fastconv.layers.spec import LayerCosts, PassCosts, Spec

__all__ = ["Dense"]


@register_layer("fastconv.Dense.v1")
class Dense(Layer):
    """Connect every input to every output: the book's affine layer.

    Parameters
    ----------
    units : int
        Outputs.
    bias : bool
        Whether a learned number is added to each output.
    activation : None, name or (name, {...})
        What is applied to the output: "relu" in the same pass over memory, any other function of
        each element over the output itself.
    initializer : name, (name, {...}) or callable
        Starting values of the weight.

    Notes
    -----
    Parameters: ``weight`` (units, inputs) and ``bias`` (units,).

    Examples
    --------
    >>> Dense(10).infer(Spec((64,))).shape
    (10,)
    """

    example_config = {"units": 10}
    example_shapes = ((64,),)
    new_gradients = True
    gives = property(given_numbers)  # type: ignore[assignment]
    given_by = property(giver)  # type: ignore[assignment]
    packs = ("weight",)
    activation = ActivationSetting()
    function: Any = computed_once(settled)
    with_activation = with_activation
    folds_affine = property(is_affine)  # type: ignore[assignment]
    folded = fold

    def __init__(
        self, units: int, *, bias: bool = True, activation: Any = None, initializer: Any = "he"
    ) -> None:
        self.units = as_int("Dense", "units", units, 1)
        self.bias = as_bool("Dense", "bias", bias)
        self.activation = activation
        self.initializer = initializers.resolve(initializer, "Dense")

    def infer(self, *specs: Spec) -> Spec:
        """Return (units,) for (inputs,)."""
        return Spec((self.units,), self.one_input(specs, "I").dtype)

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make the weight and the bias."""
        self.add_param("weight", (self.units, specs[0].size), self.initializer)
        if self.bias:
            self.add_param("bias", (self.units,))

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, units) for x (N, inputs)."""
        weight = self.param("weight")
        # in training, packed weights would serve only one step
        plain = ctx.lends or (ctx.training and weight.trainable)
        y = functional.dense(
            xs[0],
            weight.value if plain else weight.packed("dense", functional.prepare_dense),
            self.parameters["bias"].value if self.bias else None,
            activation=self.function and self.function.in_kernels,
        )
        kept = None
        if self.function is not None:
            y, kept = activate(self.function, ctx, y)
        ctx.save(xs[0], kept)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, inputs) for dy (N, units)."""
        x, kept = ctx.saved
        if kept is not None:
            dy = self.function.gradient(dy, kept, out=ctx.reusable(dy))
        needs = [name for name in ("weight", "bias") if ctx.needs_param(name)]
        dx, dweight, dbias = functional.dense_backward(
            dy, x, self.param("weight").value, needs=(*(("x",) if ctx.needs(0) else ()), *needs)
        )
        ctx.add_grad("weight", dweight)
        ctx.add_grad("bias", dbias)
        return dx

    def pack(self) -> None:
        """Pack the weight."""
        self.param("weight").packed("dense", functional.prepare_dense)

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return the bytes of the packed weight, whose panels hold units by whole vectors.

        A call on plain weights packs nothing, and the backward pass needs no temporary memory.
        """
        spec = self.one_input(specs, "I")
        batch = as_int("Dense", "batch", batch, 0)
        g = Conv2DGeometry.make(
            "Dense", (batch, spec.size, 1, 1), (self.units, spec.size, 1, 1), 1, 0, 1, 1
        )
        dtype = np.dtype(spec.dtype)
        return LayerCosts(
            packed=g.packed_bytes(dtype.itemsize, kernels.lanes(dtype)),
            together=0,
            multiply_adds=g.multiply_adds,
            backward=PassCosts() if training else None,
            **activation_costs(self.function, batch * self.infer(spec).nbytes, training),
        )
