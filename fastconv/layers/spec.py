"""What a layer says about arrays and about its costs, before there is any data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv.arguments import as_sizes
from fastconv.concurrency import computed_once
from fastconv.errors import ArgumentTypeError, ShapeError

__all__ = ["LayerCosts", "PassCosts", "Spec"]

_ITEMSIZE = {"float32": 4, "float64": 8}


@dataclass(frozen=True)
class Spec:
    """Shape without the batch, and dtype, of an array in a network.

    Parameters
    ----------
    shape : tuple of int
        ``(C, H, W)`` for images, ``(features,)`` for vectors; each at least 1.
    dtype : str
        ``"float32"`` or ``"float64"``.

    Raises
    ------
    ShapeError, ArgumentTypeError, ArgumentError
        If the shape is empty or holds anything but integers of at least 1, or the dtype is
        another.

    Examples
    --------
    >>> Spec((3, 32, 32)).nbytes
    12288
    """

    shape: tuple[int, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        shape = as_sizes("Spec", "shape", self.shape)
        if not shape:
            rule = "must have at least one axis beside the batch"
            raise ShapeError("Spec", "shape", rule, shape)
        dtype = getattr(self.dtype, "name", None) or getattr(self.dtype, "__name__", self.dtype)
        if not isinstance(dtype, str) or dtype not in ("float32", "float64"):
            rule = "must be 'float32' or 'float64'"
            raise ArgumentTypeError("Spec", "dtype", rule, self.dtype)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dtype", str(dtype))

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
        Weights in the order that kernels read.
    together : int or None
        The most of both at one time, where the packed weights serve this call alone; None is
        their sum.
    least : int or None
        The smallest ``workspace_limit`` that the algorithm taken can do with; None is
        `workspace`.
    """

    workspace: int = 0
    packed: int = 0
    together: int | None = None
    least: int | None = None

    @property
    def temporary(self) -> int:
        """The most of workspace and packed weights at one time."""
        return self.workspace + self.packed if self.together is None else self.together

    @property
    def lowest_limit(self) -> int:
        """The smallest ``workspace_limit`` that leads to the same algorithm."""
        return self.workspace if self.least is None else self.least


@dataclass(frozen=True)
class LayerCosts(PassCosts):
    """What one call of a layer takes; every size in bytes, for the whole batch.

    The figures of `PassCosts` are those of the forward pass.  There the packed weights are kept
    beside the plain ones from call to call; in training, where the weights change with every
    step, they are lent to one call like workspace.

    Attributes
    ----------
    saved : int
        What a training step keeps for the backward pass besides inputs and output.
    multiply_adds : int
        Multiplications with addition of the forward pass.
    algorithm, why : str
        The algorithm taken and the reason; empty where there is no choice.
    keeps : frozenset of str
        Which of ``"inputs"`` and ``"output"`` the backward pass reads again.
    estimated : bool
        Whether the layer gave no figures of its own.
    backward : PassCosts or None
        Of the backward pass; None is as forward.
    im2col : int
        The workspace that im2col would take, forward or in training backward; 0 where there is
        no such choice.
    dy_copied : int
        What the backward pass takes besides for a copy of `dy`, where it may not write over it.
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
