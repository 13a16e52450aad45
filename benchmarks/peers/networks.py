"""The networks in fastconv; peers get theirs from the configurations and weights of these."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import fastconv

__all__ = ["IMAGES", "TRAINED", "Described", "nodes_of", "resnet50", "trained"]

IMAGES = (1, 28, 28)


class Described(NamedTuple):
    """A node of a network: its id, the layer's short name, its settings, what it reads."""

    id: str
    kind: str
    config: dict[str, Any]
    sources: list[str]


def nodes_of(net: Any) -> Iterator[Described]:
    """Yield the nodes in running order; the network's only input is ``x``."""
    config = net.to_config()
    (start,) = (one["id"] for one in config["inputs"])
    for node in config["nodes"]:
        kind = node["layer"].split(".")[1]  # fastconv.Conv2D.v1
        sources = ["x" if source == start else source for source in node["from"]]
        yield Described(node["id"], kind, node["config"], sources)


def _conv(filters: int, kernel_size: int, padding: int = 0) -> list[Any]:
    settings = {"filters": filters, "kernel_size": kernel_size, "padding": padding}
    return [("Conv2D", settings), "ReLU"]


def _dense(units: int) -> tuple[str, dict[str, Any]]:
    return "Dense", {"units": units}


POOL = ("MaxPool2D", {"pool_size": 2})


def _simple(dropout: float) -> list[Any]:
    return [*_conv(30, 5), POOL, "Flatten", _dense(100), "ReLU", _dense(10)]


def _deep(dropout: float) -> list[Any]:
    drop = ("Dropout", {"rate": dropout})
    return [
        *_conv(16, 3, 1),
        *_conv(16, 3, 1),
        POOL,
        *_conv(32, 3, 1),
        *_conv(32, 3, 2),
        POOL,
        *_conv(64, 3, 1),
        *_conv(64, 3, 1),
        POOL,
        "Flatten",
        _dense(50),
        "ReLU",
        drop,
        _dense(10),
        drop,
    ]


def _wide(dropout: float) -> list[Any]:
    return [*_conv(128, 3), POOL, "Flatten", _dense(10)]


#: The first two are those of "Deep Learning from Scratch", with their softmax in the loss.
TRAINED = {"SimpleConvNet": _simple, "DeepConvNet": _deep, "conv 128, pool, dense": _wide}


def trained(name: str, dropout: float = 0.5) -> Any:
    """Return a network to be trained on images of 28 by 28."""
    return fastconv.Sequential(TRAINED[name](dropout), input_shape=IMAGES, seed=0)


def resnet50(size: int = 224, dtype: str = "float32", precision: str = "standard") -> Any:
    """Return ResNet-50 (He et al. 2015, table 1; stride in the 3x3) with made-up weights.

    Layers are those of the table of performance, node for node: a BatchNorm after every
    convolution, then ReLU, and an Add at the end of every block.
    """
    start = fastconv.Input((3, size, size), dtype=dtype)
    normed = partial(_normed, precision=precision)
    node = normed(start, 64, 7, 2, relu=True)
    node = fastconv.create_layer("MaxPool2D", pool_size=3, stride=2, padding=1)(node)
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            short = node if block else normed(node, 4 * width, 1, stride)
            inner = normed(node, width, 1, relu=True)
            inner = normed(inner, width, 3, stride, relu=True)
            inner = normed(inner, 4 * width, 1)
            node = fastconv.create_layer("Add")(inner, short)
            node = fastconv.create_layer("ReLU")(node)
    node = fastconv.create_layer("GlobalAvgPool2D")(node)
    node = fastconv.create_layer("Dense", units=1000)(node)
    net = fastconv.Model(start, node, name="ResNet-50", seed=0)
    _set_statistics(net)
    return net


def _normed(
    node: Any, filters: int, size: int, stride: int = 1, relu: bool = False, *, precision: str
) -> Any:
    """Convolution without bias, BatchNorm and, if asked, ReLU."""
    node = fastconv.create_layer(
        "Conv2D",
        filters=filters,
        kernel_size=size,
        stride=stride,
        padding=size // 2,
        bias=False,
        precision=precision,
    )(node)
    node = fastconv.create_layer("BatchNorm")(node)
    return fastconv.create_layer("ReLU")(node) if relu else node


def _set_statistics(net: Any) -> None:
    """Give BatchNorm other statistics than 0 and 1, so that the check sees if they are used."""
    random = np.random.default_rng(1)
    ranges = {
        "weight": (0.5, 1.0),
        "bias": (-0.1, 0.1),
        "running_mean": (-0.1, 0.1),
        "running_var": (0.5, 1.5),
    }
    weights = net.weights()
    norms = {key.split("/")[0] for key in weights if key.endswith("/running_var")}
    net.set_weights(
        {
            f"{name}/{key}": random.uniform(*ranges[key], weights[f"{name}/{key}"].shape).astype(
                weights[f"{name}/{key}"].dtype
            )
            for name in sorted(norms)
            for key in ranges
        }
    )
