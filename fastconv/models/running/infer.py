"""Runs the operations of a schedule forward, as a program decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import memory
from fastconv.batches import empty_like, rows_of
from fastconv.layers.context import Context
from fastconv.models.running import calls
from fastconv.models.running.program import Program
from fastconv.models.running.schedule import Schedule

__all__ = ["give_back_packed", "infer"]

Array = np.ndarray[Any, Any]

#: Without a limit these serve all calls of our own layers, which in inference leave nothing in
#: them: made once, since making one takes as long as a small layer.
_KEEPING = Context()
_OVERWRITING = Context()
_OVERWRITING.may_overwrite = True


def infer(schedule: Schedule, xs: list[Array], program: Program | None = None) -> tuple[Array, ...]:
    """Return the outputs for the inputs `xs`; let each array go after its last reader.

    Parameters
    ----------
    schedule : Schedule
        One with merged operations or without.
    xs : list of ndarray (N, ...)
        The inputs. The list is emptied, so that it does not keep cast copies of inputs alive.
    program : Program, optional
        How many rows are computed at a time, and what each operation may take. Without a program,
        all rows are computed at once, and each operation takes what it likes.
    """
    lent = set(range(schedule.inputs))  # values that may lie in the caller's memory
    if program is not None and program.stages:
        stages = len(program.stages)
        axes = zip(xs, schedule.axes, strict=False)
        rows = next((x.shape[axis] for x, axis in axes if axis is not None), 1)
        values = _rows_of_stages(schedule, xs, lent, program, stages, 0, rows)
    else:
        values = xs + [None] * (schedule.values - len(xs))
        xs.clear()
        _infer(schedule, 0, len(schedule.operations), values, lent, program)
    results: list[Array] = []
    for number in schedule.outputs:
        found = values[number]
        if number in lent or results and any(calls.overlap(found, other) for other in results):
            found = found.copy()
        results.append(found)
    return tuple(results)


def _infer(
    schedule: Schedule,
    begin: int,
    end: int,
    values: list[Any],
    lent: set[int],
    program: Program | None,
) -> None:
    """Run operations, put their outputs in `values`, and drop values that nobody reads later."""
    for at in range(begin, end):
        op = schedule.operations[at]
        if op.trusted and program is None:
            ctx = _KEEPING if op.over is None else _OVERWRITING
        else:
            ctx = Context()
            ctx.may_overwrite = op.over is not None
            if program is not None:
                ctx.workspace_limit = program.allowances[at].forward
                ctx.lends = program.allowances[at].lends
        if op.trusted:  # without the call of a function, which small layers would notice
            y = op.layer.forward(ctx, *map(values.__getitem__, op.sources))
        else:
            y = calls.forward(op, ctx, values)
        values[op.target] = y
        for source in op.sources:
            if source in lent and calls.overlap(y, values[source]):
                lent.add(op.target)
        del y, ctx
        for number in op.drops:
            values[number] = None


def _rows_of_stages(
    schedule: Schedule,
    xs: Sequence[Array],
    lent: set[int],
    program: Any,
    count: int,
    begin: int,
    end: int,
) -> list[Any]:
    """Return the values that rows `begin` to `end` have after the first `count` stages.

    Earlier stages run on fewer rows at a time; their results are gathered.
    """
    stage = program.stages[count - 1]
    step = program.stages[count - 2].rows if count > 1 else end - begin
    if count > 1 and end - begin <= step:
        values = _rows_of_stages(schedule, xs, lent, program, count - 1, begin, end)
    else:
        values = [
            rows_of(x, slice(begin, end), axis) for x, axis in zip(xs, schedule.axes, strict=False)
        ] + [None] * (schedule.values - len(xs))
        for first in range(begin, end, step) if count > 1 else ():
            last = min(first + step, end)
            part = _rows_of_stages(schedule, xs, lent, program, count - 1, first, last)
            for number in stage.sources:
                axis = schedule.axes[number]
                if values[number] is None or axis is None:
                    values[number] = empty_like(part[number], end - begin, axis, memory.empty)
                if axis is not None:
                    place = slice(first - begin, last - begin)
                    rows_of(values[number], place, axis)[...] = part[number]
            del part
    _infer(schedule, stage.begin, stage.end, values, lent, program)
    return values


def give_back_packed(schedule: Schedule, program: Program) -> None:
    """Drop the packed weights of earlier runs that `program` has no room for."""
    for op, allowed in zip(schedule.operations, program.allowances, strict=True):
        if allowed.packed is not None or allowed.lends:
            for parameter in op.layer.parameters.values():
                parameter.unpack(allowed.packed or 0)
