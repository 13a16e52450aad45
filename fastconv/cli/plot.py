"""Draw a picture of a network, of what it has learned, or of what it takes.

WHAT is one of:

  graph           its layers as boxes and arrows
  filters         the filters of a convolution; with --before FILE, before and after learning
  feature-maps    what the layers make of an image of the data, that of --row
  activation-maximization   an input that excites each channel of a layer most
  confusion-matrix   how often each class is taken for which, of the images that `evaluate` uses
  misclassified   the images of those that it gets wrong
  memory          the bytes alive at each node, and what im2col would add
  algorithms      what each algorithm would take in each convolution
  time-against-memory   how long each takes in one convolution, against its bytes
  history         curves of a training; FILE is what the callback csv_log wrote
  filter-responses   edges found by filters made by hand; FILE is a picture

examples:
  fastconv plot graph ResNet50 --output graph.png
  fastconv plot filters after.safetensors --before before.safetensors --output filters.png
  fastconv plot feature-maps net.safetensors --data digits --row 3 --output maps.png
  fastconv plot misclassified net.safetensors --output mistakes.png
  fastconv plot memory UNet --batch 10 --training --output memory.png
  fastconv plot history log.csv --output curves.png
  fastconv plot filter-responses photograph.jpg --output edges.png
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastconv import data, models, plot
from fastconv.arguments import as_choice, as_int
from fastconv.cli.datasets import Examples, add_data, parts, to_judge
from fastconv.cli.logs import read_log
from fastconv.cli.networks import add_file, network_of, read_network
from fastconv.cli.paths import check_drawing, typed_path
from fastconv.cli.values import OneOf, at_least
from fastconv.errors import ArgumentError, shorten
from fastconv.models.saving import strict_json
from fastconv.plot.times import settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add WHAT, FILE, where the picture goes, and what the pictures take."""
    add = parser.add_argument
    add("what", metavar="WHAT", type=OneOf(PICTURES), help="what to draw; they are listed above")
    add_file(parser)
    add("--output", metavar="PNG", type=typed_path, required=True, help="the picture to write")
    add("--layer", metavar="NAME", help="of filters, feature-maps and the like: the layer")
    add("--before", metavar="FILE", type=typed_path, help="of filters: before it learned")
    add("--row", type=int, metavar="N", help="of feature-maps: the image; default 0")
    add("--channels", metavar="N", help="how many feature-maps; or those to excite, '[0,3]'")
    add("--steps", type=int, metavar="N", help="of activation-maximization; default 60")
    add("--batch", type=int, metavar="N", help="of what a run takes: images of a batch; default 1")
    add("--training", action="store_true", help="of memory and algorithms: with the backward pass")
    add("--seed", type=int, help="of starting weights, noise and the split; default 0")
    add_data(parser)


def run(arguments: argparse.Namespace) -> None:
    """Draw the picture and write it."""
    as_choice("plot", "WHAT", arguments.what, tuple(PICTURES))
    check_drawing("plot", "--output", arguments.output)
    at_least("plot", "--seed", arguments.seed, 0)
    at_least("plot", "--batch", arguments.batch, 1)
    _check_options(arguments)
    given = vars(arguments)
    given.update({name: usual for name, usual in DEFAULTS.items() if given[name] is None})
    figure = PICTURES[arguments.what].draw(arguments)
    figure.savefig(arguments.output, format="png", dpi=120)
    print(f"as a picture: {arguments.output}")


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse an option that the picture does not take."""
    what, given = arguments.what, vars(arguments)
    taken = PICTURES[what].takes
    every = frozenset().union(*(picture.takes for picture in PICTURES.values()))
    for name in sorted(every - taken):
        if given[name] not in (None, []) and given[name] is not False:
            known = ", ".join(sorted(map(_option, taken)))
            remedy = f"it takes {known}" if known else "it takes FILE and --output alone"
            raise ArgumentError(
                "plot", _option(name), f"must be left out for {what}", remedy=remedy
            )


def _option(name: str) -> str:
    """Return how an option is typed whose value has this name."""
    return "--import" if name == "imports" else f"--{name.replace('_', '-')}"


def _graph(arguments: argparse.Namespace) -> Any:
    return plot.graph(_network(arguments))


def _filters(arguments: argparse.Namespace) -> Any:
    before = read_network(arguments.before, arguments.seed) if arguments.before else None
    return plot.filters(_network(arguments), before, layer=arguments.layer)


def _feature_maps(arguments: argparse.Namespace) -> Any:
    net = _network(arguments)
    x = parts("plot", arguments, net, labels=False).train.x
    row = as_int("plot", "--row", arguments.row, 0, len(x) - 1)
    layers = None if arguments.layer is None else [arguments.layer]
    return plot.feature_maps(net, x[row], layers, channels=_channels(arguments, 16))


def _excitation(arguments: argparse.Namespace) -> Any:
    net = _network(arguments)
    if arguments.layer is None:
        remedy = f"there are {shorten([layer.name for layer in net.layers])}"
        raise ArgumentError("plot", "--layer", "must be given", remedy=remedy, shown="none")
    steps = {} if arguments.steps is None else {"steps": arguments.steps}
    channels = _channels(arguments, None)
    return plot.activation_maximization(
        net, arguments.layer, channels, seed=arguments.seed, **steps
    )


def _confusion(arguments: argparse.Namespace) -> Any:
    net, images = _judged(arguments)
    return plot.confusion_matrix(images.y, net.predict(images.x))


def _misclassified(arguments: argparse.Namespace) -> Any:
    net, images = _judged(arguments)
    x = images.x
    if isinstance(x, data.Images):  # pictures on the disk
        x = np.stack([x[row] for row in range(len(x))])
    return plot.misclassified(net, x, images.y)


def _memory(arguments: argparse.Namespace) -> Any:
    net = _network(arguments)
    return plot.memory(net, batch_size=arguments.batch, training=arguments.training)


def _algorithms(arguments: argparse.Namespace) -> Any:
    net = _network(arguments)
    return plot.algorithms(net, batch_size=arguments.batch, training=arguments.training)


def _times(arguments: argparse.Namespace) -> Any:
    net = _network(arguments)
    settings = settings_of("plot", net, arguments.layer, arguments.batch)
    return plot.time_against_memory(**settings)


def _history(arguments: argparse.Namespace) -> Any:
    return plot.history(read_log("plot", arguments.file))


def _responses(arguments: argparse.Namespace) -> Any:
    return plot.filter_responses(data.Images([arguments.file])[0])


def _network(arguments: argparse.Namespace) -> models.Model:
    return network_of(arguments, arguments.seed)


def _judged(arguments: argparse.Namespace) -> tuple[models.Model, Examples]:
    """Return the network, and the images that `evaluate` would judge it by."""
    net = _network(arguments)
    return net, to_judge(arguments, parts("plot", arguments, net))


def _channels(arguments: argparse.Namespace, otherwise: Any) -> Any:
    """Return the number, or the list, that was typed."""
    if arguments.channels is None:
        return otherwise
    return strict_json.parse(arguments.channels, "--channels")


class Picture(NamedTuple):
    """What draws a picture, and the names of the options that it takes beside ``--output``."""

    draw: Callable[[argparse.Namespace], Any]
    takes: frozenset[str] = frozenset()


#: Options of pictures of a network, and of those that also take images.
OF_NETWORKS = frozenset({"classes", "input_shape", "imports", "seed"})
OF_IMAGES = OF_NETWORKS | {"data", "mnist", "npz"}
#: What an option says that is not given.
DEFAULTS = {"row": 0, "batch": 1, "seed": 0}
#: What can be drawn, by the word for it.
PICTURES = {
    "graph": Picture(_graph, OF_NETWORKS),
    "filters": Picture(_filters, OF_NETWORKS | {"layer", "before"}),
    "feature-maps": Picture(_feature_maps, OF_IMAGES | {"layer", "row", "channels"}),
    "activation-maximization": Picture(_excitation, OF_NETWORKS | {"layer", "channels", "steps"}),
    "confusion-matrix": Picture(_confusion, OF_IMAGES),
    "misclassified": Picture(_misclassified, OF_IMAGES),
    "memory": Picture(_memory, OF_NETWORKS | {"batch", "training"}),
    "algorithms": Picture(_algorithms, OF_NETWORKS | {"batch", "training"}),
    "time-against-memory": Picture(_times, OF_NETWORKS | {"layer", "batch"}),
    "history": Picture(_history),
    "filter-responses": Picture(_responses),
}
