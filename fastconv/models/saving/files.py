"""Reads one file of a network: safetensors, with the configuration as JSON in its metadata.

The layout (https://github.com/huggingface/safetensors) is this: eight bytes that say how long the
header is; the header, which is JSON and gives dtype, shape and place of each array; the arrays.
Everything is checked against the size of the file before an array is made, so that a damaged or
hostile file takes no more memory than its own size.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import closing
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastconv.errors import ConfigError, FormatError, shorten
from fastconv.floating import quietly
from fastconv.models.saving import formats, rotation, sealing, strict_json
from fastconv.models.saving.opened import Opened, OpenedFile, Source, opened

__all__ = [
    "CONFIG",
    "FROZEN",
    "PRIVATE",
    "TRAINING",
    "Entry",
    "Source",
    "WeightFile",
    "head_of",
    "told",
]

Array = np.ndarray[Any, Any]

#: Keys of the metadata: for the configuration of the network, for the list of frozen weights, and
#: for how far its training has come.
CONFIG, FROZEN, TRAINING = "fastconv", "fastconv.frozen", "fastconv.training"
#: What the names of the arrays of training begin with; layers have names, so none is theirs.
PRIVATE = "/training"
ITEMSIZE = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64"), 8),
}
READABLE = ("BF16", "F16", "F32", "F64")
PLAIN: dict[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
#: NumPy's dtype of each that it has.
_STORED = {
    name: np.dtype("u1" if name == "BOOL" else f"<{name[0].lower()}{ITEMSIZE[name]}")
    for name in ITEMSIZE
    if not name.startswith(("F8", "BF"))
}
_MAX_HEADER = strict_json.MAX_BYTES
_MAX_RANK = 32
#: How many numbers are widened at a time.
_PIECE = 1 << 18


class Entry(NamedTuple):
    """One array of a file: its dtype in safetensors, its shape, and where its bytes are."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def readable(self) -> bool:
        """Whether it holds real numbers that float32 or float64 can hold exactly."""
        return self.dtype in READABLE

    @property
    def kept_as(self) -> str:
        """Which of float32 and float64 holds all its numbers."""
        return "float64" if self.dtype == "F64" else "float32"


class WeightFile(OpenedFile):
    """An open file whose header has been checked; to be used in a ``with`` statement.

    Parameters
    ----------
    operation : str
        The operation that errors name.
    path : str, path, bytes or binary file

    Attributes
    ----------
    entries : dict of str to Entry
        The arrays of the network by name.
    training : dict of str to Entry
        Those that tell how far training has come; only checkpoints have such.
    metadata : dict of str to str

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If `path` is no path, or leads to something other than a file.
    FormatError
        If the file has another format, is cut off, or does not fit its header.
    OSError
        If the file cannot be read.
    """

    def _read_contents(self) -> None:
        operation, name, size = self.operation, self.path, self.size
        head = self._file.read(formats.HEAD)
        length = int.from_bytes(head[:8], "little")
        if len(head) < 8 or length > size - 8 or head[8:9] != b"{":
            found = formats.tell(head)
            if found is not None:
                raise FormatError(
                    operation,
                    "the file",
                    "must be a safetensors file",
                    found.name,
                    found.remedy,
                    shown=f"{found.name} in {name}",
                )
        if len(head) < 8:
            shown = f"{size} in {name}"
            raise FormatError(operation, "a file", "must have at least 8 bytes", size, shown=shown)
        if length > size - 8:
            raise FormatError(
                operation,
                f"a header of {length} bytes",
                "must fit the file",
                size,
                "it is cut off or no safetensors file",
                shown=f"{size} bytes in {name}",
            )
        if length > _MAX_HEADER:
            raise FormatError(
                operation,
                "the header",
                f"must have at most {_MAX_HEADER} bytes",
                length,
                shown=f"{length} in {name}",
            )
        self._file.seek(8)
        try:
            header = strict_json.parse(self._file.read(length), "header")
            if not isinstance(header, dict):
                raise ConfigError("header", "", "must be an object", header)
            self.metadata = _metadata(header.pop("__metadata__", {}))
            self.entries = {key: _entry(key, item) for key, item in header.items()}
            _check_ranges(self.entries, size - 8 - length)
        except ConfigError as error:
            raise self.refusal(str(error)) from None
        self._data = 8 + length
        self._check_seal(size)

    def _check_seal(self, size: int) -> None:
        """Take the arrays of training out of `entries`; raise if a checkpoint was changed."""
        self.training: dict[str, Entry] = {}
        if TRAINING not in self.metadata:
            return
        for name in [name for name in self.entries if name.startswith(f"{PRIVATE}/")]:
            self.training[name] = self.entries.pop(name)
        seal = self.training.pop(sealing.SEAL, None)
        last = size - self._data
        right = seal is not None and seal[:2] == ("U8", (sealing.SIZE,)) and seal.end == last
        if not (right and sealing.is_whole(self._file, size)):
            older = rotation.older(self.path) if self.on_disk else []
            before = f"; {older[0]} is the one before" if older else ""
            rule = "the checkpoint is damaged, its checksum does not fit its content"
            raise self.refusal(rule + before)

    def refusal(self, what: str) -> FormatError:
        """Return the error that says `what` of the file."""
        return FormatError(f"{self.operation}: {self.path}", "", what)

    def read(self, name: str) -> Array:
        """Return one array, float32 or float64."""
        entry = self.entries[name]
        array = np.empty(entry.shape, entry.kept_as)
        self.read_into(name, array)
        return array

    def read_plain(self, name: str) -> Array:
        """Return an array of training, in its own dtype."""
        entry = self.training[name]
        stored = _STORED.get(entry.dtype)
        if stored is None:
            raise self.refusal(f"{name} must be of a dtype that NumPy has, got {entry.dtype}")
        array = np.empty(entry.shape, stored)
        self._file.seek(self._data + entry.begin)
        self._read(name, array.reshape(-1))
        if entry.dtype == "BOOL":
            return array != 0  # a byte may be any number
        return array.astype(stored.newbyteorder("="), copy=False)

    @quietly  # a cast may complain of a NaN of two bytes
    def read_into(self, name: str, array: Array) -> None:
        """Read one array into `array`, which is contiguous and fits its shape and numbers."""
        entry = self.entries[name]
        self._file.seek(self._data + entry.begin)
        flat: Any = array.reshape(-1)
        plain = PLAIN.get(entry.dtype)
        if plain is not None and array.dtype == plain.newbyteorder("="):
            self._read(name, flat)
            if sys.byteorder == "big":
                array.byteswap(inplace=True)
            return
        narrow: Array = np.empty(min(flat.size, _PIECE), "<u2" if plain is None else plain)
        for begin in range(0, flat.size, _PIECE):
            piece = narrow[: flat.size - begin]
            self._read(name, piece)
            flat[begin : begin + _PIECE] = widened(entry.dtype, piece)

    def _read(self, name: str, array: Array) -> None:
        plain: Any = array.view(np.uint8)
        if array.size and self._file.readinto(plain) != array.nbytes:
            raise self.refusal(f"{name} is cut off, the file changed while it was read")

    def fits(self, name: str, dtype: str) -> bool:
        """Whether `load` reads the array as `dtype`: it has that dtype, or a narrower one."""
        entry = self.entries[name]
        return entry.readable and (entry.dtype in ("BF16", "F16") or entry.kept_as == dtype)


def widened(dtype: str, piece: Array) -> Array:
    """Return the bits of BF16 as float32, which is exact, and other numbers as they are."""
    if dtype == "BF16":  # the upper half of a float32
        return (piece.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return piece


def _metadata(meta: Any) -> dict[str, str]:
    if not isinstance(meta, dict) or not all(isinstance(value, str) for value in meta.values()):
        raise ConfigError("header.__metadata__", "", "must map strings to strings", meta)
    return meta


def _entry(name: str, item: Any) -> Entry:
    where = f"header[{shorten(name)}]"
    if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
        raise ConfigError(where, "", "must have dtype, shape and data_offsets", item)
    dtype, shape, offsets = item["dtype"], item["shape"], item["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEMSIZE:
        raise ConfigError(f"{where}.dtype", "", "must be one of safetensors'", dtype)
    for key, value in (("shape", shape), ("data_offsets", offsets)):
        whole = isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)
        if not whole or len(value) > _MAX_RANK:
            raise ConfigError(f"{where}.{key}", "", "must be a list of sizes", value)
    if len(offsets) != 2:
        raise ConfigError(f"{where}.data_offsets", "", "must be begin and end", offsets)
    begin, end = offsets
    if end - begin != prod(shape) * ITEMSIZE[dtype]:
        rule = f"shape {shorten(shape)} of {dtype} must fill its bytes"
        raise ConfigError(where, "", rule, end - begin)
    return Entry(dtype, tuple(shape), begin, end)


def _check_ranges(entries: Mapping[str, Entry], size: int) -> None:
    """The arrays must follow one another without gap or overlap and fill the file."""
    at, before = 0, "the header"
    for name, entry in sorted(entries.items(), key=lambda pair: (pair[1].begin, pair[1].end)):
        if entry.begin != at:
            where = f"header[{shorten(name)}].data_offsets"
            raise ConfigError(where, "", f"must begin at {at}, where {before} ends", entry.begin)
        at, before = entry.end, shorten(name)
    if at != size:
        cut_off = f"the file is cut off, {at - size} bytes are missing"
        remedy = cut_off if at > size else f"{size - at} bytes are too many"
        raise ConfigError("header", "", f"arrays must fill the {size} bytes behind it", at, remedy)


def head_of(operation: str, path: Any) -> bytes:
    """Return the first bytes of a file, for `formats.tell`; the errors are as of `WeightFile`."""
    with closing(opened(operation, path)) as given:
        return given.head(formats.HEAD)


def told(operation: str, source: Any) -> tuple[Opened, formats.Format | None]:
    """Return a file that is open at its beginning, and which format it has, if that is known."""
    given = opened(operation, source)
    try:
        return given, formats.tell(given.head(formats.HEAD))
    except BaseException:
        given.close()
        raise
