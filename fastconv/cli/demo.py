"""Train a small network on real handwritten digits and see what its memory costs.

In some seconds: a network put together from a list of names, its summary, its training on
the 1,797 digits of the UCI set (8x8, in the package), its accuracy on a quarter of them that
it has not seen, the bytes and the time of every algorithm of convolution, and the filters of
the first layer before and after.

examples:
  fastconv demo
  fastconv demo --epochs 3 --seed 1
  fastconv demo --mnist ~/mnist          28x28 digits from IDX files you have
  fastconv demo --png filters.png        the filters as a picture too (needs matplotlib)

The same seed repeats the run bit for bit.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import time
from typing import Any

import numpy as np

from fastconv import data, functional, memory, models, plot
from fastconv.cli.output import write
from fastconv.cli.paths import check_drawing, typed_path
from fastconv.cli.values import at_least
from fastconv.errors import MissingExtraError
from fastconv.zoo.digits import digits_net

PNG = "fastconv-demo.png"
REPEATS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the data, and how to train."""
    parser.add_argument(
        "--mnist", metavar="DIR", type=typed_path, help="a folder of IDX or IDX.gz files"
    )
    parser.add_argument("--epochs", type=int, help="default 20, with --mnist 2")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument(
        "--png", metavar="PATH", type=typed_path, help=f"default {PNG} if matplotlib is there"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print every part of the demonstration, one after the other."""
    at_least("demo", "--epochs", arguments.epochs, 1)
    at_least("demo", "--seed", arguments.seed, 0)
    drawn = importlib.util.find_spec("matplotlib") is not None
    if arguments.png:
        if not drawn:
            rule = "must be installed for --png"
            raise MissingExtraError.of("demo", "matplotlib", "plot", rule)
        check_drawing("demo", "--png", arguments.png)

    (x, y), (x_test, y_test) = _digits(arguments)
    whole = digits_net(input_shape=x.shape[1:])
    config = {key: whole[key] for key in ("input_shape", "layers")}  # without its title
    _head("A network from a list of names")
    write(_json(config))
    net = models.from_config(config, seed=arguments.seed)
    write("")
    write(net.summary())
    first = net["conv2d_1"]
    before = first.params["weight"].copy()

    _head("Training")
    write(f"{len(x):,} digits to learn from, {len(x_test):,} to test on, every class its share\n")
    net.compile(optimizer="adam", loss="softmax_cross_entropy", metrics=["accuracy"])
    net.fit(
        x,
        y,
        batch_size=32 if len(x) < 10_000 else 100,
        epochs=arguments.epochs if arguments.epochs is not None else 2 if arguments.mnist else 20,
        seed=arguments.seed,
        validation_data=(x_test, y_test),
    )
    commonest = np.bincount(y).argmax()
    write(f"\ntest accuracy: {100 * net.evaluate(x_test, y_test)['accuracy']:.1f} %")
    write(f"majority class: {100 * np.mean(y_test == commonest):.1f} %")

    _head("What an algorithm costs: the same network, the same digits")
    _algorithms(net, config, x_test[:500])

    _head("The filters of the first layer")
    after = first.params["weight"]
    width = shutil.get_terminal_size().columns
    pictures = {"before": before, "after": after}
    write(plot.filters_text(pictures, width=width, blocks=plot.draws_blocks()))
    write("\nblank is a filter's smallest weight, full its largest")
    if drawn:
        path = arguments.png or PNG
        plot.filters_png(pictures, path, title="Filters of conv2d_1 before and after training")
        write(f"as a picture: {path}")
    else:
        write('for a picture: pip install "fastconv[plot]"')


def _digits(arguments: argparse.Namespace) -> Any:
    """Return (x, y), (x_test, y_test)."""
    if arguments.mnist:
        return data.mnist(arguments.mnist)
    x, y = data.digits()
    train, test = data.stratified_split(y, seed=arguments.seed)
    return (x[train], y[train]), (x[test], y[test])


def _algorithms(net: Any, config: dict[str, Any], x: Any) -> None:
    """Run the trained network once per algorithm; print time, bytes and difference."""
    weight = net["conv2d_1"].params["weight"]
    names = functional.conv2d_costs(x.shape, weight.shape, padding="same")
    reference = None
    write(f"{len(x)} digits in one batch of {x.nbytes:,} bytes. Time: the best of {REPEATS} runs.")
    write("Difference: the largest between an output and the same output of direct.\n")
    write("algorithm           time     workspace bytes   times the input   largest difference")
    for algorithm in sorted(names, key=lambda name: name != "direct"):
        twin = models.from_config(_with_algorithm(config, algorithm))
        twin.set_weights(net.weights())
        with memory.track() as used:
            y = twin(x)
        reference = y if reference is None else reference
        seconds = min(_seconds(twin, x) for _ in range(REPEATS))
        workspace = used.workspace_peak
        difference = float(np.abs(y - reference).max())
        write(
            f"{algorithm:<14}{1000 * seconds:7.2f} ms{workspace:>20,}"
            f"{workspace / x.nbytes:>18.1f}{difference:>21.1g}"
        )


def _seconds(net: Any, x: Any) -> float:
    begun = time.perf_counter()
    net(x)
    return time.perf_counter() - begun


def _with_algorithm(config: dict[str, Any], algorithm: str) -> dict[str, Any]:
    layers = [
        ["Conv2D", {**layer[1], "algorithm": algorithm}] if layer[0] == "Conv2D" else layer
        for layer in config["layers"]
    ]
    return {**config, "layers": layers}


def _head(title: str) -> None:
    rule = "─" if plot.draws_blocks() else "-"
    write(f"\n{title}\n{rule * len(title)}")


def _json(config: dict[str, Any]) -> str:
    """Return the configuration as JSON, with one layer to a line."""
    layers = ",\n   ".join(json.dumps(layer) for layer in config["layers"])
    return f'{{"input_shape": {json.dumps(config["input_shape"])},\n "layers": [\n   {layers}]}}'
