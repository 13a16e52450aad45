"""Keeps inference within a number of bytes, by running fewer rows at a time, stage by stage.

The first layers have the large activations and the last ones the large weights.  So a network
may be cut into stages: the first runs on few rows at a time, and the rows it makes are gathered
until there are enough for the next one to be worth its packed weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence

from fastconv.layers.spec import LayerCosts
from fastconv.models.prices import Fitted, LeastBytes, Prices, beside
from fastconv.models.program import Allowance, Program, Stage, whole
from fastconv.models.schedule import Operation

__all__ = ["InferenceFit"]

# For comparing ways that keep within a limit alone.
PACKED_BYTES_PER_SECOND = 8e9
GATHERED_BYTES_PER_SECOND = 1e10
SECONDS_A_CALL = 8e-6
#: Places at which a network is cut, and cuts at one time.
PLACES, CUTS = 6, 2


class InferenceFit:
    """Looks for the program of inference that takes the least estimated time.

    Which algorithms are taken is decided for one row, so that it depends on the limit and not
    on how many rows there are.

    Parameters
    ----------
    prices : Prices
    limit : int
    results : int
        How many rows of results the run makes in all.
    """

    def __init__(self, prices: Prices, limit: int, results: int) -> None:
        self.prices, self.limit, self.results = prices, limit, results
        self.operations = prices.operations
        self._packed: dict[frozenset[str], tuple[int, dict[str, int]]] = {}
        self._smallest = [False] * len(self.operations)
        self.free = self._smallest

    def fitted(self) -> Fitted:
        """Return the program.

        Raises
        ------
        LeastBytes
            If there is none.
        """
        least = self._least()
        if least > self.limit:
            raise LeastBytes(least)
        self.free = self._liked(0)
        released = self.prices.released
        one_by_one = self._stages((), [1])
        if not self._fits(one_by_one, released):
            # what a row takes was within the limit without the results of all rows
            self.free = self._liked(self.prices.result_bytes(self.results))
            self._packed.clear()
        best: tuple[float, tuple[Stage, ...], frozenset[str]] | None = None
        for lent in self._choices_of_lent():
            kept = self.prices.packing_names - lent
            for cuts in self._choices_of_cuts():
                found = self._most_rows(cuts, kept)
                if found is not None and (best is None or found[0] < best[0]):
                    best = *found, kept
        assert best is not None, "the least of all was checked"
        _, stages, kept = best
        return self._program(_balanced(self.prices.batch, stages), kept)

    def _program(self, stages: tuple[Stage, ...], kept: Collection[str]) -> Fitted:
        prices, rows = self.prices, _rows(stages)
        allowances, costs = [], []
        for at, room in enumerate(self._rooms(stages, kept)):
            allowed = room if self.free[at] else prices.cost(at, rows[at], 0).lowest_limit
            cost = prices.cost(at, rows[at], max(0, allowed))
            is_kept = self.operations[at].name in kept
            packed = cost.packed if is_kept else 0
            allowances.append(Allowance(max(0, allowed), None, not is_kept, packed))
            costs.append(cost)
        segments = whole(prices.schedule)
        program = Program(stages[-1].rows, tuple(allowances), segments, stages)
        return Fitted(program, tuple(costs))

    def _least(self) -> int:
        """Return the smallest limit with which there is a program: row by row, all lent."""
        live = self.prices.live(self._stages((), [1]), self.results)
        most = 0
        for at, op in enumerate(self.operations):
            lowest = self.prices.cost(at, 1, 0)
            own = beside(lowest) + lowest.lowest_limit
            most = max(most, live[at] + self._others(op, self.prices.released) + own)
        return most

    def _liked(self, split: int) -> list[bool]:
        """For each operation whether one row leaves it the workspace it would like to have."""
        prices = self.prices
        live = prices.live(self._stages((), [1]), 1)
        found = []
        for at, op in enumerate(self.operations):
            others = self._others(op, prices.released) + beside(prices.cost(at, 1, 0))
            room = self.limit - split - live[at] - others
            found.append(prices.cost(at, 1, None).lowest_limit <= room)
        return found

    def _at_one_row(self) -> list[LayerCosts]:
        return [self.prices.cost(at, 1, None if one else 0) for at, one in enumerate(self.free)]

    def _others(self, op: Operation, kept: Collection[str]) -> int:
        """Bytes of the packed weights of the layers `kept` that stay beside those of `op`."""
        key = frozenset(kept)
        if key not in self._packed:
            own: dict[str, int] = {}
            for at, other in enumerate(self.operations):
                if other.name in kept:  # what is released was packed for all its algorithms
                    best = self.free[at] or other.name in self.prices.released
                    packed = self.prices.cost(at, 1, None if best else 0).packed
                    own[other.name] = max(own.get(other.name, 0), packed)
            self._packed[key] = sum(own.values()), own
        total, own = self._packed[key]
        return total - own.get(op.name, 0)

    def _rooms(self, stages: Sequence[Stage], kept: Collection[str]) -> list[int]:
        """For each operation the workspace limit that it could be given."""
        live, rows = self.prices.live(stages, self.results), _rows(stages)
        return [
            self.limit - live[at] - self._others(op, kept)
            - beside(self.prices.cost(at, rows[at], 0))
            for at, op in enumerate(self.operations)
        ]  # fmt: skip

    def _fits(self, stages: Sequence[Stage], kept: Collection[str]) -> bool:
        rows = _rows(stages)
        return all(
            self.prices.cost(at, rows[at], None if self.free[at] else 0).lowest_limit <= room
            for at, room in enumerate(self._rooms(stages, kept))
        )

    def _choices_of_lent(self) -> list[frozenset[str]]:
        """Sets of layers that pack for each call: none, the largest, the two largest, …"""
        sizes: dict[str, int] = {}
        for op, cost in zip(self.operations, self._at_one_row(), strict=True):
            if cost.packed and op.name not in self.prices.released:
                sizes[op.name] = max(sizes.get(op.name, 0), cost.packed)
        names = sorted(sizes, key=lambda name: -sizes[name])
        counts = {min(2**k, len(names)) for k in range(len(names).bit_length() + 1)}
        return [frozenset(names[:count]) for count in sorted({0, len(names)} | counts)]

    def _choices_of_cuts(self) -> Iterator[tuple[int, ...]]:
        """Sets of operations before which the network may be cut, where little crosses."""
        tally = self.prices.tally(1)
        crossing = {at: self._crossing(at) for at in range(1, len(self.operations))}
        sizes = {
            at: sum(tally.sizes[value] for value in values)
            for at, values in crossing.items()
            if len({tally.owner[value] for value in values}) == len(values)
        }
        best = sorted(sizes, key=lambda at: (sizes[at], at))
        chosen: list[int] = []
        for at in best:  # of neighbours where the same crosses one is enough
            if not any(crossing[at] == crossing[other] for other in chosen):
                chosen.append(at)
        # the smallest sizes come last in a network, and serve the layers before them no more
        spread = sorted(chosen, key=lambda at: sizes[at] * at)[:PLACES]
        for count in range(CUTS + 1):
            yield from itertools.combinations(sorted(spread), count)

    def _crossing(self, at: int) -> tuple[int, ...]:
        """What is made before operation `at` and read by it or later, or handed out."""
        made = [op.target for op in self.operations[:at]]
        read = {source for op in self.operations[at:] for source in op.sources}
        return tuple(value for value in made if value in read | set(self.prices.schedule.outputs))

    def _stages(self, cuts: Sequence[int], rows: Sequence[int]) -> tuple[Stage, ...]:
        ends = [*cuts, len(self.operations)]
        return tuple(
            Stage(begin, end, count, self._crossing(begin))
            for begin, end, count in zip([0, *cuts], ends, rows, strict=True)
        )

    def _most_rows(
        self, cuts: tuple[int, ...], kept: Collection[str]
    ) -> tuple[float, tuple[Stage, ...]] | None:
        """Return (seconds, stages): doubling rows where that saves most, as far as they fit."""
        batch = self.prices.batch
        rows = [1] * (len(cuts) + 1)
        stages = self._stages(cuts, rows)
        if not self._fits(stages, kept):
            return None
        best = self._seconds(stages, kept), stages
        while True:
            tried = []
            for at in range(len(rows)):
                more = min(batch, 2 * rows[at])
                raised = [*rows[:at], more, *(max(more, count) for count in rows[at + 1 :])]
                stages = self._stages(cuts, raised)
                if raised != rows and self._fits(stages, kept):
                    tried.append((self._seconds(stages, kept), raised, stages))
            if not tried or min(tried)[0] >= best[0]:
                return best
            seconds, rows, stages = min(tried, key=lambda one: one[0])
            best = seconds, stages

    def _seconds(self, stages: Sequence[Stage], kept: Collection[str]) -> float:
        """Estimate what the splitting costs: calls, packing and gathering."""
        costs, total = self._at_one_row(), 0.0
        for at, stage in enumerate(stages):
            runs = math.ceil(self.prices.batch / stage.rows)
            lent = sum(
                costs[n].packed
                for n in range(stage.begin, stage.end)
                if self.operations[n].name not in kept
            )
            calls = (stage.end - stage.begin) * SECONDS_A_CALL
            total += runs * (calls + lent / PACKED_BYTES_PER_SECOND)
            if at and stages[at - 1].rows < stage.rows:
                row = sum(self.prices.specs[value].nbytes for value in stage.sources)
                total += self.prices.batch * row / GATHERED_BYTES_PER_SECOND
        return total


def _rows(stages: Sequence[Stage]) -> list[int]:
    """For each operation the rows of its stage."""
    return [stage.rows for stage in stages for _ in range(stage.begin, stage.end)]


def _balanced(batch: int, stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Share the rows out evenly, in as many runs."""
    found: list[Stage] = []
    for stage in reversed(stages):
        rows = math.ceil(batch / math.ceil(batch / stage.rows))
        found.insert(0, Stage(stage.begin, stage.end, rows, stage.sources))
        batch = rows
    return tuple(found)
