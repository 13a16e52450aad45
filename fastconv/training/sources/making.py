"""What is done to the rows of a batch before the step: weighed by class, and transformed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastconv.batches import as_array, as_tuple, count_rows, is_read
from fastconv.errors import ArgumentTypeError, FastconvError, ShapeError
from fastconv.training.batch import Batch, Pieces, Position
from fastconv.training.data import as_data
from fastconv.training.settings import Settings
from fastconv.training.sharding.cutting import Cutter
from fastconv.training.sources.classes import ClassWeights
from fastconv.training.sources.table import Some, Table
from fastconv.training.trainable import Array, Trainable

__all__ = ["Maker", "naming", "untried"]

PAIR_RULE = "must return (x, y) with the rows that it was given"


@contextmanager
def naming(epoch: int, number: int) -> Iterator[None]:
    """Add to an error raised inside which batch it was that could not be made."""
    try:
        yield
    except Exception as error:
        error.add_note(f"fit: this was batch {number + 1} of epoch {epoch + 1}")
        raise


def untried(settings: Settings, *, y_serves: bool = False) -> str:
    """Return which of x and y a transform makes fit the model, as `as_data` takes it.

    `y_serves` says whether y as it is given has a use of its own, for which it must fit.
    """
    if settings.transform is None:
        return ""
    return "x" if y_serves or getattr(settings.transform, "keeps_y", False) is True else "xy"


class Maker:
    """Makes the batches of an epoch of the rows that a source takes for them.

    Parameters
    ----------
    model : Trainable
        Which is compiled.
    settings : Settings
        Its `transform` gets (rng, x, y), where x and y are arrays of its own, or tuples of them for
        several inputs or outputs, and the key of rng is the seed, the epoch and the batch. What it
        returns must fit the model and its losses.
    classes : ClassWeights or None
    cutter : Cutter, optional
        How batches are cut, if they are. Each piece is then made by itself, and its number is part
        of the transform's key.
    """

    def __init__(
        self,
        model: Trainable,
        settings: Settings,
        classes: ClassWeights | None,
        cutter: Cutter | None = None,
    ) -> None:
        self._model, self._settings, self._classes = model, settings, classes
        self._cutter = cutter

    def of(self, table: Table, chosen: Any, position: Position, key: int) -> Batch | Pieces:
        """Return the batch of the `chosen` rows of a table, or those of its pieces made here."""
        if self._cutter is None:
            return self.batch(table.take(chosen), position, key)
        is_slice = isinstance(chosen, slice)
        rows = chosen.stop - chosen.start if is_slice else len(chosen)
        pieces, own = self._cutter.cut(self._model, rows)
        parts = []
        for piece in pieces[own.start : own.stop]:
            part = slice(piece.begin, piece.end)
            if is_slice:
                part = slice(chosen.start + piece.begin, chosen.start + piece.end)
            some = table.take(part if is_slice else chosen[part])
            parts.append(self.batch(some, position, key, piece.number))
        weighted = self._classes is not None or table.weights is not None
        counts = tuple([piece.rows for piece in pieces])
        return Pieces(tuple(parts), own, counts, weighted, position.batch, position.epoch)

    def batch(self, some: Some, position: Position, key: int, piece: int | None = None) -> Batch:
        """Return the batch at `position`, of the epoch that `key` counts, or a piece of it."""
        inputs, targets, weights, rows = some
        if self._classes is not None:
            weights = self._classes.times(targets[0], weights)
        if self._settings.transform is not None:
            keys = (1,) if piece is None else (1, piece)
            # The spawn key makes it another than that of the order of the rows, also for batch 0.
            entropy = self._settings.seed, key, position.batch
            seeds = np.random.SeedSequence(entropy, spawn_key=keys)
            inputs, targets = self._transformed(inputs, targets, seeds)
        made = Batch(inputs, targets, weights, rows, *position)
        made.piece = piece
        return made

    def _transformed(
        self, inputs: tuple[Array, ...], targets: tuple[Array, ...], seeds: np.random.SeedSequence
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        transform = self._settings.transform
        assert transform is not None
        given = [tuple([_own(array) for array in arrays]) for arrays in (inputs, targets)]
        x, y = (arrays if len(arrays) > 1 else arrays[0] for arrays in given)
        found = transform(np.random.default_rng(seeds), x, y)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            shown = type(found).__name__
            raise ArgumentTypeError("fit", "transform", PAIR_RULE, found, shown=shown)
        return self._fitting(self._rows("x", found[0], inputs), self._rows("y", found[1], targets))

    def _fitting(
        self, inputs: tuple[Array, ...], targets: tuple[Array, ...]
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        compiled = self._model.compiled
        assert compiled is not None
        y = targets if len(targets) > 1 else targets[0]
        try:
            return as_data("fit", self._model, compiled, inputs, y)
        except FastconvError as error:
            parts = f"transform's {error.parameter}", error.rule, error.value, error.remedy
            raise type(error)("fit", *parts, shown=error.shown) from None

    def _rows(self, name: str, found: Any, before: tuple[Array, ...]) -> tuple[Array, ...]:
        after = tuple([as_array("fit", f"transform's {name}", part) for part in as_tuple(found)])
        if any(is_read(part) for part in after) or len(after) != len(before):
            shown = f"{name} of {len(after)} parts, not {len(before)}"
            raise ArgumentTypeError("fit", "transform", PAIR_RULE, shown=shown)
        layout = self._model.layout if name == "x" else None
        rows, wanted = count_rows(after, layout), count_rows(before, layout)
        if rows != wanted:
            shown = f"{rows} rows of {name} for {wanted}"
            raise ShapeError("fit", "transform", PAIR_RULE, rows, shown=shown)
        return after


def _own(array: Array) -> Array:
    """Return an array that may be changed; a view, of what is the caller's, is copied."""
    return array if array.base is None and array.flags.writeable else array.copy()
