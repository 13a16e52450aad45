"""The networks that this process has loaded, by the content of their files."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from io import BufferedReader
from typing import Any, NamedTuple

from fastconv.arguments import check_regular
from fastconv.concurrency import BoundedCache, Mutex
from fastconv.errors import ArgumentError
from fastconv.models import InferenceModel, Model, load

__all__ = ["Loaded", "checksum", "loaded"]

#: How many networks a process keeps that no Predictor of it holds any more.
MOST_KEPT = 4


class Loaded(NamedTuple):
    """A network, and the checksum of the file that it is of."""

    digest: str
    network: Model | InferenceModel


def checksum(content: bytes) -> str:
    """Return what tells the content of a file from that of all others."""
    import hashlib  # which is long in coming, and few programs need it

    return hashlib.sha256(content).hexdigest()


def _digest(file: BufferedReader) -> str:
    import hashlib

    return hashlib.file_digest(file, "sha256").hexdigest()


def _unasked(*key: Any) -> Any:
    raise KeyError(key)


_networks = BoundedCache(_unasked, MOST_KEPT)
#: The checksums of files by what the system says of them, which tells when they are replaced.
_digests = BoundedCache(_unasked)
#: Only one thread at a time loads, so that none loads what another one is loading.
_loading = Mutex()


def loaded(source: str | bytes, digest: str | None, for_inference: bool) -> Loaded:
    """Return the network of a file: the same one wherever this process asks for that content.

    Parameters
    ----------
    source : str or bytes
        The path of the file, or its content.
    digest : str or None
        The checksum of the content, where that is given.
    for_inference : bool

    Raises
    ------
    ArgumentError
        If there is no file, or nobody here may read it.
    FormatError
        If it holds no network.
    """
    return _loading.run(_loaded, source, digest, for_inference)


def _loaded(source: str | bytes, digest: str | None, for_inference: bool) -> Loaded:
    def kept(digest: str, read: Callable[[], Any]) -> Loaded:
        return Loaded(digest, _networks.found((digest, for_inference), read))

    if isinstance(source, bytes):
        assert digest is not None
        return kept(digest, partial(load, source, for_inference=for_inference))
    try:
        check_regular("Predictor", "source", source)
        file = open(source, "rb")
    except OSError as error:
        if error.errno is None:  # raised by a signal handler, not by the system
            raise
        raise _missing(source, error) from error
    with file:
        about = os.fstat(file.fileno())
        times = about.st_mtime_ns, about.st_ctime_ns  # what copies may keep the first of
        stamp = about.st_dev, about.st_ino, about.st_size, *times
        found = _digests.found(stamp, lambda: _digest(file))
        return kept(found, partial(load, file, for_inference=for_inference))


def _missing(path: str, error: OSError) -> ArgumentError:
    """Return the error of a process that cannot read the file."""
    import socket

    reason = (error.strerror or "it cannot be read").lower()
    return ArgumentError(
        "Predictor",
        "source",
        "must be of a file that every process which predicts can read",
        path,
        "put it where all machines see it, or give its content: Predictor(Path(path).read_bytes())",
        shown=f"{path!r}: {reason} on {socket.gethostname()}, process {os.getpid()}",
    )
