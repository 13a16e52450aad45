"""The training loop: it drives a model, which computes, by the protocol `Trainable`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

from fastconv import memory
from fastconv.arguments import as_bool, as_int, parse_bytes
from fastconv.batches import BATCH_SIZE, Stream, Use, cast, check_alone, check_unsized, count_rows
from fastconv.errors import ArgumentError, MemoryLimitError
from fastconv.training.batch import Batch, Position
from fastconv.training.callbacks import History, Run
from fastconv.training.chain import Chain, as_callbacks, figures_of, printer
from fastconv.training.choosing import compile
from fastconv.training.compiled import Compiled, Totals
from fastconv.training.data import check_rows, warn_of_scale
from fastconv.training.evaluating import check_limit, measure
from fastconv.training.fingerprint import check_again, prints_of, settings_of
from fastconv.training.finite import guarded_step
from fastconv.training.resuming import Course, compiled_as
from fastconv.training.settings import Settings
from fastconv.training.sources import IN_BATCHES, Given, HeldOut, Source, as_table, opened
from fastconv.training.trainable import Trainable

__all__ = ["compile", "evaluate", "fit", "train_on_batch"]


def fit(
    model: Trainable,
    x: Any,
    y: Any = None,
    *,
    batch_size: int = BATCH_SIZE,
    epochs: int = 10,
    validation_data: Any = None,
    validation_split: float | None = None,
    shuffle: bool = True,
    seed: int = 0,
    verbose: int = 1,
    callbacks: Iterable[Any] | None = (),
    class_weight: Any = None,
    sample_weight: Any = None,
    transform: Callable[..., Any] | None = None,
    stop_on_nan: bool = True,
    resume: Any = None,
    memory_limit: int | str | None = None,
) -> History:
    """Train a compiled model.

    Parameters
    ----------
    x : array (N, ...), object whose rows are read, tuple of them for several inputs, or Stream
        Arrays are cast batch by batch, so that images of uint8 need no more than a byte a pixel. An
        object with ``__len__`` and ``__getitem__`` is called with one int for each row; one that
        also has a ``shape``, with the ascending row numbers of a batch. A `Stream`, an iterable of
        batches (x, y) or (x, y, sample_weight), comes alone.
    y : array (N, ...), object whose rows are read, or tuple of them for several outputs
    batch_size, epochs : int
        The last batch of an epoch may be smaller. If it has fewer rows than a layer can learn
        from (such as one row for a BatchNorm of vectors), it joins the batch before. Those of a
        Stream are as it gives them, and `batch_size` must be left out unless there are rows for
        validation, of which it says how many are computed at a time.
    validation_data : (x, y), (x, y, sample_weight), or Stream, optional
        The model is evaluated on it after every epoch; these figures are named ``val_…``.
    validation_split : float, optional
        The share of the rows that is held out for that instead. If y holds classes, every class has
        its share, chosen by `seed`; else they are the last rows.
    shuffle : bool
        Whether every epoch takes the rows in a new order, which follows from `seed` and the number
        of epochs trained so far. The order of a Stream is its own.
    verbose : {0, 1, 2}
        Nothing, a progress bar, or a line per epoch.
    callbacks : iterable of Callback, name, (name, dict) or function; or one
        A function gets ``(run, epoch, figures)`` at the end of every epoch.
    class_weight : dict of int to float, array (K,), or "balanced", optional
        What the rows of each class count in the loss and the metrics, beside `sample_weight`; those
        of classes that a dict does not name count 1. Validation knows none.
    sample_weight : array (N,), optional
        What each row counts; 0 leaves it out.
    transform : callable, optional
        ``transform(rng, x, y) -> (x, y)`` is called on every batch to learn from, before it is
        cast, and may change the arrays in place. The key of its generator of random numbers is the
        seed, the epoch and the batch. What it returns must fit the model; rows for validation, held
        out ones too, must fit as they are.
    stop_on_nan : bool
        Whether training ends when loss, gradients or statistics are not finite, before they reach
        a weight.
    resume : str or path, optional
        A checkpoint, from which training goes on to the bits of a run that never stopped. `epochs`
        is the number of all epochs; whatever else decides about the result must be as it was. A
        model that is not compiled is compiled as it was.

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

    Notes
    -----
    Where rows are read or transformed, and for a Stream, a thread makes the next batch while one is
    computed. Nothing but time depends on it. An error in it is raised here, with a note of the
    batch that it was.
    """
    saved = None if resume is None else model.read_checkpoint("fit", resume)
    if saved is not None and model.compiled is None:
        compile(model, **compiled_as(saved.checkpoint, saved.path))
    compiled = _compiled("fit", model)
    epochs = as_int("fit", "epochs", epochs, 1)
    if isinstance(x, Stream) and (validation_data is None or isinstance(validation_data, Stream)):
        check_unsized("fit", batch_size)
    history = History()
    callbacks = [history, *printer(verbose), *as_callbacks(callbacks)]
    settings = Settings(batch_size, shuffle, seed, stop_on_nan, memory_limit, transform)
    given = Given(x, y, validation_data, validation_split, class_weight, sample_weight)
    source, held_out = opened(model, compiled, given, settings, epochs)
    validates = held_out is not None
    batches = _planned(model, source, held_out, settings)
    run = Run(model, compiled.optimizer, epochs, batches, False, validates, settings)
    run.figures = figures_of(compiled, validates, callbacks)
    if source.known is not None:
        warn_of_scale(model, source.known)
    model.history = history
    told = Chain(callbacks, run)
    course = Course(model, told, run, settings_of(settings, **prints_of(given, source, held_out)))
    if saved is not None:
        check_again(source)
        course.check(model, saved)
    compiled.course = course
    try:
        with told:
            if saved is not None:
                course.restore(model, saved)
                saved = None  # its arrays are not needed any more
            _epochs(source, held_out, run, told, course)
    finally:
        memory.release()  # memory that each step keeps for the next one
    return history


def _planned(
    model: Trainable, source: Source, held_out: HeldOut | None, settings: Settings
) -> int | None:
    """Return the number of batches of an epoch, if it is known.

    Where the limit is too small for a step, for validation or for both, the error names what is
    enough for both.
    """
    batches, needs = None, []
    try:
        batches = source.plan()
    except MemoryLimitError as error:
        needs.append(error)
    try:
        check_limit(model, held_out, _size(source, settings), settings.memory_limit)
    except MemoryLimitError as error:
        needs.append(error)
    if needs:
        raise max(needs, key=lambda error: error.least)
    return batches


def _size(source: Source, settings: Settings) -> int:
    """Return how many rows are measured at a time."""
    return min(settings.batch_size, source.rows or settings.batch_size)


def _epochs(
    source: Source, held_out: HeldOut | None, run: Run, told: Chain, course: Course
) -> None:
    """Train the epochs that are left."""
    model, compiled, limit = run.model, run.model.compiled, run.settings.memory_limit
    for epoch in range(run.position.epoch, 0 if run.stop else run.epochs):
        told.epoch_begin(epoch)
        figures = _epoch(source, run, told, course)
        if held_out is not None:
            if limit is not None:
                model.gradients = {}
            size = _size(source, run.settings)
            measured = measure("fit", model, compiled, held_out, size, limit)
            figures.update({f"val_{name}": figure for name, figure in measured.items()})
        compiled.epoch += 1
        run.position, run.totals = Position(epoch + 1), compiled.totals()
        told.epoch_end(epoch, figures)
        if run.stop:
            break


def _epoch(source: Source, run: Run, told: Chain, course: Course) -> dict[str, float]:
    """Take one step on every batch from the run's position on; return the means of the figures."""
    model, compiled = run.model, run.model.compiled
    run.batches, look = source.plan(), source.known is None and not run.position.epoch
    with closing(source.batches(run.position, compiled.epoch)) as batches:
        for batch in batches:
            number = batch.number
            if look and not number:
                warn_of_scale(model, batch.inputs, held=False)
            _step(
                "fit",
                model,
                compiled,
                batch,
                run.totals,
                source.program(batch),
                run.settings.stop_on_nan,
            )
            del batch  # before the next one is gathered
            run.position = Position(run.position.epoch, number + 1)
            course.mark(model)
            told.batch_end(number, run.totals.so_far())
    return run.totals.means()


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
    table = as_table("train_on_batch", model, compiled, x, y)
    limit = parse_bytes("train_on_batch", "memory_limit", memory_limit)
    program = None
    if limit is not None:
        program = model.program(
            "train_on_batch",
            limit,
            len(table),
            table.inputs,
            use=Use(training=True),
            held=table.held,
        )
    inputs, targets, *_ = table.take(slice(0, len(table)))
    totals, batch = compiled.totals(), Batch(inputs, targets)
    _step("train_on_batch", model, compiled, batch, totals, program, stop_on_nan)
    return totals.means()


def evaluate(
    model: Trainable,
    x: Any,
    y: Any = None,
    *,
    batch_size: int = BATCH_SIZE,
    sample_weight: Any = None,
    memory_limit: int | str | None = None,
) -> dict[str, float]:
    """Return loss and metrics over all rows, exact even if the last batch is not full.

    Parameters
    ----------
    x, y, sample_weight
        As `fit` takes them.
    """
    compiled = _compiled("evaluate", model)
    size = as_int("evaluate", "batch_size", batch_size, 1)
    limit = parse_bytes("evaluate", "memory_limit", memory_limit)
    if isinstance(x, Stream):
        check_unsized("evaluate", batch_size)
        check_alone("evaluate", "y", y)
        check_alone("evaluate", "sample_weight", sample_weight, IN_BATCHES)
        return measure("evaluate", model, compiled, x, size, limit)
    table = as_table("evaluate", model, compiled, x, y, sample_weight)
    return measure("evaluate", model, compiled, table, size, limit)


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
    dloss = compiled.loss_function(batch.targets, batch.weights)
    if stop_on_nan:
        outputs, losses = guarded_step(operation, model, batch, dloss, compiled.step, program)
    else:
        outputs, losses = model.forward_backward(
            cast(model, batch.inputs), dloss, compiled.step, program
        )
    compiled.measure(totals, losses, outputs, batch.targets, batch.weights)
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
