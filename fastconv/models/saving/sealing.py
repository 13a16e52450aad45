"""The seal of a file: a checksum of all its other bytes, as the last of its arrays.

safetensors has no place for a checksum behind the arrays, but any program may read one more array.
It comes last so that a file is written in one go, and every byte is hashed as it is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from io import BufferedReader, BufferedWriter
from typing import Any

__all__ = ["SEAL", "SIZE", "fill", "is_whole"]

#: The name of the array; no layer has it, since layers have names.
SEAL = "/training/sha256"
#: The bytes of a seal.
SIZE = hashlib.sha256().digest_size
#: How many bytes are read at a time.
_PIECE = 1 << 20


def fill(file: BufferedWriter, parts: Iterable[Any], sealed: bool) -> None:
    """Write `parts`, bytes or contiguous arrays of uint8, and behind them the seal if wanted."""
    digest = hashlib.sha256() if sealed else None
    for part in parts:
        file.write(part)
        if digest is not None:
            digest.update(part)
    if digest is not None:
        file.write(digest.digest())


def is_whole(file: BufferedReader, size: int) -> bool:
    """Whether the last bytes of a file of `size` bytes are the seal of those before them."""
    digest, left = hashlib.sha256(), size - SIZE
    file.seek(0)
    while left > 0:
        piece = file.read(min(left, _PIECE))
        if not piece:
            return False
        digest.update(piece)
        left -= len(piece)
    return file.read(SIZE) == digest.digest()
