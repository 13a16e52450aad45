"""Writes the configuration of a network node by node, and checks what every network takes."""

from __future__ import annotations

from typing import Any

from fastconv.arguments import as_int, as_shape
from fastconv.errors import ShapeError

__all__ = ["Nodes"]


class Nodes:
    """The configuration of a network that grows by one node at a time.

    Parameters
    ----------
    network : str
        Its name, which errors name, and which becomes its title.
    classes : int
        How many classes it tells apart.
    input_shape : (int, int, int)
        Shape (C, H, W) of one image.
    least : int
        The fewest rows and columns with which no map of it becomes empty.

    Raises
    ------
    ArgumentTypeError, ArgumentError, ShapeError
        If a setting is wrong, or the images are too small.

    Examples
    --------
    >>> nodes = Nodes("Tiny", 10, (1, 8, 8), least=3)
    >>> nodes.add("conv1", "Conv2D", filters=4, kernel_size=3)
    'conv1'
    >>> nodes.add("relu1", "ReLU")
    'relu1'
    >>> nodes.config()["nodes"][1]
    {'id': 'relu1', 'layer': 'fastconv.ReLU.v1', 'config': {}, 'from': ['conv1']}
    """

    def __init__(self, network: str, classes: int, input_shape: Any, least: int = 1) -> None:
        self.network = network
        self.classes = as_int(network, "classes", classes, 1)
        self.shape: tuple[int, ...] = as_shape(network, "input_shape", input_shape, "CHW")
        if min(self.shape[1:]) < least:
            rule = f"must have at least {least} rows and columns"
            raise ShapeError(network, "input_shape", rule, self.shape)
        self._nodes: list[dict[str, Any]] = []
        self.last = "x"

    def add(self, node: str, layer: str, *sources: str, **config: Any) -> str:
        """Append a node that reads `sources`, by default the node before; return its id."""
        self._nodes.append(
            {
                "id": node,
                "layer": f"fastconv.{layer}.v1",
                "config": config,
                "from": list(sources or (self.last,)),
            }
        )
        self.last = node
        return node

    def conv_relu(self, number: str, filters: int, kernel_size: int, **config: Any) -> str:
        """Append the convolution ``conv<number>`` and its ReLU."""
        self.add(f"conv{number}", "Conv2D", filters=filters, kernel_size=kernel_size, **config)
        return self.add(f"relu{number}", "ReLU")

    def dense_relu(self, number: str, units: int) -> str:
        """Append the dense layer ``fc<number>`` and its ReLU."""
        self.add(f"fc{number}", "Dense", units=units)
        return self.add(f"relu{number}", "ReLU")

    def pool(self, node: str, pool_size: int, **config: Any) -> str:
        """Append maximum pooling."""
        return self.add(node, "MaxPool2D", pool_size=pool_size, **config)

    def config(self) -> dict[str, Any]:
        """Return the network that ends in the node that was appended last."""
        return {
            "format": "fastconv/1",
            "name": self.network,
            "dtype": "float32",
            "inputs": [{"id": "x", "shape": list(self.shape)}],
            "nodes": self._nodes,
            "outputs": [self.last],
        }
