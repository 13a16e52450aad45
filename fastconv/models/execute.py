"""Runs the operations of a plan, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv import memory
from fastconv.errors import FastconvError, ShapeError
from fastconv.layers.context import Context
from fastconv.models.schedule import Operation, Schedule

__all__ = ["Gradients", "differentiate", "infer"]

Array = np.ndarray[Any, Any]
Losses = Callable[[tuple[Array, ...]], tuple[dict[str, float], Sequence[Array]]]


def infer(
    schedule: Schedule,
    values: list[Any],
    workspace_limit: int | str | None = None,
) -> tuple[Array, ...]:
    """Return the outputs for the inputs `values`, each array let go after its last reader.

    Parameters
    ----------
    schedule : Schedule
        Merged or not.
    values : list of ndarray (N, ...)
        The inputs. The list is used up, so that a cast copy of an input does not stay.
    """
    values.extend([None] * (schedule.values - len(values)))
    lent = set(range(schedule.inputs))  # values that may be memory of the caller
    for op in schedule.operations:
        ctx = Context(workspace_limit=workspace_limit)
        y: Array | None = _call(op, ctx, values)
        if not lent.isdisjoint(op.sources):
            if any(s in lent and np.may_share_memory(y, values[s]) for s in op.sources):
                lent.add(op.target)
        values[op.target], y = y, None
        for number in op.drops:
            values[number] = None
    results: list[Array] = []
    for number in schedule.outputs:
        found = values[number]
        twice = results and any(np.may_share_memory(found, other) for other in results)
        results.append(found.copy() if number in lent or twice else found)
    return tuple(results)


class Gradients(NamedTuple):
    """What a backward pass found: by ``layer/parameter``, and one for each input or None."""

    params: dict[str, Array]
    inputs: list[Array | None]


def differentiate(
    schedule: Schedule,
    values: list[Any],
    dloss: Losses,
    *,
    training: bool,
    rng_key: tuple[int, int],
    inputs: bool = False,
    params: bool = True,
) -> tuple[tuple[Array, ...], dict[str, float], Gradients]:
    """Run forward, ask for the gradients of the outputs, and run backward.

    A value that several operations read gets the sum of their gradients, added from the last
    reader to the first: an order fixed by the network. So are the gradients of a shared layer.

    Parameters
    ----------
    schedule, values
        As `infer` has them.
    dloss : callable
        Maps the outputs to (losses by name, one gradient an output).
    training : bool
        Whether layers behave as in training; their new statistics are then taken over.
    rng_key : (int, int)
        Seed and step of the random numbers.
    inputs, params : bool
        Which gradients are asked for. Nothing is computed for a value that leads to none.
    """
    needs = [inputs] * schedule.inputs + [False] * (schedule.values - schedule.inputs)
    values.extend([None] * (schedule.values - len(values)))
    contexts: list[Context | None] = []
    statistics = []
    for op in schedule.operations:
        sources = tuple(needs[source] for source in op.sources)
        learned = op.layer.parameters.items()
        learns = frozenset(name for name, p in learned if p.trainable and params)
        ctx = Context(training, needs=sources, needs_params=learns, rng_key=(*rng_key, op.number))
        values[op.target] = _call(op, ctx, values)
        needs[op.target] = any(sources) or bool(learns)
        if ctx.new_state and (learns or not learned):
            statistics.append((op.layer, ctx.new_state))
        contexts.append(ctx if needs[op.target] else None)
        for number in op.drops:
            values[number] = None
        del ctx
    results = tuple(values[number] for number in schedule.outputs)
    values.clear()
    losses, dys = dloss(results)
    sums = _Sums()
    for number, y, dy in zip(schedule.outputs, results, dys, strict=True):
        if dy.shape != y.shape:
            raise ShapeError(f"backward: dy must have the shape {y.shape}, got {dy.shape}")
        sums.add(number, dy)
    del dys
    by_param = _Sums()
    for op in reversed(schedule.operations):
        kept = contexts.pop()
        if op.target not in sums.arrays:
            continue
        dy, owned = sums.pop(op.target)
        if kept is not None:
            kept.may_overwrite = owned
            for source, dx in zip(op.sources, _backward(op, kept, dy), strict=True):
                if needs[source]:
                    # a layer that returns dy itself passes on whether it is ours
                    new = op.layer.new_gradients and (owned or not np.may_share_memory(dx, dy))
                    sums.add(source, dx, owned=new)
            for name, gradient in kept.grads.items():
                by_param.add(f"{op.name}/{name}", gradient)
    for layer, new_state in statistics:
        for name, value in new_state.items():
            layer.states[name].assign(value, type(layer).__name__)
    dxs = [sums.arrays.get(number) for number in range(schedule.inputs)]
    return results, losses, Gradients(by_param.arrays, dxs)


def _call(op: Operation, ctx: Context, values: Sequence[Any]) -> Array:
    xs = [values[source] for source in op.sources]
    ctx.may_overwrite = op.in_place
    y = op.layer.forward(ctx, *xs)
    shape, dtype = op.output
    # A layer of a third party may break its word; later layers trust the shapes.
    if getattr(y, "shape", None) != (len(xs[0]), *shape) or y.dtype != dtype:
        got = f"{y.shape} {y.dtype}" if isinstance(y, np.ndarray) else type(y).__name__
        raise ShapeError(
            f"{op.steps[-1].id}: forward must return what infer says, "
            f"{(len(xs[0]), *shape)} {dtype}, got {got}"
        )
    return y


def _backward(op: Operation, ctx: Context, dy: Array) -> tuple[Array | None, ...]:
    dxs = op.layer.backward(ctx, dy)
    dxs = dxs if isinstance(dxs, tuple) else (dxs,)
    step = op.steps[-1]
    missing = [name for name in op.layer.parameters if ctx.needs_param(name)]
    missing = [name for name in missing if name not in ctx.grads]
    if missing:
        raise FastconvError(f"{step.id}: backward must give add_grad {missing[0]!r}, got nothing")
    if len(dxs) != len(op.sources) or any(
        ctx.needs(i) and not isinstance(dx, np.ndarray) for i, dx in enumerate(dxs)
    ):
        raise FastconvError(
            f"{step.id}: backward must return one gradient for each of {len(op.sources)} inputs, "
            f"got {len(dxs)} or None where one is needed"
        )
    return dxs


class _Sums:
    """Adds arrays under keys; writes only to arrays that nobody else reads."""

    def __init__(self) -> None:
        self.arrays: dict[Any, Array] = {}
        self._owned: set[Any] = set()

    def add(self, key: Any, array: Array | None, owned: bool = False) -> None:
        """Add `array` to what `key` has; `owned` says that no one else reads it."""
        assert array is not None
        before = self.arrays.get(key)
        if before is None:
            self.arrays[key] = array
            if owned:
                self._owned.add(key)
        elif before.shape != array.shape:
            raise ShapeError(
                f"backward: gradients of one value must have one shape, got {before.shape} and "
                f"{array.shape}"
            )
        else:
            out = before if key in self._owned else memory.empty(before.shape, before.dtype)
            self.arrays[key] = np.add(before, array, out=out)
            self._owned.add(key)

    def pop(self, key: Any) -> tuple[Array, bool]:
        """Return and forget the sum of `key`, and whether it may be written to."""
        owned = key in self._owned
        self._owned.discard(key)
        return self.arrays.pop(key), owned
