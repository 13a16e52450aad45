"""What pictures ask networks for: graphs, images as they take them, and nodes by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.models import InferenceModel, Model
from fastconv.models.graph import Graph, Step

__all__ = ["as_image", "as_network", "finishes", "graph_of", "weight_shape"]

Array = np.ndarray[Any, Any]


def as_network(operation: str, net: Any, *, learns: bool = False) -> Any:
    """Return `net`, which must be a network; with `learns` one that has gradients."""
    if not isinstance(net, Model if learns else (Model, InferenceModel)):
        rule = "must be a network that can learn" if learns else "must be a network"
        remedy = 'such as fastconv.create_model("DigitsNet")'
        raise ArgumentTypeError(operation, "net", rule, type(net).__name__, remedy)
    return net


def graph_of(net: Any) -> Graph:
    """Return the graph of a network."""
    found: Graph = net._graph
    return found


def as_image(operation: str, net: Any, image: Any) -> Array:
    """Return `image` with a batch axis of 1, as `net` takes it; a batch of one is right too.

    Raises
    ------
    ArgumentError
        If the network has several inputs.
    ShapeError
        If the image is of another shape.
    """
    specs = graph_of(net).input_specs
    if len(specs) > 1 or not specs[0].is_plain:
        rule = "must have one input, of floats, with the batch first"
        raise ArgumentError(operation, "net", rule, len(specs), shown=f"{len(specs)} inputs")
    array = as_plain_array(operation, "image", image)
    shape = specs[0].shape
    if array.shape == (1, *shape):
        array = array[0]
    if array.shape != shape:
        if shape[0] == 1 and array.shape == shape[1:]:
            array = array[None]
        else:
            rule, remedy = f"must have the shape {shape}", "take one image: x[0]"
            raise ShapeError(operation, "image", rule, array.shape, remedy)
    return array[None]


def finishes(net: Any, step: Step) -> bool:
    """Whether a layer has no filters of its own: an activation, a normalization, a dropout."""
    return len(step.sources) == 1 and len(weight_shape(net, step)) < 2


def weight_shape(net: Any, step: Step) -> tuple[int, ...]:
    """Return the shape of a layer's weight, also before there is one; () if it has none."""
    slot = net._slots.get(f"{step.name}/weight")
    return () if slot is None else tuple(slot.shape)
