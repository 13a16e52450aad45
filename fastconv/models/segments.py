"""Which parts of a network a step of training computes again, so that it keeps within a limit.

The contexts of a segment that is computed again are not kept: its inputs are, and when the
backward pass comes to it, it runs forward once more.  Each activation is computed at most twice.

References
----------
Chen, Xu, Zhang and Guestrin, "Training Deep Nets with Sublinear Memory Cost" (2016), for
segments; Beaumont et al., "Optimal checkpointing for heterogeneous chains" (2019), for choosing
them by dynamic programming.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fastconv.layers.spec import LayerCosts
from fastconv.models.program import Segment, segment, whole
from fastconv.models.tally import Tally

__all__ = ["Segmenter"]

Segments = tuple[Segment, ...]


class Segmenter:
    """Finds segments for one batch, given what each call takes for a while.

    Parameters
    ----------
    tally : Tally
    costs : sequence of LayerCosts
    forward, backward : sequence of int
        Temporary bytes of each operation, both ways.
    always : int
        Bytes that live all the time.
    """

    def __init__(
        self,
        tally: Tally,
        costs: Sequence[LayerCosts],
        forward: Sequence[int],
        backward: Sequence[int],
        always: int,
    ) -> None:
        self.tally, self.costs, self.always = tally, costs, always
        self.forward, self.backward = forward, backward
        self.schedule = tally.schedule
        self.count = len(self.schedule.operations)
        self._peaks: dict[Segments, int] = {}

    def peak(self, segments: Segments) -> int:
        """Return the most bytes alive at one time in a step with these segments."""
        if segments not in self._peaks:
            found = self.tally.train(self.costs, segments)
            most = found.loss
            for at in range(self.count):
                most = max(
                    most,
                    max(found.forward[at], found.again[at]) + self.forward[at],
                    found.backward[at] + self.backward[at],
                )
            self._peaks[segments] = most + self.always
        return self._peaks[segments]

    def least(self) -> tuple[Segments, int]:
        """Return the segments of the smallest peak, and that peak."""
        best = whole(self.schedule)
        low, high = 0, self.peak(best)
        self._measure()
        while low < high:  # the estimate is good; what counts is the peak of what it leads to
            middle = (low + high) // 2
            found = self._within(middle)
            if found is None:
                low = middle + 1
            else:
                high = middle
                best = min(best, found, key=self.peak)
        return best, self.peak(best)

    def within(self, limit: int) -> Segments | None:
        """Return segments that keep within `limit` and compute little again, or None."""
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
        """Keep the contexts of as many segments as `limit` allows, costly ones first."""

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

    # The estimate: for each pair of places what a segment between them takes beside what is
    # held at its beginning.

    def _measure(self) -> None:
        tally, operations, count = self.tally, self.schedule.operations, self.count
        self._crossing = [tally.crossing(at) for at in range(count + 1)]
        size = tally.sizes.__getitem__
        readers: dict[int, int] = {}  # owner -> the last operation that reads it
        for at, op in enumerate(operations):
            readers.update({tally.owner[source]: at for source in op.sources})
        outputs = tally.bytes_of(self.schedule.outputs)
        learned = [0] * (count + 1)
        names: set[str] = set()
        for at in reversed(range(count)):
            name = operations[at].name
            own = 0 if name in names else tally.gradients.get(name, 0)
            learned[at] = learned[at + 1] + own
            names.add(name)
        needs = {tally.owner[value] for value, needed in enumerate(tally.needs) if needed}
        flowing = [sum(map(size, crossing & needs)) for crossing in self._crossing]
        flowing[count] = outputs
        shape = count, count + 1
        self._forward_peaks = np.zeros(shape, np.int64)
        self._again_peaks, self._backward_peaks = np.zeros(shape, np.int64), np.zeros(
            shape, np.int64
        )
        for begin in range(count):
            held = self._crossing[begin]
            alive: set[int] = set()
            kept: set[int] = set()
            saved = forward = again = backward = 0
            for at in range(begin, count):
                op, cost = operations[at], self.costs[at]
                here = {tally.owner[value] for value in (*op.sources, op.target)} - held
                alive |= here
                own = tally.saved(at, cost)
                live = sum(map(size, alive)) + own + self.forward[at]
                forward = max(forward, live)
                both = sum(map(size, alive | kept)) + saved + own + self.forward[at]
                again = max(again, both)
                kept |= {tally.owner[value] for value in tally.kept(at, cost)} - held
                saved += own
                grown = {tally.owner[s] for s in op.sources} & needs - self._crossing[at + 1]
                gradients = flowing[at + 1] + sum(map(size, grown)) + learned[at] + outputs
                if tally.needs[op.target]:
                    here_back = sum(map(size, kept)) + saved + gradients + self.backward[at]
                    backward = max(backward, here_back)
                alive = {owner for owner in alive if readers.get(owner, -1) > at}
                self._forward_peaks[begin, at + 1] = forward
                self._again_peaks[begin, at + 1] = again
                self._backward_peaks[begin, at + 1] = backward
        resumed = np.array([flowing[at] + learned[at] + outputs for at in range(count + 1)])
        self._segment_peaks = np.maximum(
            np.maximum(self._forward_peaks, self._again_peaks + resumed), self._backward_peaks
        )
        self._allowed = [self._may_begin(at) for at in range(count)]

    def _may_begin(self, at: int) -> bool:
        """Whether what crosses here stays as it is: no later operation writes over it."""
        tally = self.tally
        return not any(
            op.in_place and tally.owner[op.sources[0]] in self._crossing[at]
            for op in self.schedule.operations[at:]
        )

    def _within(self, limit: int) -> Segments | None:
        size: Callable[[int], int] = self.tally.sizes.__getitem__
        count, limit = self.count, limit - self.always
        held: list[int | None] = [None] * (count + 1)
        before = [0] * (count + 1)
        held[0] = sum(map(size, self._crossing[0]))
        for end in range(1, count):
            if not self._allowed[end]:
                continue
            for begin in range(end):
                start = held[begin]
                if start is None or start + self._segment_peaks[begin, end] > limit:
                    continue
                new = start + sum(map(size, self._crossing[end] - self._crossing[begin]))
                best = held[end]
                if best is None or new < best:
                    held[end], before[end] = new, begin
        for begin in range(count):
            start = held[begin]
            last = max(self._again_peaks[begin, count], self._backward_peaks[begin, count])
            if start is not None and start + last <= limit:
                break
        else:
            return None
        found = [Segment(begin, count)]
        while begin:
            begin, end = before[begin], begin
            found.append(segment(self.schedule, begin, end))
        return tuple(reversed(found))
