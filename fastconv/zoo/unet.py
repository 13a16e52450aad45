"""A small U-Net."""

from __future__ import annotations

from typing import Any

from fastconv.arguments import as_int
from fastconv.errors import ShapeError
from fastconv.zoo.nodes import Nodes

__all__ = ["unet"]


def unet(
    classes: int = 2,
    input_shape: tuple[int, int, int] = (1, 128, 128),
    *,
    filters: int = 16,
    depth: int = 3,
) -> dict[str, Any]:
    """Maps go down to small ones and up again, with a shortcut at every size: for segmentation.

    Parameters
    ----------
    classes : int
        Of a pixel: the output has a map for each, of the size of the image.
    input_shape : (int, int, int)
        Channels, rows and columns of an image; `depth` times 2 must divide rows and columns.
    filters : int
        Of the first two convolutions; each smaller size has twice as many.
    depth : int
        How many times maps are halved.

    Notes
    -----
    Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", 2015,
    figure 1, with padding, so that nothing is cropped, and in its default size with a quarter of
    the filters and one halving less. The output are logits.
    """
    deep = as_int("UNet", "depth", depth, 1, 10)
    wide = as_int("UNet", "filters", filters, 1)
    nodes = Nodes("UNet", classes, input_shape, least=1 << deep)
    if any(size % (1 << deep) for size in nodes.shape[1:]):
        rule = (
            f"must have rows and columns that {1 << deep} divides, for maps are halved {deep} times"
        )
        raise ShapeError("UNet", "input_shape", rule, nodes.shape)
    shortcuts = []
    for level in range(deep):
        shortcuts.append(_two(nodes, f"down{level}", wide << level))
        nodes.pool(f"down{level}.pool", 2)
    _two(nodes, "bottom", wide << deep)
    for level in reversed(range(deep)):
        up = {"filters": wide << level, "kernel_size": 2, "stride": 2}
        larger = nodes.add(f"up{level}.transpose", "Conv2DTranspose", **up)
        nodes.add(f"up{level}.join", "Concatenate", shortcuts[level], larger)
        _two(nodes, f"up{level}", wide << level)
    nodes.add("classes", "Conv2D", filters=nodes.classes, kernel_size=1)
    return nodes.config()


def _two(nodes: Nodes, name: str, filters: int) -> str:
    """Append two convolutions of 3x3, each with its ReLU."""
    for number in "12":
        nodes.add(f"{name}.conv{number}", "Conv2D", filters=filters, kernel_size=3, padding=1)
        nodes.add(f"{name}.relu{number}", "ReLU")
    return nodes.last
