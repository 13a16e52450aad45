"""What a file of PyTorch may hold beside dicts and lists: tensors, and the storages they view.

Their pickles name functions and classes of PyTorch, which are labels here: nothing is imported, and
nothing is called. How tensors are written stands in ``torch/_utils.py`` of PyTorch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Storage", "Tensor", "Unreadable", "built", "called", "labelled", "stored"]

#: What PyTorch calls the type of a storage, and safetensors its dtype.
DTYPES = {
    "BFloat16Storage": "BF16",
    "BoolStorage": "BOOL",
    "ByteStorage": "U8",
    "CharStorage": "I8",
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "IntStorage": "I32",
    "LongStorage": "I64",
    "ShortStorage": "I16",
}
ORDERED_DICT = "collections.OrderedDict"
PARAMETER = "torch._utils._rebuild_parameter"
TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
_LABELS = {ORDERED_DICT, PARAMETER, *TENSORS, *(f"torch.{name}" for name in DTYPES)}
_MAX_RANK = 32


class Unreadable(ValueError):
    """What a file has that no file of weights needs, or that contradicts itself."""


class Label(NamedTuple):
    """A name of something in a module, which is not looked up."""

    name: str


class Storage(NamedTuple):
    """Numbers in a row: their dtype in safetensors, their key in the file, how many they are."""

    dtype: str
    key: str
    length: int


class Tensor(NamedTuple):
    """A view of a storage; `offset` and `strides` count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def labelled(module: Any, name: Any) -> Label:
    """Return the label of a name in a module, if files of weights need it."""
    full = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else ""
    if full not in _LABELS:
        raise Unreadable(f"{full[:100]!r}, and is read only if it holds dicts and tensors")
    return Label(full)


def stored(given: Any) -> Storage:
    """Return the storage that a persistent id stands for."""
    if type(given) is not tuple or len(given) not in (5, 6) or given[0] != "storage":
        raise Unreadable("a persistent id of something other than a storage")
    _, kind, key, location, length = given[:5]
    dtype = DTYPES.get(kind.name.removeprefix("torch.")) if type(kind) is Label else None
    texts = type(key) is str and type(location) is str
    if dtype is None or not texts or not _is_size(length) or given[5:] not in ((), (None,)):
        raise Unreadable("a storage that is not described as PyTorch does")
    return Storage(dtype, key, length)


def called(label: Any, given: Any) -> Any:
    """Return what a call of a label with the arguments `given` stands for."""
    if type(label) is not Label or type(given) is not tuple:
        raise Unreadable("a call of something other than PyTorch's tensors")
    if label.name == ORDERED_DICT and not given:
        return {}
    if label.name == PARAMETER and len(given) == 3 and type(given[0]) is Tensor:
        return given[0]
    if label.name in TENSORS and len(given) >= 4:
        return _tensor(*given[:4])
    raise Unreadable(f"a call of {label.name} that PyTorch does not write")


def built(target: Any, state: Any) -> None:
    """Leave out the attributes of an ordered dict, which are the versions of its modules."""
    if type(target) is not dict:
        raise Unreadable("a pickle that adds to something other than a dict")


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    """Return a tensor whose elements are all in its storage, and no more than that has."""
    lists = type(shape) is tuple and type(strides) is tuple and len(shape) == len(strides)
    if type(storage) is not Storage or not lists or len(shape) > _MAX_RANK:
        raise Unreadable("a tensor that is not described as PyTorch does")
    if not all(map(_is_size, (offset, *shape, *strides))):
        raise Unreadable("a tensor with an impossible size")
    count, last = 1, offset
    for size, stride in zip(shape, strides, strict=True):
        count *= size
        last += (size - 1) * stride
    if count > storage.length or (count and last >= storage.length):
        raise Unreadable("a tensor that is larger than its storage")
    return Tensor(storage, offset, shape, strides)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63
