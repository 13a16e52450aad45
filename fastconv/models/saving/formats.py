"""Files of other formats: known by their first bytes, and refused with what to do instead."""

from __future__ import annotations

import codecs
from typing import NamedTuple

__all__ = ["HEAD", "WRITERS", "Format", "tell"]

#: How many bytes from the beginning of a file `tell` needs.
HEAD = 128


class Format(NamedTuple):
    """What a file is if it is no network of fastconv, and what to do with it."""

    name: str
    remedy: str


_TO_SET = "give its arrays to net.set_weights"
JSON = Format("JSON text", "read a configuration with fastconv.from_config(open(path).read())")
_KERAS = Format("a model of Keras", f"load it with Keras, and {_TO_SET}")
TORCH = Format(
    "a file of PyTorch", "make the network, and call net.load_weights(path, mapping=...)"
)
_ONNX = Format("an ONNX model", f"take it apart with onnx.numpy_helper, and {_TO_SET}")
_PICKLE = Format(
    "a pickle", "if you trust who made it, load it with pickle, and save the network again"
)
_PICTURE = Format("a picture", "networks take arrays (N, C, H, W) of pixels: net.predict(x)")
_PACKED = Format("a compressed file", "decompress it first")
_PAGE = Format("a page of HTML", "download the file itself")
_NPZ = Format(
    "an .npz archive of NumPy", "net.set_weights(dict(numpy.load(path))) takes layer/parameter"
)

_BEGINNINGS: tuple[tuple[bytes, Format], ...] = (
    (b"\x89HDF\r\n\x1a\n", Format("an HDF5 file", f"read it with h5py, and {_TO_SET}")),
    (
        b"\x93NUMPY",
        Format(
            "an .npy array of NumPy",
            "net.set_weights({'layer/parameter': numpy.load(path)}) takes it",
        ),
    ),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", TORCH),  # before PyTorch 1.6
    (b"\x80\x02", _PICKLE),
    (b"\x80\x03", _PICKLE),
    (b"\x80\x04", _PICKLE),
    (b"\x80\x05", _PICKLE),
    (b"\x89PNG\r\n\x1a\n", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"\x1f\x8b", _PACKED),
    (b"BZh", _PACKED),
    (b"\xfd7zXZ\x00", _PACKED),
    (b"\x28\xb5\x2f\xfd", _PACKED),
    (b"7z\xbc\xaf\x27\x1c", _PACKED),
    (b"version https://git-lfs", Format("a pointer of Git LFS", "fetch the file: git lfs pull")),
    (b"<!DOCTYPE html", _PAGE),
    (b"<!doctype html", _PAGE),
    (b"<html", _PAGE),
    (b"GGUF", Format("a GGUF file", "save its arrays as safetensors")),
)


def tell(head: bytes) -> Format | None:
    """Return the format of a file that begins with `head`, or None if it is not known.

    Examples
    --------
    >>> tell(b"GIF89a").name, tell(bytes(8))
    ('a picture', None)
    """
    for beginning, found in _BEGINNINGS:
        if head.startswith(beginning):
            return found
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _zipped(head)
    if head[4:8] == b"TFL3":
        return Format("a TensorFlow Lite model", f"read it with TensorFlow, and {_TO_SET}")
    # protobuf: field 1 is the version of the format; a text or the graph follows
    if len(head) > 2 and head[0] == 8 and 0 < head[1] < 64 and head[2] in b"\x12\x1a\x3a\x42":
        return _ONNX
    if head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"["):
        return JSON
    return None


def _zipped(head: bytes) -> Format:
    """Return the format of an archive, known by the name of its first file."""
    size = int.from_bytes(head[26:28], "little")
    first = head[30 : 30 + size]
    if first.endswith(b".npy"):
        return _NPZ
    if first.endswith(b"/data.pkl") or first.endswith(b"/.format_version"):
        return TORCH
    if first in (b"metadata.json", b"config.json", b"model.weights.h5"):
        return _KERAS
    return Format("a ZIP archive", "unpack it first")


#: For some suffixes of other formats, the call that writes such a file.
WRITERS = {
    ".npz": "numpy.savez(path, **net.weights()) writes the weights",
    ".pkl": "pickle.dump(net, file) writes one",
}
