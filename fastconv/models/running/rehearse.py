"""Runs the operations of a schedule as in training, and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fastconv.floating import is_finite, quietly
from fastconv.models.running.differentiate import Losses, Pass
from fastconv.models.running.program import Program, whole
from fastconv.models.running.schedule import Operation, Schedule

__all__ = ["first_not_finite", "loss_gradients", "rehearse"]

Array = np.ndarray[Any, Any]


@quietly
def rehearse(
    schedule: Schedule,
    values: list[Any],
    *,
    rng_key: tuple[int, int],
    program: Program | None = None,
) -> tuple[Array, ...]:
    """Return the outputs of the forward pass of training; statistics stay as they are.

    Parameters
    ----------
    schedule, values, rng_key, program
        As `differentiate` takes them.
    """
    if program is not None:  # what is computed again is so for a backward pass
        program = replace(program, segments=whole(schedule))
    return Pass(schedule, program, True, rng_key, needs=()).forward(values)


@quietly
def loss_gradients(
    schedule: Schedule,
    values: list[Any],
    dloss: Losses,
    *,
    rng_key: tuple[int, int],
    program: Program | None = None,
) -> dict[str, Array]:
    """Return the gradients of the parameters in training, by ``layer/parameter``.

    Parameters
    ----------
    schedule, values, dloss, rng_key, program
        As `differentiate` takes them.
    """
    run = Pass(schedule, program, True, rng_key, needs=("params",))
    return run.gradients(values, dloss)[2].params


class _Seen(Exception):
    """Raised to end a pass at something that is not finite; it holds the name and the value."""


@quietly
def first_not_finite(
    schedule: Schedule,
    values: list[Any],
    *,
    rng_key: tuple[int, int],
    key: tuple[int, ...] = (),
    program: Program | None = None,
) -> tuple[str, float] | None:
    """Return the first weight or output that is not finite in the forward pass of training.

    Parameters
    ----------
    schedule, values, rng_key, program
        As `differentiate` takes them.
    key : tuple of int
        What the random numbers are keyed by besides.

    Returns
    -------
    (str, float) or None
        For example ``("the output of conv2d_1", inf)``.
    """

    def look(name: str, array: Array) -> None:
        if not is_finite(array):
            raise _Seen(name, float(array[~np.isfinite(array)].flat[0]))

    def watch(op: Operation, y: Array) -> None:
        for group in (op.layer.parameters, op.layer.states):
            for key, parameter in group.items():
                look(f"{op.name}/{key}", parameter.value)
        look(f"the output of {op.steps[0].id}", y)

    run = Pass(schedule, program, True, rng_key, needs=())
    run.key = key
    try:
        run.forward(values, watch)
    except _Seen as found:
        name, value = found.args
        return name, value
    return None
