"""One ``fit``: what it is made of, its epochs, and its end."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastconv import memory
from fastconv.batches import Stream, check_unsized
from fastconv.errors import ArgumentError, MemoryLimitError
from fastconv.training.batch import Pieces, Position
from fastconv.training.callbacks import Callback, EpochLines, History, ProgressBar, Run
from fastconv.training.chain import Chain, figures_of
from fastconv.training.choosing import compile
from fastconv.training.data import warn_of_scale
from fastconv.training.evaluating import check_limit, measure
from fastconv.training.fingerprint import check_again, prints_of, settings_of
from fastconv.training.resuming import Course, compiled_as, named
from fastconv.training.settings import Settings
from fastconv.training.sharding.alike import check_alike, check_still_alike
from fastconv.training.sharding.cores import sharing_cores
from fastconv.training.sharding.cutting import Cutter
from fastconv.training.sharding.iterables import batches_alike
from fastconv.training.sharding.ranks import Ranks
from fastconv.training.sharding.step import Together
from fastconv.training.sources import Given, HeldOut, Source, opened
from fastconv.training.step import compiled_of, take_whole_step
from fastconv.training.trainable import Trainable

__all__ = ["Asked", "run_fit"]

_ALIKE = "give all ranks the same"


@dataclass
class Asked:
    """What a ``fit`` was asked for, beside its data and how it goes through them.

    Attributes
    ----------
    epochs : int
    batch_size : int
        As it was given.
    callbacks : list of Callback
        A `History` first.
    resume : str, path or None
    """

    epochs: int
    batch_size: Any
    callbacks: list[Callback]
    resume: Any


@dataclass
class _Fit:
    """One call of ``fit``."""

    source: Source
    held_out: HeldOut | None
    run: Run
    chain: Chain
    course: Course
    ranks: Ranks
    together: Together | None


def run_fit(model: Trainable, given: Given, settings: Settings, asked: Asked, ranks: Ranks) -> None:
    """Train a model as `fit` of `fastconv.training.loop` says; errors of one rank end all."""
    saved = _read(model, asked.resume, ranks)
    with sharing_cores(ranks):
        fit = ranks.agreed(lambda: _made(model, given, settings, asked, ranks, saved))
        _check_alike(fit, given, fresh=saved is None)
        try:
            with ExitStack() as begun:
                ranks.agreed(partial(begun.enter_context, fit.chain))
                if saved is not None:
                    ranks.agreed(partial(fit.course.restore, model, saved))
                    saved = None  # its arrays are not needed any more
                _epochs(fit)
        finally:
            memory.release()  # memory that each step keeps for the next one
    ranks.exchanged(None)  # what rank 0 wrote is there for all


def _read(model: Trainable, resume: Any, ranks: Ranks) -> Any:
    """Return the checkpoint, which rank 0 reads for all; the model is compiled as it was."""
    asked = ranks.exchanged(resume is not None)
    if not asked[0]:  # others may not see the file
        if any(asked):
            rule = "must be given on rank 0, which reads the file for all"
            shown = f"None there, and a file on rank {asked.index(True)}"
            raise ranks.together(ArgumentError("fit", "resume", rule, shown=shown, remedy=_ALIKE))
        return None

    def read() -> Any:
        return model.read_checkpoint("fit", resume) if ranks.rank == 0 else None

    saved = ranks.from_first(ranks.agreed(read))

    def compiled() -> None:
        if model.compiled is None:
            compile(model, **compiled_as(saved.checkpoint, saved.path))

    ranks.agreed(compiled)
    return saved


def _made(
    model: Trainable, given: Given, settings: Settings, asked: Asked, ranks: Ranks, saved: Any
) -> _Fit:
    """Return the ``fit``; all is checked that can be before it begins."""
    compiled, epochs = compiled_of("fit", model), asked.epochs
    x, validation = given.x, given.validation_data
    if isinstance(x, Stream) and (validation is None or isinstance(validation, Stream)):
        check_unsized("fit", asked.batch_size, x)
    cutter = together = None
    if settings.shards is not None:
        synchronised = settings.batch_norm == "synchronised"
        cutter = Cutter(settings.shards, synchronised, ranks.rank, ranks.ranks)
        together = Together(ranks, synchronised)
    source, held_out = opened(model, compiled, given, settings, epochs, cutter)
    validates = held_out is not None
    batches = _planned(model, source, held_out, settings)
    run = Run(model, compiled.optimizer, epochs, batches, False, validates, settings)
    run.figures = figures_of(compiled, validates, asked.callbacks)
    run.rank, run.ranks = ranks.rank, ranks.ranks
    if source.known is not None and run.writes:
        warn_of_scale(model, source.known)
    model.history = next(one for one in asked.callbacks if isinstance(one, History))
    chain = Chain(asked.callbacks, run)
    course = Course(model, chain, run, settings_of(settings, **prints_of(given, source, held_out)))
    if saved is not None:
        check_again(source)
        course.check(model, saved)
    compiled.course = course
    return _Fit(source, held_out, run, chain, course, ranks, together)


def _check_alike(fit: _Fit, given: Given, fresh: bool) -> None:
    """Raise on all ranks unless they were asked for the same."""
    if fit.ranks.ranks == 1:
        return
    run = fit.run
    data = fit.ranks.agreed(lambda: prints_of(given, fit.source, fit.held_out, between_ranks=True))
    callbacks = [
        list(named(callback))
        for callback in fit.chain.callbacks
        # nobody gave the first of these, and the others print on rank 0 alone
        if callback is not run.model.history and not isinstance(callback, (EpochLines, ProgressBar))
    ]
    beside = {"epochs": run.epochs, "stop_on_nan": run.settings.stop_on_nan}
    settings = {**fit.course.settings, **data, **beside}
    check_alike(run.model, settings, callbacks, fit.ranks, fresh)


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


def _epochs(fit: _Fit) -> None:
    """Train the epochs that are left."""
    run, source = fit.run, fit.source
    model, compiled, limit = run.model, run.model.compiled, run.settings.memory_limit
    for epoch in range(run.position.epoch, 0 if run.stop else run.epochs):
        fit.chain.epoch_begin(epoch)
        check_still_alike(model, run, fit.ranks)
        figures = _epoch(fit)
        if fit.held_out is not None:
            if limit is not None:
                model.gradients = {}
            size = _size(source, run.settings)
            measured = measure("fit", model, compiled, fit.held_out, size, limit, fit.ranks)
            figures.update({f"val_{name}": figure for name, figure in measured.items()})
        compiled.epoch += 1
        run.position, run.totals = Position(epoch + 1), compiled.totals()
        fit.chain.epoch_end(epoch, figures)
        if run.stop:
            break
    check_still_alike(model, run, fit.ranks)


def _epoch(fit: _Fit) -> dict[str, float]:
    """Take one step on every batch from the run's position on; return the means of the figures."""
    run, source, ranks = fit.run, fit.source, fit.ranks
    model, stop_on_nan = run.model, run.settings.stop_on_nan
    run.batches = source.plan()
    look = source.known is None and not run.position.epoch and run.writes
    alone = ranks.ranks == 1 or source.rows is not None  # else each rank has an iterable
    with closing(source.batches(run.position, model.compiled.epoch)) as batches:
        for batch in batches if alone else batches_alike(batches, ranks):
            number = batch.number
            if look and not number:
                for part in batch.parts[:1] if isinstance(batch, Pieces) else (batch,):
                    warn_of_scale(model, part.inputs, held=False)
            made = partial(source.program, batch)
            program = made() if alone else ranks.agreed(made)
            del made
            if isinstance(batch, Pieces):
                assert fit.together is not None
                fit.together.step(model, batch, run.totals, program, stop_on_nan)
            else:
                take_whole_step("fit", model, batch, run.totals, program, stop_on_nan)
            del batch  # before the next one is gathered
            run.position = Position(run.position.epoch, number + 1)
            fit.course.mark(model)
            fit.chain.batch_end(number, run.totals.so_far())
    return run.totals.means()
