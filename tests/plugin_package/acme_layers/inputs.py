"""Layers of a third party that take integers, or arrays whose batch is not on axis 0."""

import numpy as np

import fastconv
from fastconv.layers import LayerCosts, PassCosts


@fastconv.register_layer("acme.Table.v1")
class Table(fastconv.Layer):
    """Replace each number by the row of a learned table that has it."""

    takes = ("int64", "int32", "uint8")
    new_gradients = True
    gives = "values"
    output_may_be_overwritten = True

    def __init__(self, entries=8, units=4):
        self.entries, self.units = entries, units

    def infer(self, *specs):
        return fastconv.Spec((*specs[0].shape, self.units))

    def build(self, rng, *specs):
        shape = (self.entries, self.units)
        self.add_param("table", shape, lambda rng, shape, *_: rng.standard_normal(shape))

    def forward(self, ctx, x):
        y = ctx.empty((*x.shape, self.units), "float32")
        with ctx.workspace(self._copied(x.size, x.dtype.name)) as raw:
            numbers = x
            if raw.size:
                numbers = raw.view(np.int64).reshape(x.shape)
                np.copyto(numbers, x)
            np.take(self.param("table").value, numbers, axis=0, out=y, mode="clip")
        ctx.save(x)
        return y

    def backward(self, ctx, dy):
        assert not ctx.needs(0), "integers have no gradient"
        (x,) = ctx.saved
        gradient = ctx.empty((self.entries, self.units), dy.dtype)
        gradient.fill(0)
        for place in np.ndindex(x.shape):
            gradient[x[place]] += dy[place]
        ctx.add_grad("table", gradient)

    def costs(self, batch, *specs, training=False):
        workspace = self._copied(batch * specs[0].size, specs[0].dtype)
        keeps = frozenset({"inputs"})
        return LayerCosts(workspace=workspace, keeps=keeps, backward=PassCosts())

    @staticmethod
    def _copied(size, dtype):
        return 0 if dtype == "int64" else 8 * size


@fastconv.register_layer("acme.Pixels.v1")
class Pixels(fastconv.Layer):
    """Make numbers from 0 to 1 of pixels from 0 to 255."""

    takes = ("uint8",)
    gives = "chances"
    output_may_be_overwritten = True

    def infer(self, *specs):
        return fastconv.Spec(specs[0].shape)

    def forward(self, ctx, x):
        y = ctx.empty(x.shape, "float32")
        return np.multiply(x, np.float32(1 / 255), out=y)

    def backward(self, ctx, dy):
        raise AssertionError("nothing learns from it, and integers have no gradient")

    def costs(self, batch, *specs, training=False):
        return LayerCosts()


@fastconv.register_layer("acme.Above.v1")
class Above(fastconv.Layer):
    """Give whether each number is above 0: integers of floats."""

    def infer(self, *specs):
        return fastconv.Spec(specs[0].shape, "uint8")

    def forward(self, ctx, x):
        return np.greater(x, 0, out=ctx.empty(x.shape, np.uint8), casting="unsafe")

    def backward(self, ctx, dy):
        raise AssertionError("integers have no gradient")

    def costs(self, batch, *specs, training=False):
        return LayerCosts()


@fastconv.register_layer("acme.OverTime.v1")
class OverTime(fastconv.Layer):
    """Make (N, C) of (T, N, C), or of another place of N: the last step."""

    any_batch_axis = True

    def infer(self, *specs):
        (spec,) = specs
        if spec.batch_axis is None or len(spec.shape) != 2:
            raise fastconv.ShapeError("OverTime", "input", "must be (T, N, C)", spec.letters)
        return fastconv.Spec(spec.shape[1:], spec.dtype)

    def forward(self, ctx, x):
        ctx.save(x.shape)
        return x[-1].copy()

    def backward(self, ctx, dy):
        if not ctx.needs(0):
            return None
        dx = ctx.empty(*ctx.saved, dy.dtype)
        dx.fill(0)
        dx[-1] = dy
        return dx

    def costs(self, batch, *specs, training=False):
        return LayerCosts()


@fastconv.register_layer("acme.Project.v1")
class Project(fastconv.Layer):
    """Multiply (N, C) by a matrix (C, U) that all rows share."""

    any_batch_axis = True
    new_gradients = True

    def infer(self, *specs):
        x, shared = specs
        if x.batch_axis != 0 or shared.batch_axis is not None or x.shape != shared.shape[:1]:
            rule = "must be (N, C) and (C, U)"
            raise fastconv.ShapeError("Project", "inputs", rule, (x.letters, shared.letters))
        return fastconv.Spec(shared.shape[1:], x.dtype)

    def forward(self, ctx, x, shared):
        ctx.save(x, shared)
        y = ctx.empty((len(x), shared.shape[1]), x.dtype)
        for row, out in zip(x, y, strict=True):  # so that no sum hangs on the number of rows
            np.matmul(row, shared, out=out)
        return y

    def backward(self, ctx, dy):
        x, shared = ctx.saved
        dx = dshared = None
        if ctx.needs(0):
            dx = np.matmul(dy, shared.T, out=ctx.empty(x.shape, x.dtype))
        if ctx.needs(1):
            dshared = np.matmul(x.T, dy, out=ctx.empty(shared.shape, x.dtype))
        return dx, dshared

    def costs(self, batch, *specs, training=False):
        return LayerCosts(keeps=frozenset({"inputs"}))
