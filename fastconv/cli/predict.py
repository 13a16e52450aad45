"""Say what a network makes of images.

Each line has the file or the number of an image, the class that the network finds, and how sure it
is. With --numbers, and of a network that gives no classes, it has the numbers that come out. Where
the images have a test part, as MNIST's, that is taken. Where something that comes out is infinite
or NaN, that is said at the end, and the exit code is 1.

examples:
  fastconv predict net.safetensors --data mine.npz          arrays x; y is not needed
  fastconv predict net.safetensors --data pictures/         a folder of pictures
  fastconv predict net.safetensors --data mine.npz --save answers.npz
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastconv import data, functional
from fastconv.arguments import parse_bytes
from fastconv.cli.datasets import add_data, parts
from fastconv.cli.networks import add_file, has_weights, network_of
from fastconv.cli.output import note, write
from fastconv.cli.paths import check_writable, typed_path
from fastconv.cli.values import at_least
from fastconv.errors import ArgumentError, TrainingError

#: So many numbers of an output that has no classes are printed.
SHOWN = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add FILE, the data, and where the answers go."""
    add_file(parser)
    add_data(parser)
    add = parser.add_argument
    add("--batch-size", type=int, default=100, help="images computed at a time; default 100")
    add("--memory-limit", metavar="BYTES", help="bytes that a batch may take, or '20 MB'")
    add("--numbers", action="store_true", help="print what comes out, and no classes")
    add(
        "--save",
        metavar="OUT.npz",
        type=typed_path,
        help="an .npz for the outputs: array y, or of several outputs y_NAME for each; of pictures "
        "their files too, as array paths",
    )


def run(arguments: argparse.Namespace) -> None:
    """Print a line for each image, or save the outputs."""
    at_least("predict", "--batch-size", arguments.batch_size, 1)
    limit = parse_bytes("predict", "--memory-limit", arguments.memory_limit)
    if arguments.save:
        if Path(arguments.save).suffix != ".npz":
            raise ArgumentError("predict", "--save", "must end in .npz", arguments.save)
        check_writable("predict", "--save", arguments.save)
    net = network_of(arguments)
    if not has_weights(arguments.file):
        note("predict", f"{arguments.file} has no weights: those of the network are random")
    found = parts("predict", arguments, net, labels=False)
    x = (found.test or found.train).x
    y = net.predict(x, arguments.batch_size, memory_limit=limit)
    pictures = isinstance(x, data.Images)
    names = [str(name) for name in (x.paths if pictures else range(len(x)))]
    if arguments.save:
        arrays: dict[str, Any] = {"paths": np.array(names)} if pictures else {}
        if isinstance(y, tuple):
            ids = net.to_config()["outputs"]
            arrays |= {f"y_{id}": output for id, output in zip(ids, y, strict=True)}
        else:
            arrays["y"] = y
        np.savez(arguments.save, **arrays)
        write(f"saved as {arguments.save}")
    else:
        for name, answer in zip(names, _answers(net, y, arguments.numbers), strict=True):
            print(f"{_in_one_line(name)}: {answer}")
    _check_finite(y, names)


def _in_one_line(name: str) -> str:
    """Return a file's name as text without breaks, which a name may have on most systems."""
    return name if name.isprintable() else repr(name)[1:-1]


def _check_finite(y: Any, names: list[str]) -> None:
    """Raise TrainingError if what came out is infinite or NaN for some image."""
    for output in y if isinstance(y, tuple) else (y,):
        finite = np.isfinite(output).all(axis=tuple(range(1, output.ndim)))
        if not finite.all():
            row = int(finite.argmin())
            found = output[row][~np.isfinite(output[row])][0]
            shown = f"{found:g} for image {_in_one_line(names[row])}"
            remedy = f"it is so for {np.count_nonzero(~finite)} of {len(finite)} images"
            raise TrainingError(
                "predict", "the outputs", "must be finite", remedy=remedy, shown=shown
            )


def _answers(net: Any, y: Any, numbers: bool) -> Iterator[str]:
    """Return what is to be said of each image."""
    kind = net.output_answers()[0].kind
    several = isinstance(y, tuple)
    classes = not several and y.ndim == 2 and y.shape[1] > 1 and kind not in ("chances", "bounded")
    if classes and not numbers:
        shares = y if kind == "probabilities" else functional.softmax(y, axis=1)
        for answer, share in zip(y.argmax(1), shares.max(1), strict=True):
            yield f"{answer} ({100 * share:.1f} %)"
        return
    outputs = y if several else (y,)
    for row in range(len(outputs[0])):
        yield "; ".join(_shortly(output[row]) for output in outputs)


def _shortly(values: np.ndarray[Any, Any]) -> str:
    flat = values.reshape(-1)
    more = ", ..." if flat.size > SHOWN else ""
    return ", ".join(f"{value:.6g}" for value in flat[:SHOWN]) + more
