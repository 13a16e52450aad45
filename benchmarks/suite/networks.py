"""The named networks of the suite.  Append only: a name keeps its meaning for ever."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

IMAGES = (1, 28, 28)
POOL = ("MaxPool2D", {"pool_size": 2})


def _conv(filters: int, kernel_size: int, padding: int = 0) -> list[Any]:
    settings = {"filters": filters, "kernel_size": kernel_size, "padding": padding}
    return [("Conv2D", settings), "ReLU"]


def _dense(units: int) -> tuple[str, dict[str, Any]]:
    return "Dense", {"units": units}


#: Rows of layers on images of 28 by 28.  The first two are those of "Deep Learning from
#: Scratch", their softmax in the loss; the third is that of Keras' introductions.
ROWS: dict[str, list[Any]] = {
    "SimpleConvNet": [*_conv(30, 5), POOL, "Flatten", _dense(100), "ReLU", _dense(10)],
    "DeepConvNet": [
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
        ("Dropout", {"rate": 0.5}),
        _dense(10),
        ("Dropout", {"rate": 0.5}),
    ],
    "conv128": [*_conv(128, 3), POOL, "Flatten", _dense(10)],
    "LeNet-5": [
        *_conv(6, 5, 2),
        POOL,
        *_conv(16, 5),
        POOL,
        "Flatten",
        _dense(120),
        "ReLU",
        _dense(84),
        "ReLU",
        _dense(10),
    ],
}


def make(fastconv: ModuleType, name: str) -> Any:
    """Return a network by its name, with weights that are the same on every machine."""
    if name in ROWS:
        return fastconv.Sequential(ROWS[name], input_shape=IMAGES, seed=0)
    return GRAPHS[name](fastconv)


def _resnet50(fastconv: ModuleType) -> Any:
    """He et al. (2015), table 1, with the stride in the 3x3 convolutions; 224 by 224."""
    layer = fastconv.create_layer

    def normed(node: Any, filters: int, size: int, stride: int = 1, relu: bool = True) -> Any:
        settings = {"kernel_size": size, "stride": stride, "padding": size // 2, "bias": False}
        node = layer("BatchNorm")(layer("Conv2D", filters=filters, **settings)(node))
        return layer("ReLU")(node) if relu else node

    start = fastconv.Input((3, 224, 224))
    node = layer("MaxPool2D", pool_size=3, stride=2, padding=1)(normed(start, 64, 7, 2))
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            short = node if block else normed(node, 4 * width, 1, stride, relu=False)
            inner = normed(normed(node, width, 1), width, 3, stride)
            node = layer("ReLU")(layer("Add")(normed(inner, 4 * width, 1, relu=False), short))
    scores = layer("Dense", units=1000)(layer("GlobalAvgPool2D")(node))
    return fastconv.Model(start, scores, seed=0)


GRAPHS: dict[str, Callable[[ModuleType], Any]] = {"ResNet-50": _resnet50}
