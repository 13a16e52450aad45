"""Fail if the newest commit takes more bytes anywhere than its parent, unless that is declared.

    python gate.py

``asv continuous`` builds and measures both commits as `exact.py` does, with the suite of the
working tree.  The parent of a merge is its first parent.  More bytes end in exit code 1.  So does a
benchmark that fails, such as one whose stated workspace is not the measured one.  Fewer bytes
pass, and so do new benchmarks, and those that the newest commit skips.

What is meant to take more is declared in intended.json, a list of
``{"commit": subject, "benchmark": name, "params": pattern, "reason": text}``: the subject of the
commit that makes the change, the benchmark without its module, and a pattern such as
``"*, im2col, forward"`` for its parameters.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import product
from typing import Any, NamedTuple

from exact import CONFIGURATION, HERE, asv, strip

INTENDED = HERE / "intended.json"
FIELDS = {"commit", "benchmark", "params", "reason"}
SCRATCH = HERE / ".asv" / "gate"
SHOWN = 30


class Case(NamedTuple):
    """A benchmark with one set of parameters."""

    benchmark: str
    params: str

    def __str__(self) -> str:
        return f"{self.benchmark}({self.params})"


class Change(NamedTuple):
    """What a case took before and takes now; None if it failed."""

    case: Case
    before: float | None
    now: float | None

    def __str__(self) -> str:
        before, now = ("failed" if v is None else f"{v:,.10g}" for v in (self.before, self.now))
        return f"{self.case}: {before} -> {now}"


def git(*arguments: str) -> str:
    """Return the output of git, without the last newline; "" if it fails."""
    done = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def parent_of_head() -> str:
    """Return the first parent of HEAD, or "" if it has none; fetch it if the clone is shallow.

    Raises
    ------
    SystemExit
        If the parent cannot be fetched.
    """
    find = "rev-parse", "--verify", "--quiet", "HEAD^1"
    if not git(*find) and "\nparent " in git("cat-file", "-p", "HEAD").partition("\n\n")[0]:
        git("fetch", "--quiet", "--deepen=1")
        if not git(*find):
            sys.exit(
                "bench-gate: this shallow clone lacks the parent of HEAD, and could not fetch "
                "it; clone with a depth of 2 or more"
            )
    return git(*find)


def values_of(data: dict[str, Any]) -> dict[Case, float | None]:
    """Return the value of every case, or None if it failed; skipped cases are left out."""
    found: dict[Case, float | None] = {}
    for name, (values, params, _) in strip(data)["results"].items():
        for i, case in enumerate(product(*params)):
            value = None if values is None else values[i]
            if value == value:  # not NaN, which asv writes for skipped cases
                texts = (param.strip("'") for param in case)
                found[Case(name, ", ".join(texts))] = value
    return found


def worse(before: dict[Case, float | None], now: dict[Case, float | None]) -> Iterator[Change]:
    """Yield the cases that fail now, and those that take more than before."""
    for case, value in now.items():
        old = before.get(case, value)
        if value is None or (old is not None and value > old):
            yield Change(case, before.get(case), value)


def read_intended() -> list[dict[str, str]]:
    """Return the declared increases.

    Raises
    ------
    SystemExit
        If an entry does not have the four fields, each with a text.
    """
    entries: list[dict[str, str]] = json.loads(INTENDED.read_text(encoding="utf-8"))
    for entry in entries:
        if set(entry) != FIELDS or not all(isinstance(v, str) and v for v in entry.values()):
            sys.exit(f"{INTENDED.name}: an entry has {', '.join(sorted(FIELDS))}, got {entry}")
    return entries


def reason_for(change: Change, entries: list[dict[str, str]], subjects: list[str]) -> str:
    """Return why an increase is intended, or ""; an entry excuses only the commit that it names."""
    for entry in entries:
        if (
            change.now is not None
            and entry["commit"] in subjects
            and change.case.benchmark.endswith("." + entry["benchmark"])
            and fnmatchcase(change.case.params, entry["params"])
        ):
            return entry["reason"]
    return ""


def measure(parent: str, head: str) -> dict[str, dict[Case, float | None]]:
    """Measure both commits; return values by commit, without those that could not be built."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    for old in SCRATCH.rglob("*-*.json"):
        old.unlink()
    # the same configuration but another folder of results, since `exact.py` makes those of commits
    configuration = HERE / ".asv.gate.conf.json"
    text = CONFIGURATION.read_text(encoding="utf-8")
    configuration.write_text(text.replace('"results"', '".asv/gate"'), encoding="utf-8")
    try:
        asv("continuous", "--factor", "1", parent, head, configuration=configuration)
    finally:
        configuration.unlink()
    files = (json.loads(path.read_text(encoding="utf-8")) for path in SCRATCH.rglob("*-*.json"))
    return {data["commit_hash"]: values_of(data) for data in files}


def main() -> int:
    """Compare, and say what is wrong and what to do."""
    head, parent = git("rev-parse", "HEAD"), parent_of_head()
    if not parent:
        print("bench-gate: HEAD has no parent to be compared with: nothing to do")
        return 0
    entries = read_intended()
    values = measure(parent, head)
    if not values.get(head):
        print("bench-gate: HEAD could not be measured, see above")
        return 1
    if not values.get(parent):
        print("bench-gate: the parent of HEAD could not be measured: failures of HEAD alone count")
    subjects = git("log", "--format=%s", f"{parent}..{head}").splitlines()
    changes = [
        (change, reason_for(change, entries, subjects))
        for change in worse(values.get(parent, {}), values[head])
    ]
    refused = [change for change, reason in changes if not reason]
    for change, reason in changes:
        if reason:
            print(f"intended  {change}  ({reason})")
    for change in refused[:SHOWN]:
        print(f"WORSE     {change}")
    if refused:
        print(
            f"bench-gate: {len(refused)} of {len(values[head])} values are worse than in the "
            f"parent{', the first of them above' if len(refused) > SHOWN else ''}. If that is "
            f"meant, declare it in benchmarks/{INTENDED.name}."
        )
        return 1
    print(
        f"bench-gate: none of {len(values[head])} values is worse than in the parent, "
        "or it is declared"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
