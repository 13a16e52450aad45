"""What runs on batches, and where its arrays have their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

__all__ = ["BATCH_NORM", "PREDICTED", "Array", "Layout", "Runnable", "Use"]

Array = np.ndarray[Any, Any]

#: Of which rows BatchNorm may take its statistics where batches are cut into pieces.
BATCH_NORM = ("by_piece", "synchronised")


class Layout(NamedTuple):
    """Where the rows of inputs and outputs are, and which inputs are of integers.

    Attributes
    ----------
    names : tuple of str
        Of the inputs.
    inputs, outputs : tuple of (int or None)
        The axis that counts rows; None where an array has none and serves all of them.
    integers : tuple of (dtype or None)
        What inputs of integers are of; None for floats.
    """

    names: tuple[str, ...]
    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    integers: tuple[np.dtype[Any] | None, ...]


class Use(NamedTuple):
    """What becomes of batches.

    Attributes
    ----------
    training : bool
        Whether the network learns from them.
    gathered : bool
        Whether their rows are gathered from places apart.
    measured : bool
        Whether losses and metrics are computed of the outputs; in training they always are.
    counted : int
        Of how many rows in all metrics keep counts, as far as that is known.
    """

    training: bool = False
    gathered: bool = False
    measured: bool = False
    counted: int = 0


PREDICTED = Use()


class Runnable(Protocol):
    """What runs on batches.

    Attributes
    ----------
    layout : Layout or None
        None where all inputs are of floats, and rows are on axis 0 everywhere.
    """

    layout: Layout | None

    def cast_inputs(self, x: Any) -> tuple[Array, ...]:
        """Return one array for each input, cast; raise where shape or dtype does not fit."""

    def predict_batch(self, xs: tuple[Array, ...], program: Any = None) -> Any:
        """Return the output of one batch, or a tuple of several outputs, as in inference."""

    def program(
        self,
        operation: str,
        memory_limit: int,
        batch_size: int,
        arrays: Sequence[Array],
        *,
        use: Use = PREDICTED,
        results: int | None = None,
        held: int = 0,
    ) -> Any:
        """Return how batches of the rows of `arrays` keep within `memory_limit` bytes.

        Its ``rows`` is how many are to be given to `predict_batch` at a time. `held` bytes of
        the arrays are copies made of lists.
        """
