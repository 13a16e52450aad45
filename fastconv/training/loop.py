"""The training loop, on the protocol `Trainable`: it drives, the model computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from fastconv import memory, registry
from fastconv.arguments import as_bool, as_int, as_plain_array, parse_bytes
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError, shorten
from fastconv.training.callbacks import Callback, EpochLines, History, ProgressBar, Run
from fastconv.training.compiled import Compiled, Totals, Trainable, compile

__all__ = ["compile", "evaluate", "fit", "predict", "train_on_batch"]

Array = np.ndarray[Any, Any]


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
    memory_limit: int | str | None = None,
) -> History:
    """Train a compiled model.

    Parameters
    ----------
    x : array (N, ...), or a tuple of them for several inputs
        Cast batch by batch, so uint8 images cost one byte a pixel here.
    y : array (N, ...), or a tuple of them for several outputs
    batch_size, epochs : int
        The last batch of an epoch may be smaller.
    validation_data : (x, y), optional
        Evaluated after every epoch; its figures are named ``val_…``.
    shuffle : bool
        A new order every epoch, from `seed` and the number of epochs trained so far.
    verbose : {0, 1, 2}
        Silent, a progress bar, a line per epoch.
    callbacks : iterable of Callback, name or (name, dict); or one name

    Returns
    -------
    History
        ``.history`` maps every figure's name to a list, one entry per epoch. Training figures
        are means over the epoch, taken while the weights change.
    """
    compiled = _compiled("fit", model)
    batch_size = as_int("fit", "batch_size", batch_size, 1)
    epochs = as_int("fit", "epochs", epochs, 1)
    seed = as_int("fit", "seed", seed, 0, 2**64 - 1)
    shuffle = as_bool("fit", "shuffle", shuffle)
    printer = _printer(verbose)
    others = _callbacks(callbacks)
    inputs, targets = _data("fit", model, compiled, x, y)
    limit = parse_bytes("fit", "memory_limit", memory_limit)
    rows = len(inputs[0])
    batch_size = min(batch_size, rows)

    def program() -> Any:
        if limit is None:
            return None
        return model.program(
            "fit", limit, batch_size, inputs, training=True, gathered=shuffle,
            held=_held(x, inputs),
        )  # fmt: skip

    program()  # what it refuses, it refuses now; training asks for more than measuring
    if validation_data is not None:
        x_val, y_val = _pair(validation_data)
        held_inputs, _ = _data("fit", model, compiled, x_val, y_val)
        if limit is not None:  # found out now, and not after an epoch
            count = min(batch_size, len(held_inputs[0]))
            model.program("fit", limit, count, held_inputs, held=_held(x_val, held_inputs))
    run = Run(model, compiled.optimizer, epochs, batches=-(-rows // batch_size))
    history = History()
    chain: list[Callback] = [history, *printer, *others]
    try:
        for callback in chain:
            callback.on_fit_begin(run)
        for epoch in range(epochs):
            for callback in chain:
                callback.on_epoch_begin(run, epoch)
            order = None
            if shuffle:
                order = np.random.default_rng((seed, compiled.epoch)).permutation(rows)
            totals = Totals()
            bounded = program()  # anew: measuring between epochs packs weights
            for batch, rows_now in enumerate(_slices(rows, batch_size, order)):
                _step(
                    model,
                    compiled,
                    tuple(a[rows_now] for a in inputs),
                    tuple(a[rows_now] for a in targets),
                    totals,
                    bounded,
                )
                means = totals.means()
                for callback in chain:
                    callback.on_batch_end(run, batch, means)
            compiled.epoch += 1
            figures = totals.means()
            if validation_data is not None:
                if limit is not None:
                    model.gradients = {}
                held_out = evaluate(
                    model, x_val, y_val, batch_size=batch_size, memory_limit=limit
                )
                figures.update({f"val_{name}": figure for name, figure in held_out.items()})
            for callback in chain:
                callback.on_epoch_end(run, epoch, figures)
            if run.stop:
                break
    finally:
        memory.release()  # what steps keep for the next one
        for callback in chain:
            callback.on_fit_end(run)
    return history


def train_on_batch(
    model: Trainable, x: Any, y: Any, *, memory_limit: int | str | None = None
) -> dict[str, float]:
    """Take one step of the optimizer on one batch; return its figures by name."""
    compiled = _compiled("train_on_batch", model)
    inputs, targets = _data("train_on_batch", model, compiled, x, y)
    limit = parse_bytes("train_on_batch", "memory_limit", memory_limit)
    program = None
    if limit is not None:
        rows = len(inputs[0])
        program = model.program(
            "train_on_batch", limit, rows, inputs, training=True, held=_held(x, inputs)
        )
    totals = Totals()
    _step(model, compiled, inputs, targets, totals, program)
    return totals.means()


def evaluate(
    model: Trainable,
    x: Any,
    y: Any,
    *,
    batch_size: int = 100,
    memory_limit: int | str | None = None,
) -> dict[str, float]:
    """Return loss and metrics over all rows, exact for a last batch that is not full."""
    compiled = _compiled("evaluate", model)
    batch_size = as_int("evaluate", "batch_size", batch_size, 1)
    inputs, targets = _data("evaluate", model, compiled, x, y)
    batch_size, program = _rows_at_a_time(
        "evaluate", model, inputs, batch_size, memory_limit, held=_held(x, inputs)
    )
    run = _following(program, model.predict_batch)
    totals = Totals()
    for rows in _slices(len(inputs[0]), batch_size):
        wanted = tuple(a[rows] for a in targets)
        outputs = _tuple(run(_cast(model, tuple(a[rows] for a in inputs))))
        losses, _ = compiled.loss_function(wanted)(outputs)
        compiled.measure(totals, losses, outputs, wanted)
    return totals.means()


def predict(
    model: Trainable,
    x: Any,
    *,
    batch_size: int | None = 100,
    memory_limit: int | str | None = None,
    operation: str = "predict",
) -> Any:
    """Return what the network returns, for any number of rows, none included.

    Parameters
    ----------
    batch_size : int or None
        None is all rows at once.
    operation : str
        What errors name.

    Returns
    -------
    ndarray (N, ...), or a tuple of them for several outputs
    """
    if batch_size is not None:
        batch_size = as_int(operation, "batch_size", batch_size, 1)
    inputs = _inputs(operation, model, x)
    total = len(inputs[0])
    batch_size, program = _rows_at_a_time(
        operation, model, inputs, batch_size or max(1, total), memory_limit, results=total,
        held=_held(x, inputs),
    )  # fmt: skip
    run = _following(program, model.predict_batch)
    found: Any = run(_cast(model, tuple(a[:batch_size] for a in inputs)))
    if total <= batch_size:
        return found
    first = _tuple(found)
    whole = tuple(np.empty((total, *part.shape[1:]), part.dtype) for part in first)
    for out, part in zip(whole, first, strict=True):
        out[:batch_size] = part
    several = isinstance(found, tuple)
    del found, first, part
    for rows in _slices(total, batch_size, begin=batch_size):
        parts = _tuple(run(_cast(model, tuple(a[rows] for a in inputs))))
        for out, part in zip(whole, parts, strict=True):
            out[rows] = part
        del parts, part
    return whole if several else whole[0]


def _held(x: Any, arrays: tuple[Array, ...]) -> int:
    """Return the bytes of `arrays` that were made here, of lists."""
    given = {id(part) for part in _tuple(x)}
    return sum(array.nbytes for array in arrays if id(array) not in given)


def _following(program: Any, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return `method` as it runs by `program`; models that know no limits need not know them."""
    return method if program is None else partial(method, program=program)


def _rows_at_a_time(
    operation: str,
    model: Trainable,
    inputs: tuple[Array, ...],
    batch_size: int,
    memory_limit: int | str | None,
    results: int | None = None,
    held: int = 0,
) -> tuple[int, Any]:
    """Return how many rows to compute at once within `memory_limit`, and as what program."""
    limit = parse_bytes(operation, "memory_limit", memory_limit)
    if limit is None:
        return batch_size, None
    batch_size = max(1, min(batch_size, len(inputs[0])))
    program = model.program(operation, limit, batch_size, inputs, results=results, held=held)
    return program.rows, program


def _step(
    model: Trainable,
    compiled: Compiled,
    inputs: tuple[Array, ...],
    targets: tuple[Array, ...],
    totals: Totals,
    program: Any = None,
) -> None:
    outputs, losses = _following(program, model.forward_backward)(
        _cast(model, inputs), compiled.loss_function(targets), compiled.step
    )
    compiled.optimizer.update(model.trainable_parameters(), model.gradients)
    compiled.step += 1
    compiled.measure(totals, losses, outputs, targets)


def _slices(
    rows: int, batch_size: int, order: Array | None = None, begin: int = 0
) -> Iterator[Any]:
    """Indices of one batch after the other: slices, or parts of `order`."""
    for start in range(begin, rows, batch_size):
        part = slice(start, min(start + batch_size, rows))
        yield part if order is None else order[part]


def _compiled(operation: str, model: Trainable) -> Compiled:
    if model.compiled is None:
        raise ArgumentError(
            f"{operation}: model must be compiled first; "
            'call net.compile(optimizer="adam", loss="softmax_cross_entropy")'
        )
    return model.compiled


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _array(operation: str, name: str, value: Any) -> Array:
    # of any dtype: the model and the losses say which they take, and what to do with others
    return as_plain_array(operation, name, value, None, rule="must be an array (N, ...)")


def _cast(model: Trainable, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    return model.cast_inputs(arrays if len(arrays) > 1 else arrays[0])


def _inputs(operation: str, model: Trainable, x: Any) -> tuple[Array, ...]:
    """The inputs as arrays of equal length, not yet cast; one row tries shape and dtype."""
    arrays = tuple(_array(operation, "x", part) for part in _tuple(x))
    if not arrays or any(a.ndim == 0 for a in arrays):
        raise ShapeError(f"{operation}: x must be a batch (N, ...), got shape ()")
    if len({len(a) for a in arrays}) > 1:
        raise ShapeError(
            f"{operation}: inputs must have equally many rows, got {[len(a) for a in arrays]}"
        )
    try:
        _cast(model, tuple(a[:1] for a in arrays))
    except ShapeError:
        _cast(model, arrays)  # fails as well, and speaks of the shape that was given
        raise
    return arrays


def _data(
    operation: str, model: Trainable, compiled: Compiled, x: Any, y: Any
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    inputs = _inputs(operation, model, x)
    wanted = len(compiled.losses)
    if wanted > 1 and not isinstance(y, (tuple, list)):
        raise ArgumentTypeError(
            f"{operation}: y must be a tuple of {wanted} arrays, got {type(y).__name__}"
        )
    targets = tuple(_array(operation, "y", part) for part in (y if wanted > 1 else (y,)))
    if len(targets) != wanted:
        raise ShapeError(f"{operation}: y must hold {wanted} arrays, got {len(targets)}")
    rows = len(inputs[0])
    for target in targets:
        if target.ndim == 0 or len(target) != rows:
            raise ShapeError(
                f"{operation}: y must have as many rows as x, {rows}, got shape {target.shape}"
            )
    if rows == 0:
        raise ShapeError(f"{operation}: x must hold at least one row, got shape {inputs[0].shape}")
    for loss, spec, target in zip(compiled.losses, model.output_specs(), targets, strict=True):
        loss.check_targets((rows, *spec.shape), target)  # a wrong last label, before step one
    return inputs, targets


def _pair(validation_data: Any) -> tuple[Any, Any]:
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
        raise ArgumentTypeError(
            f"fit: validation_data must be a pair (x, y), got {type(validation_data).__name__}"
        )
    return validation_data[0], validation_data[1]


def _callbacks(callbacks: Iterable[Any] | None) -> list[Callback]:
    if callbacks is None or isinstance(callbacks, (str, Callback)):
        callbacks = () if callbacks is None else (callbacks,)
    if not isinstance(callbacks, Iterable):
        raise ArgumentTypeError(
            "fit: callbacks must be a list of names, (name, {...}) or instances, "
            f"got {shorten(callbacks)}"
        )
    return [registry.resolve(registry.callbacks, spec, "fit") for spec in callbacks]


def _printer(verbose: int) -> list[Callback]:
    whole: Any = int(verbose) if isinstance(verbose, bool) else verbose
    level = as_int("fit", "verbose", whole, 0, 2)
    kinds: list[list[Callback]] = [[], [ProgressBar()], [EpochLines()]]
    return kinds[level]
