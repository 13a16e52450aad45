"""Keeps the checkpoints before the newest: ``run.safetensors.1`` is the one before, ``.2`` older.

A file is given its second name before the new file takes the first one, so that there is a
complete file under the first name at every moment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable

__all__ = ["keep_before", "older"]

#: What systems say that give a file no second name.
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_NO_LINKS |= {getattr(errno, name) for name in ("ENOTSUP", "EOPNOTSUPP") if hasattr(errno, name)}


def older(path: str) -> list[str]:
    """Return the paths of the checkpoints that were written before `path`, the newest first."""
    folder, name = os.path.split(path)
    form = re.compile(re.escape(name) + r"\.([1-9][0-9]{0,3})")
    try:
        found = map(form.fullmatch, os.listdir(folder or "."))
        numbers = sorted(int(match[1]) for match in found if match)
    except OSError as error:
        if error.errno is None:  # raised by a signal handler, not by the system
            raise
        return []
    return [f"{path}.{number}" for number in numbers]


def keep_before(path: str, keep: int, beside: Callable[[], str]) -> None:
    """Give the file at `path` the name of the one before, and move those on that are older.

    Parameters
    ----------
    path : str
        A file that is about to be replaced.
    keep : int
        How many files there are to be, the new one included.
    beside : callable
        It returns a new name in the same folder for a file that is not yet in place.

    Raises
    ------
    OSError
        If that cannot be done. Every file is still there then, if under another name.
    """
    for number in range(keep - 2, 0, -1):
        try:
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
        except FileNotFoundError:
            pass
    before = f"{path}.1"
    while True:
        temporary = beside()
        try:
            os.link(path, temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.replace(path, before)  # for a moment, there is none under the first name
            return
        try:
            os.replace(temporary, before)
            return
        except FileNotFoundError:  # another writer took it for one that was left behind
            continue
        finally:
            # it is still there after an error, and where both names are of one file already
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
