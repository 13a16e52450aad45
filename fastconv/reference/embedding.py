"""The rows of a table, and its gradient."""

from __future__ import annotations

import numpy as np

from fastconv.floating import quietly
from fastconv.reference.taps import Array


def embedding(indices: Array, weight: Array) -> Array:
    """Return the row of `weight` for each index."""
    return weight[indices]


@quietly
def embedding_backward(dy: Array, indices: Array, entries: int) -> Array:
    """Return for each row the sum of its dy, in the order of their places."""
    dweight = np.zeros((entries, dy.shape[-1]), dy.dtype)
    np.add.at(dweight, indices, dy)
    return dweight
