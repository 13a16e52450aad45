"""Weights in the order in which the register tile reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import engines, kernels, memory, threads
from fastconv.arguments import check_axes
from fastconv.errors import ShapeError
from fastconv.floating import is_finite
from fastconv.functional import checks
from fastconv.geometry import winograd_edge
from fastconv.options import as_options

__all__ = ["PackedWeight", "as_operands", "prepare_conv2d", "prepare_dense"]

ACTIVATIONS = (None, "relu")


class PackedWeight:
    """A weight (K, C/groups, R, S) packed once, accepted wherever its array is.

    `prepare_conv2d` makes it.  It copies the values, so a later change of the array has no effect.
    It belongs to the instruction set that is active in this process, and pickles as its array.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    groups : int
    """

    __slots__ = (
        "_data",
        "_transformed",
        "dtype",
        "finite",
        "groups",
        "once",
        "plain",
        "shape",
        "take",
        "weight",
    )

    def __init__(
        self, weight: np.ndarray, groups: int, plain: bool, lent: memory.Lent | None = None
    ):
        keep = lent is None
        self.take = memory.packed if lent is None else lent.packed
        self.shape, self.dtype, self.groups = weight.shape, weight.dtype, groups
        self.plain = plain
        self.once = lent is not None  # it serves one call
        self._transformed: dict[int, np.ndarray] = {}
        array = checks.contiguous(weight)
        if keep and plain:
            array = memory.copied(weight)  # what is kept must not follow the caller's array
        # In a call panels are packed when they are first read, for Winograd does without them.
        self._data = array.reshape(-1) if plain else None
        if keep and not plain:
            self._data = pack(array, groups, self.take)
        self.weight = array if plain or not keep else None
        self.finite = is_finite(weight) if keep else None

    @property
    def data(self) -> np.ndarray:
        """The weights as the kernels read them: panels, or plain where there are few filters."""
        if self._data is None:
            assert self.weight is not None
            self._data = pack(self.weight, self.groups, self.take)
        return self._data

    @property
    def nbytes(self) -> int:
        """Bytes of packed memory, including Winograd's transformed weights once they are made."""
        own = 0 if self.plain or self._data is None else self._data.nbytes
        return own + sum(u.nbytes for u in list(self._transformed.values()))

    def transformed(self, m: int) -> np.ndarray:
        """Return the weights for tiles of m x m outputs: [panel][e][c][lanes].

        They are made on first use.
        """
        found = self._transformed.get(m)
        if found is None:  # two threads may both make it; the first is kept
            found = self._transformed.setdefault(m, self._transform(m))
        return found

    def _transform(self, m: int) -> np.ndarray:
        if self.weight is not None:
            u = transformed_room(self.weight, m, False, self.take)
            transform(self.weight, m, False, u)
            return u
        side = self.shape[2]
        edge = winograd_edge(m, side)
        u = self.take(self.data.nbytes // side**2 * edge**2, self.dtype)
        threads.run(
            kernels.module(self.dtype).winograd_panels,
            self.data,
            u,
            self.shape[1],
            edge,
            side,
            work=threads.MOVE * u.size,
        )
        return u

    def unpacked(self) -> np.ndarray:
        """Return the plain weight (K, C/groups, R, S)."""
        if self.weight is not None:
            return self.weight.copy()
        lanes = kernels.lanes(self.dtype)
        k = self.shape[0] // self.groups
        panels = self.data.reshape(self.groups, -1, int(np.prod(self.shape[1:])), lanes)
        rows = panels.transpose(0, 1, 3, 2).reshape(self.groups, -1, panels.shape[2])
        return rows[:, :k].reshape(self.shape).copy()

    def is_finite(self) -> bool:
        """Whether no weight is infinite or NaN."""
        if self.finite is None and self.weight is not None:
            self.finite = is_finite(self.weight)
        return bool(self.finite)

    def __reduce__(self):
        # plain or in panels again: dense layers want panels however few their units
        return _repack, (self.unpacked(), self.groups, self.plain)

    def __repr__(self) -> str:
        return f"PackedWeight(shape={self.shape}, dtype={self.dtype}, nbytes={self.nbytes})"


def _repack(weight: np.ndarray, groups: int, plain: bool) -> PackedWeight:
    return PackedWeight(weight, groups, plain and few_filters(weight, groups))


def as_operands(
    operation: str,
    x: Any,
    weight: Any,
    bias: Any,
    check: Callable[[str, str, Any], np.ndarray] = checks.as_numbers,
) -> tuple[np.ndarray, Any, Any]:
    """Return `x`, `weight`, which may be packed, and `bias`, which may be None, of one dtype."""
    if type(x) is np.ndarray and (bias is None or type(bias) is np.ndarray):
        if type(weight) is PackedWeight or type(weight) is np.ndarray:
            if checks.are_of_one_dtype(x, weight, bias):
                return x, weight, bias  # the usual case, quickly
    x = check(operation, "x", x)
    if type(weight) is not PackedWeight:
        weight = check(operation, "weight", weight)
    if bias is not None:
        bias = check(operation, "bias", bias)
    x, weight, bias = checks.of_one_dtype(operation, x=x, weight=weight, bias=bias)
    return x, weight, bias


def few_filters(weight: np.ndarray, groups: int) -> bool:
    """Return whether the groups of `weight` (K, C, R, S) have too few filters to pack."""
    return engines.few(weight.shape[0] // groups, kernels.lanes(weight.dtype))


#: Takes memory for packed weights: (nbytes, dtype) to a flat array.
Take = Callable[[int, np.dtype], np.ndarray]


def pack(weight: np.ndarray, groups: int, take: Take = memory.packed) -> np.ndarray:
    """Return `weight` (K, C, R, S) as panels [group][panel][c][r][s][lanes]."""
    lanes = kernels.lanes(weight.dtype)
    panels = -(-(weight.shape[0] // groups) // lanes)
    nbytes = groups * panels * lanes * weight[0].size * weight.itemsize
    data = take(nbytes, weight.dtype)
    threads.run(
        kernels.module(weight.dtype).pack_weight,
        weight,
        data,
        groups,
        work=threads.MOVE * data.size,
    )
    return data


def transformed_room(weight: np.ndarray, m: int, turned: bool, take: Take) -> np.ndarray:
    """Return empty memory for what `transform` makes of `weight`."""
    lanes = kernels.lanes(weight.dtype)
    outputs, channels = weight.shape[1::-1] if turned else weight.shape[:2]
    edge = winograd_edge(m, weight.shape[2])
    nbytes = -(-outputs // lanes) * lanes * channels * edge**2 * weight.itemsize
    return take(nbytes, weight.dtype)


def transform(weight: np.ndarray, m: int, turned: bool, u: np.ndarray) -> None:
    """Write `weight` (K, C, R, R) for tiles of m x m outputs into `u`: [panel][e][c][lanes].

    If it is `turned`, for the gradient of the input, filters take the place of the channels c, and
    taps are mirrored.
    """
    threads.run(
        kernels.module(weight.dtype).winograd_weight,
        weight,
        u,
        winograd_edge(m, weight.shape[2]),
        turned,
        work=threads.MOVE * u.size,
    )


def room_backward(weight: np.ndarray, lent: memory.Lent) -> tuple[np.ndarray, bool]:
    """Return memory for `weight` as the gradient of the input reads it, and whether in panels.

    Where there are few channels, it is the weight itself, which stays plain.  Else it is empty
    memory for panels of input channels, [group][panel of c][r][s][k][lanes].
    """
    lanes = kernels.lanes(weight.dtype)
    k, c, taps = weight.shape[0], weight.shape[1], weight.shape[2] * weight.shape[3]
    if engines.few(c, lanes):
        return weight.reshape(-1), False
    return lent.packed(-(-c // lanes) * lanes * k * taps * weight.itemsize, weight.dtype), True


def pack_panels_backward(weight: np.ndarray, groups: int, data: np.ndarray) -> None:
    """Pack `weight` into `data`, see `room_backward`."""
    module = kernels.module(weight.dtype)
    threads.run(module.pack_weight_backward, weight, data, groups, work=threads.MOVE * data.size)


def pack_backward(weight: np.ndarray, groups: int, lent: memory.Lent) -> tuple[np.ndarray, bool]:
    """Return `weight` for the gradient of the input, packed where `room_backward` has it so."""
    data, packed = room_backward(weight, lent)
    if packed:
        pack_panels_backward(weight, groups, data)
    return data, packed


def prepare_conv2d(
    weight: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    algorithm: str = "auto",
    precision: str = "standard",
) -> PackedWeight:
    """Pack the weights of a convolution once, for many calls of `conv2d`.

    Parameters
    ----------
    weight : ndarray (K, C/groups, R, S), float32 or float64
    stride, padding, dilation, groups, algorithm, precision
        As they will be given to `conv2d`.

    Returns
    -------
    PackedWeight
        It takes ceil(K / groups / lanes) * lanes * groups * C/groups * R * S elements, where
        lanes is the width of a panel for the active instruction set.  Where a group has so few
        filters that kernels read plain weights, nothing is packed.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> prepared = prepare_conv2d(np.ones((32, 3, 3, 3), np.float32))
    >>> prepared.shape
    (32, 3, 3, 3)
    """
    operation = "prepare_conv2d"
    array = checks.as_array(operation, "weight", weight)
    check_axes(operation, "weight", array.shape, "KCRS")
    options = as_options(operation, stride, padding, dilation, groups, algorithm, None, precision)
    options.check_named(operation, array.shape[2:])
    groups = options.groups
    if array.shape[0] % groups:
        raise ShapeError(
            operation, "groups", f"must divide the filters (= {array.shape[0]})", groups
        )
    return PackedWeight(array, groups, few_filters(array, groups))


def prepare_dense(weight: Any) -> PackedWeight:
    """Pack the weight (units, inputs) of a dense layer once, for many calls of `dense`.

    Returns
    -------
    PackedWeight
        Of shape (units, inputs, 1, 1).

    Examples
    --------
    >>> import numpy as np
    >>> prepare_dense(np.ones((10, 4))).shape
    (10, 4, 1, 1)
    """
    array = checks.as_array("prepare_dense", "weight", weight)
    check_axes("prepare_dense", "weight", array.shape, "UI")
    # panels however few the units: pixels never fill the lanes
    return PackedWeight(array.reshape(*array.shape, 1, 1), 1, plain=False)
