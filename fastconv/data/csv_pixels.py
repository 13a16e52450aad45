"""A reader of CSV files with an image on each line: its label, and its pixels."""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from fastconv.arguments import as_choice, as_path, as_real, as_sizes, check_regular
from fastconv.data.gzipped import open_maybe_gzipped
from fastconv.errors import ArgumentError, FormatError

__all__ = ["read_csv"]

Array = np.ndarray[Any, Any]

#: About how many bytes of text are looked at, at a time.
BLOCK = 1 << 20


def read_csv(
    path: str | PathLike[str],
    shape: Sequence[int],
    *,
    label: str | None = "first",
    largest: float = 255,
) -> tuple[Array, Array | None]:
    """Return the images and labels of a CSV file; a name that ends in ``.gz`` is unpacked.

    Parameters
    ----------
    path : path of the file
        On each line are an image's label and its pixels, row by row, between commas. A first line
        of names is left out.
    shape : sequence of int
        Of an image, such as (1, 28, 28).
    label : {"first", "last", None}
        Where on the line the label is, a whole number; None where there is none.
    largest : float
        The value of a white pixel: pixels are from 0 to it.

    Returns
    -------
    x : ndarray (N, ...), float32
        N images of `shape`, from 0 to 1.
    y : ndarray (N,), int64, or None

    Raises
    ------
    FormatError
        If a line has another number of values, or something that is no number, no label or no
        pixel; the error names the line. If there is no image, or gzip data are damaged.
    ArgumentTypeError, ArgumentError
        If an argument is wrong, or the path leads to something other than a file.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "two.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("label,a,b\\n7,0,255\\n1,51,0\\n")
    >>> x, y = read_csv(path, (1, 1, 2))
    >>> x.shape, y.tolist(), round(float(x[1, 0, 0, 0]), 2)
    ((2, 1, 1, 2), [7, 1], 0.2)
    """
    found = as_path("read_csv", "path", path)
    check_regular("read_csv", "path", str(found))
    sizes = as_sizes("read_csv", "shape", shape)
    label = as_choice("read_csv", "label", label, ("first", "last", None))
    rule = "above 0 and finite"
    largest = as_real("read_csv", "largest", largest, rule, math.ulp(0.0), math.inf)
    return _Reader(str(found), sizes, label, largest).read()


class _Reader:
    """Reads one file."""

    def __init__(
        self, path: str, shape: tuple[int, ...], label: str | None, largest: float
    ) -> None:
        self.path, self.shape, self.label, self.largest = path, shape, label, largest
        self.values = math.prod(shape) + (label is not None)
        if self.values > 1 << 28:
            raise ArgumentError("read_csv", "shape", "must be that of an image", shape)

    def read(self) -> tuple[Array, Array | None]:
        """Return images and labels."""
        images, labels, number = [], [], 1
        with open_maybe_gzipped("read_csv", Path(self.path)) as file:
            while lines := file.readlines(BLOCK):
                if number == 1:
                    lines[0] = lines[0].removeprefix(codecs.BOM_UTF8)  # as spreadsheets write it
                    if self._is_header(lines[0]):
                        lines[0] = b""
                x, y = self._block(lines, number)
                images.append(x)
                labels.append(y)
                number += len(lines)
        x = np.concatenate(images) if images else np.empty((0, *self.shape))
        if not len(x):
            raise FormatError("read_csv", self.path, "must hold at least one image", shown="none")
        return x, None if self.label is None else np.concatenate(labels)

    def _is_header(self, line: bytes) -> bool:
        """Whether a first line holds names: nothing that is a number, but the places of pixels."""
        names = line.split(b",")
        if self.label is not None and len(names) > 2:
            pixels = names[1:] if self.label == "first" else names[:-1]
            places = [name.strip() for name in pixels]
            if any(places == [b"%d" % (first + i) for i in range(len(places))] for first in (0, 1)):
                names = [names[0 if self.label == "first" else -1]]
        return bool(line.strip()) and not any(map(_is_number, names))

    def _block(self, lines: list[bytes], first: int) -> tuple[Array, Array]:
        """Return images and labels of the lines, of which the first has the number `first`."""
        numbers = [first + place for place, line in enumerate(lines) if line.strip()]
        table = np.empty((len(numbers), self.values))
        for row, number in zip(table, numbers, strict=True):
            parts = lines[number - first].split(b",")
            if len(parts) != self.values:
                what = "" if self.label is None else f", the {self.label} of them the label"
                self._refuse(number, f"must have {self.values} values{what}", len(parts))
            try:
                row[:] = parts
                right = b"_" not in lines[number - first]  # Python reads 1_0 as 10
            except ValueError:
                right = False
            if not right:
                wrong = next(part for part in parts if not _is_number(part))
                self._refuse(number, "must hold numbers", wrong.strip().decode("ascii", "replace"))
        labels = np.zeros(len(table), np.int64)
        if self.label is not None:
            column = 0 if self.label == "first" else -1
            given = table[:, column]
            wrong_rows = np.flatnonzero(~((given == np.rint(given)) & (np.abs(given) < 2**53)))
            if len(wrong_rows):
                row = wrong_rows[0]
                rule = f"must have a whole number as its {self.label} value, the label"
                self._refuse(numbers[row], rule, float(given[row]))
            labels = given.astype(np.int64)
            table = np.delete(table, column, axis=1)
        wrong_rows = np.flatnonzero(~((table >= 0) & (table <= self.largest)).all(axis=1))
        if len(wrong_rows):
            row = wrong_rows[0]
            wrong = table[row][~((table[row] >= 0) & (table[row] <= self.largest))][0]
            rule = f"must have pixels from 0 to {self.largest:g}, the largest"
            self._refuse(numbers[row], rule, float(wrong))
        images = (table / self.largest).astype(np.float32)
        return images.reshape(len(table), *self.shape), labels

    def _refuse(self, line: int, rule: str, value: object) -> None:
        raise FormatError("read_csv", f"{self.path}, line {line},", rule, value)


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return b"_" not in text
