"""Files that may be compressed by gzip."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from fastconv.errors import FormatError

__all__ = ["open_maybe_gzipped"]


@contextmanager
def open_maybe_gzipped(operation: str, path: Path) -> Iterator[BinaryIO]:
    """Open a file to read its bytes, which are decompressed if the name ends in ``.gz``.

    Raises
    ------
    FormatError
        If compressed data turn out to be damaged while they are read.
    """
    import gzip  # not before it is needed: import fastconv should take no time

    with cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
        try:
            yield file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            rule = "must be whole gzip data"
            raise FormatError(operation, str(path), rule, str(error), shown=str(error)) from error
