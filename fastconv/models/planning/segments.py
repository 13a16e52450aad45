"""Which parts of a network a step of training computes again, so that it keeps within a limit.

If a segment is to be computed again, its inputs are kept and its contexts are not.  When the
backward pass comes to it, it runs forward once more.  Each activation is computed at most twice.

References
----------
Chen, Xu, Zhang and Guestrin, "Training Deep Nets with Sublinear Memory Cost" (2016), for
segments; Beaumont et al., "Optimal checkpointing for heterogeneous chains" (2019), for choosing
them by dynamic programming.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastconv.layers.spec import LayerCosts
from fastconv.models.planning.steps import trace_step
from fastconv.models.planning.tally import Tally
from fastconv.models.running import Segment, segment, whole

__all__ = ["Segmenter"]

Segments = tuple[Segment, ...]


class Segmenter:
    """Finds segments for one batch, given the temporary memory of each call.

    Parameters
    ----------
    tally : Tally
    costs : sequence of LayerCosts
    forward, backward : sequence of int
        Temporary bytes of each operation in the two passes.
    always : int
        Bytes that are alive all the time.
    measured : (int, int)
        Bytes that the losses and the metrics take.
    """

    def __init__(
        self,
        tally: Tally,
        costs: Sequence[LayerCosts],
        forward: Sequence[int],
        backward: Sequence[int],
        always: int,
        measured: tuple[int, int],
    ) -> None:
        self.tally, self.costs, self.always = tally, costs, always
        self.loss, self.metrics = measured
        self.forward, self.backward = forward, backward
        self.schedule = tally.schedule
        self.count = len(self.schedule.operations)
        self._peaks: dict[Segments, int] = {}
        self._gains: dict[tuple[int, int], int] = {}
        self._least: tuple[Segments, int] | None = None
        # (lowest limit, highest limit, what _within finds for both and all between them)
        self._known: list[tuple[int, int, Segments | None]] = []

    def peak(self, segments: Segments) -> int:
        """Return the most bytes alive at one time in a step with these segments."""
        if segments not in self._peaks:
            found = trace_step(self.tally, self.costs, segments)
            most = max(found.loss + self.loss, found.metrics + self.metrics)
            for at in range(self.count):
                most = max(
                    most,
                    max(found.forward[at], found.again[at]) + self.forward[at],
                    found.backward[at] + self.backward[at],
                )
            self._peaks[segments] = most + self.always
        return self._peaks[segments]

    def least(self) -> tuple[Segments, int]:
        """Return the segments with the smallest peak, and that peak."""
        if self._least is None:
            self._least = self._found_least()
        return self._least

    def _found_least(self) -> tuple[Segments, int]:
        best = whole(self.schedule)
        if not self.count:
            return best, self.peak(best)
        low, high = 0, self.peak(best)
        self._measure()
        while low < high:  # the estimate leads the search, but only the true peak decides
            middle = (low + high) // 2
            found = self._within(middle)
            if found is None:
                low = middle + 1
            else:
                high = middle
                best = min(best, found, key=self.peak)
        return best, self.peak(best)

    def within(self, limit: int) -> Segments | None:
        """Return segments that keep within `limit` and compute little again, or None if none do."""
        everything = whole(self.schedule)
        if self.peak(everything) <= limit:
            return everything
        smallest, least = self.least()
        if least > limit:
            return None
        found = smallest
        for target in np.linspace(limit, least, 8).astype(int).tolist():
            tried = self._within(target)
            if tried is not None and self.peak(tried) <= limit:
                found = tried
                break
        return self._kept_where_possible(found, limit)

    def _kept_where_possible(self, segments: Segments, limit: int) -> Segments:
        """Keep the contexts of as many segments as `limit` allows, those of most work first."""

        def work(at: int) -> int:
            part = segments[at]
            costs = self.costs[part.begin : part.end]
            return sum(cost.multiply_adds for cost in costs) + part.end - part.begin

        recomputed = [at for at, part in enumerate(segments) if part.recomputed]
        for at in sorted(recomputed, key=work, reverse=True):
            kept = Segment(segments[at].begin, segments[at].end)
            tried = (*segments[:at], kept, *segments[at + 1 :])
            if self.peak(tried) <= limit:
                segments = tried
        return segments

    # The estimate: for each pair of places, what a segment between them takes besides what is
    # held where it begins.

    def _measure(self) -> None:
        count = self.count
        self._crossing = [self.tally.crossing(at) for at in range(count + 1)]
        self._survey()
        shape = count, count + 1
        self._forward_peaks = np.zeros(shape, np.int64)
        self._again_peaks = np.zeros(shape, np.int64)
        self._backward_peaks = np.zeros(shape, np.int64)
        self._places = [0, *(at for at in range(1, count) if self._may_begin(at))]
        for begin in self._places:
            self._measure_from(begin)
        self._segment_peaks = np.maximum(
            np.maximum(self._forward_peaks, self._again_peaks + self._resumed), self._backward_peaks
        )

    def _survey(self) -> None:
        """Note for each operation what it reads, writes and keeps, and the bytes of gradients."""
        tally, operations, count = self.tally, self.schedule.operations, self.count
        owner, size = tally.owner, tally.sizes.__getitem__
        self._readers: dict[int, int] = {}  # owner -> the last operation that reads it
        for at, op in enumerate(operations):
            self._readers.update({owner[source]: at for source in op.sources})
        outputs = tally.bytes_of(self.schedule.outputs)
        learned = [0] * (count + 1)
        names: set[str] = set()
        for at in reversed(range(count)):
            name = operations[at].name
            own = 0 if name in names else tally.gradients.get(name, 0)
            learned[at] = learned[at + 1] + own
            names.add(name)
        needs = {owner[value] for value, needed in enumerate(tally.needs) if needed}
        flowing = [sum(map(size, crossing & needs)) for crossing in self._crossing]
        flowing[count] = outputs
        # for each operation: the arrays that it reads and writes, those that its context keeps,
        # the bytes that the context keeps besides, and the bytes of gradients while it runs
        # backward
        self._touched = [{owner[value] for value in (*op.sources, op.target)} for op in operations]
        self._kept_by = [{owner[v] for v in tally.kept(at, self.costs[at])} for at in range(count)]
        self._saves = [tally.saved(at, self.costs[at]) for at in range(count)]
        self._gradients = []
        for at, op in enumerate(operations):
            grown = {owner[source] for source in op.sources} & needs - self._crossing[at + 1]
            more = sum(map(size, grown)) + learned[at] + outputs
            self._gradients.append(flowing[at + 1] + more)
        self._resumed = np.array([flowing[at] + learned[at] + outputs for at in range(count + 1)])

    def _measure_from(self, begin: int) -> None:
        """Note the peaks of all segments that begin at one place."""
        tally, sizes, operations = self.tally, self.tally.sizes, self.schedule.operations
        held = self._crossing[begin]
        alive: set[int] = set()
        kept: set[int] = set()
        living = keeping = both = 0  # bytes of `alive`, of `kept`, of either
        saved = forward = again = backward = 0
        for at in range(begin, self.count):
            for array in self._touched[at] - held - alive:
                alive.add(array)
                living += sizes[array]
                both += 0 if array in kept else sizes[array]
            besides = self._saves[at] + self.forward[at]
            forward = max(forward, living + besides)
            again = max(again, both + saved + besides)
            for array in self._kept_by[at] - held - kept:
                kept.add(array)
                keeping += sizes[array]
                both += 0 if array in alive else sizes[array]
            saved += self._saves[at]
            if tally.needs[operations[at].target]:
                here = keeping + saved + self._gradients[at] + self.backward[at]
                backward = max(backward, here)
            for array in self._touched[at] & alive:
                if self._readers.get(array, -1) <= at:
                    alive.remove(array)
                    living -= sizes[array]
                    both -= 0 if array in kept else sizes[array]
            self._forward_peaks[begin, at + 1] = forward
            self._again_peaks[begin, at + 1] = again
            self._backward_peaks[begin, at + 1] = backward

    def _may_begin(self, at: int) -> bool:
        """Return whether no later operation writes over what crosses here."""
        tally = self.tally
        return not any(
            op.over is not None and tally.owner[op.sources[op.over]] in self._crossing[at]
            for op in self.schedule.operations[at:]
        )

    def _within(self, limit: int) -> Segments | None:
        """Return the segments that the estimate finds best for `limit`, or None."""
        for lowest, highest, known in self._known:
            if lowest <= limit <= highest:
                return known
        needed, found = self._search(limit - self.always)
        # A path is best for every limit down to what it needs itself: a lower limit only rules
        # out other paths.
        self._known.append((needed + self.always, limit, found))
        return found

    def _search(self, limit: int) -> tuple[int, Segments | None]:
        """Return the bytes that the best segments within `limit` need, and these, or None."""
        count, size = self.count, self.tally.sizes.__getitem__
        held = {0: sum(map(size, self._crossing[0]))}  # of places that can be reached
        before = {}
        for end in self._places[1:]:
            best = None
            peaks = self._segment_peaks[:, end]
            for begin, start in held.items():
                if start + peaks[begin] <= limit:
                    new = start + self._gained(begin, end)
                    if best is None or new < best:
                        best, before[end] = new, begin
            if best is not None:
                held[end] = best
        lasts = np.maximum(self._again_peaks[:, count], self._backward_peaks[:, count])
        for begin in held:
            if held[begin] + lasts[begin] <= limit:
                break
        else:
            return -self.always, None
        needed = held[begin] + int(lasts[begin])
        found = [Segment(begin, count)]
        while begin:
            begin, end = before[begin], begin
            needed = max(needed, held[begin] + int(self._segment_peaks[begin, end]))
            found.append(segment(self.schedule, begin, end))
        return needed, tuple(reversed(found))

    def _gained(self, begin: int, end: int) -> int:
        """Return the bytes held at `end` that were not yet held at `begin`."""
        key = begin, end
        if key not in self._gains:
            new = self._crossing[end] - self._crossing[begin]
            self._gains[key] = sum(map(self.tally.sizes.__getitem__, new))
        return self._gains[key]
