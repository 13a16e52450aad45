"""The report: Markdown for people, JSON for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .table import Ratio, Table, summary
from .timing import Times

__all__ = ["markdown"]


def markdown(tables: Sequence[Table], facts: Mapping[str, str], command: str) -> str:
    """Return the whole report."""
    parts = [
        "# fastconv beside its peers",
        f"Written by `{command}`. All contenders of a case ran in one process, taking turns in an "
        "order that is shuffled each round; every result was checked against fastconv's before it "
        "was timed. Times are microseconds a call: the median, and in brackets the minimum. Ratios "
        "are fastconv's median over the smallest median of the peers: below 1, fastconv is "
        "faster.",
        "\n".join(f"- {title}: {text}" for title, text in facts.items()),
        "## Summary",
        _summary(tables),
    ]
    for table in tables:
        parts += [f"## {table.title}", "\n".join(f"- {note}" for note in table.notes), _grid(table)]
    return "\n\n".join(parts) + "\n"


def _summary(tables: Sequence[Table]) -> str:
    rows = []
    for table in tables:
        for ratio in table.ratios:
            values = table.values(ratio)
            if values:
                found = summary(values)
                rows.append([
                    table.title, ratio.label, str(len(values)),
                    _against(found["geometric_mean"], ratio.aim),
                    _against(found["worst"], ratio.most), found["worst_at"],
                ])  # fmt: skip
    head = ["table", "ratio", "cases", "geometric mean (aim)", "largest (aim)", "at"]
    return _lines(head, rows)


def _against(value: float, aim: float | None) -> str:
    """Return a figure beside its aim; bold where it misses."""
    if aim is None:
        return f"{value:.2f}"
    return f"{value:.2f} ({aim:.2f})" if value <= aim else f"**{value:.2f}** ({aim:.2f})"


def _grid(table: Table) -> str:
    facts, contenders = table.facts(), table.contenders()
    ratios = [ratio for ratio in table.ratios if ratio.tag is None and table.values(ratio)]
    rows = []
    for row in table.rows:
        cells = [row.facts.get(fact, "") for fact in facts]
        cells += [_times(row.times.get(name)) for name in contenders]
        rows.append([row.name, *cells, *(_ratio(ratio.of(row)) for ratio in ratios)])
    means = [_mean(table, ratio) for ratio in ratios]
    if means and len(rows) > 1:
        rows.append(["geometric mean", *[""] * (len(facts) + len(contenders)), *means])
    return _lines(["case", *facts, *contenders, *(ratio.label for ratio in ratios)], rows)


def _mean(table: Table, ratio: Ratio) -> str:
    return _ratio(summary(table.values(ratio))["geometric_mean"])


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _times(times: Times | None) -> str:
    return "" if times is None else f"{_micro(times.median)} ({_micro(times.minimum)})"


def _micro(seconds: float) -> str:
    value = seconds * 1e6
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ruler, *rows))
