"""Train a network from a file on digits, MNIST or your own arrays.

The digits come with fastconv and are 8x8, so a network for them has "input_shape": [1, 8, 8]
and ends in ten units. A quarter of the rows, the same share of every class, is held out for
the test; MNIST brings its own test part, and so may an .npz.

examples:
  fastconv train net.json
  fastconv train net.json --epochs 20 --optimizer momentum --learning-rate 0.05
  fastconv train net.json --mnist ~/mnist --save net.safetensors
  fastconv train net.json --npz mine.npz      arrays x and y, if you like x_test and y_test

The loss is cross_entropy where the network ends in Softmax, else softmax_cross_entropy.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from fastconv import data
from fastconv.cli.networks import check_saving, read_network, write
from fastconv.errors import FormatError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="net.json, or net.safetensors to go on")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", choices=["digits"], default="digits", help="the default")
    source.add_argument("--mnist", metavar="DIR", help="a folder of IDX or IDX.gz files")
    source.add_argument("--npz", metavar="FILE", help="arrays x (N, C, H, W) and y (N,)")
    parser.add_argument("--epochs", type=int, default=10, help="default 10")
    parser.add_argument("--batch-size", type=int, default=100, help="default 100")
    parser.add_argument(
        "--optimizer", default="adam", metavar="NAME", help="adam, momentum, sgd, ...; default adam"
    )
    parser.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="default: the optimizer's own"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of split, weights and order; default 0"
    )
    parser.add_argument("--save", metavar="OUT.safetensors", help="where the trained network goes")


def run(arguments: argparse.Namespace) -> None:
    if arguments.save:
        check_saving("train", arguments.save)
    net = read_network(arguments.file, arguments.seed)
    (x, y), (x_test, y_test) = _parts(arguments)
    rate = arguments.learning_rate
    last = net.output_layers()[0]
    softmax = getattr(last, "registered_name", "").startswith("fastconv.Softmax.")
    net.compile(
        optimizer=(arguments.optimizer, {} if rate is None else {"learning_rate": rate}),
        loss="cross_entropy" if softmax else "softmax_cross_entropy",
        metrics=["accuracy"],
    )
    write(f"{len(x):,} images to learn from, {len(x_test):,} to test on")
    net.fit(
        x,
        y,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        seed=arguments.seed,
        validation_data=(x_test, y_test),
    )
    write(f"test accuracy: {100 * net.evaluate(x_test, y_test)['accuracy']:.1f} %")
    if arguments.save:
        net.save(arguments.save)
        write(f"saved as {arguments.save}")


def _parts(arguments: argparse.Namespace) -> Any:
    """Return (x, y), (x_test, y_test) of what was asked for."""
    if arguments.mnist:
        return data.mnist(arguments.mnist)
    x, y, *test = _npz(arguments.npz) if arguments.npz else data.digits()
    if test:
        return (x, y), tuple(test)
    train_rows, test_rows = data.stratified_split(y, seed=arguments.seed)
    return (x[train_rows], y[train_rows]), (x[test_rows], y[test_rows])


def _npz(path: str) -> list[np.ndarray[Any, Any]]:
    """Return x, y and, where there are, x_test and y_test."""
    try:
        with np.load(Path(path), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise FormatError(f"train: {path} must be an .npz of plain arrays; {error}") from error
    names = ["x", "y", "x_test", "y_test"] if "x_test" in arrays else ["x", "y"]
    if missing := [name for name in names if name not in arrays]:
        raise FormatError(
            f"train: {path} must hold x and y, or x, y, x_test and y_test; "
            f"{', '.join(missing)} is missing, it has {', '.join(arrays) or 'none'}"
        )
    for name in names:
        if not arrays[name].ndim:
            raise FormatError(f"train: {path} must hold {name} as an array of rows, got one value")
    for name in names[::2]:
        if len(arrays[name]) != len(arrays["y" + name[1:]]):
            raise FormatError(f"train: {path} must hold as many rows of y{name[1:]} as of {name}")
    return [arrays[name] for name in names]
