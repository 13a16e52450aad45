"""What each ratio could be at the least, from a report and two rates of its machine.

    PYTHONPATH=.. python -m peers.bounds ../docs/peers/avx512-amd.json --rate 118.2

from ``benchmarks/``: the limits of docs/performance.md. A case that multiply-adds bound is taken to
run at ``--rate``, in GFLOP/s of a core; where `auto` chooses minimal filtering, with 2.25 times
fewer multiplications, and 4 times fewer beside `fast`. Depthwise layers are left out. Pooling is
taken to move its bytes as fast as the report's copies of up to 16 MB did, im2col and col2im as
their own columns were copied. The times that these are set against are those of the best peers, as
they count in the report.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from peers.table import Ratio, Row, Table, summary

__all__ = ["bounds"]

FORWARD, BACKWARD = "Forward convolution", "Backward convolution"
COPY, COPIED = "copy of the columns", 16e6
#: Operations of a step of training with 100 images, whose first layer has no gradient of its input,
#: and of ResNet-50; those of 3x3 kernels with stride 1 that minimal filtering shortens come second.
WORK = {
    "SimpleConvNet": (2 * 100 * (2 * 30 * 25 * 576 + 3 * (4320 * 100 + 100 * 10)), 0.0),
    "DeepConvNet": (
        2 * 100 * (2 * 784 * 9 * 16 + 3 * (1024 * 50 + 50 * 10)),
        2 * 100 * 3 * (784 * 144 * 16 + 196 * 144 * 32 + 256 * 288 * 32 + 64 * (288 + 576) * 64),
    ),
    "conv 128, pool, dense": (2 * 100 * (2 * 676 * 9 * 128 + 3 * 128 * 169 * 10), 0.0),
    "ResNet-50": (2 * (4.089e9 - 13 * 115.6e6), 2 * 13 * 115.6e6),
}


def bounds(
    tables: Sequence[Table], rate: float, statistic: str = "median"
) -> dict[tuple[str, str], float]:
    """Return the geometric mean of what the cases of each ratio could be at the least.

    Parameters
    ----------
    tables : sequence of Table
        Those of a report.
    rate : float
        Operations a second of one core.
    statistic : str
        The field of `Times` of the peers.

    Returns
    -------
    dict of (str, str) to float
        By the titles of tables and the labels of ratios; ratios without a bound are left out.
    """
    facts = {
        row.name: row.facts
        for table in tables
        for row in table.rows
        if table.title.startswith(FORWARD) and "GFLOP" in row.facts
    }
    speed = _copies(next(table for table in tables if table.title == "im2col"), statistic)
    found = {}
    for table in tables:
        least = _least(table, facts, rate, speed, statistic)
        for ratio in table.ratios:
            values = {
                row.name: seconds / best
                for row in table.rows
                if (best := _best(ratio, row, statistic)) and (seconds := least(row, ratio))
            }
            if values:
                found[table.title, ratio.label] = float(summary(values)["geometric_mean"])
    return found


def _best(ratio: Ratio, row: Row, statistic: str) -> float | None:
    """Return the least time of the peers that count, or None."""
    value = replace(ratio, statistic=statistic).of(row)
    return None if value is None else float(getattr(row.times[ratio.ours], statistic)) / value


def _least(
    table: Table, facts: Mapping[str, Mapping[str, str]], rate: float, speed: float, statistic: str
) -> Callable[[Row, Ratio], float | None]:
    """Return the function that gives the least seconds of a row of a table, or None."""
    backward = table.title.endswith("backward")

    def convolution(row: Row, ratio: Ratio) -> float | None:
        if row.name not in facts or ".dw" in row.name or ratio.label.startswith("auto, 2"):
            return None
        fast = "fast " in ratio.label
        chosen = facts[row.name]["auto fast takes" if fast else "auto takes"]
        shorter = chosen == "winograd" and ratio.ours != "direct"
        fewer = (4 if fast else 2.25) if shorter else 1
        passes = 2 if table.title.startswith(BACKWARD) else 1
        cores = 2 if table.title.endswith("2 threads") else 1
        return passes * float(facts[row.name]["GFLOP"]) * 1e9 / fewer / rate / cores

    def pooling(row: Row, ratio: Ratio) -> float | None:
        N, C, H, R, stride, padding = _sizes(row.name)
        outputs = (H + 2 * padding - R) // stride + 1
        taps = backward and table.title.startswith("Max")  # a byte for each, where they won
        return N * C * (4 * H * H + (5 if taps else 4) * outputs**2) / speed

    def work(row: Row, ratio: Ratio) -> float | None:
        if row.name not in WORK or ratio.label.startswith("net(x)"):
            return None
        whole, shortened = WORK[row.name]
        return (whole + shortened / (4 if "fast " in ratio.label else 2.25)) / rate

    def dense(row: Row, ratio: Ratio) -> float | None:
        return 2 * 100 * 4320 * 100 / rate if row.name.startswith("book") else None

    def unfolding(row: Row, ratio: Ratio) -> float | None:
        return None if COPY in ratio.peers else float(getattr(row.times[COPY], statistic))

    title = table.title
    if title.startswith((FORWARD, BACKWARD)):
        return convolution
    if "pooling" in title:
        return pooling
    if title == "Dense layers":
        return dense
    if title in ("im2col", "col2im"):
        return unfolding
    return work


def _sizes(name: str) -> list[int]:
    """Return the numbers in the brackets of a case: N, C, H; R / stride, padding."""
    return [int(number) for number in re.findall(r"\d+", name.split("(")[1])]


def _columns(row: Row) -> float:
    """Return the bytes of the unfolded matrix of a case."""
    N, C, H, R, stride, padding = _sizes(row.name)
    return 4.0 * N * C * R * R * ((H + 2 * padding - R) // stride + 1) ** 2


def _copies(unfolding: Table, statistic: str) -> float:
    """Return the bytes that copies read and wrote in a second."""
    rates = {
        row.name: 2 * _columns(row) / getattr(row.times[COPY], statistic)
        for row in unfolding.rows
        if _columns(row) < COPIED
    }
    return float(summary(rates)["geometric_mean"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path, help="the .json of a report")
    parser.add_argument("--rate", type=float, required=True, help="GFLOP/s of a core")
    parser.add_argument("--statistic", choices=("median", "minimum"), default="median")
    chosen = parser.parse_args()
    tables = [Table.from_json(one) for one in json.loads(chosen.report.read_text())["tables"]]
    for (table, ratio), value in bounds(tables, chosen.rate * 1e9, chosen.statistic).items():
        print(f"{value:.2f}  {table}: {ratio}")


if __name__ == "__main__":
    main()
