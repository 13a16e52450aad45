"""A strict reader of IDX files, the format of MNIST, plain or gzipped."""

from __future__ import annotations

import math
import struct
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from fastconv.arguments import as_path, check_regular
from fastconv.data.gzipped import open_maybe_gzipped
from fastconv.errors import ArgumentError, FormatError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["mnist", "read_idx"]

Array = np.ndarray[Any, Any]

# The third byte of the magic number, http://yann.lecun.com/exdb/mnist/ (big-endian values).
DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CHUNK = 1 << 20


def read_idx(path: str | PathLike[str]) -> Array:
    """Return the array of an IDX file; a name that ends in ``.gz`` is unpacked on the way.

    Parameters
    ----------
    path : path of the file

    Returns
    -------
    ndarray
        Shape and dtype as the file says, in native byte order.

    Raises
    ------
    FormatError
        If the header is wrong, or the data is shorter or longer than the header says. The memory
        taken never exceeds what the file really holds by more than 1 MiB.
    ArgumentTypeError, ArgumentError
        If `path` is no path, or leads to something other than a file.
    OSError
        If the file cannot be read.
    """
    path = as_path("read_idx", "path", path)
    check_regular("read_idx", "path", str(path))
    with open_maybe_gzipped("read_idx", path) as file:
        dtype, shape = _header(file, path)
        data = _exactly(file, math.prod(shape) * dtype.itemsize, path)
    try:
        array: Array = np.frombuffer(data, dtype).reshape(shape)
    except ValueError as error:  # one size is 0, and no array can have the others
        rule = "must have sizes that an array can have"
        raise FormatError("read_idx", str(path), rule, shape) from error
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(file: BinaryIO, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or not 1 <= magic[3] <= 8:
        rule = "must begin with the magic number of IDX, two zeros, a type and a rank of 1 to 8"
        raise FormatError("read_idx", str(path), rule, magic)
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        rule = f"must hold {magic[3]} sizes in its header, which is cut off"
        raise FormatError("read_idx", str(path), rule, f"{len(sizes)} bytes")
    return np.dtype(DTYPES[magic[2]]), struct.unpack(f">{magic[3]}I", sizes)


def _exactly(file: BinaryIO, nbytes: int, path: Path) -> bytearray:
    """Read `nbytes` piece by piece: so much memory is not taken just because a header says so."""
    data = bytearray()
    while piece := file.read(min(CHUNK, nbytes + 1 - len(data))):
        data += piece
        if len(data) > nbytes:
            rule = f"must end after {nbytes} bytes of data"
            raise FormatError("read_idx", str(path), rule, "more", shown="more")
    if len(data) < nbytes:
        rule = f"must hold {nbytes} bytes of data"
        raise FormatError("read_idx", str(path), rule, len(data))
    return data


def mnist(folder: str | PathLike[str]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Read MNIST, or anything stored like it (Fashion-MNIST), from the four IDX files.

    Parameters
    ----------
    folder : path
        It holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same two files
        of ``t10k``, each plain or as ``.gz``. Names such as ``-images.idx3-ubyte`` are right too.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        x : float32 (N, 1, H, W) from 0 to 1; y : int64 (N,).

    Raises
    ------
    ArgumentError
        If a file is not there.
    FormatError
        If a file is damaged, or images and labels do not belong together.
    """
    found = as_path("mnist", "folder", folder, "folder")
    return _part(found, "train"), _part(found, "t10k")


def _part(folder: Path, part: str) -> tuple[Array, Array]:
    images = read_idx(images_path := _find(folder, f"{part}-images", "idx3-ubyte"))
    labels = read_idx(labels_path := _find(folder, f"{part}-labels", "idx1-ubyte"))
    for path, array, rank in ((images_path, images, 3), (labels_path, labels, 1)):
        if array.ndim != rank or array.dtype != np.uint8:
            shown = f"{array.dtype} of shape {array.shape}"
            rule = f"must hold an array of uint8 with {rank} dimensions"
            raise FormatError("mnist", str(path), rule, array.shape, shown=shown)
    if len(images) != len(labels):
        rule = f"must hold one label per image, {len(images)}"
        raise FormatError("mnist", str(labels_path), rule, len(labels))
    x = images[:, np.newaxis].astype(np.float32)  # (N, 1, H, W)
    x /= np.float32(255)
    return x, labels.astype(np.int64)


def _find(folder: Path, stem: str, kind: str) -> Path:
    names = [f"{stem}{dot}{kind}{gz}" for dot in "-." for gz in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ArgumentError(
        "mnist",
        "folder",
        f"must hold {names[0]} or {names[1]}",
        str(folder),
        "download the four files of MNIST into it",
        shown=f"{str(folder)!r} without it",
    )
