"""AlexNet."""

from __future__ import annotations

from typing import Any

from fastconv.arguments import as_int
from fastconv.errors import ArgumentError
from fastconv.zoo.nodes import Nodes

__all__ = ["alexnet"]

#: By towers: filters of the five convolutions.
FILTERS = {1: (64, 192, 384, 256, 256), 2: (96, 256, 384, 384, 256)}


def alexnet(
    classes: int = 1000, input_shape: tuple[int, int, int] = (3, 224, 224), *, towers: int = 2
) -> dict[str, Any]:
    """Five convolutions and three dense layers: the network of 2012, or its successor of 2014.

    Parameters
    ----------
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Channels, rows and columns of an image, at least 63 rows and columns. The first dense layer
        has as many inputs as this makes.
    towers : {2, 1}
        2: the second, fourth and fifth convolution have two groups, which once ran on two devices,
        and the first two normalise over neighbouring channels. 1: neither, and other numbers of
        filters; that is torchvision's.

    Notes
    -----
    Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", 2012,
    sections 3.3 to 3.5: k = 2, n = 5, beta = 0.75 and alpha = 1e-4, which `LocalResponseNorm`
    divides by n. Images of 224 by 224 have a padding of 2, without which the paper's 55 by 55 maps
    would not come about. One tower: Krizhevsky, "One weird trick for parallelizing convolutional
    neural networks", 2014, with dropout before the dense layers, as torchvision has it. Its softmax
    is in the loss. 60,965,224 parameters, and 61,100,840 of one tower.
    """
    if as_int("AlexNet", "towers", towers, 1) not in FILTERS:
        raise ArgumentError("AlexNet", "towers", "must be 2 or 1", towers)
    nodes = Nodes("AlexNet", classes, input_shape, least=63)
    first, second, third, fourth, fifth = FILTERS[towers]
    nodes.conv_relu("1", first, 11, stride=4, padding=2)
    _normalise_and_pool(nodes, "1", towers)
    nodes.conv_relu("2", second, 5, padding=2, groups=towers)
    _normalise_and_pool(nodes, "2", towers)
    nodes.conv_relu("3", third, 3, padding=1)
    nodes.conv_relu("4", fourth, 3, padding=1, groups=towers)
    nodes.conv_relu("5", fifth, 3, padding=1, groups=towers)
    nodes.pool("pool5", 3, stride=2)
    nodes.add("flatten", "Flatten")
    for number in "67":
        # of one tower the inputs of these two layers are dropped, of two their outputs
        if towers == 1:
            nodes.add(f"dropout{number}", "Dropout", rate=0.5)
        nodes.dense_relu(number, 4096)
        if towers == 2:
            nodes.add(f"dropout{number}", "Dropout", rate=0.5)
    nodes.add("fc8", "Dense", units=nodes.classes)
    return nodes.config()


def _normalise_and_pool(nodes: Nodes, number: str, towers: int) -> None:
    if towers == 2:
        # the paper multiplies the sum of n squares by alpha, and the layer their mean
        nodes.add(f"norm{number}", "LocalResponseNorm", size=5, alpha=5e-4, beta=0.75, k=2.0)
    nodes.pool(f"pool{number}", 3, stride=2)
