"""Calls one layer, forward or backward, and checks that it gives what it promised.

What the layers of third parties give is checked here, so that everything else can trust it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array
from fastconv.errors import FastconvError, ShapeError
from fastconv.floating import quietly
from fastconv.layers.base import Layer
from fastconv.layers.context import Context
from fastconv.layers.parameter import Parameter
from fastconv.models.running.schedule import Operation

__all__ = ["backward", "forward", "new_state", "overlap"]

Array = np.ndarray[Any, Any]


def forward(op: Operation, ctx: Context, values: Sequence[Any] | Mapping[int, Any]) -> Array:
    """Return what the layer of `op` makes of `values`, of the shape and dtype that it promised."""
    xs = map(values.__getitem__, op.sources)
    return op.layer.forward(ctx, *xs) if op.trusted else _watched(op, ctx, tuple(xs))


@quietly
def _watched(op: Operation, ctx: Context, xs: Sequence[Array]) -> Array:
    """Return what a third party's layer makes of `xs`; raise if that is not what it promised."""
    y = op.layer.forward(ctx, *xs)
    if getattr(y, "base", None) is not None:
        # a view of a part of an input would keep all of it alive, which plans do not count
        if any(y.nbytes < x.nbytes and overlap(y, x) for x in xs):
            y = y.copy()
    y = _apart(op.layer, y)
    shape, dtype, rows = op.output
    due = (len(xs[0]), *shape) if rows is None else op.whole_shape(xs)
    if getattr(y, "shape", None) != due or y.dtype != dtype:
        got = f"{y.shape} {y.dtype}" if isinstance(y, np.ndarray) else type(y).__name__
        rule = f"must return what infer says, {due} {dtype}"
        raise ShapeError(op.steps[-1].id, "forward", rule, got, shown=got)
    return y


def overlap(a: Any, b: Array) -> bool:
    """Return whether `a` may lie in the memory of `b`; two different arrays, no views, do not."""
    if a.base is None and b.base is None:
        return a is b
    return np.may_share_memory(a, b)


def _apart(layer: Layer, array: Any) -> Any:
    """Return `array`, or a copy of it if it lies in the memory of a parameter of `layer`."""
    for group in (layer.parameters, layer.states):
        for parameter in group.values():
            if parameter.shares(array):
                return array.copy()
    return array


def backward(op: Operation, ctx: Context, dy: Array) -> tuple[Array | None, ...]:
    """Return the gradient of each input; the gradients of the parameters are left in `ctx`."""
    dxs = op.layer.backward(ctx, dy)
    dxs = dxs if isinstance(dxs, tuple) else (dxs,)
    step = op.steps[-1]
    for name, parameter in op.layer.parameters.items():
        if ctx.needs_param(name):
            if name not in ctx.grads:
                rule = f"must give add_grad {name!r}"
                raise FastconvError(step.id, "backward", rule, None, shown="nothing")
            gradient = ctx.grads[name]
            if not isinstance(gradient, np.ndarray):
                gradient = as_plain_array(step.id, f"the gradient of {name}", gradient)
            if gradient.shape != parameter.shape:
                rule = f"must give add_grad {name!r} an array of shape {parameter.shape}"
                raise ShapeError(step.id, "backward", rule, gradient.shape)
            ctx.grads[name] = _apart(op.layer, gradient)
    if len(dxs) != len(op.sources) or any(
        ctx.needs(i) and not isinstance(dx, np.ndarray) for i, dx in enumerate(dxs)
    ):
        rule = f"must return one gradient for each of {len(op.sources)} inputs"
        shown = f"{len(dxs)} or None where one is needed"
        raise FastconvError(step.id, "backward", rule, len(dxs), shown=shown)
    for number, (dx, (shape, dtype)) in enumerate(zip(dxs, ctx.given, strict=True)):
        if ctx.needs(number) and (dx.shape, dx.dtype) != (shape, dtype):
            rule = f"must return a gradient {shape} {dtype} for input {number}, as that is"
            shown = f"{dx.shape} {dx.dtype}"
            raise ShapeError(step.id, "backward", rule, dx.shape, shown=shown)
    return tuple(_apart(op.layer, dx) for dx in dxs)


def new_state(op: Operation, name: str, value: object) -> tuple[Parameter, Array]:
    """Return the statistic `name` of a layer, and its new value as a checked array."""
    state = op.layer.states.get(name)
    if state is None:
        rule = "must give ctx.set_state the name of a statistic of the layer"
        known = ", ".join(op.layer.states)
        remedy = f"it has {known}" if known else "make it in build: self.add_state(name, shape)"
        raise FastconvError(op.steps[0].id, "forward", rule, name, remedy)
    return state, state.checked(value, type(op.layer).__name__)
