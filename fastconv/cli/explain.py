"""Write out a convolution, a pooling or an im2col of a small map, every product of every sum.

A matrix is typed as JSON, or is in a .csv or .npy file. The window is the matrix of the filter for
conv2d, and a size such as 2 or [2,3] for pool2d and im2col.

examples:
  fastconv explain conv2d '[[1,2],[3,4]]' '[[1]]' --padding 1
  fastconv explain conv2d image.csv filter.csv --stride 2 --bias 0.5
  fastconv explain pool2d '[[1,2,3,4],[4,3,2,1]]' 2 --kind average
  fastconv explain im2col image.npy 3 --padding 1
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fastconv import explain
from fastconv.arguments import as_pair, check_regular
from fastconv.cli.paths import typed_path
from fastconv.errors import ArgumentError, FormatError, describe
from fastconv.models.saving import strict_json

#: What a file may have: so much is far more than can be written out.
MAX_BYTES = 2**16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add OPERATION, X, WINDOW and the options of the three operations."""
    parser.add_argument(
        "operation", metavar="OPERATION", choices=tuple(OPERATIONS), help=", ".join(OPERATIONS)
    )
    parser.add_argument("x", metavar="X", help="the map: JSON, or a .csv or .npy file")
    parser.add_argument("window", metavar="WINDOW", help="the filter likewise, or a size")
    parser.add_argument("--stride", metavar="N", help="or '[2,1]'; that of pool2d is the size")
    parser.add_argument("--padding", metavar="N", help="or '[1,0]', or same; default 0")
    parser.add_argument("--dilation", metavar="N", help="of conv2d, or '[2,1]'; default 1")
    parser.add_argument("--bias", type=float, metavar="NUMBER", help="of conv2d")
    parser.add_argument("--kind", metavar="KIND", help="of pool2d: max, the default, or average")


def run(arguments: argparse.Namespace) -> None:
    """Print the explanation."""
    given = {
        "stride": _value("--stride", arguments.stride),
        "padding": _value("--padding", arguments.padding),
        "dilation": _value("--dilation", arguments.dilation),
        "bias": arguments.bias,
        "kind": arguments.kind,
    }
    options = {name: value for name, value in given.items() if value is not None}
    taken = TAKEN[arguments.operation]
    for name in options:
        if name not in taken:
            rule = f"must be left out with {arguments.operation}"
            remedy = f"it takes {', '.join(f'--{word}' for word in taken)}"
            raise ArgumentError("", f"--{name}", rule, remedy=remedy)
    x = _matrix("X", arguments.x)
    print(OPERATIONS[arguments.operation](x, arguments.window, options))


def _convolution(x: Any, window: str, options: dict[str, Any]) -> explain.Explanation:
    return explain.conv2d(x, _matrix("WINDOW", window), **options)


def _pooling(x: Any, window: str, options: dict[str, Any]) -> explain.Explanation:
    return explain.pool2d(x, _value("WINDOW", window), **options)


def _unfolding(x: Any, window: str, options: dict[str, Any]) -> explain.Explanation:
    height, width = as_pair("", "WINDOW", _value("WINDOW", window), 1)
    if "padding" in options:
        options["pad"] = options.pop("padding")
    return explain.im2col(x, height, width, **options)


OPERATIONS = {"conv2d": _convolution, "pool2d": _pooling, "im2col": _unfolding}
TAKEN = {
    "conv2d": ("stride", "padding", "dilation", "bias"),
    "pool2d": ("stride", "padding", "kind"),
    "im2col": ("stride", "padding"),
}


def _value(parameter: str, text: str | None) -> Any:
    """Return what was typed: JSON where it begins as a number or a list, else the word itself."""
    if text is None or text.strip()[:1] not in tuple("[0123456789-"):
        return text
    return strict_json.parse(text, parameter)


def _matrix(parameter: str, text: str) -> Any:
    """Return a matrix that was typed, or that is in a file."""
    if text.strip()[:1] == "[":
        return strict_json.parse(text, parameter)
    suffix = Path(text).suffix.lower()
    if suffix not in (".csv", ".npy"):
        rule = "must be a matrix in JSON, or a .csv or .npy file"
        raise ArgumentError("", parameter, rule, text, "write '[[1,2],[3,4]]', in quotes")
    path = typed_path(text)
    check_regular("", parameter, path)
    size = Path(path).stat().st_size
    if size > MAX_BYTES:
        rule = f"must have at most {MAX_BYTES} bytes, to be written out"
        raise ArgumentError("", path, rule, size)
    try:
        if suffix == ".npy":
            array = np.load(path, allow_pickle=False)
            # as what is typed is, so that they fit
            return array.astype(np.float64) if array.dtype.kind == "f" else array
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty file, which is refused with its shape
            return np.loadtxt(path, delimiter=",", ndmin=2, encoding="utf-8-sig")
    except (ValueError, EOFError) as error:
        rule = f"must hold a matrix of numbers, {describe(error)}"
        raise FormatError("", path, rule) from None
