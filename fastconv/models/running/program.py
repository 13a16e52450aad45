"""How a schedule keeps within a limit: rows at a time, what is computed again, workspaces."""

from __future__ import annotations

from dataclasses import dataclass

from fastconv.models.running.schedule import Schedule

__all__ = ["Allowance", "Program", "Segment", "Stage", "segment", "whole"]


@dataclass(frozen=True)
class Allowance:
    """What one operation may take.

    Attributes
    ----------
    forward, backward : int or None
        The workspace limits of both passes; None means no limit.
    lends : bool
        Whether packed weights serve one call and are then given back, instead of being kept.
    packed : int or None
        The most bytes of packed weights that may be left from earlier runs; None means no limit.
    """

    forward: int | None = None
    backward: int | None = None
    lends: bool = False
    packed: int | None = None


@dataclass(frozen=True)
class Segment:
    """Neighbouring operations of a schedule whose contexts are kept, or computed again.

    Attributes
    ----------
    begin, end : int
        The first operation, and the one after the last.
    recomputed : bool
        Whether the backward pass computes the segment again from `sources`, so that the forward
        pass keeps nothing else of it.
    sources : tuple of int
        The values made before the segment that its operations read.
    drops : tuple of tuple of int
        For each operation, the values that nobody in the segment reads later.
    """

    begin: int
    end: int
    recomputed: bool = False
    sources: tuple[int, ...] = ()
    drops: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Stage:
    """Neighbouring operations that inference runs on the same number of rows at a time.

    Attributes
    ----------
    begin, end : int
        The first operation, and the one after the last.
    rows : int
        How many rows it runs on; at most as many as the next stage.
    sources : tuple of int
        The values of earlier stages that this one or a later one reads, or that are handed out.
    """

    begin: int
    end: int
    rows: int
    sources: tuple[int, ...] = ()


@dataclass(frozen=True)
class Program:
    """The decisions of a plan that a run follows.

    Attributes
    ----------
    rows : int
        How many examples are computed at a time in inference.
    allowances : tuple of Allowance
        One for each operation.
    segments : tuple of Segment
        Together they are the whole schedule; in inference there is only one.
    stages : tuple of Stage
        Together they are the whole schedule too. None at all means one stage of all rows.
    """

    rows: int
    allowances: tuple[Allowance, ...]
    segments: tuple[Segment, ...]
    stages: tuple[Stage, ...] = ()

    @property
    def parts(self) -> tuple[Stage, ...]:
        """The stages; one of all rows where there is none."""
        return self.stages or (Stage(0, len(self.allowances), self.rows),)


def segment(schedule: Schedule, begin: int, end: int) -> Segment:
    """Return the operations from `begin` to `end` as a segment that is computed again."""
    operations = schedule.operations[begin:end]
    made = {op.target for op in operations}
    last = {value: at for at, op in enumerate(operations) for value in (op.target, *op.sources)}
    drops = tuple(
        tuple(value for value, final in last.items() if final == at)
        for at in range(len(operations))
    )
    sources = dict.fromkeys(v for op in operations for v in op.sources if v not in made)
    return Segment(begin, end, True, tuple(sources), drops)


def whole(schedule: Schedule) -> tuple[Segment, ...]:
    """Return the schedule as one segment whose contexts are kept."""
    return (Segment(0, len(schedule.operations)),)
