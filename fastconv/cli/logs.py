"""Reads what the callback csv_log has written."""

from __future__ import annotations

import csv
import io

from fastconv.arguments import check_regular
from fastconv.errors import FormatError
from fastconv.training import History

__all__ = ["read_log"]

#: A file that is longer is no such log.
MAX_BYTES = 2**24


def read_log(operation: str, path: str) -> History:
    """Return the figures of a file that `csv_log` wrote, epoch by epoch.

    Raises
    ------
    FormatError
        If the file is no such table of numbers.
    OSError
        If it cannot be read.
    """
    check_regular(operation, "FILE", path)
    rule = "must be a table of epochs, as csv_log writes it"
    with open(path, "rb") as file:
        read = file.read(MAX_BYTES + 1)
    if len(read) > MAX_BYTES:
        raise FormatError(operation, path, f"must have at most {MAX_BYTES} bytes", shown="more")
    try:
        rows = list(csv.DictReader(io.StringIO(read.decode("utf-8-sig")), strict=True))
        columns: dict[str, list[float]] = {}
        for row in rows:
            for name, text in row.items():
                if text:  # of a figure that began later
                    columns.setdefault(name, []).append(float(text))
    except (ValueError, TypeError, csv.Error):
        raise FormatError(operation, path, rule, shown="another file") from None
    if not columns.pop("epoch", None):
        raise FormatError(operation, path, rule, shown="no epochs")
    rates = columns.pop("learning_rate", [])
    return History(columns, rates)
