"""LeNet-5."""

from __future__ import annotations

from typing import Any

from fastconv.zoo.nodes import Nodes

__all__ = ["lenet5"]


def lenet5(classes: int = 10, input_shape: tuple[int, int, int] = (1, 32, 32)) -> dict[str, Any]:
    """Two convolutions with average pooling and three dense layers, with tanh between them.

    Parameters
    ----------
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Channels, rows and columns of an image, at least 16 rows and columns.

    Notes
    -----
    LeCun et al., "Gradient-based learning applied to document recognition", 1998, section II.B,
    as it is usually built today: every filter of the second convolution sees every channel, pooling
    has no parameters, and the output is a dense layer. Its softmax is in the loss. 61,706
    parameters.
    """
    nodes = Nodes("LeNet5", classes, input_shape, least=16)
    start = "xavier"
    for number, filters in (("1", 6), ("2", 16)):
        nodes.add(f"conv{number}", "Conv2D", filters=filters, kernel_size=5, initializer=start)
        nodes.add(f"tanh{number}", "Tanh")
        nodes.add(f"pool{number}", "AvgPool2D", pool_size=2)
    nodes.add("flatten", "Flatten")
    for number, units in (("3", 120), ("4", 84)):
        nodes.add(f"fc{number}", "Dense", units=units, initializer=start)
        nodes.add(f"tanh{number}", "Tanh")
    nodes.add("fc5", "Dense", units=nodes.classes, initializer=start)
    return nodes.config()
