"""MobileNet, its second version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastconv.zoo.nodes import Nodes

__all__ = ["blocks", "mobilenet_v2"]

#: Of each stage: by how much channels are expanded, filters, blocks, stride of the first block.
STAGES = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)


def blocks() -> Iterator[tuple[int, int, int]]:
    """Yield factor of the expansion, filters and stride of each block."""
    for factor, filters, count, stride in STAGES:
        for number in range(count):
            yield factor, filters, 1 if number else stride


def mobilenet_v2(
    classes: int = 1000, input_shape: tuple[int, int, int] = (3, 224, 224)
) -> dict[str, Any]:
    """Seventeen blocks that widen maps by 1x1, convolve each channel by 3x3, and narrow them again.

    Parameters
    ----------
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Channels, rows and columns of an image, of any size; the last maps have a 32nd of them.

    Notes
    -----
    Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", 2018, table 2, with
    dropout before the last layer, as torchvision has it. Its softmax is in the loss. 3,504,872
    parameters.
    """
    nodes = Nodes("MobileNetV2", classes, input_shape)
    _normed(nodes, "conv", filters=32, kernel_size=3, stride=2, padding=1)
    nodes.add("conv.relu", "ReLU6")
    channels = 32
    for number, (factor, filters, stride) in enumerate(blocks(), start=1):
        name, start, wide = f"block{number}", nodes.last, factor * channels
        if factor > 1:
            _normed(nodes, f"{name}.expand", filters=wide, kernel_size=1)
            nodes.add(f"{name}.expand.relu", "ReLU6")
        depthwise = {"filters": wide, "groups": wide, "kernel_size": 3, "padding": 1}
        _normed(nodes, f"{name}.depthwise", stride=stride, **depthwise)
        nodes.add(f"{name}.depthwise.relu", "ReLU6")
        inner = _normed(nodes, f"{name}.project", filters=filters, kernel_size=1)
        if stride == 1 and filters == channels:
            nodes.add(f"{name}.add", "Add", inner, start)
        channels = filters
    _normed(nodes, "last", filters=1280, kernel_size=1)
    nodes.add("last.relu", "ReLU6")
    nodes.add("avgpool", "GlobalAvgPool2D")
    nodes.add("dropout", "Dropout", rate=0.2)
    nodes.add("fc", "Dense", units=nodes.classes)
    return nodes.config()


def _normed(nodes: Nodes, name: str, **config: Any) -> str:
    nodes.add(name, "Conv2D", bias=False, **config)
    return nodes.add(f"{name}.bn", "BatchNorm")
