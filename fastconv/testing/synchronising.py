"""Checks that pieces of a batch with the statistics of all give what the batch gives."""

from __future__ import annotations

import numpy as np

from fastconv.testing.arrays import assert_close, require
from fastconv.testing.case import Case

__all__ = ["check_synchronised"]


def check_synchronised(case: Case) -> None:
    """Check what a layer that `synchronises` says of a batch cut into two pieces."""
    layer = case.layer
    if not layer.synchronises:
        return
    y, dy, dxs, grads = case.run(layer, case.xs, training=True)
    middle = max(1, len(y) // 3)
    parts = [slice(0, middle), slice(middle, len(y))]
    pieces = [[x[part] for x in case.xs] for part in parts]
    moments = layer.merged(*(layer.moments(*piece) for piece in pieces))
    contexts = [case.context(True) for _ in parts]
    outputs = []
    for ctx, piece in zip(contexts, pieces, strict=True):
        ctx.moments = moments
        outputs.append(layer.forward(ctx, *piece))
    assert_close(np.concatenate(outputs), y)
    slopes = [layer.gradient_sums(ctx, dy[part]) for ctx, part in zip(contexts, parts, strict=True)]
    found = []
    for ctx, part in zip(contexts, parts, strict=True):
        ctx.slopes = slopes[0] + slopes[1]
        found.append(layer.backward(ctx, dy[part]))
    if case.has_dx[0]:
        require(len(dxs) == 1, f"{case.owner}: synchronises, and there are several inputs")
        assert_close(np.concatenate(found), dxs[0])
    for name, gradient in grads.items():
        assert_close(contexts[0].grads[name] + contexts[1].grads[name], gradient)
