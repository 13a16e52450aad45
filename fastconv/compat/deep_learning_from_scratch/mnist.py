"""The book's load_mnist, of files that you have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastconv import data
from fastconv.arguments import as_bool

__all__ = ["load_mnist"]

Array = np.ndarray[Any, Any]
Part = tuple[Array, Array]


def load_mnist(
    normalize: bool = True, flatten: bool = True, one_hot_label: bool = False, folder: Any = None
) -> tuple[Part, Part]:
    """Read MNIST from the four IDX files in a folder; nothing is downloaded.

    Parameters
    ----------
    normalize : bool
        Whether images are float32 from 0 to 1, or uint8 from 0 to 255.
    flatten : bool
        Whether images are (N, 784), or (N, 1, 28, 28).
    one_hot_label : bool
        Whether labels are float64 (N, 10), or uint8 (N,).
    folder : path, optional
        Where the files are, plain or as ``.gz``; see `fastconv.data.mnist`. By default the folder
        dataset of the current folder, or else of the one above it: the book's programs are started
        in ch05 and the like, and dataset is beside those.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)

    Raises
    ------
    ArgumentError, FormatError
        As `fastconv.data.mnist`.
    """
    for name, value in (
        ("normalize", normalize),
        ("flatten", flatten),
        ("one_hot_label", one_hot_label),
    ):
        as_bool("load_mnist", name, value)
    train, test = data.mnist(_book_folder() if folder is None else folder)

    def as_asked(part: Part) -> Part:
        x, t = part
        if not normalize:
            x = np.rint(x * np.float32(255)).astype(np.uint8)
        labels: Array = np.eye(10)[t] if one_hot_label else t.astype(np.uint8)
        return x.reshape(len(x), -1) if flatten else x, labels

    return as_asked(train), as_asked(test)


def _book_folder() -> Path:
    here, above = Path("dataset"), Path("..", "dataset")
    return above if above.is_dir() and not here.is_dir() else here
