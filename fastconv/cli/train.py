"""Train a network from a file on digits, MNIST or your own images.

The digits come with fastconv and are 8x8, so a network for them has "input_shape": [1, 8, 8]
and ends in ten units; a whole net.json:

  {"input_shape": [1, 8, 8],
   "layers": [["Conv2D", {"filters": 32, "kernel_size": 3}], "ReLU",
              ["MaxPool2D", {"pool_size": 2}], "Flatten", ["Dense", {"units": 10}]]}

A quarter of the rows, the same share of every class, is held out for the test; where y holds no
classes, the last quarter. MNIST (28x28) brings its own test part, and so may an .npz.

examples:
  fastconv train net.json
  fastconv train net.json --epochs 20 --optimizer momentum --learning-rate 0.05
  fastconv train net.json --optimizer adamw:weight_decay=0.01 --learning-rate cosine:steps=1000
  fastconv train net.json --data ~/mnist --save net.safetensors
  fastconv train net.json --data mine.npz      arrays x and y, if you like x_test and y_test
  fastconv train net.json --data pictures/     pictures/cat/1.png, pictures/dog/2.jpg, ...
  fastconv train net.json --data mine.npz --loss mean_squared_error      y (N, K) of numbers
  fastconv train net.json --transform shift:pixels=1 --transform noise:scale=0.05
  fastconv train net.json --callback early_stopping:patience=3 --callback csv_log:path=log.csv
  fastconv train net.json --checkpoint run.safetensors             after every epoch
  fastconv train net.json --checkpoint run.safetensors --resume run.safetensors

Where the network and the labels say which loss fits, none need be named. Ctrl-C ends training;
what was learned until then is saved where --save says. Where numbers become infinite or NaN, that
is said, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

from fastconv import data, registry
from fastconv.arguments import as_real, parse_bytes
from fastconv.cli.datasets import add_data, held_out, parts
from fastconv.cli.goal import add_goal, check_finite, is_chosen, loss_and_metrics
from fastconv.cli.networks import add_file, check_saving, network_of
from fastconv.cli.output import write
from fastconv.cli.paths import typed_path
from fastconv.cli.values import CHOICE, at_least, typed_choice, typed_rate
from fastconv.errors import ArgumentError, ConfigError, did_you_mean

_TRANSFORMS = {each.__name__: each for each in (data.crop, data.flip, data.noise, data.shift)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add FILE, the data, and how to train."""
    add_file(parser, "net.json, a name that `fastconv models` lists, or net.safetensors to go on")
    add_data(parser)
    add = parser.add_argument
    add("--epochs", type=int, default=10, help="in all, with --resume too; default 10")
    add("--batch-size", type=int, default=100, help="default 100")
    names = ", ".join(registry.optimizers.names())
    add(
        "--optimizer", type=typed_choice, metavar="NAME", help=f"{CHOICE}, of {names}; default adam"
    )
    add(
        "--learning-rate",
        type=typed_rate,
        metavar="RATE",
        help=f"a number, or a schedule of {', '.join(registry.schedules.names())}; "
        "default: the optimizer's own",
    )
    add_goal(parser)
    add("--class-weight", choices=["balanced"], help="weigh rows by how rare their class is")
    add(
        "--callback",
        type=typed_choice,
        action="append",
        default=[],
        metavar="NAME",
        help=f"of {', '.join(registry.callbacks.names())}; may be repeated",
    )
    add(
        "--transform",
        type=typed_choice,
        action="append",
        default=[],
        metavar="NAME",
        help=f"of {', '.join(_TRANSFORMS)}: changes every batch to learn from; may be repeated",
    )
    add("--seed", type=int, default=0, help="of split, weights and order; default 0")
    add("--memory-limit", metavar="BYTES", help="bytes that a step may take, or '20 MB'")
    checkpoint = "where the whole state of training goes after every epoch"
    add("--checkpoint", metavar="RUN.safetensors", type=typed_path, help=checkpoint)
    add("--resume", metavar="RUN.safetensors", type=typed_path, help="a checkpoint to go on from")
    add("--save", metavar="OUT.safetensors", type=typed_path, help="where the trained network goes")


def run(arguments: argparse.Namespace) -> None:
    """Train, say how well the network does, and save it if that is asked for."""
    for option, value, least in (
        ("--epochs", arguments.epochs, 1),
        ("--batch-size", arguments.batch_size, 1),
        ("--seed", arguments.seed, 0),
    ):
        at_least("train", option, value, least)
    limit = parse_bytes("train", "--memory-limit", arguments.memory_limit)
    for option, path in (("--save", arguments.save), ("--checkpoint", arguments.checkpoint)):
        if path:
            check_saving("train", option, path)
    optimizer = _optimizer(arguments)
    callbacks, transform = _callbacks(arguments), _transform(arguments)
    net = network_of(arguments, arguments.seed)
    (x, y), test = held_out(parts("train", arguments, net), arguments.seed)
    if optimizer is not None:
        net.compile(optimizer=optimizer, **loss_and_metrics(arguments, net, y))
    write(f"{len(x):,} images to learn from, {len(test.x):,} to test on")
    try:
        net.fit(
            x,
            y,
            batch_size=arguments.batch_size,
            epochs=arguments.epochs,
            seed=arguments.seed,
            validation_data=test,
            callbacks=callbacks,
            class_weight=arguments.class_weight,
            transform=transform,
            resume=arguments.resume,
            memory_limit=limit,
        )
    except KeyboardInterrupt:
        _save(arguments, net)
        raise
    figures = net.evaluate(*test)
    _tell(figures)
    _save(arguments, net)
    check_finite("train", figures)


def _optimizer(arguments: argparse.Namespace) -> Any:
    """Return the optimizer that was chosen, or None where a checkpoint says how to compile."""
    rate, chosen = arguments.learning_rate, arguments.optimizer
    if isinstance(rate, float):
        as_real("train", "--learning-rate", rate, "at least 0 and finite", 0.0, math.inf)
    if arguments.resume and rate is chosen is None and not is_chosen(arguments):
        return None
    name, settings = (chosen or "adam", {}) if not isinstance(chosen, tuple) else chosen
    if rate is not None:
        settings = {**settings, "learning_rate": rate}
    return registry.resolve(registry.optimizers, (name, settings), "train")


def _callbacks(arguments: argparse.Namespace) -> list[Any]:
    """Return the callbacks that were named, and the one that writes checkpoints."""
    chosen = list(arguments.callback)
    if arguments.checkpoint:
        chosen.append(("checkpoint", {"path": arguments.checkpoint}))
    return [registry.resolve(registry.callbacks, one, "train") for one in chosen]


def _transform(arguments: argparse.Namespace) -> Any:
    """Return the transforms that were named, one after the other, or None."""
    made = []
    for choice in arguments.transform:
        name, settings = (choice, {}) if isinstance(choice, str) else choice
        if name not in _TRANSFORMS:
            remedy = did_you_mean(name, _TRANSFORMS)
            rule = f"must be of {', '.join(_TRANSFORMS)}"
            raise ArgumentError("train", "--transform", rule, name, remedy)
        if problems := registry.setting_problems(_TRANSFORMS[name], settings, name):
            raise ConfigError(problems)
        made.append(_TRANSFORMS[name](**settings))
    return data.compose(*made) if made else None


def _tell(figures: dict[str, float]) -> None:
    """Print the figures of the rows held out; a share of right answers in per cent."""
    for name, figure in figures.items():
        if name.endswith("accuracy"):
            write(f"test {name.replace('_', ' ')}: {100 * figure:.1f} %")
        elif name != "loss" or len(figures) == 1:
            write(f"test {name.replace('_', ' ')}: {figure:.4g}")


def _save(arguments: argparse.Namespace, net: Any) -> None:
    if arguments.save:
        net.save(arguments.save)
        write(f"saved as {arguments.save}")
