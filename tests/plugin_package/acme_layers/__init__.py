"""Layers of a third party, written by the published interface alone."""

import numpy as np

import fastconv


@fastconv.register_layer("acme.Mish.v1")
class Mish(fastconv.Layer):
    """x times tanh(log(1 + exp(beta x)))."""

    def __init__(self, beta: float = 1.0):
        if not beta > 0:
            raise ValueError(f"Mish: beta must be above 0, got {beta}")
        self.beta = beta

    def infer(self, *specs):
        return specs[0]

    def forward(self, ctx, *xs):
        (x,) = xs
        ctx.save(x)
        return x * np.tanh(np.logaddexp(0, self.beta * x))

    def backward(self, ctx, dy):
        if not ctx.needs(0):
            return None
        (x,) = ctx.saved
        gate = np.tanh(np.logaddexp(0, self.beta * x))
        slope = self.beta / (1 + np.exp(-self.beta * x))
        return dy * (gate + x * (1 - gate * gate) * slope)

    def costs(self, batch, *specs, training):
        from fastconv.layers import LayerCosts

        return LayerCosts(keeps=frozenset({"inputs"}))
