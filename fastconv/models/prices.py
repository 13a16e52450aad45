"""What the operations of a schedule take for any number of rows and any workspace limit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fastconv.layers.spec import LayerCosts, PassCosts, Spec
from fastconv.models.program import Allowance, Program, Stage, whole
from fastconv.models.schedule import Operation, Schedule
from fastconv.models.tally import Tally

__all__ = ["Fitted", "LeastBytes", "Prices", "beside", "packing_bytes"]


class LeastBytes(Exception):
    """No program keeps within the limit; the argument is the smallest that one could."""


@dataclass(frozen=True)
class Fitted:
    """A program and what its operations take."""

    program: Program
    costs: tuple[LayerCosts, ...]


def packing_bytes(
    operations: Sequence[Operation], costs: Sequence[LayerCosts], kept: Collection[str]
) -> int:
    """Return the bytes of the packed weights of the layers `kept`, a shared layer's once."""
    by_name: dict[str, int] = {}
    for op, cost in zip(operations, costs, strict=True):
        if op.name in kept:
            by_name[op.name] = max(by_name.get(op.name, 0), cost.packed)
    return sum(by_name.values())


def beside(cost: PassCosts) -> int:
    """What a call takes that its ``workspace_limit`` does not count: weights packed plainly."""
    return cost.temporary - cost.lowest_limit


class Prices:
    """Asks layers for their costs, and remembers; for one schedule and batch.

    Parameters
    ----------
    schedule : Schedule
    specs : sequence of Spec
        Of every value.
    batch : int
    gradients : mapping of str to int
        Bytes of gradients by layer; empty in inference.
    released : collection of str
        Layers whose weights exist in packed form alone.
    constant : collection of str
        Layers whose weights do not change while the program runs.
    input_bytes : sequence of int
        Bytes of a row of each input that the run makes itself.
    ceiling : int or None
        The most workspace that any operation may take.
    """

    def __init__(
        self,
        schedule: Schedule,
        specs: Sequence[Spec],
        batch: int,
        *,
        training: bool,
        gradients: Mapping[str, int],
        released: Collection[str],
        constant: Collection[str],
        input_bytes: Sequence[int],
        ceiling: int | None,
    ) -> None:
        self.schedule, self.specs, self.batch = schedule, specs, batch
        self.operations = schedule.operations
        self.training, self.gradients = training, gradients
        self.released, self.constant = released, constant
        self.input_bytes, self.ceiling = input_bytes, ceiling
        self._priced: dict[tuple[int, int, int | None], LayerCosts] = {}

    def cost(self, at: int, rows: int, limit: int | None) -> LayerCosts:
        """Return what operation `at` takes for a number of rows and a workspace limit."""
        if self.ceiling is not None:
            limit = self.ceiling if limit is None else min(limit, self.ceiling)
        key = (at, rows, limit)
        if key not in self._priced:
            op = self.operations[at]
            self._priced[key] = op.layer.costs(
                rows,
                *(self.specs[source] for source in op.sources),
                training=self.training,
                workspace_limit=limit,
            )
        return self._priced[key]

    def tally(self, rows: int) -> Tally:
        """Return the counter of what lives in a run of so many rows."""
        return Tally(
            self.schedule, self.specs, rows,
            training=self.training, gradients=self.gradients, input_bytes=self.input_bytes,
        )  # fmt: skip

    def free(self) -> Fitted:
        """Return the program without a limit."""
        count = len(self.operations)
        lends = [self.training and op.name not in self.constant for op in self.operations]
        allowances = tuple(Allowance(self.ceiling, self.ceiling, lends=one) for one in lends)
        return Fitted(
            Program(self.batch, allowances, whole(self.schedule)),
            tuple(self.cost(at, self.batch, None) for at in range(count)),
        )

    def resident(self, costs: Sequence[LayerCosts]) -> list[LayerCosts]:
        """Return `costs`, where weights are released those for which they were packed."""
        return [
            self.cost(at, 1, None) if op.name in self.released else cost
            for at, (op, cost) in enumerate(zip(self.operations, costs, strict=True))
        ]

    @property
    def packing_names(self) -> frozenset[str]:
        """The layers that have packed weights."""
        return frozenset(
            op.name for at, op in enumerate(self.operations) if self.cost(at, 1, None).packed
        )

    def result_bytes(self, rows: int) -> int:
        """Return the bytes of so many rows of results."""
        return rows * sum(self.specs[output].nbytes for output in self.schedule.outputs)

    def live(self, stages: Sequence[Stage], results: int) -> list[int]:
        """Return the bytes alive while each operation runs in inference by `stages`.

        Packed weights and what the call itself takes are left out. While a stage runs, the
        arrays in which the later ones gather their rows are there too.
        """
        rows = stages[-1].rows
        always = rows * sum(self.input_bytes)
        if rows < results:
            always += self.result_bytes(results)
        one_row = [nbytes - sum(self.input_bytes) for nbytes in self.tally(1).inference()]
        found: list[int] = []
        for stage in reversed(stages):
            part = one_row[stage.begin : stage.end]
            found = [always + stage.rows * nbytes for nbytes in part] + found
            always += stage.rows * sum(self.specs[value].nbytes for value in stage.sources)
        return found
