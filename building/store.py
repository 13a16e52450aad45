"""Modules that were built before, found again by what they were made of.

pip builds in a new folder each time, and distutils compares the times of files.  Here a module is
found again if nothing that it is made of has changed: its sources and what they include, the
commands of the compiler with its version, the flags, the macros, Python, and Cython.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

INCLUDED = re.compile(r'^\s*(?:include|\#\s*include|cdef extern from)\s+"([^"]+)"', re.MULTILINE)
#: How many modules of one name are kept, such as those of two branches of the sources.
KEPT = 6
CIMPORTED = re.compile(r"^\s*(?:from|cimport)\s+fastconv\.kernels\.(\w+)", re.MULTILINE)


def sources_of(path: Path, kernels: Path) -> list[Path]:
    """Return `path` and every file of the folder `kernels` that it includes, however deep.

    Names of files are relative to that folder or, in headers, to the file that includes them.
    """
    found: set[Path] = set()

    def visit(file: Path) -> None:
        if file in found or not file.is_file():
            return
        found.add(file)
        text = file.read_text(encoding="utf-8")
        for name in INCLUDED.findall(text):
            visit(kernels / name)
            visit(file.parent / name)
        for name in CIMPORTED.findall(text):
            visit(kernels / f"{name}.pxd")

    visit(path)
    if path.with_suffix(".pxd").is_file():
        visit(path.with_suffix(".pxd"))
    return sorted(found)


def digest(sources: list[Path], recipe: object) -> str:
    """Return a name for what is made from `sources` in the way that `recipe` says."""
    made = hashlib.sha256(repr(recipe).encode())
    for path in sources:
        text = path.read_bytes()
        made.update(f"\n{path.name} {len(text)}\n".encode())
        made.update(text)
    return made.hexdigest()[:32]


class Store:
    """A folder of built modules, the last few of each name.

    Parameters
    ----------
    folder : Path
        It is made when something is first kept in it.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def find(self, file_name: str, key: str) -> Path | None:
        """Return the module `file_name` that was kept under `key`, or None."""
        path = self._path(file_name, key)
        if not path.is_file():
            return None
        os.utime(path)  # it is now the one used last
        return path

    def keep(self, built: Path, key: str) -> None:
        """Keep a copy of a module under `key`; forget those of its name used longest ago."""
        path = self._path(built.name, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        shutil.copyfile(built, partial)
        os.replace(partial, path)  # so that the file is whole or not there
        kept = sorted(path.parent.iterdir(), key=lambda other: other.stat().st_mtime)
        for old in kept[:-KEPT]:
            old.unlink(missing_ok=True)

    def _path(self, file_name: str, key: str) -> Path:
        return self.folder / file_name / key
