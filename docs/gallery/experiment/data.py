"""The bundled digits, of which each seed learns from other rows."""

from __future__ import annotations

import numpy as np

import fastconv

__all__ = ["digits"]

Rows = tuple[np.ndarray, np.ndarray]


def digits(seed: int) -> tuple[Rows, Rows]:
    """Return (x, y) of three quarters of the digits, to learn from, and of the rest, to test."""
    x, y = fastconv.data.digits()
    train, test = fastconv.data.stratified_split(y, seed=seed)
    return (x[train], y[train]), (x[test], y[test])
