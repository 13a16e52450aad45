"""Losses that are computed a block at a time, and so take little memory beside their gradient.

A network that answers for each pixel has large outputs. What a loss computes on its way
(logarithms, distances, targets in another dtype) exists for one block only, which also stays in
the cache. A block has no more than `NUMBERS` numbers, but at least one answer. Outputs of no more
than that are one block, and its order of summation is that of the whole array.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from fastconv import memory
from fastconv.arguments import as_bool, as_int
from fastconv.floating import quietly
from fastconv.training.labels import as_outputs
from fastconv.training.losses.base import Loss
from fastconv.training.weighting import Shares

__all__ = ["NUMBERS", "BlockwiseLoss", "block_numbers", "blocks"]

Array = np.ndarray[Any, Any]
Block = tuple[slice, ...]

#: The most numbers of outputs in a block, unless one answer has more.
NUMBERS = 1 << 15


def _block_shape(shape: tuple[int, ...]) -> list[int]:
    """Return the shape of the largest block of outputs (N, K, ...); axis 1 is never cut."""
    found, behind = list(shape), math.prod(shape)
    for axis in (axis for axis in range(len(shape)) if axis != 1):
        behind //= max(1, shape[axis])
        found[axis] = min(shape[axis], max(1, NUMBERS // max(1, behind)))
    return found


def block_numbers(shape: tuple[int, ...]) -> int:
    """Return how many numbers the largest block of outputs of `shape` has."""
    return math.prod(_block_shape(shape))


def blocks(shape: tuple[int, ...]) -> Iterator[Block]:
    """Yield the index of each block of outputs of `shape` (N, K, ...), the first rows first."""
    cuts = [
        [slice(at, min(at + step, size)) for at in range(0, size, max(1, step))]
        for size, step in zip(shape, _block_shape(shape), strict=True)
    ]
    return product(*cuts)


class BlockwiseLoss(Loss):
    """A loss whose figure is a sum over answers, each of which has a gradient of its own.

    `bytes_per_number` is the most that `_block` takes, its gradient included, for each number of
    the outputs: of float32, and of float64. It counts targets of another dtype, and what NumPy
    itself takes to cast and to gather.
    """

    bytes_per_number: tuple[int, int]

    def __call__(self, outputs: Array, targets: Any, weights: Any = None) -> float:
        """Return the mean loss, in which each row counts as its weight, or else all equally."""
        return self._mean(outputs, targets, weights, None)

    def value_and_gradient(
        self, outputs: Array, targets: Any, weights: Array | None = None
    ) -> tuple[float, Array]:
        """Return the mean loss and its gradient; see `Loss`."""
        held: list[Array] = []
        return self._mean(outputs, targets, weights, held), held[0]

    def part_of_mean(
        self, outputs: Array, targets: Any, weights: Array | None, whole: float
    ) -> tuple[float, Array]:
        """Return what some rows of a batch add to its mean loss, and that loss's gradient.

        `whole` is what all rows of the batch weigh, or how many they are. The first is times
        `whole`: of the rows of a batch, it adds up to what is to be divided once.
        """
        held: list[Array] = []
        return self._mean(outputs, targets, weights, held, whole), held[0]

    def temporary_bytes(
        self, shape: tuple[int, ...], itemsize: int = 4, *, gradient: bool = True
    ) -> int:
        """Return the bytes beside outputs and targets; see `Loss`.

        Without `gradient`, they are those of the figure alone: of one block.
        """
        itemsize, whole = as_int(self.name, "itemsize", itemsize, 4, 8), self._numbers(shape)
        numbers = block_numbers(tuple(shape))
        taken = numbers * self.bytes_per_number[itemsize == 8]
        kept = as_bool(self.name, "gradient", gradient) and numbers < whole
        return taken + whole * itemsize if kept else taken

    @quietly
    def _mean(
        self,
        outputs: Array,
        targets: Any,
        weights: Any,
        held: list[Array] | None,
        whole: float | None = None,
    ) -> float:
        """Return the mean loss, or that of rows of a batch times what `whole` of it weighs.

        Append the gradient to `held` unless that is None.
        """
        outputs = as_outputs(self.name, outputs)
        targets, shape = self._checked(outputs, targets), outputs.shape
        if not shape:  # one number is the one of one row
            outputs, targets = outputs.reshape(1), targets.reshape(1)
        figures = self._figures(outputs)
        shares = Shares(self.name, weights, outputs, figures, whole)
        count = shares.count if whole is None else figures // max(1, len(outputs))
        if outputs.size <= NUMBERS:
            total, gradient = self._block(outputs, self._cast(targets, outputs), shares)
            if held is not None:
                held.append(gradient.reshape(shape))
            return total / count
        together = None
        if held is not None:
            together = memory.empty(outputs.shape, outputs.dtype)
            held.append(together)
        return memory.apart(self._of_blocks, outputs, targets, shares, together) / count

    def _of_blocks(
        self, outputs: Array, targets: Array, shares: Shares, whole: Array | None
    ) -> float:
        """Return the sum of the losses of all blocks; write the gradient to `whole`."""
        total = 0.0
        for block in blocks(outputs.shape):
            part = outputs[block]
            here = block if targets.ndim == outputs.ndim else (block[0], *block[2:])
            figure, gradient = self._block(
                part, self._cast(targets[here], part), shares.of_rows(block[0])
            )
            total += figure
            if whole is not None:
                whole[block] = gradient
            del gradient  # before the next block has one
        return total

    @abstractmethod
    def _checked(self, outputs: Array, targets: Any) -> Array:
        """Return the targets as an array, checked against all outputs, and not copied."""

    def _cast(self, targets: Array, outputs: Array) -> Array:
        """Return the targets of a block as `_block` takes them."""
        return targets.astype(outputs.dtype, copy=False)

    def _figures(self, outputs: Array) -> int:
        """Return how many figures the mean is of: one for each number of the outputs."""
        return outputs.size

    @abstractmethod
    def _block(self, outputs: Array, targets: Array, shares: Shares) -> tuple[float, Array]:
        """Return the sum of a block's losses, each times its weight, and the mean's gradient."""
