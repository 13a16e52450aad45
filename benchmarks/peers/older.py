"""Builds an older fastconv from its commit beside the present one, and keeps it for next time."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["KEPT", "build", "install", "resolve"]

ROOT = Path(__file__).parents[2]
#: A folder for each commit and Python; `make clean` removes it.
KEPT = ROOT / "build" / "older"

Builder = Callable[[Path, Path], None]


def resolve(commit: str) -> str:
    """Return the whole name of a commit.

    Raises
    ------
    ValueError
        If the repository has no commit of that name.
    """
    name = f"{commit}^{{commit}}"
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", name)
    if found.returncode:
        raise ValueError(f"against must name a commit of this repository, got {commit!r}")
    return found.stdout.decode().strip()


def build(commit: str, builder: Builder | None = None) -> Path:
    """Return a folder that holds the package of a commit; build it if that was not done before.

    Parameters
    ----------
    commit : str
        The whole name of the commit.
    builder : callable, optional
        It builds a folder of sources into a folder that exists; `install` by default.
    """
    folder = KEPT / f"{commit[:12]}-{sys.implementation.cache_tag}"
    package, whole = folder / "package", folder / "whole"
    if whole.exists():
        return package
    shutil.rmtree(folder, ignore_errors=True)
    package.mkdir(parents=True)
    sources = folder / "sources"
    archive = _git("archive", "--format=tar", commit)
    archive.check_returncode()
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        # Python before 3.11.4 has no filters, and later ones ask for one
        wanted = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        files.extractall(sources, **wanted)
    (builder or install)(sources, package)
    shutil.rmtree(sources)
    whole.touch()
    return package


def install(sources: Path, package: Path) -> None:
    """Build with the sources' own setup.py and requirements, for this Python."""
    print("peers: building the older fastconv, which takes a minute or two", file=sys.stderr)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(package),
            str(sources),
        ],
        check=True,
    )


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True)
