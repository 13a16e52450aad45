"""The two networks of "Deep Learning from Scratch", and the one of Keras' introductions."""

from __future__ import annotations

from typing import Any

from fastconv.arguments import as_int
from fastconv.registry.trained import with_weights
from fastconv.zoo.nodes import Nodes
from fastconv.zoo.trained import digits

__all__ = ["deep_conv_net", "keras_mnist", "simple_conv_net"]

Config = dict[str, Any]


@with_weights(digits=digits("SimpleConvNet", filters=30, kernel_size=5, hidden=50))
def simple_conv_net(
    classes: int = 10,
    input_shape: tuple[int, int, int] = (1, 28, 28),
    *,
    filters: int = 30,
    kernel_size: int = 5,
    hidden: int = 100,
) -> Config:
    """One convolution, pooling and two dense layers: the book's first convolutional network.

    Parameters
    ----------
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Channels, rows and columns of an image; one row more than the kernel has is the least.
    filters, kernel_size : int
        Of the convolution.
    hidden : int
        Units of the first dense layer.

    Notes
    -----
    Saitoh, "Deep Learning from Scratch", section 7.5; the weights start as there, with a standard
    deviation of 0.01. Its softmax is in the loss. 433,890 parameters.
    """
    size = as_int("SimpleConvNet", "kernel_size", kernel_size, 1)
    nodes = Nodes("SimpleConvNet", classes, input_shape, least=size + 1)
    start = ["gaussian", {"std": 0.01}]
    nodes.add("conv1", "Conv2D", filters=filters, kernel_size=size, initializer=start)
    nodes.add("relu1", "ReLU")
    nodes.pool("pool1", 2)
    nodes.add("flatten", "Flatten")
    nodes.add("fc1", "Dense", units=hidden, initializer=start)
    nodes.add("relu2", "ReLU")
    nodes.add("fc2", "Dense", units=nodes.classes, initializer=start)
    return nodes.config()


def deep_conv_net(classes: int = 10, input_shape: tuple[int, int, int] = (1, 28, 28)) -> Config:
    """Six convolutions of 3x3 and two dense layers with dropout: the book's deep network.

    Parameters
    ----------
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Channels, rows and columns of an image.

    Notes
    -----
    Saitoh, "Deep Learning from Scratch", section 8.1.1: starting values of He, and a padding of 2
    before the second pooling. Its softmax is in the loss. 123,552 parameters.
    """
    nodes = Nodes("DeepConvNet", classes, input_shape, least=4)
    paddings = {"1": 1, "2": 1, "3": 1, "4": 2, "5": 1, "6": 1}
    for number, padding in paddings.items():
        filters = 16 << (int(number) - 1) // 2
        nodes.conv_relu(number, filters, 3, padding=padding)
        if int(number) % 2 == 0:
            nodes.pool(f"pool{int(number) // 2}", 2)
    nodes.add("flatten", "Flatten")
    nodes.dense_relu("7", 50)
    nodes.add("dropout7", "Dropout", rate=0.5)
    nodes.add("fc8", "Dense", units=nodes.classes)
    nodes.add("dropout8", "Dropout", rate=0.5)
    return nodes.config()


@with_weights(digits=digits("KerasMNIST", kernel_size=4))
def keras_mnist(
    classes: int = 10, input_shape: tuple[int, int, int] = (1, 28, 28), *, kernel_size: int = 3
) -> Config:
    """One convolution of 128 filters, pooling and a dense layer, as Keras is introduced.

    Parameters
    ----------
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Channels, rows and columns of an image; one row more than the kernel has is the least.
    kernel_size : int
        Rows and columns of a filter, 3 or 4 in the article.

    Notes
    -----
    Its softmax is in the loss. 217,610 parameters, and 186,506 with a kernel of 4.
    """
    size = as_int("KerasMNIST", "kernel_size", kernel_size, 1)
    nodes = Nodes("KerasMNIST", classes, input_shape, least=size + 1)
    nodes.conv_relu("1", 128, size)
    nodes.pool("pool1", 2)
    nodes.add("flatten", "Flatten")
    nodes.add("fc1", "Dense", units=nodes.classes)
    return nodes.config()
