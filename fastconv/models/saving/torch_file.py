"""Reads the weights in a file of PyTorch, ``.pth`` or ``.pt``, without PyTorch and without pickle.

Since 1.6 such a file is a ZIP archive of a pickle and of the numbers of each storage, stored as
they are. Before, it was four pickles and then the storages, one after the other. `unpickling` reads
the pickles. Everything is checked against the size of the file before an array is made.
"""

from __future__ import annotations

import errno
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fastconv.errors import FormatError, describe, from_signal, shorten
from fastconv.floating import quietly
from fastconv.models.saving.files import ITEMSIZE, PLAIN, READABLE, widened
from fastconv.models.saving.opened import OpenedFile
from fastconv.models.saving.tensors import Tensor, Unreadable
from fastconv.models.saving.unpickling import MAX_BYTES, read_pickle

if TYPE_CHECKING:  # imported where it is used: it takes a while
    from zipfile import ZipFile

__all__ = ["TorchFile"]

Array = np.ndarray[Any, Any]

#: How many bytes are read at a time for a checksum.
_PIECE = 1 << 20
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_REMEDY = "torch.save(module.state_dict(), path) writes one that can be read"
#: How many dicts, lists and values of them are looked through, and how deep they may be nested.
_MOST, _DEEPEST = 50_000, 32


class TorchEntry(NamedTuple):
    """One tensor of a file, and its dtype as safetensors calls it."""

    tensor: Tensor

    @property
    def dtype(self) -> str:
        return self.tensor.storage.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    @property
    def readable(self) -> bool:
        """Whether it holds real numbers that float32 or float64 can hold exactly."""
        return self.dtype in READABLE


class TorchFile(OpenedFile):
    """An open file of PyTorch whose pickle has been read; to be used in a ``with`` statement.

    Parameters
    ----------
    operation : str
        The operation that errors name.
    path : str, path, bytes or binary file

    Attributes
    ----------
    entries : dict of str to TorchEntry
        The tensors by name. The names of nested dicts are joined by ".".

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If `path` is no path, or leads to something other than a file.
    FormatError
        If the file is damaged, or holds anything but dicts, lists, numbers, texts and tensors.
    OSError
        If the file cannot be read.
    """

    def _read_contents(self) -> None:
        with self._told():
            self._find_tensors()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn whatever is wrong with the file into a FormatError that names it."""
        try:
            yield
        except Unreadable as error:
            where = f"{self.operation}: {self.path}"
            raise FormatError(
                where, "", f"must be of tensors; it has {error}", remedy=_REMEDY
            ) from None
        except Exception as error:  # what zipfile raises of damaged archives is of many kinds
            # EINVAL is a place before the beginning of the file, at which a damaged one looks
            system = isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
            if system or isinstance(error, MemoryError) or from_signal(error):
                raise
            where = f"{self.operation}: {self.path}"
            rule = f"must be a whole archive; {describe(error)}"
            raise FormatError(where, "", rule) from error

    def _find_tensors(self) -> None:
        """Read the pickle, and find the place of every storage."""
        self._places: dict[str, tuple[int, int]] = {}  # key -> where its bytes begin, how many
        self._order: Literal["<", ">"] = "<"
        begins_as_zip = self._file.read(2) == b"PK"
        value = self._zipped() if begins_as_zip else self._plain()
        self.entries = {name: TorchEntry(tensor) for name, tensor in _tensors(value)}
        if not self.entries:
            raise Unreadable("no tensors")
        for name, (tensor,) in self.entries.items():
            storage = tensor.storage
            if storage.key not in self._places:
                raise Unreadable(f"{shorten(name)} without its numbers")
            if storage.length * ITEMSIZE[storage.dtype] != self._places[storage.key][1]:
                raise Unreadable(f"{shorten(name)} with a storage of another size")

    def _zipped(self) -> Any:
        import zipfile

        with zipfile.ZipFile(self._file) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names):
                raise Unreadable("two parts of one name")
            pickles = [name for name in names if name.endswith("/data.pkl")]
            if len(pickles) != 1 or pickles[0].count("/") != 1:
                raise Unreadable("no data.pkl in its one folder")
            folder = pickles[0].removesuffix("data.pkl")
            order = (
                self._part(archive, f"{folder}byteorder") if f"{folder}byteorder" in names else b""
            )
            self._order = ">" if order == b"big" else "<"
            prefix = f"{folder}data/"
            for name in names:
                if name.startswith(prefix):
                    self._places[name.removeprefix(prefix)] = self._place(archive, name)
            value, end = read_pickle(content := self._part(archive, pickles[0]))
            if end != len(content):
                raise Unreadable("something behind its pickle")
            return value

    def _place(self, archive: ZipFile, name: str) -> tuple[int, int]:
        """Return where the bytes of a part begin, and how many they are."""
        part = archive.getinfo(name)
        if part.compress_type or part.flag_bits & 1 or part.file_size != part.compress_size:
            raise Unreadable(f"{shorten(name)}, which is compressed or encrypted")
        self._file.seek(part.header_offset)
        head = self._file.read(30)
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise Unreadable(f"{shorten(name)} where the archive has none")
        skipped = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        begin = part.header_offset + 30 + skipped
        if begin + part.file_size > self.size:
            raise Unreadable(f"{shorten(name)}, which is cut off")
        if part.CRC and part.CRC != self._checksum(begin, part.file_size):
            # PyTorch writes 0 where it is told to spend no time on checksums
            raise Unreadable(f"{shorten(name)}, whose checksum is not that of its bytes")
        return begin, part.file_size

    def _checksum(self, begin: int, size: int) -> int:
        """Return the CRC-32 of some bytes of the file."""
        found, left = 0, size
        self._file.seek(begin)
        while left > 0 and (piece := self._file.read(min(left, _PIECE))):
            found = zlib.crc32(piece, found)
            left -= len(piece)
        return found

    def _part(self, archive: ZipFile, name: str) -> bytes:
        """Return the bytes of a small part."""
        begin, size = self._place(archive, name)
        if size > MAX_BYTES:
            raise Unreadable(f"{shorten(name)} of {size} bytes")
        self._file.seek(begin)
        return self._file.read(size)

    def _plain(self) -> Any:
        """Read the format of before 1.6."""
        self._file.seek(0)
        content = self._file.read(MAX_BYTES)
        magic, at = read_pickle(content)
        protocol, at = read_pickle(content, at)
        if magic != MAGIC or protocol != PROTOCOL:
            raise Unreadable("another magic number")
        system, at = read_pickle(content, at)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise Unreadable("the byte order of another machine")
        value, at = read_pickle(content, at)
        keys, at = read_pickle(content, at)
        if not isinstance(keys, list) or not all(type(key) is str for key in keys):
            raise Unreadable("no list of its storages")
        sizes = {t.storage.key: ITEMSIZE[t.storage.dtype] for _, t in _tensors(value)}
        for key in keys:
            self._file.seek(at)
            count = int.from_bytes(self._file.read(8), "little")
            nbytes = count * sizes.get(key, self.size)
            if key in self._places or nbytes > self.size - at - 8:
                raise Unreadable(f"a storage {shorten(key)} that is cut off, or no tensor has")
            self._places[key] = at + 8, nbytes
            at += 8 + nbytes
        return value

    @quietly  # a cast may complain of a NaN of two bytes
    def read(self, name: str) -> Array:
        """Return one array, float32 or float64, in the order of its axes."""
        storage, offset, shape, strides = self.entries[name].tensor
        kept = np.float64 if storage.dtype == "F64" else np.float32
        if not prod(shape):
            return np.empty(shape, kept)
        dtype: np.dtype[Any] = PLAIN.get(storage.dtype, np.dtype("u2"))  # BF16 as its bits
        span = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        numbers: Array = np.empty(span, dtype.newbyteorder(self._order))
        self._file.seek(self._places[storage.key][0] + offset * numbers.itemsize)
        plain: Any = numbers.view(np.uint8)
        if self._file.readinto(plain) != numbers.nbytes:
            where = f"{self.operation}: {self.path}"
            rule = "must be whole; the file changed while it was read"
            raise FormatError(where, name, rule)
        steps = tuple(stride * numbers.itemsize for stride in strides)
        view: Array = np.ndarray(shape, numbers.dtype, numbers, 0, steps)
        return widened(storage.dtype, view).astype(kept, order="C")


def _tensors(value: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor in nested dicts and lists, and its name.

    Raises
    ------
    Unreadable
        If two have one name, or there is more to look through than any file of weights has.
    """
    names: set[str] = set()
    left, looked = [("", value, 0)], 0
    while left:
        name, item, depth = left.pop()
        looked += len(item) if type(item) is dict or _is_list(item) else 0
        if looked > _MOST or depth > _DEEPEST:
            raise Unreadable("more dicts and lists in one another than files of weights have")
        if type(item) is Tensor:
            if name in names:
                raise Unreadable(f"two tensors of the name {shorten(name)}")
            names.add(name)
            yield name, item
        pairs = item.items() if type(item) is dict else enumerate(item) if _is_list(item) else ()
        inner = [(f"{name}.{key}" if depth else f"{key}", part, depth + 1) for key, part in pairs]
        left.extend(reversed(inner))


def _is_list(value: Any) -> bool:
    return type(value) in (list, tuple)
