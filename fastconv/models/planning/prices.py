"""What the operations of a schedule take for any number of rows and any workspace limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fastconv.concurrency import computed_once
from fastconv.layers.spec import LayerCosts
from fastconv.models.planning.steps import Held, Traced, trace_step
from fastconv.models.planning.subject import Asked, Subject
from fastconv.models.planning.tally import Tally
from fastconv.models.running import Allowance, Program, Segment, Stage, whole

__all__ = ["Fitted", "LeastBytes", "Prices", "Shared", "Way"]

#: The costs of an operation, by its place, the number of rows and the workspace limit.
Costs = dict[tuple[int, int, int | None], LayerCosts]


@dataclass(frozen=True)
class Way:
    """The part of keeping inference within a limit that serves many numbers of rows.

    Attributes
    ----------
    free : tuple of bool
        For each operation, whether it has the algorithm that it prefers.
    cuts : tuple of int
        The operations before which the network is cut.
    kept : frozenset of str
        The layers that keep their packed weights.
    """

    free: tuple[bool, ...]
    cuts: tuple[int, ...]
    kept: frozenset[str]


@dataclass(frozen=True)
class Shared:
    """What plans for one network, mode, ceiling and number of threads share.

    Attributes
    ----------
    costs : dict
        Costs of operations, for the numbers of rows that every plan tries.
    ways : dict
        Ways by limit, bytes of a row of each input, rows, rows of results, and whether the bytes
        of the results may decide about algorithms.
    steps : dict
        What plans of a step of training begin with, whatever their limit is.
    """

    costs: Costs = field(default_factory=dict)
    ways: dict[tuple[Any, ...], Way | None] = field(default_factory=dict)
    steps: dict[tuple[Any, ...], Any] = field(default_factory=dict)


class LeastBytes(Exception):
    """No program keeps within the limit; the argument is the smallest limit that one could keep."""


@dataclass(frozen=True)
class Fitted:
    """A program and what its operations take."""

    program: Program
    costs: tuple[LayerCosts, ...]


class Prices:
    """Asks the layers of a schedule for their costs on one batch, and remembers them.

    Parameters
    ----------
    subject : Subject
    asked : Asked
    shared : Shared
        What plans of other batches found; this one adds to it.

    Attributes
    ----------
    gradients : dict of str to int
        Bytes of gradients by layer; empty in inference.
    released : set of str
        Layers whose weights exist in packed form alone.
    constant : set of str
        Layers whose weights do not change while the program runs.
    input_bytes : tuple of int
        For each input, the bytes of a row that the run makes itself, or all bytes if the input
        has no batch.
    ceiling : int or None
        The most workspace that any operation may take.
    measured, results, memory_limit
        As they were asked for.
    """

    def __init__(self, subject: Subject, asked: Asked, shared: Shared) -> None:
        self.schedule, self.specs = subject.schedule, subject.specs
        self.operations = subject.schedule.operations
        self.batch, self.training = asked.batch_size, asked.training
        self.gradients = subject.gradients if asked.learns else {}
        self.released = {key.partition("/")[0] for key in subject.released}
        self.constant = subject.constant(asked.learns)
        self.input_bytes, self.ceiling = asked.input_bytes, asked.workspace_limit
        self.measured, self.results = asked.measured, asked.results
        self.memory_limit = asked.memory_limit
        self._priced: Costs = {}
        self.shared = shared
        self._row_bytes: dict[tuple[int, ...], int] = {}
        self._tallies: dict[int, Tally] = {}

    def cost(self, at: int, rows: int, limit: int | None) -> LayerCosts:
        """Return what operation `at` takes for a number of rows and a workspace limit."""
        if self.ceiling is not None:
            limit = self.ceiling if limit is None else min(limit, self.ceiling)
        key = (at, rows, limit)
        # every batch tries powers of two, and there are never many of them
        common = limit in (None, 0, self.ceiling) and not rows & (rows - 1)
        known = self.shared.costs if common else self._priced
        if key not in known:
            known[key] = self._cost(at, rows, limit)
        return known[key]

    def _cost(self, at: int, rows: int, limit: int | None) -> LayerCosts:
        op = self.operations[at]
        cost = op.layer.costs(
            rows,
            *(self.specs[source] for source in op.sources),
            training=self.training,
            workspace_limit=limit,
        )
        if cost.without_dx is None or at not in self.without_dx:
            return cost
        return replace(cost, backward=cost.without_dx, backward_algorithm=cost.without_dx_algorithm)

    @computed_once
    def without_dx(self) -> frozenset[int]:
        """The places of the operations none of whose inputs needs its gradient."""
        needs = self.tally(1).needs
        return frozenset(
            at
            for at, op in enumerate(self.operations)
            if not any(needs[source] for source in op.sources)
        )

    def tally(self, rows: int) -> Tally:
        """Return the Tally of a run of so many rows."""
        if rows not in self._tallies:
            self._tallies[rows] = Tally(
                self.schedule,
                self.specs,
                rows,
                training=self.training,
                gradients=self.gradients,
                input_bytes=self.input_bytes,
            )
        return self._tallies[rows]

    def free(self) -> Fitted:
        """Return the program that is run if there is no limit."""
        count = len(self.operations)
        lends = [self.training and op.name not in self.constant for op in self.operations]
        allowances = tuple(Allowance(self.ceiling, self.ceiling, lends=one) for one in lends)
        return Fitted(
            Program(self.batch, allowances, whole(self.schedule)),
            tuple(self.cost(at, self.batch, None) for at in range(count)),
        )

    def resident(self, costs: Sequence[LayerCosts]) -> list[LayerCosts]:
        """Return `costs`, but for released weights the costs for which they were packed."""
        return [
            self.cost(at, 1, None) if op.name in self.released else cost
            for at, (op, cost) in enumerate(zip(self.operations, costs, strict=True))
        ]

    @computed_once
    def packing_names(self) -> frozenset[str]:
        """The layers that have packed weights."""
        return frozenset(
            op.name for at, op in enumerate(self.operations) if self.cost(at, 1, None).packed
        )

    def result_bytes(self, rows: int) -> int:
        """Return the bytes of so many rows of results."""
        return self.bytes_of(self.schedule.outputs, rows)

    def live(self, stages: Sequence[Stage], results: int) -> list[int]:
        """Return the bytes alive while each operation runs in inference by `stages`.

        Packed weights and the temporary memory of the call are left out. While a stage runs, the
        arrays in which later stages gather their rows are alive too.
        """
        always = self.always(stages, results)
        return [
            nbytes + part
            for nbytes, stage in zip(always, stages, strict=True)
            for part in self.alive(stage.rows)[stage.begin : stage.end]
        ]

    def alive(self, rows: int) -> list[int]:
        """Return the bytes that are alive while each operation runs on so many rows.

        Those of `input_bytes` are left out, but inputs without a batch count.
        """
        return [rows * row + fixed for row, fixed in zip(self._one_row, self._fixed, strict=True)]

    @computed_once
    def _fixed(self) -> list[int]:
        """The bytes of arrays without a batch that are alive while each operation runs."""
        if None not in self.schedule.axes:
            return [0] * len(self.operations)
        return self.tally(0).inference()

    @computed_once
    def _one_row(self) -> list[int]:
        found = zip(self.tally(1).inference(), self._fixed, strict=True)
        return [nbytes - fixed - self._input_row for nbytes, fixed in found]

    @computed_once
    def _input_row(self) -> int:
        """The bytes that one row of all inputs takes which the run makes itself."""
        made = zip(self.input_bytes, self.schedule.axes, strict=False)  # inputs come first
        return sum(nbytes for nbytes, axis in made if axis is not None)

    def always(self, stages: Sequence[Stage], results: int) -> list[int]:
        """Return for each of `stages` the bytes that are alive during all of it."""
        rows = stages[-1].rows
        always = rows * self._input_row
        if rows < results:
            always += self.result_bytes(results)
        found = []
        for stage in reversed(stages):
            found.append(always)
            always += self.bytes_of(stage.sources, stage.rows)
        return found[::-1]

    def traced(self, costs: Sequence[LayerCosts], segments: Sequence[Segment]) -> Traced:
        """Return what is alive in a step of training that computes some segments again."""
        return trace_step(self.tally(self.batch), costs, segments)

    def held(self, fitted: Fitted) -> Iterator[tuple[Held, float]]:
        """Yield what is held at each moment, and by how much the batch exceeds the rows that run.

        Metrics of a step without a limit have no moment: what they take counts everywhere.
        """
        program = fitted.program
        if self.training:
            for held in self.traced(fitted.costs, program.segments).held:
                if held.phase != "metrics" or self.memory_limit is not None:
                    yield held, 1.0
            return
        live = self.live(program.parts, self.results)
        for stage in program.parts:
            for at in range(stage.begin, stage.end):
                yield Held("forward", at, live[at], 0, 0), self.batch / stage.rows
        if self.measured.most(program.rows):  # when all else is gone
            yield Held("loss", -1, self.result_bytes(program.rows), 0, 0), 1.0

    def row_bytes(self, values: tuple[int, ...]) -> int:
        """Return the bytes that one row of all `values` takes; arrays without a batch have none."""
        if values not in self._row_bytes:
            axes = self.schedule.axes
            self._row_bytes[values] = sum(
                self.specs[value].nbytes for value in values if axes[value] is not None
            )
        return self._row_bytes[values]

    def bytes_of(self, values: tuple[int, ...], rows: int) -> int:
        """Return the bytes that so many rows of all `values` take, with arrays without a batch."""
        axes = self.schedule.axes
        fixed = sum(self.specs[value].nbytes for value in values if axes[value] is None)
        return rows * self.row_bytes(values) + fixed
