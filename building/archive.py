"""The command sdist: the same archive of the same sources, whoever makes it and when."""

from __future__ import annotations

import gzip
import os
import sys
import tarfile
from pathlib import Path

from setuptools.command.sdist import sdist

#: 1980-01-01, before which archives of other kinds have no times.
EARLIEST = 315_532_800


def source_date() -> int:
    """Return ``SOURCE_DATE_EPOCH``, the time that files are said to be of, or `EARLIEST`."""
    value = os.environ.get("SOURCE_DATE_EPOCH") or str(EARLIEST)
    if not (value.isascii() and value.isdigit() and int(value) < 2**32):
        sys.exit(f"setup.py: SOURCE_DATE_EPOCH must be seconds since 1970, got {value!r}")
    return int(value)


def pack(folder: Path, path: Path, seconds: int) -> None:
    """Write a folder to a compressed archive in which no time, owner or order is the machine's.

    Parameters
    ----------
    folder : Path
        What is packed; its name is the first of each name in the archive.
    path : Path
        The file that is written.
    seconds : int
        The time of every file, in seconds since 1970.
    """
    with (
        open(path, "wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=seconds) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member in sorted([folder, *folder.rglob("*")]):
            info = tarfile.TarInfo(member.relative_to(folder.parent).as_posix())
            info.mtime = seconds
            if member.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            else:
                info.mode = 0o755 if os.access(member, os.X_OK) else 0o644
                info.size = member.stat().st_size
                with open(member, "rb") as content:
                    archive.addfile(info, content)


class Sdist(sdist):
    """Makes a source distribution, compressed by gzip, that is equal for equal sources."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, **owners) -> str:
        if format != "gztar":
            return super().make_archive(base_name, format, root_dir, base_dir, **owners)
        path = f"{base_name}.tar.gz"
        Path(path).parent.mkdir(parents=True, exist_ok=True)  # build's own tools have made it
        pack(Path(root_dir or ".") / base_dir, Path(path), source_date())
        return path
