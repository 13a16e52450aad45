"""Counts the bytes that are alive while a schedule runs, without running it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fastconv.layers.spec import LayerCosts, Spec
from fastconv.models.running import Schedule

__all__ = ["Tally"]


class Tally:
    """Which arrays are alive when, in a run of a schedule on a batch, and how large they are.

    Parameters
    ----------
    schedule : Schedule
    specs : sequence of Spec
        The Spec of every value.
    batch : int
    training : bool
    gradients : mapping of str to int
        Bytes of the gradients that each layer learns from, by the layer's name.
    input_bytes : sequence of int
        For each input, the bytes of a row that the run itself makes (cast or gathered) and keeps
        to the end, or all such bytes if the input has no batch. The caller's own arrays do not
        count.
    """

    def __init__(
        self,
        schedule: Schedule,
        specs: Sequence[Spec],
        batch: int,
        *,
        training: bool,
        gradients: Mapping[str, int],
        input_bytes: Sequence[int],
    ) -> None:
        self.schedule, self.training, self.gradients = schedule, training, gradients
        rows = [*input_bytes, *(spec.nbytes for spec in specs[schedule.inputs :])]
        self.sizes = [
            nbytes if axis is None else batch * nbytes
            for nbytes, axis in zip(rows, schedule.axes, strict=True)
        ]
        self.idle = {
            op.target
            for op in schedule.operations
            if op.layer.idle(training and not op.layer.frozen)
        }
        self.owner = list(range(schedule.values))
        for op in schedule.operations:
            if op.over is not None:
                self.owner[op.target] = self.owner[op.sources[op.over]]
            elif op.layer.output_is_view or op.target in self.idle:
                self.owner[op.target] = self.owner[op.sources[0]]
        self.needs = [False] * schedule.values
        for op in schedule.operations:
            fed = any(self.needs[source] for source in op.sources)
            learns = fed or bool(gradients.get(op.name))
            self.needs[op.target] = training and learns and op.has_gradient

    def bytes_of(self, values: Iterable[int]) -> int:
        """Return the bytes of `values`; memory that several values share counts once."""
        return sum(self.sizes[owner] for owner in {self.owner[value] for value in values})

    def inference(self) -> list[int]:
        """Return for each operation the bytes alive while it runs, without temporary memory."""
        last = len(self.schedule.operations)
        until: dict[int, int] = {}  # owner -> the last operation that needs it
        for at, op in enumerate(self.schedule.operations):
            for value in (*op.sources, op.target):
                until[self.owner[value]] = at
        until.update({self.owner[value]: last for value in self.schedule.outputs})
        ends: dict[int, list[int]] = {}
        for owner, at in until.items():
            if owner >= self.schedule.inputs:  # the inputs stay
                ends.setdefault(at, []).append(owner)
        alive = set(range(self.schedule.inputs))
        total = sum(self.sizes[value] for value in alive)
        found = []
        for at, op in enumerate(self.schedule.operations):
            owner = self.owner[op.target]
            if owner not in alive:
                alive.add(owner)
                total += self.sizes[owner]
            found.append(total)
            for owner in ends.get(at, ()):
                alive.discard(owner)
                total -= self.sizes[owner]
        return found

    def kept(self, at: int, cost: LayerCosts) -> list[int]:
        """Return the values that the context of operation `at` keeps for the backward pass."""
        op = self.schedule.operations[at]
        if not self.needs[op.target]:
            return []
        values = list(op.sources) if "inputs" in cost.keeps else []
        return values + ([op.target] if "output" in cost.keeps else [])

    def saved(self, at: int, cost: LayerCosts) -> int:
        """Return the bytes that the context of operation `at` keeps besides these values."""
        return cost.saved if self.needs[self.schedule.operations[at].target] else 0

    def crossing(self, at: int) -> set[int]:
        """Return the owners of values that are made before operation `at` and read from it on."""
        operations = self.schedule.operations
        before = set(range(self.schedule.inputs)) | {op.target for op in operations[:at]}
        read = {source for op in operations[at:] for source in op.sources}
        return {self.owner[value] for value in before & read}
