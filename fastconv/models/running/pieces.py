"""Runs pieces of a batch forward and backward, and hands each gradient on once it is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv.floating import quietly
from fastconv.layers.parameter import Parameter
from fastconv.models.running.differentiate import Losses, Pass, Sums
from fastconv.models.running.program import Program, whole
from fastconv.models.running.schedule import Operation, Schedule

if TYPE_CHECKING:
    from fastconv.training.trainable import Taker

__all__ = ["learned", "run_piece", "run_together", "synchronising"]

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


def synchronising(schedule: Schedule) -> frozenset[int]:
    """Return the operations that take statistics of a batch, where it is cut into pieces."""
    return frozenset(
        at
        for at, op in enumerate(schedule.operations)
        if op.layer.synchronises and not op.layer.frozen and not op.layer.patched
    )


@quietly
def run_together(
    schedule: Schedule,
    values: Sequence[list[Any]],
    losses: Sequence[Losses],
    taker: Taker,
    *,
    numbers: Sequence[int],
    rng_key: tuple[int, int],
    program: Program | None = None,
) -> list[tuple[tuple[Array, ...], dict[str, float]]]:
    """Run pieces operation by operation, so that some take statistics of the whole batch.

    Parameters
    ----------
    schedule, values, losses, rng_key, program
        As `run_piece` takes them, values and losses of each piece.
    taker : Taker
        It also brings together what the layers that synchronise give, of all processes.
    numbers : sequence of int
        The numbers of the pieces, keys of their random numbers.

    Returns
    -------
    list of (outputs, losses), one of each piece
    """
    passes = [_PiecePass(schedule, program, rng_key, piece, taker) for piece in enumerate(numbers)]
    run = _Together(schedule, passes, taker, program)
    run.forward(values)
    found = [one.results(own) for one, own in zip(passes, values, strict=True)]
    figures, slopes = [], []
    for one, outputs, dloss in zip(passes, found, losses, strict=True):
        figure, sums = one.slopes_of(outputs, dloss)
        figures.append(figure)
        slopes.append(sums)
    run.backward(slopes)
    for at, one in enumerate(passes):
        new = one.new_statistics()
        taker.statistics(at, {key: array for key, (_, array) in new.items()})
    return list(zip(found, figures, strict=True))


class _Together:
    """Passes over pieces, all at the same operation at a time."""

    def __init__(
        self,
        schedule: Schedule,
        passes: Sequence[_PiecePass],
        taker: Taker,
        program: Program | None,
    ) -> None:
        self._schedule, self._passes, self._taker = schedule, passes, taker
        self._segments = whole(schedule) if program is None else program.segments
        self._synchronising = synchronising(schedule)

    def forward(self, values: Sequence[list[Any]]) -> None:
        """Compute all values."""
        pairs = list(zip(self._passes, values, strict=True))
        for one, own in pairs:
            one.begin(own)
        for segment in self._segments:
            for at in range(segment.begin, segment.end):
                if at in self._synchronising:
                    self._meet(at, [own for _, own in pairs])
                for one, own in pairs:
                    one.go_on(segment, at, own)
                    one.drop(at, own)

    def _meet(self, at: int, values: Sequence[list[Any]]) -> None:
        """Bring the moments of all pieces together, for operation `at`."""
        op = self._schedule.operations[at]
        found = [op.layer.moments(*(own[source] for source in op.sources)) for own in values]
        whole_batch = self._taker.together(found, op.layer.merged)
        for one in self._passes:
            one.moments[at] = whole_batch

    def backward(self, slopes: Sequence[Sums]) -> None:
        """Hand the gradients of all parameters to the taker."""
        by_param = [Sums() for _ in slopes]
        for segment in reversed(self._segments):
            if segment.recomputed:
                for one in self._passes:
                    one.again(segment)
            for at in reversed(range(segment.begin, segment.end)):
                if at in self._synchronising:
                    self._meet_back(at, slopes)
                for one, own, params in zip(self._passes, slopes, by_param, strict=True):
                    one.back(at, own, params)
                    one.passed(at, params.arrays)

    def _meet_back(self, at: int, slopes: Sequence[Sums]) -> None:
        """Bring together what the gradient of operation `at` needs of all pieces."""
        op, found, contexts = self._schedule.operations[at], [], []
        for one, own in zip(self._passes, slopes, strict=True):
            ctx, dy = one.contexts[at], own.arrays.get(op.target)
            if ctx is not None and dy is not None:
                contexts.append(ctx)
                found.append(op.layer.gradient_sums(ctx, dy))
        whole_batch = self._taker.together(found, np.add)
        for ctx in contexts:
            ctx.slopes = whole_batch
