"""Say what is wrong with a range of commits, before asv would end in a traceback.

    python commits.py WHO RANGE ...

A range is asv's: ``ALL``, ``NEW``, ``EXISTING``, ``TAGS``, or what git makes commits of, such as
``HEAD~3..HEAD``, ``HEAD^!`` or a tag.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
#: The words that asv knows without git, and how a range from a file begins.
WORDS = {"ALL", "NEW", "EXISTING"}
FROM_FILE = "HASHFILE:"


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git on the repository."""
    return subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True)


def problem(chosen: str) -> str:
    """Return what is wrong with the range `chosen` and what to write instead, or ""."""
    if chosen in WORDS or chosen.startswith(FROM_FILE):
        return ""
    tags = git("tag", "--list").stdout.split()
    have = f"its tags are {', '.join(tags)}" if tags else "it has no tags"
    remedy = f"{have}; write HEAD~3..HEAD, HEAD^! or ALL"
    if chosen == "TAGS":
        return "" if tags else f"must be of commits of this repository, got 'TAGS'; {remedy}"
    try:
        words = shlex.split(chosen)
    except ValueError as error:
        return f"must be commits as git names them, got {chosen!r} ({error}); {remedy}"
    found = git("rev-list", "--first-parent", "--max-count=1", *words, "--")
    if found.returncode:
        said = found.stderr.strip().splitlines()[:1]
        reason = f" ({said[0].removeprefix('fatal: ')})" if said else ""
        return f"must be of commits of this repository, got {chosen!r}{reason}; {remedy}"
    if not found.stdout.strip():
        return f"must hold a commit, got {chosen!r}, which holds none; {remedy}"
    return ""


def check(who: str, *ranges: str) -> None:
    """End the program with one line if one of `ranges` is no range."""
    for chosen in ranges:
        if found := problem(chosen):
            print(f"{who}: RANGE {found}", file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    check(*sys.argv[1:])
