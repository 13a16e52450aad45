"""The training loop: it drives a model, which computes, by the protocol `Trainable`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import InitVar, dataclass
from typing import Any

import numpy as np

from fastconv import memory
from fastconv.arguments import as_bool, as_int, parse_bytes
from fastconv.batches import (
    as_tuple,
    cast,
    count_rows,
    following,
    held,
    rows_at_a_time,
    slices,
    take,
)
from fastconv.errors import ArgumentError
from fastconv.floating import quietly
from fastconv.training.callbacks import History, Run
from fastconv.training.chain import Chain, as_callbacks, printer
from fastconv.training.choosing import compile
from fastconv.training.compiled import Compiled, Totals
from fastconv.training.data import as_data, as_pair, check_rows, count_batches, warn_of_scale
from fastconv.training.finite import Batch, guarded_step
from fastconv.training.trainable import Array, Trainable

__all__ = ["compile", "evaluate", "fit", "train_on_batch"]


def fit(
    model: Trainable,
    x: Any,
    y: Any,
    *,
    batch_size: int = 100,
    epochs: int = 10,
    validation_data: tuple[Any, Any] | None = None,
    shuffle: bool = True,
    seed: int = 0,
    verbose: int = 1,
    callbacks: Iterable[Any] | None = (),
    stop_on_nan: bool = True,
    memory_limit: int | str | None = None,
) -> History:
    """Train a compiled model.

    Parameters
    ----------
    x : array (N, ...), or a tuple of them for several inputs
        It is cast batch by batch, so that images of uint8 need no more than a byte a pixel.
    y : array (N, ...), or a tuple of them for several outputs
    batch_size, epochs : int
        The last batch of an epoch may be smaller. If it has fewer rows than a layer can learn
        from (such as one row for a BatchNorm of vectors), it joins the batch before.
    validation_data : (x, y), optional
        The model is evaluated on it after every epoch; these figures are named ``val_…``.
    shuffle : bool
        Whether every epoch takes the rows in a new order, which follows from `seed` and the number
        of epochs trained so far.
    verbose : {0, 1, 2}
        Nothing, a progress bar, or a line per epoch.
    callbacks : iterable of Callback, name, (name, dict) or function; or one
        A function gets ``(run, epoch, figures)`` at the end of every epoch.
    stop_on_nan : bool
        Whether training ends when loss, gradients or statistics are not finite, before they reach
        a weight.

    Returns
    -------
    History
        ``.history`` maps every figure's name to a list, one entry per epoch. Training figures
        are means over the epoch, taken while the weights change. ``model.history`` holds it too,
        also after an error or Ctrl-C.

    Raises
    ------
    TrainingError
        If something is infinite or NaN. The error names the epoch, the batch, and what it is: part
        of the data, or the first layer that gives such numbers.

    Warns
    -----
    DataWarning
        If `x` holds integers such as pixels up to 255, and nothing scales them.
    """
    compiled = _compiled("fit", model)
    epochs = as_int("fit", "epochs", epochs, 1)
    history = History()
    callbacks = [history, *printer(verbose), *as_callbacks(callbacks)]
    limit = parse_bytes("fit", "memory_limit", memory_limit)
    course = _Course(
        model,
        compiled,
        x,
        y,
        as_int("fit", "batch_size", batch_size, 1),
        as_bool("fit", "shuffle", shuffle),
        as_int("fit", "seed", seed, 0, 2**64 - 1),
        as_bool("fit", "stop_on_nan", stop_on_nan),
        limit,
    )
    _, batches, _ = course.plan()  # to refuse now what cannot be done
    size = min(course.batch_size, course.rows)
    if validation_data is not None:
        validation_data = _held_out(model, compiled, validation_data, size, limit)
    warn_of_scale(model, course.inputs)
    run = Run(model, compiled.optimizer, epochs, batches)
    model.history = history
    try:
        with Chain(callbacks, run) as told:
            for epoch in range(epochs):
                told.epoch_begin(epoch)
                figures = course.epoch(epoch, run, told)
                if validation_data is not None:
                    if limit is not None:
                        model.gradients = {}
                    measured = evaluate(
                        model, *validation_data, batch_size=size, memory_limit=limit
                    )
                    figures.update({f"val_{name}": figure for name, figure in measured.items()})
                told.epoch_end(epoch, figures)
                if run.stop:
                    break
    finally:
        memory.release()  # memory that each step keeps for the next one
    return history


def _held_out(
    model: Trainable, compiled: Compiled, data: Any, size: int, limit: int | None
) -> tuple[Any, Any]:
    """Return (x, y); raise now if `evaluate` could not take them within the limit later."""
    x, y = as_pair(data)
    inputs, _ = as_data("fit", model, compiled, x, y)
    if limit is not None:
        count = min(size, count_rows(inputs, model.layout))
        model.program("fit", limit, count, inputs, held=held(x, inputs))
    return x, y


@dataclass
class _Course:
    """The data of one ``fit``, and how it trains on them."""

    model: Trainable
    compiled: Compiled
    x: InitVar[Any]
    y: InitVar[Any]
    batch_size: int
    shuffle: bool
    seed: int
    stop_on_nan: bool
    limit: int | None

    def __post_init__(self, x: Any, y: Any) -> None:
        self.inputs, self.targets = as_data("fit", self.model, self.compiled, x, y)
        self.rows = count_rows(self.inputs, self.model.layout)
        self.held = held(x, self.inputs)

    def plan(self) -> tuple[int, int, Any]:
        """Return the fewest rows of a batch, the number of batches, and their program or None.

        It is asked for before every epoch: callbacks may freeze layers, and validation packs
        weights.
        """
        least = check_rows("fit", "batch_size", self.model, self.batch_size)
        check_rows("fit", "x", self.model, self.rows)
        batches, largest = count_batches(self.rows, self.batch_size, least)
        if self.limit is None:
            return least, batches, None
        program = self.model.program(
            "fit",
            self.limit,
            largest,
            self.inputs,
            training=True,
            gathered=self.shuffle,
            held=self.held,
        )
        return least, batches, program

    def epoch(self, epoch: int, run: Run, told: Chain) -> dict[str, float]:
        """Take one step on every batch; return the means of the figures."""
        least, run.batches, program = self.plan()
        rows, order = self.rows, None
        if self.shuffle:
            order = np.random.default_rng((self.seed, self.compiled.epoch)).permutation(rows)
        totals = Totals()
        for number, chosen in enumerate(slices(rows, self.batch_size, order, least=least)):
            _step(
                "fit",
                self.model,
                self.compiled,
                Batch(
                    take(self.inputs, chosen, self.model.layout),
                    tuple(a[chosen] for a in self.targets),
                    chosen,
                    epoch,
                    number,
                ),
                totals,
                program,
                self.stop_on_nan,
            )
            told.batch_end(number, totals.means())
        self.compiled.epoch += 1
        return totals.means()


def train_on_batch(
    model: Trainable,
    x: Any,
    y: Any,
    *,
    stop_on_nan: bool = True,
    memory_limit: int | str | None = None,
) -> dict[str, float]:
    """Take one step of the optimizer on one batch; return its figures by name.

    `stop_on_nan` and the errors are those of `fit`.
    """
    compiled = _compiled("train_on_batch", model)
    stop_on_nan = as_bool("train_on_batch", "stop_on_nan", stop_on_nan)
    inputs, targets = as_data("train_on_batch", model, compiled, x, y)
    limit = parse_bytes("train_on_batch", "memory_limit", memory_limit)
    program = None
    if limit is not None:
        rows = count_rows(inputs, model.layout)
        program = model.program(
            "train_on_batch", limit, rows, inputs, training=True, held=held(x, inputs)
        )
    totals, batch = Totals(), Batch(inputs, targets)
    _step("train_on_batch", model, compiled, batch, totals, program, stop_on_nan)
    return totals.means()


def evaluate(
    model: Trainable,
    x: Any,
    y: Any,
    *,
    batch_size: int = 100,
    memory_limit: int | str | None = None,
) -> dict[str, float]:
    """Return loss and metrics over all rows, exact even if the last batch is not full."""
    compiled = _compiled("evaluate", model)
    batch_size = as_int("evaluate", "batch_size", batch_size, 1)
    inputs, targets = as_data("evaluate", model, compiled, x, y)
    batch_size, program = rows_at_a_time("evaluate", model, x, inputs, batch_size, memory_limit)
    run = following(program, model.predict_batch)
    totals = Totals()
    for rows in slices(count_rows(inputs, model.layout), batch_size):
        wanted = tuple(a[rows] for a in targets)
        outputs = as_tuple(run(cast(model, take(inputs, rows, model.layout))))
        compiled.measure(totals, _losses(compiled, outputs, wanted), outputs, wanted)
    return totals.means()


@quietly
def _losses(
    compiled: Compiled, outputs: tuple[Array, ...], targets: tuple[Array, ...]
) -> dict[str, float]:
    return compiled.loss_function(targets)(outputs)[0]


def _step(
    operation: str,
    model: Trainable,
    compiled: Compiled,
    batch: Batch,
    totals: Totals,
    program: Any,
    stop_on_nan: bool,
) -> None:
    """Take one step; a metric that fails does so before a weight has changed."""
    check_rows(operation, "x", model, count_rows(batch.inputs, model.layout))
    dloss = compiled.loss_function(batch.targets)
    if stop_on_nan:
        outputs, losses = guarded_step(operation, model, batch, dloss, compiled.step, program)
    else:
        outputs, losses = model.forward_backward(
            cast(model, batch.inputs), dloss, compiled.step, program
        )
    compiled.measure(totals, losses, outputs, batch.targets)
    compiled.optimizer.update(model.trainable_parameters(), model.gradients)
    compiled.step += 1


def _compiled(operation: str, model: Trainable) -> Compiled:
    if model.compiled is None:
        raise ArgumentError(
            operation,
            "model",
            "must be compiled first",
            remedy='call net.compile(optimizer="adam", loss="softmax_cross_entropy")',
        )
    return model.compiled
