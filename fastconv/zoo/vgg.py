"""VGG with 16 layers."""

from __future__ import annotations

from typing import Any

from fastconv.zoo.nodes import Nodes

__all__ = ["vgg16"]

#: Filters of the convolutions of each stage, which ends in pooling.
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg16(classes: int = 1000, input_shape: tuple[int, int, int] = (3, 224, 224)) -> dict[str, Any]:
    """Thirteen convolutions of 3x3 in five stages, and three dense layers.

    Parameters
    ----------
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Channels, rows and columns of an image, at least 32 rows and columns. The first dense layer
        has as many inputs as this makes.

    Notes
    -----
    Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition",
    2015, table 1, column D. Layers have the names of the authors' files. Its softmax is in the
    loss. 138,357,544 parameters.
    """
    nodes = Nodes("VGG16", classes, input_shape, least=32)
    for stage, widths in enumerate(STAGES, start=1):
        for number, filters in enumerate(widths, start=1):
            nodes.conv_relu(f"{stage}_{number}", filters, 3, padding=1)
        nodes.pool(f"pool{stage}", 2)
    nodes.add("flatten", "Flatten")
    for dense in "67":
        nodes.dense_relu(dense, 4096)
        nodes.add(f"dropout{dense}", "Dropout", rate=0.5)
    nodes.add("fc8", "Dense", units=nodes.classes)
    return nodes.config()
