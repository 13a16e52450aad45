"""Residual networks of 18 and 50 layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv.zoo.nodes import Nodes

__all__ = ["resnet18", "resnet50"]

Config = dict[str, Any]


def resnet18(classes: int = 1000, input_shape: tuple[int, int, int] = (3, 224, 224)) -> Config:
    """Eight residual blocks of two 3x3 convolutions, between a first convolution and a dense layer.

    Parameters
    ----------
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Channels, rows and columns of an image, of any size; the last maps have a 32nd of them.

    Notes
    -----
    He et al., "Deep residual learning for image recognition", 2015, table 1. Layers have the names
    that torchvision gives them. Its softmax is in the loss. 11,689,512 parameters.
    """
    return _resnet(Nodes("ResNet18", classes, input_shape), (2, 2, 2, 2), _basic)


def resnet50(classes: int = 1000, input_shape: tuple[int, int, int] = (3, 224, 224)) -> Config:
    """Sixteen residual blocks of 1x1, 3x3 and 1x1 convolutions.

    Parameters
    ----------
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Channels, rows and columns of an image, of any size; the last maps have a 32nd of them.

    Notes
    -----
    He et al., "Deep residual learning for image recognition", 2015, table 1, with the stride in the
    3x3 convolution, as torchvision has it, whose names the layers have. Its softmax is in the loss.
    25,557,032 parameters.
    """
    return _resnet(Nodes("ResNet50", classes, input_shape), (3, 4, 6, 3), _bottleneck)


def _resnet(nodes: Nodes, blocks: tuple[int, ...], block: Callable[..., str]) -> Config:
    _normed(nodes, "", "1", 64, 7, stride=2)
    nodes.add("relu", "ReLU")
    nodes.pool("maxpool", 3, stride=2, padding=1)
    channels = 64
    for stage, count in enumerate(blocks):
        width = 64 << stage
        filters = width if block is _basic else 4 * width
        for number in range(count):
            name, start = f"layer{stage + 1}.{number}.", nodes.last
            stride = 2 if stage and not number else 1
            inner = block(nodes, name, width, stride)
            if stride > 1 or channels != filters:
                # the shortcut changes its shape as the block does
                short = f"{name}downsample."
                config = {"filters": filters, "kernel_size": 1, "stride": stride, "bias": False}
                nodes.add(f"{short}0", "Conv2D", start, **config)
                start = nodes.add(f"{short}1", "BatchNorm")
            nodes.add(f"{name}add", "Add", inner, start)
            nodes.add(f"{name}relu", "ReLU")
            channels = filters
    nodes.add("avgpool", "GlobalAvgPool2D")
    nodes.add("fc", "Dense", units=nodes.classes)
    return nodes.config()


def _normed(nodes: Nodes, name: str, number: str, filters: int, size: int, stride: int = 1) -> str:
    """Append a convolution, padded so that its stride alone divides the map, and BatchNorm."""
    config = {"filters": filters, "kernel_size": size, "stride": stride, "padding": size // 2}
    nodes.add(f"{name}conv{number}", "Conv2D", bias=False, **config)
    return nodes.add(f"{name}bn{number}", "BatchNorm")


def _basic(nodes: Nodes, name: str, width: int, stride: int) -> str:
    _normed(nodes, name, "1", width, 3, stride)
    nodes.add(f"{name}relu1", "ReLU")
    return _normed(nodes, name, "2", width, 3)


def _bottleneck(nodes: Nodes, name: str, width: int, stride: int) -> str:
    _normed(nodes, name, "1", width, 1)
    nodes.add(f"{name}relu1", "ReLU")
    _normed(nodes, name, "2", width, 3, stride)
    nodes.add(f"{name}relu2", "ReLU")
    return _normed(nodes, name, "3", 4 * width, 1)
