"""What a file is made of, and its seal: a checksum of all its other bytes, its last array.

safetensors has no place for a checksum behind the arrays, but any program may read one more array.
It comes last so that a file is written in one go, and every byte is hashed as it is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from io import BufferedReader, BufferedWriter
from typing import Any

import numpy as np

__all__ = ["SEAL", "SIZE", "content", "fill", "is_whole"]

Array = np.ndarray[Any, Any]

#: The name of the array; no layer has it, since layers have names.
SEAL = "/training/sha256"
#: The bytes of a seal.
SIZE = 32
#: How many bytes are read at a time.
_PIECE = 1 << 20
#: safetensors' name of each dtype, in the order in which it writes them.
_DTYPES = {
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
    "float32": "F32",
    "uint32": "U32",
    "int32": "I32",
    "float16": "F16",
    "uint16": "U16",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


def content(
    arrays: Mapping[str, Array], metadata: Mapping[str, str] | None, seal: str | None
) -> list[Any]:
    """Return what comes before the arrays, and their bytes in the order of the file."""
    entries: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    dtypes, at = list(_DTYPES), 0
    parts: list[Any] = []
    for name in sorted(arrays, key=lambda name: (dtypes.index(arrays[name].dtype.name), name)):
        array, end = arrays[name], at + arrays[name].nbytes
        entries[name] = _entry(_DTYPES[array.dtype.name], list(array.shape), at, end)
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        parts.append(little.reshape(-1).view(np.uint8))
        at = end
    if seal is not None:
        entries[seal] = _entry("U8", [SIZE], at, at + SIZE)
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little") + text, *parts]


def _entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def fill(file: BufferedWriter, parts: Iterable[Any], sealed: bool) -> None:
    """Write `parts`, bytes or contiguous arrays of uint8, and behind them the seal if wanted."""
    import hashlib  # which is long in coming, and most files have no seal

    digest = hashlib.sha256() if sealed else None
    for part in parts:
        file.write(part)
        if digest is not None:
            digest.update(part)
    if digest is not None:
        file.write(digest.digest())


def is_whole(file: BufferedReader, size: int) -> bool:
    """Whether the last bytes of a file of `size` bytes are the seal of those before them."""
    import hashlib

    digest, left = hashlib.sha256(), size - SIZE
    file.seek(0)
    while left > 0:
        piece = file.read(min(left, _PIECE))
        if not piece:
            return False
        digest.update(piece)
        left -= len(piece)
    return file.read(SIZE) == digest.digest()
