"""The reports: Markdown for people, JSON for scripts, and a page that sets the classes of
processors side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from peers.aims import aim_of
from peers.exactness import LIMITS, shown
from peers.table import Ratio, Table, summary
from peers.timing import Times

__all__ = ["classes", "markdown", "summaries"]

ERRORS = (
    "The largest error of each result against float64, over the largest element, on Gaussian "
    f"numbers. Up to {LIMITS['standard']:.0e} a peer counts beside every column of fastconv, up to "
    f"{LIMITS['fast']:.0e} beside `fast` alone, and above that beside none, however fast it is."
)


_ABOUT = (
    "By the instruction set that fastconv runs, one machine each (`held`: a processor with "
    "AVX-512 on which all contenders were held to AVX2; `amd`: a processor of AMD's); written by "
    "`make peers` from "
    "the reports that the heads of the columns lead to, which have every case. A figure is "
    "fastconv's time over that of the best peer, the geometric mean (beside its aim, bold "
    "where it misses) and the largest: below 1, fastconv is faster. Of a convolution the peers "
    "count whose error is within that of the precision; the reports have every error. Figures "
    "of different columns are of different machines, and often of different versions."
)


def markdown(tables: Sequence[Table], facts: Mapping[str, str], command: str, isa: str) -> str:
    """Return the whole report of an instruction set."""
    parts = [
        f"# fastconv beside its peers, {isa}",
        f"Written by `{command}`. All contenders of a case took turns, in an order that is "
        "shuffled each round, and in one process unless a table says otherwise; every result was "
        "checked against fastconv's before it was timed. Times are microseconds a call: the "
        "median, and in brackets the minimum. Ratios are fastconv's median over the smallest "
        "median of the peers: below 1, fastconv is faster. The summary also has the geometric mean "
        "of the ratios of minima, which other users of the host disturb less.",
        "\n".join(f"- {title}: {text}" for title, text in facts.items()),
        "## Summary",
        _summary(summaries(tables), isa),
    ]
    for table in tables:
        parts += [f"## {table.title}", "\n".join(f"- {note}" for note in table.notes), _grid(table)]
        if any(row.errors for row in table.rows):
            parts += [ERRORS, _errors(table)]
    return "\n\n".join(parts) + "\n"


def summaries(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Return what a report says of each ratio: geometric mean, largest, and where."""
    return [
        {
            "table": table.title,
            "ratio": ratio.label,
            "cases": len(values),
            **summary(values),
            "mean_of_minima": summary(table.values(replace(ratio, statistic="minimum")))[
                "geometric_mean"
            ],
        }
        for table in tables
        for ratio in table.ratios
        if (values := table.values(ratio))
    ]


def classes(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page of all classes: for each instruction set, a report's facts and summary."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for isa, data in found.items():
        for one in data["summary"]:
            aim = aim_of(one["table"], one["ratio"], isa)
            cell = f"{_against(one['geometric_mean'], aim.mean)} / {one['worst']:.2f}"
            rows.setdefault((one["table"], one["ratio"]), {})[isa] = cell
    facts = ("date", "processor", "versions", "run", "quiet")
    about = [[fact, *(data["facts"].get(fact, "") for data in found.values())] for fact in facts]
    links = [f"[{isa}](peers/{isa}.md)" for isa in found]
    return (
        "\n\n".join(
            [
                "# fastconv beside its peers",
                _ABOUT,
                _lines(["", *links], about),
                "## Summary",
                _lines(
                    ["table: ratio", *links],
                    [
                        [f"{table}: {ratio}", *(cells.get(isa, "") for isa in found)]
                        for (table, ratio), cells in rows.items()
                    ],
                ),
            ]
        )
        + "\n"
    )


def _summary(found: Sequence[Mapping[str, Any]], isa: str) -> str:
    rows = [
        [
            one["table"],
            one["ratio"],
            str(one["cases"]),
            _against(one["geometric_mean"], aim.mean),
            f"{one['mean_of_minima']:.2f}",
            _against(one["worst"], aim.largest),
            one["worst_at"],
        ]
        for one in found
        for aim in [aim_of(one["table"], one["ratio"], isa)]
    ]
    head = ["table", "ratio", "cases", "geometric mean (aim)", "of minima", "largest (aim)", "at"]
    return _lines(head, rows)


def _against(value: float, aim: float | None) -> str:
    """Return a figure beside its aim; it is bold if it misses that."""
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


def _errors(table: Table) -> str:
    names = [name for name in table.contenders() if any(name in row.errors for row in table.rows)]
    rows = [
        [row.name, *(shown(row.errors[n]) if n in row.errors else "" for n in names)]
        for row in table.rows
    ]
    return _lines(["error", *names], rows)


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
