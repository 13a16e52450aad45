"""The network of ``fastconv demo``."""

from __future__ import annotations

from typing import Any

from fastconv.registry.trained import with_weights
from fastconv.zoo.nodes import Nodes
from fastconv.zoo.trained import digits

__all__ = ["digits_net"]


@with_weights(digits=digits("DigitsNet"))
def digits_net(classes: int = 10, input_shape: tuple[int, int, int] = (1, 8, 8)) -> dict[str, Any]:
    """Three convolutions and two dense layers with dropout, for small images: the demo's network.

    Parameters
    ----------
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Channels, rows and columns of an image.

    Notes
    -----
    The first layer starts near zero, as in the book, so that one can see what it learns. Its
    softmax is in the loss. 178,858 parameters.
    """
    checked = Nodes("DigitsNet", classes, input_shape, least=2)
    start = ["gaussian", {"std": 0.01}]
    layers: list[Any] = [
        ["Conv2D", {"filters": 16, "kernel_size": 3, "padding": "same", "initializer": start}],
        "ReLU",
        ["Conv2D", {"filters": 64, "kernel_size": 3, "padding": "same"}],
        "ReLU",
        ["MaxPool2D", {"pool_size": 2}],
        ["Dropout", {"rate": 0.25}],
        ["Conv2D", {"filters": 64, "kernel_size": 3, "padding": "same"}],
        "ReLU",
        "Flatten",
        ["Dropout", {"rate": 0.5}],
        ["Dense", {"units": 128}],
        "ReLU",
        ["Dropout", {"rate": 0.5}],
        ["Dense", {"units": checked.classes}],
    ]
    return {"name": "DigitsNet", "input_shape": list(checked.shape), "layers": layers}
