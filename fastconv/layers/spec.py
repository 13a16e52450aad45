"""What a layer says about arrays and about its costs, before there is any data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv.arguments import as_int, as_sizes
from fastconv.concurrency import computed_once
from fastconv.errors import ArgumentTypeError, ShapeError

__all__ = ["DTYPES", "DTYPES_RULE", "FLOATS", "FLOATS_RULE", "LayerCosts", "PassCosts", "Spec"]

_ITEMSIZE = {"float32": 4, "float64": 8, "int64": 8, "int32": 4, "uint8": 1, "int8": 1, "bool": 1}
#: The dtypes that arrays of a network may have, and those of them that have gradients.
DTYPES, FLOATS = tuple(_ITEMSIZE), ("float32", "float64")
DTYPES_RULE = f"must be {', '.join(map(repr, DTYPES[:-1]))} or {DTYPES[-1]!r}"
FLOATS_RULE = f"must be {' or '.join(map(repr, FLOATS))}"


@dataclass(frozen=True, repr=False)
class Spec:
    """Shape without the batch, dtype, and place of the batch of an array in a network.

    Parameters
    ----------
    shape : tuple of int
        ``(C, H, W)`` for images, ``(features,)`` for vectors; each at least 1. Without a batch it
        may be empty.
    dtype : str
        ``"float32"`` or ``"float64"``; or ``"int64"``, ``"int32"``, ``"uint8"``, ``"int8"`` or
        ``"bool"``, which have no gradient.
    batch_axis : int or None
        The axis of the whole array that counts the samples. None means an array without a batch,
        which all samples share.

    Raises
    ------
    ShapeError, ArgumentTypeError, ArgumentError
        If the shape is empty though there is a batch, or holds anything but integers of at least
        1; if the dtype is none of these; or if the array has no such axis.

    Examples
    --------
    >>> Spec((3, 32, 32)).nbytes
    12288
    >>> Spec((7, 5), "int64", batch_axis=1).whole_shape(32)
    (7, 32, 5)
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    batch_axis: int | None = 0

    def __post_init__(self) -> None:
        shape = as_sizes("Spec", "shape", self.shape)
        if not shape and self.batch_axis is not None:
            rule = "must have at least one axis beside the batch"
            raise ShapeError("Spec", "shape", rule, shape)
        dtype = getattr(self.dtype, "name", None) or getattr(self.dtype, "__name__", self.dtype)
        dtype = "bool" if self.dtype is np.bool_ else dtype  # which NumPy 1 calls bool_
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise ArgumentTypeError("Spec", "dtype", DTYPES_RULE, self.dtype)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dtype", str(dtype))
        axis = self.batch_axis
        if axis is not None and (type(axis) is not int or axis != 0):  # most are 0
            axis = as_int("Spec", "batch_axis", axis, 0)
            if axis > len(shape):
                rule = f"must be at most {len(shape)} for shape {shape}, or None"
                raise ShapeError("Spec", "batch_axis", rule, axis)
            object.__setattr__(self, "batch_axis", axis)

    def __repr__(self) -> str:
        besides = "" if self.batch_axis == 0 else f", batch_axis={self.batch_axis}"
        return f"Spec(shape={self.shape}, dtype={self.dtype!r}{besides})"

    def whole_shape(self, rows: int) -> tuple[int, ...]:
        """Return the shape of an array of `rows` samples."""
        if self.batch_axis is None:
            return self.shape
        return (*self.shape[: self.batch_axis], rows, *self.shape[self.batch_axis :])

    @property
    def letters(self) -> str:
        """The shape as text, with N for the batch: ``"(N, 3, 32, 32)"``."""
        sizes = [str(size) for size in self.shape]
        if self.batch_axis is not None:
            sizes.insert(self.batch_axis, "N")
        return f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"

    @property
    def is_float(self) -> bool:
        """Whether the array can have a gradient."""
        return self.dtype in FLOATS

    @property
    def is_plain(self) -> bool:
        """Whether the array is as most are: of floats, with the batch first."""
        return self.batch_axis == 0 and self.dtype in FLOATS

    @computed_once
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype as NumPy has it."""
        return np.dtype(self.dtype)

    @property
    def size(self) -> int:
        """Elements of one sample."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of one sample."""
        return self.size * _ITEMSIZE[self.dtype]


@dataclass(frozen=True)
class PassCosts:
    """The temporary memory of one call, forward or backward, in bytes for the whole batch.

    Attributes
    ----------
    workspace : int
        Scratch memory, given back when the call ends.
    packed : int
        Weights in the order in which kernels read them.
    together : int or None
        The most that both take at one time, if the packed weights serve this call alone. None
        means their sum.
    least : int or None
        The smallest ``workspace_limit`` with which the chosen algorithm can run. None means
        `workspace`.
    seconds : float
        An estimate for one thread, which serves to compare; 0 where there is none.
    """

    workspace: int = 0
    packed: int = 0
    together: int | None = None
    least: int | None = None
    seconds: float = field(default=0.0, kw_only=True)

    @property
    def temporary(self) -> int:
        """The most that workspace and packed weights take at one time."""
        return self.workspace + self.packed if self.together is None else self.together

    @property
    def lowest_limit(self) -> int:
        """The smallest ``workspace_limit`` that leads to the same algorithm."""
        return self.workspace if self.least is None else self.least


@dataclass(frozen=True)
class LayerCosts(PassCosts):
    """What one call of a layer takes; every size in bytes, for the whole batch.

    The figures of `PassCosts` are those of the forward pass.  In inference, the packed weights
    are kept beside the plain ones from call to call.  In training, where the weights change with
    every step, they are lent to one call like workspace.

    Attributes
    ----------
    saved : int
        What a training step keeps for the backward pass besides inputs and output.
    multiply_adds : int
        How many multiply-adds the forward pass does.
    algorithm, why : str
        The chosen algorithm and the reason; empty where there is no choice.
    keeps : frozenset of str
        Which of ``"inputs"`` and ``"output"`` the backward pass reads again.
    estimated : bool
        Whether the layer gave no figures of its own.
    backward : PassCosts or None
        The figures of the backward pass. None means that they are those of the forward pass.
    without_dx : PassCosts or None
        Those of a backward pass that makes no gradient of the inputs, as the first layer's. None
        means that they are those of `backward`.
    im2col : int
        The workspace that im2col would take: in inference in the forward pass, in training in the
        backward pass. 0 where there is no such choice.
    dy_copied : int
        What the backward pass takes besides, for a copy of `dy`, if it may not write over `dy`.
    backward_algorithm, without_dx_algorithm : str
        The algorithm of these passes; two are joined by ``" and "``.
    """

    saved: int = 0
    multiply_adds: int = 0
    algorithm: str = ""
    why: str = ""
    keeps: frozenset[str] = field(default_factory=frozenset)
    estimated: bool = False
    backward: PassCosts | None = None
    im2col: int = 0
    dy_copied: int = 0
    backward_algorithm: str = ""
    without_dx: PassCosts | None = None
    without_dx_algorithm: str = ""
