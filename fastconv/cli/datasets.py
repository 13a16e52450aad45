"""The images that a command is given: digits, MNIST, or arrays of one's own."""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastconv import data
from fastconv.cli.output import note
from fastconv.cli.paths import typed_path
from fastconv.data.image_folder import SUFFIXES, image_paths
from fastconv.errors import ArgumentError, FormatError, ShapeError, in_one_line
from fastconv.models.graph import reshaped
from fastconv.training.sources.classes import labels_of
from fastconv.training.sources.table import Table

__all__ = ["Examples", "Parts", "add_data", "held_out", "is_digits", "parts", "to_judge"]

DIGITS = "digits"
#: Of the rows, what is held out.
SHARE = 0.25


class Examples(NamedTuple):
    """Inputs and their targets; `y` is None without targets."""

    x: Any
    y: Any


class Parts(NamedTuple):
    """Examples to learn from, and those held out; `test` is None where the source has none."""

    train: Examples
    test: Examples | None


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add ``--data``, and ``--mnist`` and ``--npz``, which name one kind each."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data",
        metavar="WHAT",
        type=typed_path,
        help="digits (the default), a folder of IDX files as MNIST's, a folder with a folder of "
        "pictures for each class (where no labels are needed any folder of pictures, or one), an "
        ".npz, or a .csv of pixels behind the label",
    )
    source.add_argument(
        "--mnist", metavar="DIR", type=typed_path, help="a folder of IDX or IDX.gz files"
    )
    source.add_argument(
        "--npz",
        metavar="FILE",
        type=typed_path,
        help="arrays x (N, ...) and y: classes (N,), or what the loss takes",
    )


def parts(command: str, arguments: argparse.Namespace, net: Any, *, labels: bool = True) -> Parts:
    """Return the images that were asked for, as `net` takes them.

    Parameters
    ----------
    command : str
        Whom errors name.
    labels : bool
        Whether there must be a `y`.

    Raises
    ------
    FormatError, ArgumentError
        If the source is none that is known, or damaged.
    ShapeError
        If the network takes images of another shape.
    """
    found = _read(command, arguments, net, labels)
    _check_shape(command, arguments, net, found.train.x)
    return found


def held_out(found: Parts, seed: int) -> tuple[Examples, Examples]:
    """Return the rows to learn from and those held out: of one part a quarter of each class.

    Where y holds no classes it is the last quarter, as that of `fit` with a validation_split.
    """
    if found.test is not None:
        return found.train, found.test
    y = found.train.y
    labels = y if y.ndim == 1 else labels_of(Table((y,), (y,), None, None, 0))
    if labels is None:
        rows = np.arange(len(y))
        train, test = np.split(rows, [len(y) - max(round(len(y) * SHARE), 1)])
    else:
        train, test = data.stratified_split(labels, SHARE, seed)
    if not len(train) or not len(test):
        classes = None if labels is None or y.dtype.kind == "f" else len(np.unique(labels))
        alike = "" if labels is None else " of one class"
        rule = f"must have at least two rows{alike}, to hold some out"
        remedy = "an .npz may bring images to test on: x_test and y_test"
        if classes is None and y.ndim == 1:
            remedy = "values have an axis of their own: save y[:, None]"
        shown = f"{len(y)} row{'s' * (len(y) != 1)}"
        if classes is not None:
            shown += f" of {classes} class{'es' * (classes != 1)}"
        raise ShapeError("train", "y", rule, y.shape, remedy, shown=shown)
    return _rows(found.train, train), _rows(found.train, test)


def _rows(images: Examples, rows: np.ndarray[Any, Any]) -> Examples:
    x = images.x
    if isinstance(x, data.Images):  # pictures stay on the disk
        kept = data.Images([x.paths[row] for row in rows], size=x.size, grey=x.grey)
        return Examples(kept, images.y[rows])
    return Examples(x[rows], images.y[rows])


def is_digits(arguments: argparse.Namespace) -> bool:
    """Return whether the images are the digits that come with fastconv, and no file or folder."""
    return not (arguments.mnist or arguments.npz) and arguments.data in (None, DIGITS)


def to_judge(arguments: argparse.Namespace, found: Parts) -> Examples:
    """Return the images that a network is judged by: those held out, where any are, or all."""
    if found.test is not None or is_digits(arguments):
        return held_out(found, arguments.seed)[1]
    return found.train


def _named(arguments: argparse.Namespace) -> str:
    return str(arguments.mnist or arguments.npz or arguments.data or DIGITS)


def _read(command: str, arguments: argparse.Namespace, net: Any, labels: bool) -> Parts:
    """Return what the source holds; a path's kind is told by what is there."""
    named = _named(arguments)
    if is_digits(arguments):
        if arguments.data and os.path.exists(DIGITS):
            own = os.path.join(os.curdir, DIGITS)
            note(command, f"these are the digits that come with fastconv; {own} is what lies here")
        return Parts(Examples(*data.digits()), None)
    path = Path(named)
    if arguments.mnist or (path.is_dir() and _has_idx(path)):
        train, test = data.mnist(named)
        return Parts(Examples(*train), Examples(*test))
    picture = not labels and path.suffix.lower() in SUFFIXES
    if (path.is_dir() or picture) and not arguments.npz:
        return Parts(_pictures(command, path, _shape(net), labels), None)
    if path.name.endswith((".csv", ".csv.gz")) and not arguments.npz:
        return Parts(_pixels(named, _shape(net), labels), None)
    return _npz(command, named, labels)


def _shape(net: Any) -> tuple[int, ...]:
    """Return the shape that the network's first input has beside the batch."""
    return tuple(net.to_config()["inputs"][0]["shape"])


def _has_idx(folder: Path) -> bool:
    return any(
        "-ubyte" in path.name and path.suffix.lower() not in SUFFIXES for path in folder.iterdir()
    )


def _pixels(path: str, shape: tuple[int, ...], labels: bool) -> Examples:
    """Return the images of a .csv; where no labels are needed, its lines may have none."""
    if not labels:
        with contextlib.suppress(FormatError):
            return Examples(*data.read_csv(path, shape, label=None))
    return Examples(*data.read_csv(path, shape))


def _pictures(command: str, folder: Path, shape: tuple[int, ...], labels: bool) -> Examples:
    """Return the pictures of a folder, of the size and the channels that the network takes; where
    no labels are needed, it may be a picture itself."""
    wanted: dict[str, Any] = {"grey": shape[0] == 1}
    if len(shape) == 3:
        wanted["size"] = shape[1:]
    if not labels:
        paths = image_paths(folder) if folder.is_dir() else [folder]
        if not paths:
            known = f"known are {', '.join(sorted(SUFFIXES))}"
            raise ArgumentError(command, str(folder), "must have images in it", remedy=known)
        return Examples(data.Images(paths, **wanted), None)
    found = data.image_folder(folder, **wanted)
    return Examples(found.x, found.y)


def _check_shape(command: str, arguments: argparse.Namespace, net: Any, x: Any) -> None:
    if isinstance(x, data.Images):  # which were made for the network
        return
    inputs = net.to_config()["inputs"]
    got, want = list(x.shape[1:]), inputs[0]["shape"]
    if len(inputs) > 1 or got == want:
        return
    named = _named(arguments)
    own = not (is_digits(arguments) or arguments.mnist) and Path(named).is_file()
    advice = reshaped(x.shape, want) if own else ""
    if advice:
        how = f"save x with the shape (N, {', '.join(map(str, want))}): {advice}"
    else:
        how = f'write "input_shape": {got}'
        if is_digits(arguments):
            how = f"give other images by --data, --mnist DIR (28x28) or --npz FILE, or {how}"
    source = "the digits" if is_digits(arguments) else named
    rule = f"must have the network's input_shape, {want} in {arguments.file}"
    raise ShapeError(command, "images", rule, got, how, shown=f"{got} from {source}")


def _npz(command: str, path: str, labels: bool) -> Parts:
    """Return the arrays of an .npz: x and y and, if they are there, x_test and y_test."""
    stored = data.read_npz(path, operation=command)
    names = ["x", "y", "x_test", "y_test"] if "x_test" in stored else ["x", "y"]
    if not labels:
        names = [name for name in names if name in stored or name == "x"]
    if missing := [name for name in names if name not in stored]:
        rule = "must hold x and y, or x, y, x_test and y_test" if labels else "must hold x"
        found = in_one_line(", ".join(stored) or "none")
        remedy = f"{', '.join(missing)} is missing, it has {found}"
        raise FormatError(command, path, rule, remedy=remedy)
    for name in names:
        if not stored[name].ndim:
            rule = f"must hold {name} as an array of rows"
            raise FormatError(command, path, rule, shown="one value")
    for x, y in (("x", "y"), ("x_test", "y_test")):
        if x in names and y in names and len(stored[x]) != len(stored[y]):
            rule = f"must hold as many rows of {y} as of {x}, {len(stored[x])}"
            raise FormatError(command, path, rule, len(stored[y]))
    test = Examples(stored["x_test"], stored.get("y_test")) if "x_test" in names else None
    return Parts(Examples(stored["x"], stored.get("y")), test)
