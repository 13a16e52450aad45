"""One file for a network: safetensors, with the configuration as JSON in its metadata.

The layout (https://github.com/huggingface/safetensors): eight bytes, the length of the header;
the header, JSON that gives dtype, shape and place of each array; the arrays. Everything is
checked against the size of the file before an array is made, so a damaged or hostile file costs
no more than itself.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from math import prod
from typing import Any

import numpy as np

from fastconv.arguments import as_path
from fastconv.errors import ArgumentError, ConfigError, FormatError, shorten
from fastconv.models import strict_json

__all__ = ["Entry", "WeightFile", "open_weights", "target_of", "write_weights"]

Array = np.ndarray[Any, Any]

METADATA_KEY = "fastconv"
_ITEMSIZE = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2,
    "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
_READABLE: dict[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
_MAX_HEADER = strict_json.MAX_BYTES
_MAX_RANK = 32


@dataclass(frozen=True)
class Entry:
    """One array of a file: safetensors' dtype, shape, and its bytes behind the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class WeightFile:
    """An open file whose header has been checked.

    Attributes
    ----------
    entries : dict of str to Entry
        The arrays by name.
    config : str or None
        The JSON of the network, where the file has one.
    """

    def __init__(
        self,
        file: BufferedReader,
        path: str,
        entries: dict[str, Entry],
        data: int,
        meta: dict[str, str],
    ):
        self._file, self.path, self.entries, self._data = file, path, entries, data
        self.config: str | None = meta.get(METADATA_KEY)

    def read(self, name: str) -> Array:
        """Return one array, float16, float32 or float64, in native byte order."""
        entry = self.entries[name]
        if entry.dtype not in _READABLE:
            raise FormatError(
                f"load: {name} must be F16, F32 or F64, got {entry.dtype} in {self.path}"
            )
        array = np.empty(entry.shape, _READABLE[entry.dtype])
        self.read_into(name, array)
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def read_into(self, name: str, array: Array) -> None:
        """Read one array into `array`, which is contiguous and has its shape and dtype."""
        entry = self.entries[name]
        self._file.seek(self._data + entry.begin)
        plain: Any = array.reshape(-1).view(np.uint8)
        if array.size and self._file.readinto(plain) != array.nbytes:
            raise FormatError(f"load: {name} is cut off, {self.path} changed while it was read")
        if sys.byteorder == "big":
            array.byteswap(inplace=True)

    def matches(self, name: str, dtype: np.dtype[Any]) -> bool:
        """Whether the array can be read into one of `dtype` without a cast."""
        return _READABLE.get(self.entries[name].dtype) == dtype.newbyteorder("<")


@contextlib.contextmanager
def open_weights(path: str | os.PathLike[str]) -> Iterator[WeightFile]:
    """Open a safetensors file and check its header.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If `path` is no path.
    FormatError
        If the file is none, is cut off, or its header does not fit it.
    OSError
        If the file cannot be read.
    """
    name = _checked("load", path)
    with open(name, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(8)
        length = int.from_bytes(head, "little")
        if (len(head) < 8 or length > size - 8) and head.lstrip()[:1] in (b"{", b"["):
            raise FormatError(
                f"load: a saved network must be a safetensors file, got JSON text in {name}; "
                "read a configuration with fastconv.from_config(open(path).read())"
            )
        if len(head) < 8:
            raise FormatError(f"load: a file must have at least 8 bytes, got {size} in {name}")
        if length > size - 8:
            raise FormatError(
                f"load: a header of {length} bytes must fit the file, got {size} bytes in {name}; "
                "it is cut off or no safetensors file"
            )
        if length > _MAX_HEADER:
            raise FormatError(
                f"load: the header must have at most {_MAX_HEADER} bytes, got {length} in {name}"
            )
        try:
            header = strict_json.parse(file.read(length), "header")
            if not isinstance(header, dict):
                raise ConfigError(f"header: must be an object, got {shorten(header)}")
            meta = _metadata(header.pop("__metadata__", {}))
            entries = {key: _entry(key, item) for key, item in header.items()}
            _check_ranges(entries, size - 8 - length)
        except ConfigError as error:
            raise FormatError(f"load: {name}: {error}") from None
        yield WeightFile(file, name, entries, 8 + length, meta)


def _metadata(meta: Any) -> dict[str, str]:
    if not isinstance(meta, dict) or not all(isinstance(value, str) for value in meta.values()):
        raise ConfigError(f"header.__metadata__: must map strings to strings, got {shorten(meta)}")
    return meta


def _entry(name: str, item: Any) -> Entry:
    where = f"header[{shorten(name)}]"
    if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
        raise ConfigError(f"{where}: must have dtype, shape and data_offsets, got {shorten(item)}")
    dtype, shape, offsets = item["dtype"], item["shape"], item["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEMSIZE:
        raise ConfigError(f"{where}.dtype: must be one of safetensors', got {shorten(dtype)}")
    for key, value in (("shape", shape), ("data_offsets", offsets)):
        whole = isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)
        if not whole or len(value) > _MAX_RANK:
            raise ConfigError(f"{where}.{key}: must be a list of sizes, got {shorten(value)}")
    if len(offsets) != 2:
        raise ConfigError(f"{where}.data_offsets: must be begin and end, got {shorten(offsets)}")
    begin, end = offsets
    if end - begin != prod(shape) * _ITEMSIZE[dtype]:
        raise ConfigError(
            f"{where}: shape {shorten(shape)} of {dtype} must fill its bytes, got {end - begin}"
        )
    return Entry(dtype, tuple(shape), begin, end)


def _check_ranges(entries: Mapping[str, Entry], size: int) -> None:
    """The arrays must follow one another without gap or overlap and fill the file."""
    at, before = 0, "the header"
    for name, entry in sorted(entries.items(), key=lambda pair: (pair[1].begin, pair[1].end)):
        if entry.begin != at:
            raise ConfigError(
                f"header[{shorten(name)}].data_offsets: must begin at {at}, where {before} ends, "
                f"got {entry.begin}"
            )
        at, before = entry.end, shorten(name)
    if at != size:
        raise ConfigError(f"header: arrays must fill the {size} bytes behind it, got {at}")


def write_weights(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], config: str | None = None
) -> None:
    """Write a safetensors file in one go: whoever reads `path` sees the old file or the new.

    A symbolic link stays one, and a file keeps its mode.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If `path` is no path, or is there and no regular file.
    ConfigError
        If the configuration is larger than what can be read again.
    OSError
        If the file cannot be written.
    """
    target, mode = target_of("save", path)
    if config is not None:
        strict_json.parse(config, "save: the configuration")
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    meta = None if config is None else {METADATA_KEY: config}
    temporary = os.path.join(os.path.dirname(target), f".fastconv-{os.urandom(8).hex()}")
    try:
        # A new file has the mode that the system makes of 0o666 and the process's mask.
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        os.close(os.open(temporary, flags, 0o666 if mode is None else 0o600))
        try:
            if mode is None:
                mode = stat.S_IMODE(os.stat(temporary).st_mode)
            save_file({n: np.ascontiguousarray(a) for n, a in arrays.items()}, temporary, meta)
            os.chmod(temporary, mode)  # safetensors may have put a file of its own there
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:  # it may name a file that the user has not heard of
        raise OSError(error.errno, error.strerror or str(error), target) from None
    except SafetensorError as error:
        raise OSError(f"save: {target} must be written in full; {error}") from None


def target_of(operation: str, path: Any) -> tuple[str, int | None]:
    """Return the path behind symbolic links, and the mode of the file that is there, if any.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If `path` is no path, or is there and no regular file.
    """
    target = os.path.realpath(_checked(operation, path))
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return target, None
    if not stat.S_ISREG(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise ArgumentError(
            f"{operation}: path must be of a file, or free, got {target!r}, which is {what}"
        )
    return target, stat.S_IMODE(mode)


def _checked(operation: str, path: Any) -> str:
    """Return `path` as text, which the system can take; ``~`` is the folder of the user."""
    return str(as_path(operation, "path", path))
