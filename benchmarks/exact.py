"""Measure the bytes of commits, which are the same on every machine, into results/exact.

    python exact.py [RANGE] [options of asv run]

RANGE is asv's: ``ALL`` (the default), ``HEAD^!``, ``HEAD~3..HEAD``, ``TAGS``.  Commits that have
a file already are left alone.  The files hold values and nothing of the machine, so that they
are equal, byte for byte, wherever they were made, and can be committed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import commits

HERE = Path(__file__).parent
CONFIGURATION = HERE / "asv.exact.conf.json"
RESULTS = HERE / "results" / "exact"
#: What asv is told of the machine, and writes into every file.
MACHINE = {
    "machine": "exact",
    "os": "any",
    "arch": "any",
    "cpu": "any",
    "num_cpu": "1",
    "ram": "any",
}
#: The benchmarks whose values are exact.
EXACT = r"\.track_\w+_(bytes|ratio)\b"
COLUMNS = ["result", "params", "version"]


def asv(command: str, *arguments: str, configuration: Path = CONFIGURATION) -> int:
    """Run a command of asv for the machine "exact" and print its output; return its exit code."""
    base = [sys.executable, "-m", "asv"]
    known = [text for key, value in MACHINE.items() for text in (f"--{key}", value)]
    subprocess.run(
        [*base, "machine", *known, "--config", configuration], check=True, stdout=subprocess.DEVNULL
    )
    options = [
        "--config",
        configuration,
        "--machine",
        MACHINE["machine"],
        "--bench",
        EXACT,
        "--show-stderr",
    ]
    with subprocess.Popen(
        [*base, command, *options, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**with_ccache(os.environ), "PYTHONUNBUFFERED": "1"},
    ) as running:
        assert running.stdout is not None
        for line in without_noise(running.stdout):
            print(line, end="", flush=True)
    return running.returncode


def with_ccache(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with compilation through ccache, if that is installed.

    asv builds every commit anew, in the same folder; most C is that of a commit before.  A ``CC``
    that is set stays.
    """
    compiler = sysconfig.get_config_var("CC")  # None on Windows
    if compiler and shutil.which("ccache"):
        return {"CC": f"ccache {compiler}", **environment}
    return dict(environment)


def without_noise(lines: Iterable[str]) -> Iterator[str]:
    """Leave out the tables of values, and why cases are skipped; keep all other lines."""
    held, table = "", False
    for line in lines:
        step, dot, text = line.strip().rpartition("\N{MIDDLE DOT} ")  # "[50.00%] ... text"
        if "For parameters:" in text:
            held = line  # until the next line tells what it is about
            continue
        if text.startswith("asv: skipped:"):
            held = ""
            continue
        if dot or not text:
            table = bool(text) and set(text) <= {"=", " "}
        if text and not table:
            yield held + line
            held = ""


def strip(data: dict[str, Any]) -> dict[str, Any]:
    """Return a file of asv's results without times, versions of other packages, and hosts."""
    keep = [data["result_columns"].index(name) for name in COLUMNS]
    return {
        "version": data["version"],
        "commit_hash": data["commit_hash"],
        "date": data["date"],
        "env_name": "exact",
        "params": {"machine": MACHINE["machine"]},
        "python": "any",
        "requirements": {},
        "env_vars": {},
        "durations": {},
        "result_columns": COLUMNS,
        "results": {name: [row[i] for i in keep] for name, row in sorted(data["results"].items())},
    }


def text_of(data: dict[str, Any]) -> str:
    """Return stripped results as JSON, a line for each benchmark."""
    rows = [f"  {json.dumps(key)}: {json.dumps(row)}" for key, row in data["results"].items()]
    head = [
        f" {json.dumps(key)}: {json.dumps(value)}"
        for key, value in data.items()
        if key != "results"
    ]
    results = ' "results": {\n' + ",\n".join(rows) + "\n }"
    return "{\n" + ",\n".join([*head, results]) + "\n}\n"


def settle(folder: Path) -> list[Path]:
    """Replace every file that asv wrote in `folder` by its stripped form; return these."""
    made = []
    for path in sorted(folder.glob("*-*.json")):
        if path.stem.endswith("-exact"):
            continue
        data = strip(json.loads(path.read_text(encoding="utf-8")))
        target = folder / f"{data['commit_hash'][:8]}-exact.json"
        target.write_text(text_of(data), encoding="utf-8")
        path.unlink()
        made.append(target)
    return made


def main(arguments: list[str]) -> int:
    """Measure the commits of a range that have no file yet."""
    chosen = arguments or ["ALL"]
    if not chosen[0].startswith("-"):
        commits.check("bench-history-exact", chosen[0])
    code = asv("run", "--skip-existing-commits", *chosen)
    for path in settle(RESULTS):
        print(path.relative_to(HERE.parent))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
