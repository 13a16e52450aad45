"""Keeps inference within a number of bytes, by running fewer rows at a time, stage by stage.

The first layers have the large activations and the last ones the large weights.  So a network
may be cut into stages: the first runs on few rows at a time, and the rows it makes are gathered
until there are enough for the next one to be worth its packed weights.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from functools import partial

from fastconv.models.planning.calls import beside, splitting_seconds
from fastconv.models.planning.prices import Fitted, LeastBytes, Prices, Way
from fastconv.models.running import Allowance, Operation, Program, Stage, whole

__all__ = ["InferenceFit"]

#: How many places to cut at are tried, and how many cuts a network may have.
PLACES, CUTS = 6, 2
#: How many ways a network remembers.
WAYS = 64


class InferenceFit:
    """Looks for the program of inference that takes the least estimated time.

    The algorithms are chosen for one row, so that they depend on the limit and not on how many
    rows there are.  The search for where to cut, and for the layers that pack for each call, is
    done once for all numbers of rows that differ by less than a quarter.  How many rows are
    computed at a time, and the workspaces, are found for each number.

    Parameters
    ----------
    prices : Prices
    limit : int
    batch : int
        How many rows the run gets.
    results : int
        How many rows of results the run makes in all.
    """

    def __init__(self, prices: Prices, limit: int, batch: int, results: int) -> None:
        self.prices, self.limit, self.batch, self.results = prices, limit, batch, results
        self.operations = prices.operations
        self._like([False] * len(self.operations))

    def _like(self, free: list[bool]) -> None:
        """Give the operations that are `free` the algorithm that they prefer."""
        self.free = free
        # The search asks the same of the same operations again and again.
        self._packed: dict[frozenset[str], tuple[int, dict[str, int]]] = {}
        self._own: dict[tuple[frozenset[str], int], list[int]] = {}
        self._most: dict[tuple[frozenset[str], int, int, int], int] = {}
        self._lent: dict[tuple[frozenset[str], int, int], int] = {}

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
        way = self._known_way(_rounded(self.batch), _rounded(self.results), anyhow=False)
        if way is None:
            way = self._known_way(self.batch, self.results, anyhow=True)
        assert way is not None, "the least of all was checked"
        self._like(list(way.free))
        found = self._most_rows(way.cuts, way.kept)
        assert found is not None, "fewer rows take less"
        return self._program(_balanced(self.batch, found[1]), way.kept)

    def _known_way(self, batch: int, results: int, *, anyhow: bool) -> Way | None:
        """Return the way that was found before for so many rows, or look for one."""
        known = self.prices.shared.ways
        key = self.limit, tuple(self.prices.input_bytes), batch, results, anyhow
        with contextlib.suppress(KeyError):  # threads share the ways, and another may clear them
            return known[key]
        way = InferenceFit(self.prices, self.limit, batch, results)._way(anyhow)
        if len(known) >= WAYS:
            known.clear()
        known[key] = way
        return way

    def _way(self, anyhow: bool) -> Way | None:
        """Return the fastest way, or None if none fits.

        Unless `anyhow`, also return None where the full result array would force another algorithm
        on some operation than a single row would.
        """
        self._like(self._liked(0))
        if not self._fits(self._stages((), [1]), frozenset(self.prices.released)):
            if not anyhow:
                return None
            # one row fitted within the limit, but only without the results of all rows
            self._like(self._liked(self.prices.result_bytes(self.results)))
        cuttings = list(self._choices_of_cuts())
        best: tuple[float, tuple[int, ...], frozenset[str]] | None = None
        for lent in self._choices_of_lent():
            kept = self.prices.packing_names - lent
            for cuts in cuttings:
                found = self._most_rows(cuts, kept)
                if found is not None and (best is None or found[0] < best[0]):
                    best = found[0], cuts, kept
        return None if best is None else Way(tuple(self.free), best[1], best[2])

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
        """Return the smallest limit that can be kept: row by row, weights packed for each call."""
        live = self.prices.live(self._stages((), [1]), self.results)
        most = 0
        for at, op in enumerate(self.operations):
            own = self._beside(at, 1, ()) + self.prices.cost(at, 1, 0).lowest_limit
            most = max(most, live[at] + self._others(op, self.prices.released) + own)
        return most

    def _liked(self, split: int) -> list[bool]:
        """Return for each operation whether its preferred algorithm fits when one row is run."""
        prices = self.prices
        live = prices.live(self._stages((), [1]), 1)
        found = []
        for at, op in enumerate(self.operations):
            others = self._others(op, prices.released) + self._beside(at, 1, ())
            room = self.limit - split - live[at] - others
            found.append(prices.cost(at, 1, None).lowest_limit <= room)
        return found

    def _others(self, op: Operation, kept: Collection[str]) -> int:
        """Return the bytes of packed weights of the layers `kept` that stay while `op` runs."""
        key = frozenset(kept)
        if key not in self._packed:
            own: dict[str, int] = {}
            for at, other in enumerate(self.operations):
                if other.name in kept:  # released weights were packed for all their algorithms
                    best = self.free[at] or other.name in self.prices.released
                    packed = self.prices.cost(at, 1, None if best else 0).packed
                    own[other.name] = max(own.get(other.name, 0), packed)
            self._packed[key] = sum(own.values()), own
        total, own = self._packed[key]
        # weights that were packed ahead stay, also while their own operation runs
        return total if op.name in self.prices.released else total - own.get(op.name, 0)

    def _beside(self, at: int, rows: int, kept: Collection[str]) -> int:
        """Return the bytes of packed weights that a call's workspace limit does not count: those
        that it packs, and those of a layer `kept` that this call does not read."""
        name, cost = self.operations[at].name, self.prices.cost(at, rows, 0)
        if name in self.prices.released:
            return 0
        if name in kept:
            return max(beside(cost), cost.workspace + cost.packed - cost.lowest_limit)
        return beside(cost)

    def _rooms(self, stages: Sequence[Stage], kept: Collection[str]) -> list[int]:
        """Return the workspace limit that each operation has room for."""
        live, rows = self.prices.live(stages, self.results), _rows(stages)
        return [
            self.limit - live[at] - self._others(op, kept) - self._beside(at, rows[at], kept)
            for at, op in enumerate(self.operations)
        ]

    def _fits(self, stages: Sequence[Stage], kept: frozenset[str]) -> bool:
        always = self.prices.always(stages, self.results)
        return all(
            nbytes + self._most_of(kept, stage.rows, stage.begin, stage.end) <= self.limit
            for nbytes, stage in zip(always, stages, strict=True)
        )

    def _most_of(self, kept: frozenset[str], rows: int, begin: int, end: int) -> int:
        """Return the most that an operation of a stage takes besides what is always alive."""
        key = kept, rows, begin, end
        if key not in self._most:
            if key[:2] not in self._own:
                self._own[key[:2]] = [
                    sum((nbytes, self._others(op, kept), self._beside(at, rows, kept)))
                    + self.prices.cost(at, rows, None if self.free[at] else 0).lowest_limit
                    for at, (op, nbytes) in enumerate(
                        zip(self.operations, self.prices.alive(rows), strict=True)
                    )
                ]
            self._most[key] = max(self._own[key[:2]][begin:end], default=0)
        return self._most[key]

    def _choices_of_lent(self) -> list[frozenset[str]]:
        """Return sets of layers that pack for each call: none, the largest, the two largest, …"""
        sizes: dict[str, int] = {}
        for at, op in enumerate(self.operations):
            cost = self.prices.cost(at, 1, None if self.free[at] else 0)
            if cost.packed and op.name not in self.prices.released:
                sizes[op.name] = max(sizes.get(op.name, 0), cost.packed)
        names = sorted(sizes, key=lambda name: -sizes[name])
        counts = {min(2**k, len(names)) for k in range(len(names).bit_length() + 1)}
        return [frozenset(names[:count]) for count in sorted({0, len(names)} | counts)]

    def _choices_of_cuts(self) -> Iterator[tuple[int, ...]]:
        """Yield sets of operations before which the network may be cut, where few bytes cross."""
        tally = self.prices.tally(1)
        chosen: dict[tuple[int, ...], tuple[int, int]] = {}
        for at in range(1, len(self.operations)):
            values = self.prices.schedule.crossings[at]
            if len({tally.owner[value] for value in values}) == len(values):
                # if the same values cross at neighbouring places, the first place is enough
                chosen.setdefault(values, (sum(tally.sizes[value] for value in values), at))
        sizes = {at: size for size, at in sorted(chosen.values())}
        # the sizes are smallest near the end, where a cut no longer helps the layers before it
        spread = sorted(sizes, key=lambda at: sizes[at] * at)[:PLACES]
        for count in range(CUTS + 1):
            yield from itertools.combinations(sorted(spread), count)

    def _stages(self, cuts: Sequence[int], rows: Sequence[int]) -> tuple[Stage, ...]:
        ends = [*cuts, len(self.operations)]
        return tuple(
            Stage(begin, end, count, self.prices.schedule.crossings[begin])
            for begin, end, count in zip([0, *cuts], ends, rows, strict=True)
        )

    def _most_rows(
        self, cuts: tuple[int, ...], kept: frozenset[str]
    ) -> tuple[float, tuple[Stage, ...]] | None:
        """Return (seconds, stages), having doubled rows where that saves most, while they fit."""
        rows = [1] * (len(cuts) + 1)
        stages = self._stages(cuts, rows)
        if not self._fits(stages, kept):
            return None
        best = self._seconds(stages, kept), stages
        while True:
            tried = []
            for at in range(len(rows)):
                more = min(self.batch, 2 * rows[at])
                raised = [*rows[:at], more, *(max(more, count) for count in rows[at + 1 :])]
                stages = self._stages(cuts, raised)
                if raised != rows and self._fits(stages, kept):
                    tried.append((self._seconds(stages, kept), raised, stages))
            if not tried or min(tried)[0] >= best[0]:
                return best
            seconds, rows, stages = min(tried, key=lambda one: one[0])
            best = seconds, stages

    def _seconds(self, stages: Sequence[Stage], kept: frozenset[str]) -> float:
        """Estimate the seconds that splitting costs."""
        lent = partial(self._lent_bytes, kept)
        return splitting_seconds(self.batch, stages, lent, self.prices.row_bytes)

    def _lent_bytes(self, kept: frozenset[str], begin: int, end: int) -> int:
        """Return the bytes that the operations of a stage pack for each call."""
        key = kept, begin, end
        if key not in self._lent:
            self._lent[key] = sum(
                self.prices.cost(at, 1, None if self.free[at] else 0).packed
                for at in range(begin, end)
                if self.operations[at].name not in kept
            )
        return self._lent[key]


def _rounded(rows: int) -> int:
    """Round up to three significant binary digits, so by at most a quarter."""
    unit = 1 << max(0, rows.bit_length() - 3)
    return -(-rows // unit) * unit


def _rows(stages: Sequence[Stage]) -> list[int]:
    """Return for each operation the rows of its stage."""
    return [stage.rows for stage in stages for _ in range(stage.begin, stage.end)]


def _balanced(batch: int, stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return the stages with their rows spread evenly over no more runs than before; stages of
    equally many rows are one."""
    found: list[Stage] = []
    for stage in reversed(stages):
        rows = math.ceil(batch / math.ceil(batch / stage.rows))
        end = found.pop(0).end if found and found[0].rows == rows else stage.end
        found.insert(0, Stage(stage.begin, end, rows, stage.sources))
        batch = rows
    return tuple(found)
