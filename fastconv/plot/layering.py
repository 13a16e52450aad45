"""Where the boxes of a graph stand, so that arrows go down and branches stand side by side.

Boxes are put on rows by the longest way that leads to them. Where an arrow passes a row it has a
place there as a box has, so that it runs beside the boxes. Places of a row are ordered, and then
moved, by the means of the places that they are connected to, in sweeps down and up (Sugiyama,
Tagawa and Toda, Methods for Visual Understanding of Hierarchical System Structures, 1981). Many
rows become several columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Layering", "layered"]

Point = tuple[float, float]

#: In inches: between boxes of a row, between rows, between columns, and between arrows.
ASIDE, BELOW, BETWEEN, LANE = 0.22, 0.26, 0.45, 0.1
#: A column has about so many rows.
ROWS = 22
_SWEEPS = 12


@dataclass(frozen=True)
class Layering:
    """A drawn graph, in inches from the upper left corner; `y` grows downwards.

    Attributes
    ----------
    places : list of (x, y)
        The middle of each box.
    arrows : list of (int, int, list of (x, y))
        Two boxes, and the corners of the arrow from one to the other.
    size : (width, height)
    """

    places: list[Point]
    arrows: list[tuple[int, int, list[Point]]]
    size: tuple[float, float]


class _Rows:
    """The boxes on their rows, with a place wherever an arrow passes a row."""

    def __init__(self, widths: Sequence[float], sources: Sequence[Sequence[int]]) -> None:
        self.widths = list(widths)
        self.row = _rows_of(sources)
        self.above: list[list[int]] = [[] for _ in widths]
        self.below: list[list[int]] = [[] for _ in widths]
        self.chains: list[list[int]] = []
        for target, given in enumerate(sources):
            for source in given:
                self.chains.append(self._chain(source, target))
        self.rows: list[list[int]] = [[] for _ in range(max(self.row) + 1)]
        for place, row in enumerate(self.row):
            self.rows[row].append(place)

    def _chain(self, source: int, target: int) -> list[int]:
        """Add the places where an arrow passes rows; return them, with the two ends."""
        chain = [source]
        for row in range(self.row[source] + 1, self.row[target]):
            chain.append(len(self.row))
            self.row.append(row)
            self.widths.append(0.0)
            self.above.append([])
            self.below.append([])
        chain.append(target)
        for upper, lower in zip(chain, chain[1:], strict=False):
            self.below[upper].append(lower)
            self.above[lower].append(upper)
        return chain

    def order(self) -> None:
        """Order each row by the means of where its neighbours stand in theirs."""
        at = {place: float(number) for row in self.rows for number, place in enumerate(row)}
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            for row in self.rows if down else self.rows[::-1]:
                near = self.above if down else self.below
                mean = {p: _mean([at[other] for other in near[p]], at[p]) for p in row}
                row.sort(key=mean.__getitem__)
                at.update((place, float(number)) for number, place in enumerate(row))

    def spread(self) -> list[float]:
        """Return the x of every place: near its neighbours' mean, and none over another."""
        x = [0.0] * len(self.row)
        for sweep in range(2 * _SWEEPS + 1):
            down = sweep % 2 == 0
            for row in self.rows if down else self.rows[::-1]:
                near = self.above if down else self.below
                wanted = [_mean([x[other] for other in near[place]], x[place]) for place in row]
                for place, found in zip(row, self._apart(row, wanted), strict=True):
                    x[place] = found
        return x

    def _apart(self, row: Sequence[int], wanted: Sequence[float]) -> list[float]:
        """Return what is nearest to `wanted` in the least squares and far enough apart.

        With the distances taken off, it is the regression that does not fall: neighbours that
        would pass each other share their mean.
        """
        offsets, at = [], 0.0
        for left, right in zip(row, [*row[1:], None], strict=True):
            offsets.append(at)
            if right is not None:
                at += (self.widths[left] + self.widths[right]) / 2 + ASIDE
        pools: list[tuple[float, int]] = []
        for value, offset in zip(wanted, offsets, strict=True):
            pools.append((value - offset, 1))
            while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
                (one, many), (other, more) = pools[-2:]
                pools[-2:] = [((one * many + other * more) / (many + more), many + more)]
        level = [mean for mean, count in pools for _ in range(count)]
        return [mean + offset for mean, offset in zip(level, offsets, strict=True)]


def layered(
    widths: Sequence[float], sources: Sequence[Sequence[int]], height: float, rows: int = ROWS
) -> Layering:
    """Return where boxes stand, of which each is drawn below its `sources`.

    Parameters
    ----------
    widths : sequence of float
        Of each box, in inches.
    sources : sequence of sequences of int
        For each box those before it that lead to it.
    height : float
        Of all boxes.
    rows : int
        About so many rows make a column.
    """
    graph = _Rows(widths, sources)
    graph.order()
    x = graph.spread()
    count = len(graph.rows)
    pieces = -(-count // rows)
    cuts = [0]
    for piece in range(1, pieces):
        cuts.append(_best_cut(graph, round(piece * count / pieces), cuts[-1] + 1))
    columns = [range(a, b) for a, b in zip(cuts, [*cuts[1:], count], strict=True)]
    return _in_columns(graph, x, columns, height)


def _best_cut(graph: _Rows, about: int, least: int) -> int:
    """Return the row, near `about`, above which the fewest arrows are cut."""
    near = range(max(least, about - 3), min(len(graph.rows) - 1, about + 3) + 1)
    return min(near, key=lambda row: (_cut(graph, row), abs(row - about)))


def _cut(graph: _Rows, row: int) -> int:
    return sum(len(graph.above[place]) for place in graph.rows[row])


def _in_columns(
    graph: _Rows, x: Sequence[float], columns: Sequence[range], height: float
) -> Layering:
    """Return the places with the columns beside each other, and the arrows between them."""
    pitch, most = height + BELOW, max(len(column) for column in columns)
    cuts = [_cut(graph, column.start) if column.start else 0 for column in columns]
    top = LANE * (max(cuts) + 1)
    place: dict[int, Point] = {}
    gutters, left = [], 0.0
    for column, cut in zip(columns, [*cuts[1:], 0], strict=True):
        inside = [p for row in column for p in graph.rows[row]]
        begin = min(x[p] - graph.widths[p] / 2 for p in inside)
        end = max(x[p] + graph.widths[p] / 2 for p in inside)
        for p in inside:
            y = top + height / 2 + (graph.row[p] - column.start) * pitch
            place[p] = (left + x[p] - begin, y)
        gutters.append(left + end - begin + BETWEEN / 2)
        left += end - begin + BETWEEN + LANE * cut
    turns = _turns(graph, place, columns, gutters, top, height)
    arrows = []
    for chain in graph.chains:
        corners: list[Point] = [(place[chain[0]][0], place[chain[0]][1] + height / 2)]
        for upper, lower in zip(chain, chain[1:], strict=False):
            corners += turns.get((upper, lower), [])
            across, down = place[lower]
            corners.append((across, down - height / 2))
            if lower != chain[-1]:
                corners.append((across, down + height / 2))
        arrows.append((chain[0], chain[-1], corners))
    boxes = [place[p] for p in range(len(graph.row) - sum(len(c) - 2 for c in graph.chains))]
    tall = 2 * top + (most - 1) * pitch + height
    return Layering(boxes, arrows, (left - BETWEEN, tall))


def _turns(
    graph: _Rows,
    place: dict[int, Point],
    columns: Sequence[range],
    gutters: Sequence[float],
    top: float,
    height: float,
) -> dict[tuple[int, int], list[Point]]:
    """Return the corners of what leads from the foot of a column to the head of the next one.

    The arrows lie in each other, so that these turns cross nothing.
    """
    found = {}
    for at, column in enumerate(columns[1:]):
        pairs = [(u, p) for p in graph.rows[column.start] for u in graph.above[p]]
        pairs.sort(key=lambda pair: (-place[pair[0]][0], -place[pair[1]][0]))
        foot = max(place[p][1] for row in columns[at] for p in graph.rows[row]) + height / 2
        for number, (upper, lower) in enumerate(pairs):
            low = foot + LANE * (number + 1)
            high = top - LANE * (len(pairs) - number)
            across = gutters[at] + LANE * number
            (begin, _), (end, _) = place[upper], place[lower]
            found[upper, lower] = [(begin, low), (across, low), (across, high), (end, high)]
    return found


def _rows_of(sources: Sequence[Sequence[int]]) -> list[int]:
    """Return the row of each box; what has no source stands just above its first reader."""
    row: list[int] = []
    for given in sources:
        row.append(max((row[source] for source in given), default=-1) + 1)
    for box, given in enumerate(sources):
        readers = [row[other] for other, those in enumerate(sources) if box in those]
        if not given and readers:
            row[box] = min(readers) - 1
    return row


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
