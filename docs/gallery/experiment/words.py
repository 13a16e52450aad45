"""Figures as tables, and what they say as sentences that are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["compared", "over_all", "table"]

Figures = Mapping[str, Sequence[float]]


def table(columns: Mapping[str, Figures | Mapping[str, object]], digits: int = 1) -> str:
    """Return a row for each name: the mean of its figures, and ± their standard deviation.

    Parameters
    ----------
    columns : mapping
        The head of a column to names and figures; what is no list of figures is shown as it is.
    digits : int
        After the decimal point.
    """
    names = list(next(iter(columns.values())))
    cells = [[_cell(figures[name], digits) for figures in columns.values()] for name in names]
    rows = [["", *columns], *([str(name), *row] for name, row in zip(names, cells, strict=True))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "   ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _cell(value: object, digits: int) -> str:
    if isinstance(value, (str, int, np.integer)):
        return f"{value:,}" if not isinstance(value, str) else value
    values = np.atleast_1d(np.asarray(value, float))
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():,.{digits}f}{spread}"


def compared(
    first: str,
    second: str,
    figures: Figures,
    unit: str = "points",
    *,
    digits: int = 1,
    repeat: str = "seed",
) -> str:
    """Return a sentence: which of two has larger figures, or that seeds do not agree about that."""
    differences = np.subtract(figures[first], figures[second])
    repeats = f"{len(differences)} {repeat}s"
    if (differences > 0).all() or (differences < 0).all():
        where = "above" if differences[0] > 0 else "below"
        mean, least, most = _shown(np.abs(differences), f".{digits}f")
        return (
            f'"{first}" is {where} "{second}" with each of {repeats}: by {mean} {unit} on average, '
            f"{least} at least and {most} at most."
        )
    mean, least, most = _shown(differences, f"+.{digits}f")
    return (
        f'"{first}" and "{second}" are not told apart by {repeats}: they differ by {mean} {unit} '
        f"on average, and from {least} to {most} from {repeat} to {repeat}."
    )


def _shown(values: np.ndarray, form: str) -> tuple[str, str, str]:
    return format(values.mean(), form), format(values.min(), form), format(values.max(), form)


def over_all(figures: Figures, unit: str = "%", *, digits: int = 1) -> str:
    """Return a sentence: which has the highest mean, and which others are not always below it."""
    best = max(figures, key=lambda name: float(np.mean(figures[name])))
    tied = [
        f'"{name}"'
        for name in figures
        if name != best and not np.less(figures[name], figures[best]).all()
    ]
    rest = f"not every seed has it above {' or '.join(tied)}" if tied else "with every seed"
    mean = float(np.mean(figures[best]))
    return f'The highest mean is that of "{best}", {mean:.{digits}f} {unit}: {rest}.'
