"""Train a network from a file on digits, MNIST or your own arrays.

The digits come with fastconv and are 8x8, so a network for them has "input_shape": [1, 8, 8]
and ends in ten units; a whole net.json:

  {"input_shape": [1, 8, 8],
   "layers": [["Conv2D", {"filters": 32, "kernel_size": 3}], "ReLU",
              ["MaxPool2D", {"pool_size": 2}], "Flatten", ["Dense", {"units": 10}]]}

A quarter of the rows, the same share of every class, is held out for the test; MNIST (28x28)
brings its own test part, and so may an .npz.

examples:
  fastconv train net.json
  fastconv train net.json --epochs 20 --optimizer momentum --learning-rate 0.05
  fastconv train net.json --mnist ~/mnist --save net.safetensors
  fastconv train net.json --npz mine.npz      arrays x and y, if you like x_test and y_test

The loss is cross_entropy where the network ends in Softmax, else softmax_cross_entropy.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np

from fastconv import data, registry
from fastconv.arguments import as_real, parse_bytes
from fastconv.cli.networks import add_file, at_least, check_saving, read_network, typed_path, write
from fastconv.errors import FormatError, ShapeError, describe, shorten
from fastconv.models.graph import reshaped
from fastconv.models.saving import formats, head_of

_WRITTEN = "np.savez(path, x=x, y=y) writes one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add FILE, the data, and how to train."""
    add_file(parser, "net.json, or net.safetensors to go on")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", choices=["digits"], default="digits", help="the default")
    source.add_argument(
        "--mnist", metavar="DIR", type=typed_path, help="a folder of IDX or IDX.gz files"
    )
    source.add_argument(
        "--npz", metavar="FILE", type=typed_path, help="arrays x (N, C, H, W) and y (N,)"
    )
    parser.add_argument("--epochs", type=int, default=10, help="default 10")
    parser.add_argument("--batch-size", type=int, default=100, help="default 100")
    parser.add_argument(
        "--optimizer",
        default="adam",
        metavar="NAME",
        help=f"{', '.join(registry.optimizers.names())}; default adam",
    )
    parser.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="default: the optimizer's own"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of split, weights and order; default 0"
    )
    parser.add_argument(
        "--memory-limit", metavar="BYTES", help="bytes that a step may take, or '20 MB'"
    )
    parser.add_argument(
        "--save", metavar="OUT.safetensors", type=typed_path, help="where the trained network goes"
    )


def run(arguments: argparse.Namespace) -> None:
    """Train, say how well the network does, and save it if that is asked for."""
    rate = arguments.learning_rate
    for option, value, least in (
        ("--epochs", arguments.epochs, 1),
        ("--batch-size", arguments.batch_size, 1),
        ("--seed", arguments.seed, 0),
    ):
        at_least("train", option, value, least)
    if rate is not None:
        as_real("train", "--learning-rate", rate, "at least 0 and finite", 0.0, math.inf)
    limit = parse_bytes("train", "--memory-limit", arguments.memory_limit)
    if arguments.save:
        check_saving("train", "--save", arguments.save)
    net = read_network(arguments.file, arguments.seed)
    shares = net.output_answers()[0].kind == "probabilities"
    net.compile(
        optimizer=(arguments.optimizer, {} if rate is None else {"learning_rate": rate}),
        loss="cross_entropy" if shares else "softmax_cross_entropy",
        metrics=["accuracy"],
    )
    (x, y), (x_test, y_test) = _parts(arguments, net)
    write(f"{len(x):,} images to learn from, {len(x_test):,} to test on")
    net.fit(
        x,
        y,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        seed=arguments.seed,
        validation_data=(x_test, y_test),
        memory_limit=limit,
    )
    write(f"test accuracy: {100 * net.evaluate(x_test, y_test)['accuracy']:.1f} %")
    if arguments.save:
        net.save(arguments.save)
        write(f"saved as {arguments.save}")


def _parts(arguments: argparse.Namespace, net: Any) -> Any:
    """Return (x, y), (x_test, y_test) of the data that were asked for; raise if they do not fit."""
    if arguments.mnist:
        parts = data.mnist(arguments.mnist)
        _check_shape(arguments, net, parts[0][0])
        return parts
    x, y, *test = _npz(arguments.npz) if arguments.npz else data.digits()
    _check_shape(arguments, net, x)
    if test:
        return (x, y), tuple(test)
    train_rows, test_rows = data.stratified_split(y, seed=arguments.seed)
    return (x[train_rows], y[train_rows]), (x[test_rows], y[test_rows])


def _check_shape(arguments: argparse.Namespace, net: Any, x: np.ndarray[Any, Any]) -> None:
    inputs = net.to_config()["inputs"]
    got, want = list(x.shape[1:]), inputs[0]["shape"]
    if len(inputs) > 1 or got == want:
        return
    advice = reshaped(x.shape, want) if arguments.npz else ""
    if advice:
        how = f"save x with the shape (N, {', '.join(map(str, want))}): {advice}"
    else:
        how = f'write "input_shape": {got}'
        if not (arguments.npz or arguments.mnist):
            how = f"give other images by --mnist DIR (28x28) or --npz FILE, or {how}"
    source = arguments.npz or arguments.mnist or "the digits"
    rule = f"must have the network's input_shape, {want} in {arguments.file}"
    raise ShapeError("train", "images", rule, got, how, shown=f"{got} from {source}")


def _npz(path: str) -> list[np.ndarray[Any, Any]]:
    """Return x, y and, if they are in the file, x_test and y_test."""
    head = head_of("train", path)
    if not head.startswith((b"PK", b"\x93NUMPY")):  # NumPy would take it for a pickle
        kind = formats.tell(head)
        raise FormatError(
            "train",
            path,
            "must be an .npz of plain arrays",
            remedy=_WRITTEN,
            shown=kind.name if kind else f"a file that begins with {head[:8]!r}",
        )
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            raise FormatError("train", path, "must be an .npz of arrays x and y", shown="one array")
        with stored:
            names = ["x", "y", "x_test", "y_test"] if "x_test" in stored.files else ["x", "y"]
            if missing := [name for name in names if name not in stored.files]:
                rule = "must hold x and y, or x, y, x_test and y_test"
                found = shorten(", ".join(stored.files) or "none")[1:-1]
                remedy = f"{', '.join(missing)} is missing, it has {found}"
                raise FormatError("train", path, rule, remedy=remedy)
            arrays = {name: stored[name] for name in names}
    except (FormatError, OSError):
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise many for a damaged or other file
        rule = f"must be an .npz of plain arrays; {describe(error)}"
        raise FormatError("train", path, rule, remedy=_WRITTEN) from error
    for name in names:
        if not arrays[name].ndim:
            rule = f"must hold {name} as an array of rows"
            raise FormatError("train", path, rule, shown="one value")
    for x, y in zip(names[::2], names[1::2], strict=True):
        if len(arrays[x]) != len(arrays[y]):
            rule = f"must hold as many rows of {y} as of {x}, {len(arrays[x])}"
            raise FormatError("train", path, rule, len(arrays[y]))
    return [arrays[name] for name in names]
