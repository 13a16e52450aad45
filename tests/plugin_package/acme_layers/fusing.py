"""Layers of a third party that say what they are, so that networks fuse and leave them out."""

import numpy as np

import fastconv
from fastconv.layers import LayerCosts, Parameter, PassCosts


def column(array, x):
    """Return an array (C,) as it is broadcast over x (N, C, ...)."""
    return array.reshape(-1, *[1] * (x.ndim - 2))


@fastconv.register_layer("acme.Tint.v1")
class Tint(fastconv.Layer):
    """Multiply each channel by a learned number and add another; then ReLU, if asked for."""

    new_gradients = True

    def __init__(self, activation=None):
        self.activation = activation

    def infer(self, *specs):
        return specs[0]

    def build(self, rng, *specs):
        self.add_param("scale", specs[0].shape[:1], lambda rng, *_: rng.uniform(0.5, 1.5, _[0]))
        self.add_param("shift", specs[0].shape[:1])

    def forward(self, ctx, x):
        y = ctx.empty(x.shape, x.dtype)
        np.multiply(x, column(self.param("scale").value, x), out=y)
        y += column(self.param("shift").value, x)
        if self.activation:
            np.maximum(y, 0, out=y)
        ctx.save(x, y if self.activation else None)
        return y

    def backward(self, ctx, dy):
        x, y = ctx.saved
        if y is not None:
            into = ctx.reusable(dy)
            if into is None:
                into = ctx.empty(dy.shape, dy.dtype)
                np.copyto(into, dy)
            with ctx.workspace(y.size) as raw:
                dead = np.less_equal(y, 0, out=raw.view(np.bool_).reshape(y.shape))
                np.copyto(into, 0, where=dead)
            dy = into
        dx = ctx.empty(x.shape, x.dtype)
        axes = (0, *range(2, x.ndim))
        np.multiply(dy, x, out=dx)
        ctx.add_grad("scale", dx.sum(axis=axes))
        ctx.add_grad("shift", dy.sum(axis=axes))
        return np.multiply(dy, column(self.param("scale").value, x), out=dx)

    def costs(self, batch, *specs, training=False):
        nbytes = batch * specs[0].nbytes
        return LayerCosts(
            keeps=frozenset({"inputs", "output"} if self.activation else {"inputs"}),
            dy_copied=nbytes if training and self.activation else 0,
            backward=PassCosts(workspace=batch * specs[0].size if self.activation else 0),
        )

    @property
    def output_may_be_overwritten(self):
        return self.activation is None

    def with_activation(self, name):
        if name != "relu" or self.activation:
            return None
        twin = self.twin()
        twin.activation = name
        return twin

    @property
    def folds_affine(self):
        return self.activation is None

    def folded(self, affine):
        scale, shift = self.param("scale").value, self.param("shift").value
        twin = self.twin()
        twin.parameters = {
            "scale": Parameter((scale * affine.scale).astype(scale.dtype)),
            "shift": Parameter(
                ((shift - affine.mean) * affine.scale + affine.shift).astype(shift.dtype)
            ),
        }
        return twin


@fastconv.register_layer("acme.Size.v1")
class Size(fastconv.Layer):
    """Take away the sign, in place where that is allowed."""

    new_gradients = True
    acts_as = "acme.size"
    overwrites_input = True

    def infer(self, *specs):
        return specs[0]

    def forward(self, ctx, x):
        if ctx.differentiated:
            ctx.save(np.less(x, 0, out=ctx.empty(x.shape, np.bool_)))
        into = ctx.reusable(x)
        return np.abs(x, out=ctx.empty(x.shape, x.dtype) if into is None else into)

    def backward(self, ctx, dy):
        (negative,) = ctx.saved
        into = ctx.reusable(dy)
        if into is None:
            into = ctx.empty(dy.shape, dy.dtype)
            np.copyto(into, dy)
        return np.negative(into, out=into, where=negative)

    def costs(self, batch, *specs, training=False):
        return LayerCosts(saved=batch * specs[0].size if training else 0)


@fastconv.register_layer("acme.Rows.v1")
class Rows(fastconv.Layer):
    """Put channels and rows together: (C, H, W) becomes (C H, W), a view."""

    new_gradients = True
    output_is_view = True
    passes_gradient = True
    gives = "elements"

    def infer(self, *specs):
        (channels, rows, columns) = specs[0].shape
        return fastconv.Spec((channels * rows, columns), specs[0].dtype)

    def forward(self, ctx, x):
        ctx.save(x.shape)
        return x.reshape(len(x), x.shape[1] * x.shape[2], x.shape[3])

    def backward(self, ctx, dy):
        return dy.reshape(*ctx.saved)

    def costs(self, batch, *specs, training=False):
        return LayerCosts()


@fastconv.register_layer("acme.Noise.v1")
class Noise(fastconv.Layer):
    """Add random numbers, in training alone."""

    new_gradients = True
    passes_gradient = True
    gives = "input"

    def infer(self, *specs):
        return specs[0]

    def idle(self, training):
        return not training

    def forward(self, ctx, x):
        if self.idle(ctx.training):
            return x
        y = ctx.empty(x.shape, x.dtype)
        ctx.rng.random(out=y, dtype=y.dtype)
        y += x
        return y

    def backward(self, ctx, dy):
        return dy

    def costs(self, batch, *specs, training=False):
        return LayerCosts()
