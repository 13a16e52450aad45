"""The training loop: it drives a model, which computes, by the protocol `Trainable`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastconv.arguments import as_bool, as_int, parse_bytes
from fastconv.batches import BATCH_SIZE, Stream, Use, check_alone, check_unsized
from fastconv.training.batch import Batch
from fastconv.training.callbacks import History
from fastconv.training.chain import as_callbacks, printer
from fastconv.training.choosing import compile
from fastconv.training.evaluating import measure
from fastconv.training.fitting import Asked, run_fit
from fastconv.training.settings import Settings
from fastconv.training.sharding.cutting import shards_of
from fastconv.training.sharding.faults import joined_by
from fastconv.training.sources import IN_BATCHES, Given, as_table
from fastconv.training.step import compiled_of, take_whole_step
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
    comm: Any = None,
    shards: int | None = None,
    batch_norm: str = "by_piece",
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
        ``transform(rng, x, y) -> (x, y)`` is called on every batch to learn from, or on each piece
        of it, before it is cast, and may change the arrays in place. The key of its generator of
        random numbers is the seed, the epoch, the batch and the piece. What it returns must fit the
        model; rows for validation, held out ones too, must fit as they are.
    stop_on_nan : bool
        Whether training ends when loss, gradients or statistics are not finite, before they reach
        a weight.
    resume : str or path, optional
        A checkpoint, from which training goes on to the bits of a run that never stopped. `epochs`
        is the number of all epochs; whatever else decides about the result must be as it was. A
        model that is not compiled is compiled as it was.
    comm : communicator of mpi4py's buffer interface, or Ranks, optional
        The processes that train together, each with a network and data alike. Rank 0 alone prints
        and writes.
    shards : int, optional
        In how many pieces each batch is cut, which decides about the bits; how many processes
        compute them does not. By default 16 with a `comm`; without one, the batch is not cut.
    batch_norm : {"by_piece", "synchronised"}
        Of which rows BatchNorm takes its statistics where batches are cut.

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
    history = History()
    given = Given(x, y, validation_data, validation_split, class_weight, sample_weight)
    with joined_by(comm) as ranks:

        def checked() -> tuple[Asked, Settings]:
            called = [history, *printer(verbose), *as_callbacks(callbacks)]
            asked = Asked(as_int("fit", "epochs", epochs, 1), batch_size, called, resume)
            pieces = shards_of(shards, ranks.given, ranks.ranks)
            how = batch_size, shuffle, seed, stop_on_nan, memory_limit, transform
            return asked, Settings(*how, pieces, batch_norm)

        asked, settings = ranks.agreed(checked)
        run_fit(model, given, settings, asked, ranks)
    return history


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
    compiled = compiled_of("train_on_batch", model)
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
    take_whole_step("train_on_batch", model, batch, totals, program, stop_on_nan)
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
    compiled = compiled_of("evaluate", model)
    size = as_int("evaluate", "batch_size", batch_size, 1)
    limit = parse_bytes("evaluate", "memory_limit", memory_limit)
    if isinstance(x, Stream):
        check_unsized("evaluate", batch_size, x)
        check_alone("evaluate", "y", y)
        check_alone("evaluate", "sample_weight", sample_weight, IN_BATCHES)
        return measure("evaluate", model, compiled, x, size, limit)
    table = as_table("evaluate", model, compiled, x, y, sample_weight)
    return measure("evaluate", model, compiled, table, size, limit)
