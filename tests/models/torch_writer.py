"""Writes files as PyTorch writes them, and pickles of any instructions, without PyTorch."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

STORAGES = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "int64": "Long",
    "uint16": "BFloat16",  # its bits
}


def text(value: str) -> bytes:
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def integer(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    size = (value.bit_length() + 8) // 8
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def label(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def mapping(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def storage(kind: str, key: str, length: int, *more: bytes) -> bytes:
    parts = text("storage"), label("torch", f"{kind}Storage"), text(key), text("cpu")
    return tuple_of(*parts, integer(length), *more) + b"Q"


def tensor(
    where: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0
) -> bytes:
    sizes = (tuple_of(*map(integer, numbers)) for numbers in (shape, strides))
    hooks = label("collections", "OrderedDict") + b")R"
    rest = integer(offset), *sizes, b"\x89", hooks
    return label("torch._utils", "_rebuild_tensor_v2") + tuple_of(where, *rest) + b"R"


def of_array(array: np.ndarray, key: str, *more: bytes) -> bytes:
    strides = tuple(step // array.itemsize for step in array.strides)
    kind = STORAGES[array.dtype.name]
    return tensor(storage(kind, key, array.size, *more), array.shape, strides)


def pickle(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def archive(
    value: bytes, storages: Mapping[str, bytes] = {}, folder: str = "net", **parts: bytes
) -> bytes:
    """Return a ZIP archive; `value` is the whole pickle."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(f"{folder}/data.pkl", value)
        for name, part in parts.items():
            file.writestr(f"{folder}/{name}", part)
        for key, numbers in storages.items():
            file.writestr(f"{folder}/data/{key}", numbers)
    return content.getvalue()


def of_state(state: Mapping[str, Any], **parts: bytes) -> bytes:
    """Return a file of arrays, as ``torch.save(module.state_dict(), path)`` writes it."""
    arrays = {name: np.asarray(array) for name, array in state.items()}
    values = {name: of_array(a, str(i)) for i, (name, a) in enumerate(arrays.items())}
    numbers = {str(i): np.ascontiguousarray(a).tobytes() for i, a in enumerate(arrays.values())}
    return archive(pickle(mapping(values)), numbers, version=b"3\n", **parts)
