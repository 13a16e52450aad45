"""Forward convolution on two threads, in a process of its own.

A library reads how many threads it may have when it is imported, and here all have been imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from peers.settings import Settings
from peers.table import Table
from peers.tables import progress

FOLDER = Path(__file__).parents[2]
THREADS = 2


def run(settings: Settings) -> list[Table]:
    """Return the table of the first layers, or none if all tables have several threads anyway."""
    if settings.threads > 1:
        return []
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if (usable or 1) < THREADS:
        progress("two threads", "left out, since this process may not use two cores")
        return []
    with TemporaryDirectory() as folder:
        report = Path(folder) / "two.md"
        subprocess.run(command(settings, report), cwd=FOLDER, stdout=subprocess.DEVNULL, check=True)
        data = json.loads(report.with_suffix(".json").read_text())
    return [Table.from_json(table) for table in data["tables"]]


def command(settings: Settings, report: Path) -> list[str]:
    """Return the command for two threads: with the same peers and precisions, and only `auto`."""
    words = [
        sys.executable,
        "-m",
        "peers",
        "--threads",
        str(THREADS),
        "--tables",
        "forward",
        "--layers",
        "first",
        "--algorithms",
        "auto",
        "--precision",
        *settings.precisions,
        "--output",
        str(report),
    ]
    words += ["--peers", *settings.peers] if settings.peers else []
    words += ["--keep-output"] if settings.keep_output else []
    return words + (["--quick"] if settings.quick else [])
