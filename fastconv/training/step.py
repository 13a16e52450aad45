"""One step on a batch as a whole."""

from __future__ import annotations

from typing import Any

from fastconv.batches import cast, count_rows
from fastconv.errors import ArgumentError
from fastconv.training.batch import Batch
from fastconv.training.compiled import Compiled, Totals
from fastconv.training.data import check_rows
from fastconv.training.finite import guarded_step
from fastconv.training.trainable import Trainable

__all__ = ["compiled_of", "take_whole_step"]


def take_whole_step(
    operation: str, model: Trainable, batch: Batch, totals: Totals, program: Any, stop_on_nan: bool
) -> None:
    """Take one step; a metric that fails does so before a weight has changed."""
    compiled = compiled_of(operation, model)
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


def compiled_of(operation: str, model: Trainable) -> Compiled:
    """Return what the model was compiled with; raise if it was not."""
    if model.compiled is None:
        raise ArgumentError(
            operation,
            "model",
            "must be compiled first",
            remedy='call net.compile(optimizer="adam", loss="softmax_cross_entropy")',
        )
    return model.compiled
