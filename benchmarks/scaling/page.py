"""Write the tables of docs/scale.md: ``python -m scaling.page``, from the folder benchmarks/."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from scaling.collectives import leaving, seconds
from scaling.constants import LINKS
from scaling.failures import Faults, daly, expected, young
from scaling.measured import Measured, load
from scaling.model import alone, step
from scaling.predictions import BATCH, CORES, RANKS, ROWS, Machines
from scaling.simulation import simulate

__all__ = ["FAULTS", "PAGE", "TABLES", "written"]

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
#: One machine fails once a year; a checkpoint takes ten seconds, a new start two minutes.
FAULTS = Faults(machines=1, lifetime=365 * 86400.0, checkpoint=10.0, restart=120.0)
#: Where tables about one network alone take it from.
EXAMPLE = "ResNet18"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; all columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)


def three(number: float) -> str:
    """Return a number with three digits, or all those before the point.

    Examples
    --------
    >>> three(0.01234), three(12.345), three(1234.5), three(2.0)
    ('0.0123', '12.3', '1,234', '2')
    """
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def time(given: float) -> str:
    """Return seconds in a unit that suits them.

    Examples
    --------
    >>> time(2.5), time(0.0123), time(4.2e-6), time(90000.0), time(5400.0), time(0.0)
    ('2.5 s', '12.3 ms', '4.2 µs', '25 h', '1.5 h', '0 s')
    """
    for unit, name in ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if given >= (1.5 * unit if unit > 1 else unit):
            return f"{three(given / unit)} {name}"
    return f"{three(given * 1e9)} ns" if given else "0 s"


def answer(measured: Measured) -> str:
    """Eight machines, batch 256."""
    kinds = {name: Machines(measured, link) for name, link in LINKS.items()}
    rows = []
    for name in measured.works:
        one = next(iter(kinds.values())).work(name)
        times = [f"{kind.strong(name, 256)[RANKS.index(8)]:.2g}" for kind in kinds.values()]
        megabytes = three(one.parameter_bytes / 1e6)
        rows.append([name, time(alone(one, 256)), megabytes, *times])
    return table(["network", "a step on one machine", "gradients, MB", *kinds], rows)


def constants(measured: Measured) -> str:
    """What was measured, but for the networks."""
    link, about = measured.link, measured.about
    rows = [
        ["processor", about["processor"]],
        ["instruction set", about["instruction set"]],
        ["ranks", about["ranks"]],
        ["messages", about["transport"]],
        ["versions", about["versions"]],
        ["date, and the rest of the machine", f"{about['date']}; {about['quiet']}"],
        ["overhead of a message", time(link.overhead)],
        ["latency of a message, beside that", time(link.latency)],
        ["bandwidth, both ways at once", f"{three(link.bandwidth / 1e9)} GB/s each way"],
        ["adding", f"{three(1e-9 / measured.adding)} GB/s"],
    ]
    return table(["constant", "measured"], rows)


def networks(measured: Measured) -> str:
    """What every network costs on one core."""
    rows = []
    for name, work in measured.works.items():
        products = measured.multiply_adds[name]
        rows.append(
            [
                name,
                three(work.parameter_bytes / 4e6),
                three(products / 1e6),
                time(work.row),
                three(3 * products / work.row / 1e9),
                time(work.piece),
                time(work.step),
            ]
        )
    head = ["network", "parameters, millions", "multiply-adds of a row, millions"]
    return table([*head, "a row", "10⁹ multiply-adds a second", "a piece", "a step"], rows)


def reproduced(measured: Measured) -> str:
    """Measured steps of two ranks beside the simulation."""
    rows = []
    for case, found in measured.steps:
        work = measured.works[case.network]
        made = simulate(work, measured.two, measured.job(case))
        off = f"{100 * (made / found - 1):+.1f} %"
        given = [case.network, str(case.batch), str(case.shards)]
        rows.append([*given, time(found), time(made), off])
    return table(["network", "batch", "pieces", "measured", "simulated", "difference"], rows)


def sums(measured: Measured) -> str:
    """Ways to sum the same gradients over more and more machines."""
    machines = Machines(measured, LINKS["10 Gbit/s"])
    nbytes = machines.work(EXAMPLE).parameter_bytes
    rows = []
    for algorithm, per_machine in (
        ("ring", 1),
        ("tree", 1),
        ("fixed", 1),
        ("fixed", CORES),
        ("hierarchical", CORES),
    ):
        times = []
        for n in (2, 8, 64, 1024):
            cluster = machines.cluster(n * per_machine, per_machine)
            times.append(time(seconds(algorithm, cluster, nbytes, cluster.ranks)))
        cluster = machines.cluster(8 * per_machine, per_machine)
        sent = leaving(algorithm, cluster, 1.0, cluster.ranks)
        shown = f"{algorithm}, {per_machine} {'rank' if per_machine == 1 else 'ranks'} a machine"
        rows.append([shown, f"{three(sent)} times", *times])
    return table(["sum", "bytes that leave one of 8 machines", *("2 8 64 1,024".split())], rows)


def limits(measured: Measured) -> str:
    """Where one batch for all stops paying, and what a batch a machine reaches."""
    kinds = {name: Machines(measured, link) for name, link in LINKS.items()}
    rows = []
    for name in measured.works:
        half = [f"{kind.half_used(name, BATCH):,}" for kind in kinds.values()]
        best = [f"{kind.fastest(name, BATCH):,}" for kind in kinds.values()]
        grown = [f"{100 * kind.weak(name, ROWS)[-1] / RANKS[-1]:.0f} %" for kind in kinds.values()]
        rows.append([name, *map(" / ".join, (half, best, grown))])
    head = [
        "network",
        f"batch {BATCH:,} for all: half used up to",
        "shortest step with",
        f"{ROWS} rows each: 1,024 machines used to",
    ]
    return table(head, rows)


def late(measured: Measured) -> str:
    """What delays of chance cost."""
    rows = []
    for n in (1, 2, 8, 64, 1024):
        harmonic = sum(1 / k for k in range(1, n + 1))
        longer = [f"{100 * share * harmonic:.0f} %" for share in (0.01, 0.05, 0.2)]
        rows.append([f"{n:,}", three(harmonic), *longer])
    return table(
        ["machines", "the latest, in mean delays", "mean delay 1 % of a step", "5 %", "20 %"], rows
    )


def faults(measured: Measured) -> str:
    """How often to write, and what failures cost then."""
    rows = []
    for n in (1, 8, 64, 256, 1024):
        found = replace(FAULTS, machines=n)
        rows.append(
            [
                f"{n:,}",
                time(found.between),
                time(young(found)),
                time(daly(found)),
                *(
                    f"{three(100 * (expected(1.0, interval, found) - 1))} %"
                    for interval in (daly(found), 86400.0)
                ),
            ]
        )
    head = ["machines", "between failures", "write every (Young)", "(Daly)"]
    return table([*head, "time lost then", "time lost, written once a day"], rows)


def parts(measured: Measured) -> str:
    """The parts of a step of one network on more and more machines."""
    rows = []
    for name, link in LINKS.items():
        machines = Machines(measured, link)
        work = machines.work(EXAMPLE)
        for n in (8, 64):
            made = step(work, machines.cluster(n), machines.job(work, 256, n))
            hidden = step(work, machines.cluster(n), machines.job(work, 256, n, overlap=True))
            shown = map(time, (made.compute, made.update, made.waiting, hidden.waiting))
            rows.append([f"{n} machines, {name}", *shown])
    head = [
        EXAMPLE,
        "rows",
        "optimizer",
        "the sum, all waited for",
        "the sum, hidden where it can be",
    ]
    return table(head, rows)


#: By the name that its place on the page has.
TABLES: dict[str, Callable[[Measured], str]] = {
    "answer": answer,
    "parts": parts,
    "sums": sums,
    "constants": constants,
    "networks": networks,
    "reproduced": reproduced,
    "limits": limits,
    "late": late,
    "faults": faults,
}


def written(text: str, measured: Measured) -> str:
    """Return the text of the page with every table as the measurement makes it."""

    def anew(match: re.Match[str]) -> str:
        return f"{match[1]}\n{TABLES[match[2]](measured)}\n{match[3]}"

    return re.sub(r"^(<!-- made: (\w+) -->)\n.*?\n?^(<!-- end -->)$", anew, text, flags=re.M | re.S)


if __name__ == "__main__":
    found = load()
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    print(f"{reproduced(found)}\nwritten: {PAGE}")
