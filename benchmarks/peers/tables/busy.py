"""Two threads while another process takes one of two cores, compared with one quiet thread.

It runs in processes of its own (``python -m peers.busy_core``), which have an affinity of two cores
from the start: threads that exist already would not follow a change.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress
from peers.timing import Times

QUIET, BUSY = "quiet, one thread", "busy, two threads"
FOLDER = Path(__file__).parents[2]


def run(settings: Settings) -> list[Table]:
    """Return the table of fastconv beside a busy process, or none if there are no two cores."""
    title = "One of two cores busy with another process"
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        progress(title, "left out, since this process may not use two cores")
        return []
    progress(title, "fastconv alone")
    table = Table(
        title,
        [
            "fastconv alone: `conv2d`, weights packed ahead, on two cores. The other process "
            "keeps one of them busy, and is stopped for the turns that are quiet.",
            "The ratio is of means: a stall of a single call counts.",
        ],
        [Ratio("busy / quiet", BUSY, (QUIET,), statistic="mean")],
    )
    rounds = "5" if settings.quick else "20"
    command = [sys.executable, "-m", "peers.busy_core", rounds]
    done = subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE, check=True, text=True)
    for name, samples in json.loads(done.stdout).items():
        times = {QUIET: Times.of(samples["quiet"]), BUSY: Times.of(samples["busy"])}
        means = {f"mean, {kind}": f"{t.mean * 1e6:,.0f}" for kind, t in times.items()}
        table.rows.append(Row(name, times, means))
    return [table]
