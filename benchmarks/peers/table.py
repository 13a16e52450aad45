"""A table of results: rows of times, and ratios of fastconv to the best of its peers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from peers.timing import Times

__all__ = ["Ratio", "Row", "Table", "summary"]


@dataclass(frozen=True)
class Row:
    """A case.

    Attributes
    ----------
    name : str
    times : mapping of str to Times
        The times by contender.
    facts : mapping of str to str
        What else is said of the case, by column.
    tags : frozenset of str
        The tags by which ratios choose their rows.
    errors : mapping of str to float
        The largest error of each contender's result, over the largest element; see `exactness`.
    indirect : frozenset of str
        Contenders that may do with fewer multiplications than the direct sums have.
    """

    name: str
    times: Mapping[str, Times]
    facts: Mapping[str, str] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    errors: Mapping[str, float] = field(default_factory=dict)
    indirect: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ratio:
    """The time of one contender over that of the best of others; below 1, it is faster.

    Attributes
    ----------
    label : str
    ours : str
    peers : tuple of str
    tag : str, optional
        Only rows that have it count.
    statistic : str
        The field of `Times` that is compared.
    within : float, optional
        Peers whose error is larger than this do not count.
    direct : bool
        Only peers count that do all multiplications.
    """

    label: str
    ours: str
    peers: Sequence[str]
    tag: str | None = None
    statistic: str = "median"
    within: float | None = None
    direct: bool = False

    def of(self, row: Row) -> float | None:
        """Return the ratio of a row, or None if it does not have both times."""
        peers = [getattr(row.times[p], self.statistic) for p in self.peers if self._counts(p, row)]
        if self.ours not in row.times or not peers or (self.tag and self.tag not in row.tags):
            return None
        return float(getattr(row.times[self.ours], self.statistic) / min(peers))

    def _counts(self, peer: str, row: Row) -> bool:
        exact = self.within is None or row.errors.get(peer, 0.0) <= self.within
        return peer in row.times and exact and not (self.direct and peer in row.indirect)


@dataclass
class Table:
    """Rows that were measured in one way.

    Attributes
    ----------
    title : str
    notes : sequence of str
        What the timing includes, and what it does not.
    ratios : sequence of Ratio
    rows : list of Row
    """

    title: str
    notes: Sequence[str]
    ratios: Sequence[Ratio]
    rows: list[Row] = field(default_factory=list)

    def values(self, ratio: Ratio) -> dict[str, float]:
        """Return the ratio of each row that has it, by the row's name."""
        found = {row.name: ratio.of(row) for row in self.rows}
        return {name: value for name, value in found.items() if value is not None}

    def contenders(self) -> list[str]:
        """Return all contenders of all rows, in their order."""
        return list(dict.fromkeys(name for row in self.rows for name in row.times))

    def facts(self) -> list[str]:
        """Return the columns of facts, in their order."""
        return list(dict.fromkeys(name for row in self.rows for name in row.facts))

    def to_json(self) -> dict[str, Any]:
        """Return everything, seconds and ratios, as plain JSON."""
        return {
            "title": self.title,
            "notes": list(self.notes),
            "rows": [
                {
                    "name": row.name,
                    "facts": dict(row.facts),
                    "tags": sorted(row.tags),
                    "errors": dict(row.errors),
                    "indirect": sorted(row.indirect),
                    "seconds": {name: vars(times) for name, times in row.times.items()},
                    "ratios": {r.label: value for r in self.ratios if (value := r.of(row))},
                }
                for row in self.rows
            ],
            "ratios": [
                {**vars(ratio), "peers": list(ratio.peers), **summary(values)}
                for ratio in self.ratios
                if (values := self.values(ratio))
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Table:
        """Return the table that another process has measured, from what its `to_json` gave."""
        known = {one.name for one in fields(Ratio)}
        ratios = [Ratio(**{k: v for k, v in one.items() if k in known}) for one in data["ratios"]]
        rows = [
            Row(
                row["name"],
                {name: Times(**times) for name, times in row["seconds"].items()},
                row["facts"],
                frozenset(row["tags"]),
                row["errors"],
                frozenset(row["indirect"]),
            )
            for row in data["rows"]
        ]
        return cls(data["title"], data["notes"], ratios, rows)


def summary(values: Mapping[str, float]) -> dict[str, Any]:
    """Return geometric mean, the largest value and where it is."""
    worst = max(values, key=lambda name: values[name])
    mean = math.exp(math.fsum(map(math.log, values.values())) / len(values))
    return {"geometric_mean": mean, "worst": values[worst], "worst_at": worst}
