"""Writes one file for a network: safetensors, with the configuration as JSON in its metadata."""

from __future__ import annotations

import json
import os
import stat
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial
from io import BufferedWriter
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from fastconv.arguments import as_path, check_regular, check_suffix
from fastconv.errors import ArgumentError, FormatError
from fastconv.models.saving import formats, rotation, sealing, strict_json
from fastconv.models.saving.files import CONFIG, FROZEN, TRAINING, WeightFile

try:
    import fcntl
except ImportError:  # on Windows, where a file that somebody has opened cannot be removed
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "Target",
    "network_bytes",
    "target_of",
    "write_checkpoint",
    "write_network",
    "write_weights",
]

Array = np.ndarray[Any, Any]

#: Names of files that are being written. If the writer is killed, the next one clears them away.
_PREFIX, _SUFFIX = ".fastconv-", ".part"


class Target(NamedTuple):
    """Where a file goes: the path behind symbolic links, and the mode of what is there, if any."""

    path: str
    mode: int | None


def target_of(operation: str, path: Any) -> Target:
    """Return where a file called `path` goes.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If `path` is no path, has the suffix of another format, or exists but is no regular file.
    """
    name = str(as_path(operation, "path", path))
    check_suffix(operation, "path", name, formats.WRITERS)
    target = os.path.realpath(name)
    try:
        mode = check_regular(operation, "path", target, "must be of a file, or free")
    except FileNotFoundError:
        return Target(target, None)
    return Target(target, stat.S_IMODE(mode))


def write_network(
    target: Target, config: Mapping[str, Any], arrays: Mapping[str, Array], frozen: Iterable[str]
) -> None:
    """Write a network: its configuration, its weights, and which of them are `frozen`.

    Raises
    ------
    ConfigError
        If the configuration could not be read again.
    OSError
        If the file cannot be written.
    """
    write_weights(target, arrays, _metadata(config, frozen))


def network_bytes(
    config: Mapping[str, Any], arrays: Mapping[str, Array], frozen: Iterable[str]
) -> bytes:
    """Return the bytes of the file that `write_network` would write."""
    return b"".join(sealing.content(arrays, _metadata(config, frozen), None))


def write_checkpoint(
    target: Target,
    config: Mapping[str, Any],
    arrays: Mapping[str, Array],
    frozen: Iterable[str],
    training: str,
    keep: int,
) -> None:
    """Write a network and, under names that no layer has, how far its training has come.

    The arrays may be those that training changes: the caller sees to it that nothing does so
    meanwhile. Besides them, writing takes no memory that grows with the network.

    Parameters
    ----------
    target, config, frozen
        As of `write_network`.
    arrays : mapping of str to ndarray
        Those of the network, and those that `training` names.
    training : str
        The text that `states.flattened` made.
    keep : int
        How many checkpoints there are to be, this one included.
    """
    metadata = {**_metadata(config, frozen), TRAINING: training}
    keep = keep if keep > 1 and _is_checkpoint(target.path) else 1
    write_weights(target, arrays, metadata, seal=sealing.SEAL, keep=keep)


def _metadata(config: Mapping[str, Any], frozen: Iterable[str]) -> dict[str, str]:
    text = json.dumps(config, separators=(",", ":"), allow_nan=False)
    strict_json.parse(text, "save: the configuration")
    metadata = {CONFIG: text}
    if names := sorted(frozen):
        metadata[FROZEN] = json.dumps(names)
    return metadata


def _is_checkpoint(path: str) -> bool:
    """Whether an undamaged checkpoint is at `path`: nothing else is kept as the one before."""
    try:
        with WeightFile("save", path) as file:
            return TRAINING in file.metadata
    except (FormatError, ArgumentError):
        return False
    except OSError as error:
        if error.errno is None:  # raised by a signal handler, not by the system
            raise
        return False


def write_weights(
    target: Target,
    arrays: Mapping[str, Array],
    metadata: Mapping[str, str] | None = None,
    *,
    seal: str | None = None,
    keep: int = 1,
) -> None:
    """Write a safetensors file in one go: whoever reads it sees the old file or the new one.

    That holds even if the process is killed, or power fails, in the middle.  A symbolic link stays
    a link, and a file keeps its mode.

    Parameters
    ----------
    target : Target
    arrays : mapping of str to ndarray
    metadata : mapping of str to str, optional
    seal : str, optional
        The name of one more array, which comes last: a checksum of all other bytes of the file.
    keep : int
        How many files there are to be: the file that is replaced becomes the one before.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    parts = sealing.content(arrays, metadata, seal)
    folder = os.path.dirname(target.path)
    _clear_away(folder)
    # A new file has the mode that the system makes of 0o666 and the process's mask.
    opener = partial(os.open, mode=0o666 if target.mode is None else 0o600)
    done = False
    while not done:
        temporary = _beside(folder)
        try:
            with open(temporary, "xb", opener=opener) as file:
                if not _locked(file):
                    continue
                sealing.fill(file, parts, seal is not None)
                if target.mode is not None:
                    os.chmod(temporary, target.mode)
                file.flush()
                os.fsync(file.fileno())
                if keep > 1:
                    rotation.keep_before(target.path, keep, partial(_beside, folder))
                os.replace(temporary, target.path)
                done = True
        except BaseException as error:
            _remove(temporary)
            if isinstance(error, OSError) and error.errno is not None:
                # the error may name the temporary file, of which the user has not heard
                raise OSError(error.errno, error.strerror, target.path) from None
            raise
    _make_lasting(folder)


def _beside(folder: str) -> str:
    """Return a name for a file that is not yet in its place."""
    return os.path.join(folder, f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}")


def _locked(file: BufferedWriter) -> bool:
    """Lock `file` until it is closed; False if another writer has just cleared it away."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno is None:  # raised by a signal handler, not by the system
            raise
        return True  # on a file system without locks nobody clears files away
    return os.fstat(file.fileno()).st_nlink > 0


def _clear_away(folder: str) -> None:
    """Remove the files that killed writers left behind: those that nobody has locked."""
    try:
        with os.scandir(folder) as entries:
            left = [
                entry.path
                for entry in entries
                if entry.name.startswith(_PREFIX)
                and entry.name.endswith(_SUFFIX)
                and entry.is_file(follow_symlinks=False)
            ]
    except OSError as error:
        if error.errno is None:
            raise
        return  # the writer will say what is wrong with the folder
    for path in left:
        try:
            with open(path, "rb") as file:
                if fcntl is not None:
                    fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(path)
            if fcntl is None:
                os.unlink(path)
        except OSError as error:  # its writer lives, or it is somebody else's
            if error.errno is None:
                raise


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _make_lasting(folder: str) -> None:
    """Have the system store durably that `folder` has a new file, if it can be told to."""
    opened: list[int] = []
    try:
        try:
            # in one step, so that an interrupt right after it finds the descriptor to be closed
            opened.extend(map(os.open, (folder,), (os.O_RDONLY,)))
            os.fsync(opened[0])
        except OSError as error:
            if error.errno is None:
                raise
        finally:
            _close(opened)
    finally:  # an interrupt may have ended the first attempt
        _close(opened)


def _close(numbers: list[int]) -> None:
    """Close and forget file descriptors; no interrupt comes between the two."""
    deque(map(os.close, map(list.pop, repeat(numbers, len(numbers)))), maxlen=0)
