"""The figures of many batches together, exact for batches of any sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv.training.metrics.counting import CountingMetric
from fastconv.training.metrics.measuring import added, figure_of

__all__ = ["Totals"]

Array = np.ndarray[Any, Any]


#: Counts that have grown by less than one part in so many are added up later.
PARTS = 8


class _Counts:
    """The counts of one metric, which are added up when enough of them have come together."""

    def __init__(self, metric: CountingMetric, counts: Array) -> None:
        self._metric, self._sum = metric, counts
        self._more: list[Array] = []
        self._figure: float | None = None

    def add(self, counts: Array) -> None:
        self._more.append(counts)
        if PARTS * sum(more.size for more in self._more) >= self._sum.size:
            self.all()

    def all(self) -> Array:
        """Return the counts of all rows."""
        if self._more:
            parts = self._more
            while len(parts) > 1:  # in pairs, since some counts are the longer the more there are
                pairs = zip(parts[::2], parts[1::2], strict=False)
                odd = parts[len(parts) & ~1 :]
                parts = [added(self._metric, one, other) for one, other in pairs] + odd
            self._sum, self._more = added(self._metric, self._sum, parts[0]), []
            self._figure = None
        return self._sum

    @property
    def figure(self) -> float:
        """The figure of the counts that have been added up."""
        if self._figure is None:
            self._figure = figure_of(self._metric, self._sum)
        return self._figure


class Totals:
    """By name: sums and what they are divided by, or the counts of a metric that keeps counts."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {}
        self._counts: dict[str, _Counts] = {}
        self._order: dict[str, None] = {}

    def add(self, name: str, total: float, count: float) -> None:
        """Add the sum `total` of `count` figures, or of figures that weigh `count` together."""
        before, counted = self._sums.get(name, (0.0, 0))
        self._sums[name] = before + total, counted + count
        self._order[name] = None

    def count(self, name: str, metric: CountingMetric, counts: Array) -> None:
        """Add what `metric` counted in some rows."""
        if name in self._counts:
            self._counts[name].add(counts)
        else:
            self._counts[name] = _Counts(metric, counts)
        self._order[name] = None

    def merge(self, state: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
        """Add what the `state` of other totals has; `metrics` has the metric of each name."""
        for name, held in state.items():
            if isinstance(held, np.ndarray):
                self.count(name, metrics[name], held)
            else:
                self.add(name, *held)

    def means(self, prefix: str = "") -> dict[str, float]:
        """Return the figures by `prefix` + name; where all weights are 0, a mean is 0."""
        for counts in self._counts.values():
            counts.all()
        return {prefix + name: figure for name, figure in self.so_far().items()}

    def so_far(self) -> dict[str, float]:
        """Return what `means` does, but counts that take long to add up may be a bit behind."""
        return {name: self._figure(name) for name in self._order}

    def _figure(self, name: str) -> float:
        if name in self._counts:
            return self._counts[name].figure
        total, count = self._sums[name]
        return total / count if count else 0.0

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes: for each name a list of two numbers, or an array."""
        return {
            name: self._counts[name].all() if name in self._counts else list(self._sums[name])
            for name in self._order
        }

    def restore(self, state: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; `metrics` has the metric of each name."""
        self.__init__()  # type: ignore[misc]
        self.merge(state, metrics)
