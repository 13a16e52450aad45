"""The protocol of what ``fit`` learns from."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

from fastconv.training.batch import Batch, Pieces, Position
from fastconv.training.sources.classes import ClassWeights
from fastconv.training.trainable import Array

__all__ = ["Source"]


class Source(Protocol):
    """The batches of every epoch, in an order that depends on nothing but settings and keys.

    Attributes
    ----------
    once : bool
        Whether the data can be run through only once: one epoch, which begins at its beginning.
    classes : ClassWeights or None
        What the classes of rows count.
    rows : int or None
        How many rows an epoch has, where that is known.
    known : tuple of (ndarray or Rows), or None
        The inputs, where they are known before the first batch as the steps will have them.
    """

    once: bool
    classes: ClassWeights | None

    @property
    def rows(self) -> int | None: ...  # noqa: D102

    @property
    def known(self) -> tuple[Array, ...] | None: ...  # noqa: D102

    def plan(self) -> int | None:
        """Return how many batches an epoch has, or None if that is not known.

        It raises what can be refused before the first step. The loop calls it before every epoch:
        callbacks may freeze layers, and validation packs weights.
        """

    def batches(self, position: Position, key: int) -> Generator[Batch | Pieces]:
        """Yield the batches of an epoch from `position` on.

        Parameters
        ----------
        position : Position
            The epoch, counted in this ``fit``, and the first batch to be yielded. The batches
            before it are not: all others are those that an epoch from its beginning has.
        key : int
            The number of epochs that the network has trained since it was compiled. With the seed
            it is the key of the order, and with the batch's number that of a transform.

        Notes
        -----
        Where batches are cut, it yields those pieces of each that this process computes, and makes
        no others. A batch is the loop's alone: the source keeps nothing of it. Who leaves the epoch
        early closes the generator, and with it a thread that made the next batch meanwhile. An
        error of what makes a batch has a note that names the batch.
        """

    def program(self, batch: Batch | Pieces) -> Any:
        """Return how the step on `batch` keeps within the limit; None without one.

        It is asked for in the thread of the loop, and before the step.
        """
