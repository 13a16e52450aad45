"""Counts the bytes that are alive in a step of training, forward, again and backward."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastconv.layers.spec import LayerCosts
from fastconv.models.planning.tally import Tally
from fastconv.models.running import Operation, Segment

__all__ = ["Held", "Traced", "trace_step"]


class Held(NamedTuple):
    """Bytes that are alive at one time of a step, without what runs then takes itself.

    Attributes
    ----------
    phase : str
        ``"forward"``, ``"loss"``, ``"again"``, ``"backward"`` or ``"metrics"``.
    at : int
        The operation that runs; -1 for losses and metrics.
    activations, saved, gradients : int
    """

    phase: str
    at: int
    activations: int
    saved: int
    gradients: int

    @property
    def nbytes(self) -> int:
        """The bytes in all."""
        return self.activations + self.saved + self.gradients


@dataclass(frozen=True)
class Traced:
    """What is alive in a step of training.

    Attributes
    ----------
    held : list of Held
        In the order in which the step runs.
    forward, again, backward : list of int
        For each operation, the bytes when it first runs forward, when it is computed again, and
        when it runs backward; 0 if it does not.
    loss, metrics : int
        The bytes that are there when the losses are computed, and when the metrics are, without
        what these take.
    """

    held: list[Held]
    forward: list[int]
    again: list[int]
    backward: list[int]
    loss: int
    metrics: int


def trace_step(tally: Tally, costs: Sequence[LayerCosts], segments: Sequence[Segment]) -> Traced:
    """Return the bytes alive in a step of training that computes some segments again."""
    return _Step(tally, costs, segments).run()


class _Alive:
    """The arrays that something refers to, by owner, and how many bytes they are together."""

    def __init__(self, tally: Tally) -> None:
        self._owner, self._sizes = tally.owner, tally.sizes
        self._counts: dict[int, int] = {}
        self.total = 0

    def hold(self, values: Iterable[int]) -> None:
        for value in values:
            owner = self._owner[value]
            count = self._counts.get(owner, 0)
            self._counts[owner] = count + 1
            if not count:
                self.total += self._sizes[owner]

    def let_go(self, values: Iterable[int]) -> None:
        for value in values:
            owner = self._owner[value]
            self._counts[owner] -= 1
            if not self._counts[owner]:
                self.total -= self._sizes[owner]


class _Gradients:
    """The gradients of values: which of them are one array, and which nobody else reads."""

    def __init__(self, tally: Tally) -> None:
        self._sizes = tally.sizes
        self._arrays: dict[int, tuple[int, bool]] = {}  # value -> (array, whether it is ours)
        self._nbytes: dict[int, int] = {}  # array -> bytes
        self._held: dict[int, int] = {}  # array -> how many values have it
        self._total = 0

    def new(self, value: int) -> int:
        array = len(self._nbytes)
        self._nbytes[array] = self._sizes[value]
        return array

    def _put(self, value: int, array: int, owned: bool) -> None:
        self._arrays[value] = array, owned
        count = self._held.get(array, 0)
        self._held[array] = count + 1
        if not count:
            self._total += self._nbytes[array]

    def _drop(self, array: int) -> None:
        self._held[array] -= 1
        if not self._held[array]:
            self._total -= self._nbytes[array]

    def add(self, value: int, array: int, owned: bool) -> int:
        """Add a gradient; return the bytes of the sum if it needs an array beside both summands."""
        before = self._arrays.get(value)
        if before is None:
            self._put(value, array, owned)
            return 0
        if before[1]:
            return 0
        self._drop(before[0])
        self._put(value, self.new(value), True)
        return self._sizes[value]

    def pop(self, value: int) -> tuple[int, bool] | None:
        found = self._arrays.pop(value, None)
        if found is not None:
            self._drop(found[0])
        return found

    def bytes_with(self, arrays: Collection[int]) -> int:
        """Return the bytes of all arrays, including those of `arrays` that are not held here."""
        besides = (self._nbytes[a] for a in set(arrays) if not self._held.get(a))
        return self._total + sum(besides)


class _Step:
    """One step of training, as `differentiate` takes it."""

    def __init__(self, tally: Tally, costs: Sequence[LayerCosts], segments: Sequence[Segment]):
        self.tally, self.costs, self.segments = tally, costs, segments
        self.operations = tally.schedule.operations
        self.alive = _Alive(tally)
        self.gradients = _Gradients(tally)
        self.learned: set[str] = set()
        self.learned_bytes = self.saved = self.twice = 0
        self.held: list[Held] = []

    def run(self) -> Traced:
        tally, outputs = self.tally, self.tally.schedule.outputs
        inputs = range(tally.schedule.inputs)
        self.alive.hold(inputs)
        self.alive.hold(inputs)  # once more, since the caller holds them to the end
        dropped = {value for op in self.operations for value in op.drops}
        unread = set(inputs) - dropped - set(outputs)
        for segment in self.segments:
            if segment.recomputed:
                self.alive.hold(segment.sources)
            for at in range(segment.begin, segment.end):
                self._forward(at, "forward", keep=not segment.recomputed)
                self.alive.let_go(self.operations[at].drops)
        self.alive.let_go(unread)
        # the outputs stay until the end; `values` holds nothing else by now
        self._note("loss", -1, self.saved, 0)
        for output in outputs:
            self.gradients.add(output, self.gradients.new(output), False)
        for segment in reversed(self.segments):
            if segment.recomputed:
                self._again(segment)
            for at in reversed(range(segment.begin, segment.end)):
                self._backward(at)
            self.twice = 0
        self._note("metrics", -1, 0, self.learned_bytes)
        return self._traced()

    def _traced(self) -> Traced:
        lists = {phase: [0] * len(self.operations) for phase in ("forward", "again", "backward")}
        once = {}
        for one in self.held:
            if one.at < 0:
                once[one.phase] = one.nbytes
            else:
                lists[one.phase][one.at] = one.nbytes
        forward, again, backward = lists.values()
        return Traced(self.held, forward, again, backward, once["loss"], once["metrics"])

    def _note(self, phase: str, at: int, saved: int, gradients: int) -> None:
        self.held.append(Held(phase, at, self.alive.total + self.twice, saved, gradients))

    def _forward(self, at: int, phase: str, *, keep: bool) -> None:
        op, cost = self.operations[at], self.costs[at]
        self.alive.hold([op.target])
        saved = self.tally.saved(at, cost)
        gradients = self.gradients.bytes_with(()) + self.learned_bytes
        self._note(phase, at, self.saved + saved, gradients)
        if keep:
            self.alive.hold(self.tally.kept(at, cost))
            self.saved += saved

    def _again(self, segment: Segment) -> None:
        for at, drops in zip(range(segment.begin, segment.end), segment.drops, strict=True):
            target = self.operations[at].target
            if target in self.tally.schedule.outputs:  # made again, beside the one handed out
                self.twice += self.tally.bytes_of([target])
            self._forward(at, "again", keep=True)
            self.alive.let_go(drops)

    def _backward(self, at: int) -> None:
        op, cost, tally = self.operations[at], self.costs[at], self.tally
        popped = self.gradients.pop(op.target)
        if popped is not None and tally.needs[op.target]:
            dy, owned = popped
            dxs = self._gradients_of_inputs(op, dy, owned)
            learned = self._learn(op)
            extra = 0 if owned else cost.dy_copied
            arrays = [dy, *(array for _, array, _ in dxs)]
            most = self.gradients.bytes_with(arrays) + extra + learned
            for source, array, ours in dxs:
                beside = self.gradients.add(source, array, ours)
                if beside:
                    most = max(most, self.gradients.bytes_with(arrays) + learned)
            self._note("backward", at, self.saved, self.learned_bytes + most)
        self.alive.let_go(tally.kept(at, cost))
        self.saved -= tally.saved(at, cost)

    def _gradients_of_inputs(
        self, op: Operation, dy: int, owned: bool
    ) -> list[tuple[int, int, bool]]:
        """Return (value, array, whether it is ours) for each gradient that an input needs."""
        layer = op.layer
        passed = layer.passes_gradient or op.target in self.tally.idle
        if passed or (layer.overwrites_input and owned):
            found = [(source, dy, owned and layer.new_gradients) for source in op.sources]
        else:
            found = [
                (source, self.gradients.new(source), layer.new_gradients)
                for source in op.sources
                if self.tally.needs[source]
            ]
        return [part for part in found if self.tally.needs[part[0]]]

    def _learn(self, op: Operation) -> int:
        """Count the layer's gradients; return what a further use of it takes for a moment."""
        nbytes = self.tally.gradients.get(op.name, 0)
        if op.name in self.learned:
            return 2 * nbytes
        self.learned.add(op.name)
        self.learned_bytes += nbytes
        return 0
