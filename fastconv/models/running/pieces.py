"""Runs pieces of a batch forward and backward, and hands each gradient on once it is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.layers.parameter import Parameter
from fastconv.models.running.differentiate import Losses, Pass
from fastconv.models.running.program import Program
from fastconv.models.running.schedule import Operation, Schedule
from fastconv.training.trainable import Taker

__all__ = ["learned", "run_piece"]

Array = np.ndarray[Any, Any]


def learned(schedule: Schedule) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
    """Return the parameters that learn and the statistics that training takes.

    Both are by ``layer/parameter``, in the order in which the backward pass leaves their layers.
    """
    params, states = {}, {}
    for _, op in _left(schedule):
        layer = op.layer
        named = layer.parameters.items()
        params.update({f"{op.name}/{key}": p for key, p in named if p.trainable})
        if not layer.frozen:
            states.update({f"{op.name}/{key}": p for key, p in layer.states.items()})
    return params, states


def _left(schedule: Schedule) -> Iterator[tuple[int, Operation]]:
    """Yield the first call of each layer, the last layer first: behind it, gradients are known."""
    first = {op.name: at for at, op in reversed(list(enumerate(schedule.operations)))}
    for at, op in reversed(list(enumerate(schedule.operations))):
        if first[op.name] == at:
            yield at, op


class _PiecePass(Pass):
    """A pass over one piece."""

    def __init__(
        self,
        schedule: Schedule,
        program: Program | None,
        rng_key: tuple[int, int],
        piece: tuple[int, int],
        taker: Taker,
    ) -> None:
        super().__init__(schedule, program, True, rng_key, ("params",))
        (self.at, number), self.taker = piece, taker
        self.key = (number,)
        self._known = {at: f"{op.name}/" for at, op in _left(schedule)}

    def passed(self, at: int, by_param: dict[str, Array]) -> None:
        """Hand on what is known behind operation `at`."""
        name = self._known.get(at)
        if name is not None:
            for key in [key for key in by_param if key.startswith(name)]:
                self.taker.gradient(self.at, key, by_param.pop(key))
        self.taker.poll()


@quietly
def run_piece(
    schedule: Schedule,
    values: list[Any],
    dloss: Losses,
    taker: Taker,
    *,
    piece: tuple[int, int],
    rng_key: tuple[int, int],
    program: Program | None = None,
) -> tuple[tuple[Array, ...], dict[str, float]]:
    """Run a piece forward and backward; return its outputs and losses; nothing changes.

    Parameters
    ----------
    schedule, values, dloss, rng_key, program
        As `differentiate` takes them.
    taker : Taker
        Gets the gradient of each parameter as soon as it is known, and the new statistics.
    piece : (int, int)
        Its place among those that are run here, and its number, a key of its random numbers.
    """
    run = _PiecePass(schedule, program, rng_key, piece, taker)
    outputs, losses, _ = run.gradients(values, dloss)
    new = run.new_statistics()
    taker.statistics(piece[0], {key: array for key, (_, array) in new.items()})
    return outputs, losses
