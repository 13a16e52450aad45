"""The present fastconv beside an older one, which is built from a commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from peers import older
from peers.cases import POOL_CASES, WIDE_POOLS, select
from peers.libraries import ours
from peers.networks import TRAINED
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress
from peers.versions import Lacking, Version, compare

NOW, BEFORE = "present", "older"


def run(settings: Settings) -> list[Table]:
    """Return a table for each kind of call, or none if no commit is asked for."""
    if not settings.against:
        return []
    package = older.build(settings.against)
    with ExitStack() as stack:
        now = Version(NOW, settings.threads)
        stack.callback(now.close)
        before = Version(BEFORE, settings.threads, package)
        stack.callback(before.close)
        return [
            _table(title, cases, (now, before), settings)
            for title, cases in _cases(settings).items()
        ]


def _cases(settings: Settings) -> dict[str, list[tuple[str, str, str]]]:
    """Return by title what is timed: the kind of call, the case, and the variant."""
    layers = [name for table in select(settings.layers).values() for name in table]
    pools = [*POOL_CASES, *WIDE_POOLS]
    forward = [
        ours.column(algorithm, precision)
        for algorithm in settings.algorithms
        for precision in (settings.precisions if algorithm == "auto" else ("standard",))
    ]
    gradients = {
        ours.column("gradients", p): "" if p == "standard" else p for p in settings.precisions
    }
    pooling = ("max", "argmax", "argmax backward", "average", "average backward")
    return {
        **{f"forward, {one}": [("forward", name, one) for name in layers] for one in forward},
        **{
            f"backward, {title}": [("backward", name, one) for name in layers]
            for title, one in gradients.items()
        },
        **{f"pooling, {one}": [("pooling", name, one) for name in pools] for one in pooling},
        "a step of training": [("training", name, "") for name in TRAINED],
    }


def _table(
    title: str,
    cases: list[tuple[str, str, str]],
    versions: tuple[Version, Version],
    settings: Settings,
) -> Table:
    now, before = (version.about for version in versions)
    table = Table(
        f"Against an older fastconv: {title}",
        [
            f"Present: {now['version']}, {now['isa']}. Older: {before['version']}, "
            f"{before['isa']}, built from the commit {settings.against[:12]}. A process each, in "
            "turns; weights of forward convolutions are packed ahead. Results were held against "
            "each other first, but those of training."
        ],
        [Ratio("present / older", NOW, (BEFORE,))],
    )
    lacking = dict(_measured(table, cases, versions, settings))
    if lacking:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in lacking.items())
        table.notes = [*table.notes, f"Not in the older one: {reasons}."]
    return table


def _measured(
    table: Table,
    cases: list[tuple[str, str, str]],
    versions: tuple[Version, Version],
    settings: Settings,
) -> Iterator[tuple[str, str]]:
    """Add a row for each case; yield the cases that the older version lacks, with the reason."""
    for case in cases:
        name = case[1]
        progress(table.title, name)
        try:
            times = compare(versions, *case, settings.pace)
        except Lacking as error:
            if error.version is versions[0]:
                raise
            yield name, str(error)
        else:
            table.rows.append(Row(name, times))
