"""MobileNet, its first version."""

from __future__ import annotations

from typing import Any

from fastconv.zoo.nodes import Nodes

__all__ = ["mobilenet_v1"]

#: Filters and stride of the pointwise and depthwise convolution of each block.
BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)


def mobilenet_v1(
    classes: int = 1000, input_shape: tuple[int, int, int] = (3, 224, 224)
) -> dict[str, Any]:
    """Thirteen depthwise convolutions of 3x3, each followed by one of 1x1.

    Parameters
    ----------
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Channels, rows and columns of an image, of any size; the last maps have a 32nd of them.

    Notes
    -----
    Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision
    applications", 2017, table 1, where the stride of the last depthwise convolution must be 1 for
    the sizes that the table gives. Its softmax is in the loss. 4,231,976 parameters.
    """
    nodes = Nodes("MobileNetV1", classes, input_shape)
    _normed(nodes, "conv", filters=32, kernel_size=3, stride=2, padding=1)
    channels = 32
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        depthwise = {"filters": channels, "groups": channels, "kernel_size": 3, "padding": 1}
        _normed(nodes, f"depthwise{number}", stride=stride, **depthwise)
        _normed(nodes, f"pointwise{number}", filters=filters, kernel_size=1)
        channels = filters
    nodes.add("avgpool", "GlobalAvgPool2D")
    nodes.add("fc", "Dense", units=nodes.classes)
    return nodes.config()


def _normed(nodes: Nodes, name: str, **config: Any) -> None:
    nodes.add(name, "Conv2D", bias=False, **config)
    nodes.add(f"{name}.bn", "BatchNorm")
    nodes.add(f"{name}.relu", "ReLU")
