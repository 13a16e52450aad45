"""Decides how a network keeps within a number of bytes: algorithms, rows, packing, segments."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fastconv.layers.spec import LayerCosts, PassCosts, Spec
from fastconv.models.program import Allowance, Program, Segment, whole
from fastconv.models.schedule import Operation, Schedule
from fastconv.models.segments import Segmenter
from fastconv.models.tally import Tally

__all__ = ["Fitted", "Fitter", "LeastBytes", "packing_bytes"]

# For comparing ways that keep within a limit alone.
PACKED_BYTES_PER_SECOND = 8e9
SECONDS_A_CALL = 8e-6


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


def _beside(cost: PassCosts) -> int:
    """What a call takes that its ``workspace_limit`` does not count: weights packed plainly."""
    return cost.temporary - cost.lowest_limit


class Fitter:
    """Looks for a program within a limit, for one schedule and batch.

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
        self._kept: dict[tuple[frozenset[str], tuple[bool, ...]], tuple[int, dict[str, int]]] = {}
        self._nothing = [False] * len(self.operations)

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

    # Inference: one row is what all is decided for; then as many rows as there is room for.

    def inference(self, limit: int, results: int) -> Fitted:
        """Return the program of the least estimated time within `limit` bytes.

        `results` is how many rows of results the run makes in all.

        Raises
        ------
        LeastBytes
            If there is none.
        """
        self._check_least(limit, results)
        free = self._free_algorithms(limit, 0)
        if self._most_rows(limit, free, self.released, results) == 0:
            # what a row takes was within the limit without the results of all rows
            free = self._free_algorithms(limit, self.result_bytes(results))
        best: tuple[float, int, frozenset[str]] | None = None
        for lent in self._choices_of_lent(free):
            kept = self._packing_names - lent
            rows = self._most_rows(limit, free, kept, results)
            if rows:
                runs = math.ceil(self.batch / rows)
                packing = packing_bytes(self.operations, self._at_one_row(free), lent)
                seconds = runs * (
                    packing / PACKED_BYTES_PER_SECOND + len(self.operations) * SECONDS_A_CALL
                )
                if best is None or seconds < best[0]:
                    best = seconds, math.ceil(self.batch / runs), kept
        assert best is not None, "the least of all was checked"
        _, rows, kept = best
        rooms = self._rooms(limit, rows, free, kept, results)
        allowances, costs = [], []
        for at, op in enumerate(self.operations):
            allowed = rooms[at] if free[at] else self.cost(at, rows, 0).lowest_limit
            cost = self.cost(at, rows, max(0, allowed))
            packed = cost.packed if op.name in kept else 0
            allowances.append(Allowance(max(0, allowed), None, op.name not in kept, packed))
            costs.append(cost)
        return Fitted(Program(rows, tuple(allowances), whole(self.schedule)), tuple(costs))

    def least_inference(self, results: int) -> int:
        """Return the smallest limit with which `inference` finds a program."""
        alive, split = self.tally(1).inference(), self.result_bytes(results) if results > 1 else 0
        most = 0
        for at, op in enumerate(self.operations):
            lowest = self.cost(at, 1, 0)
            own = _beside(lowest) + lowest.lowest_limit
            most = max(most, alive[at] + self._others(op, self.released, self._nothing) + own)
        return most + split

    def _check_least(self, limit: int, results: int) -> None:
        least = self.least_inference(results)
        if least > limit:
            raise LeastBytes(least)

    def result_bytes(self, rows: int) -> int:
        """Return the bytes of so many rows of results."""
        return rows * sum(self.specs[output].nbytes for output in self.schedule.outputs)

    def _free_algorithms(self, limit: int, split: int) -> list[bool]:
        """For each operation whether one row leaves it the workspace it would like to have."""
        alive = self.tally(1).inference()
        found = []
        for at, op in enumerate(self.operations):
            plain = _beside(self.cost(at, 1, 0))
            others = self._others(op, self.released, self._nothing)
            room = limit - split - alive[at] - others - plain
            found.append(self.cost(at, 1, None).lowest_limit <= room)
        return found

    def _at_one_row(self, free: Sequence[bool]) -> list[LayerCosts]:
        return [self.cost(at, 1, None if one else 0) for at, one in enumerate(free)]

    @cached_property
    def _packing_names(self) -> frozenset[str]:
        return frozenset(
            op.name for at, op in enumerate(self.operations) if self.cost(at, 1, None).packed
        )

    def _choices_of_lent(self, free: Sequence[bool]) -> list[frozenset[str]]:
        """Sets of layers that pack for each call: none, the largest, the two largest, …"""
        sizes: dict[str, int] = {}
        for op, cost in zip(self.operations, self._at_one_row(free), strict=True):
            if cost.packed and op.name not in self.released:
                sizes[op.name] = max(sizes.get(op.name, 0), cost.packed)
        names = sorted(sizes, key=lambda name: -sizes[name])
        counts = [0, *(2**k for k in range(len(names).bit_length())), len(names)]
        return [frozenset(names[:count]) for count in sorted({min(c, len(names)) for c in counts})]

    def _others(self, op: Operation, kept: Collection[str], free: Sequence[bool]) -> int:
        """Bytes of the packed weights that stay beside those of `op`."""
        key = frozenset(kept), tuple(free)
        if key not in self._kept:
            own: dict[str, int] = {}
            for at, other in enumerate(self.operations):
                if other.name in kept:  # what is released was packed for all its algorithms
                    best = free[at] or other.name in self.released
                    packed = self.cost(at, 1, None if best else 0).packed
                    own[other.name] = max(own.get(other.name, 0), packed)
            self._kept[key] = sum(own.values()), own
        total, own = self._kept[key]
        return total - own.get(op.name, 0)

    def _rooms(
        self, limit: int, rows: int, free: Sequence[bool], kept: Collection[str], results: int
    ) -> list[int]:
        """For each operation the workspace limit that it could be given."""
        alive = self.tally(rows).inference()
        split = self.result_bytes(results) if rows < results else 0
        return [
            limit - split - alive[at] - self._others(op, kept, free)
            - _beside(self.cost(at, rows, 0))
            for at, op in enumerate(self.operations)
        ]  # fmt: skip

    def _most_rows(
        self, limit: int, free: Sequence[bool], kept: Collection[str], results: int
    ) -> int:
        """Return how many rows at a time keep within `limit`, at most the batch; 0 if none do."""

        def fits(rows: int) -> bool:
            rooms = self._rooms(limit, rows, free, kept, results)
            return all(
                self.cost(at, rows, None if free[at] else 0).lowest_limit <= room
                for at, room in enumerate(rooms)
            )

        if fits(self.batch):
            return self.batch
        return _last(fits, self.batch)

    # Training: the whole batch, with segments that are computed again.

    def training_step(self, limit: int) -> Fitted:
        """Return a program that keeps within `limit` bytes and computes little again.

        Raises
        ------
        LeastBytes
            If there is none.
        """
        attempts = [
            self._attempt(limit, liked, kept)
            for kept in dict.fromkeys((frozenset(self.constant) & self._packing_names,
                                       frozenset(self.released) & self._packing_names))
            for liked in (True, False)
        ]  # fmt: skip
        for found in attempts:
            if isinstance(found, Fitted):
                return found
        raise LeastBytes(min(found for found in attempts if isinstance(found, int)))

    def _attempt(self, limit: int, liked: bool, kept: frozenset[str]) -> Fitted | int:
        """Return a program, or the least bytes of one, with the algorithms that are liked best
        or those of the smallest workspace, and the packed weights of the layers `kept`.
        """
        batch, count = self.batch, len(self.operations)
        lends = [op.name not in kept for op in self.operations]
        costs, limits = [], []
        for at in range(count):
            best = self.cost(at, batch, None if liked else 0)
            forward, backward = best.lowest_limit, (best.backward or best).lowest_limit
            limits.append((forward, backward))
            costs.append(self._both(at, forward, backward))
        tally = self.tally(batch)
        always = packing_bytes(self.operations, costs, kept)
        segmenter = Segmenter(
            tally, costs,
            [_taken(cost, lent) for cost, lent in zip(costs, lends, strict=True)],
            [(cost.backward or cost).temporary for cost in costs],
            always,
        )  # fmt: skip
        segments = segmenter.within(limit)
        if segments is None:
            return segmenter.least()[1]
        return self._widened(limit, segments, costs, limits, lends, always, liked)

    def _both(self, at: int, forward: int, backward: int) -> LayerCosts:
        """Return the costs of an operation whose passes have limits of their own."""
        cost = self.cost(at, self.batch, forward)
        if cost.backward is None or forward == backward:
            return cost
        return _with_backward(cost, self.cost(at, self.batch, backward))

    def _widened(
        self,
        limit: int,
        segments: tuple[Segment, ...],
        costs: list[LayerCosts],
        limits: list[tuple[int, int]],
        lends: list[bool],
        always: int,
        liked: bool,
    ) -> Fitted:
        """Give each operation the workspace that its moment leaves room for."""
        found = self.tally(self.batch).train(costs, segments)
        allowances = []
        for at, (forward, backward) in enumerate(limits):
            if liked:
                live = always + max(found.forward[at], found.again[at])
                room = limit - live - _beside(costs[at]) if lends[at] else limit - live
                forward = self._if_it_fits(at, forward, max(forward, room), lends[at], limit - live)
                live = always + found.backward[at]
                back = costs[at].backward or costs[at]
                room = max(backward, limit - live - _beside(back))
                cost = self.cost(at, self.batch, room)
                if (cost.backward or cost).temporary <= limit - live:
                    backward = room
            allowances.append(Allowance(forward, backward, lends[at]))
            costs[at] = self._both(at, forward, backward)
        return Fitted(Program(self.batch, tuple(allowances), segments), tuple(costs))

    def _if_it_fits(self, at: int, lowest: int, wanted: int, lends: bool, room: int) -> int:
        cost = self.cost(at, self.batch, wanted)
        return wanted if _taken(cost, lends) <= room else lowest


def _taken(cost: PassCosts, lends: bool) -> int:
    return cost.temporary if lends else cost.workspace


def _with_backward(forward: LayerCosts, backward: LayerCosts) -> LayerCosts:
    return replace(forward, backward=backward.backward)


def _last(fits: Callable[[int], bool], most: int) -> int:
    """Return the largest number below `most` that fits, 0 if 1 does not."""
    low, high = 0, most
    while low + 1 < high:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
