"""Asks metrics for their figures, and checks what those of third parties give."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array
from fastconv.errors import ArgumentTypeError, ShapeError
from fastconv.training.metrics.counting import CountingMetric
from fastconv.training.weighting import sum_of

__all__ = ["added", "bytes_of_counts", "counted", "figure_of", "metric_name", "total_of"]

Array = np.ndarray[Any, Any]


def metric_name(metric: Any) -> str:
    """Return what a metric is called: its `name`, the function's name, or that of its class."""
    return str(getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__))


def counted(metric: CountingMetric, outputs: Array, targets: Array, weights: Array | None) -> Array:
    """Return what `metric` counts in the rows of one batch."""
    return _array(metric, "counts", metric.counts(outputs, targets, weights))


def added(metric: CountingMetric, counts: Array, more: Array) -> Array:
    """Return what `metric` makes of the counts of some rows and of more."""
    return _array(metric, "added", metric.added(counts, more))


def _array(metric: CountingMetric, method: str, given: Any) -> Array:
    if not isinstance(given, np.ndarray):
        rule, shown = "must return an array", type(given).__name__
        raise ArgumentTypeError(metric_name(metric), method, rule, given, shown=shown)
    return given


def figure_of(metric: CountingMetric, counts: Array) -> float:
    """Return the figure that follows from all counts."""
    given = metric.figure(counts)
    if np.ndim(given) or not isinstance(given, (int, float, np.number, np.bool_, np.ndarray)):
        rule = "must return one number"
        raise ArgumentTypeError(metric_name(metric), "figure", rule, given)
    return float(given)


def bytes_of_counts(metric: CountingMetric, shape: tuple[int, ...], rows: int) -> tuple[int, int]:
    """Return what `metric` says that its counts of `rows` rows take; see `count_bytes`."""
    given = metric.count_bytes(shape, rows)
    if not (
        isinstance(given, tuple)
        and len(given) == 2
        and all(isinstance(one, (int, np.integer)) and one >= 0 for one in given)
    ):
        rule = "must return two numbers of bytes, (kept, besides)"
        raise ArgumentTypeError(metric_name(metric), "count_bytes", rule, given)
    return int(given[0]), int(given[1])


def total_of(
    metric: Any, given: Any, rows: int, weights: Array | None = None
) -> tuple[float, float]:
    """Return the sum of the figures that a metric gave for `rows` rows, and their number.

    With `weights` (N,): the sum of weight times figure, and the sum of the weights of all figures.
    """
    rule = f"must give one figure per answer, an array ({rows}, ...)"
    figures = given
    if type(given) is not np.ndarray or given.dtype.char not in "?fd":  # the usual, quickly
        figures = as_plain_array(metric_name(metric), "a metric", given, rule=rule)
    if figures.shape[:1] != (rows,):
        remedy = "" if figures.ndim else "return the figures themselves, fit takes their mean"
        raise ShapeError(
            metric_name(metric),
            "a metric",
            rule,
            figures.shape,
            remedy,
            shown=f"shape {figures.shape}",
        )
    if weights is not None:
        return sum_of(figures, weights), float(weights.sum()) * (figures.size // max(1, rows))
    if figures.dtype.kind == "b":
        return float(np.count_nonzero(figures)), figures.size
    return sum_of(figures, None), figures.size
