"""The weights of filters that are drawn: found, checked, and one map for each filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv.arguments import as_mapping, as_plain_array, as_text
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.floating import quietly
from fastconv.layers import Layer
from fastconv.models import Model

__all__ = ["means_of", "weight_of"]

Array = np.ndarray[Any, Any]


@quietly
def means_of(operation: str, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Check the entries, and return the mean over channels of each as float64 (K, R, S)."""
    as_mapping(operation, "weights", weights, "labels to filters", 'give it {"filters": weight}')
    if not weights:
        raise ArgumentError(
            operation,
            "weights",
            "must hold at least one entry",
            {},
            'give it {"filters": weight}',
            shown="none",
        )
    maps = {}
    for label, weight in weights.items():
        label = as_text(operation, "labels", label)
        maps[label] = _as_filters(operation, f"weights[{label!r}]", weight).mean(axis=1)
    shapes = sorted({image.shape for image in maps.values()})
    if len(shapes) > 1:
        raise ShapeError(
            operation, "weights", "must be of one shape", tuple(shapes), "draw them one by one"
        )
    return maps


def weight_of(operation: str, parameter: str, given: Any, layer: str | None) -> Array:
    """Return the filters (K, C, R, S) of a network, a layer or an array, as float64.

    Of a network they are those of `layer`, or else of the first layer that has some.
    """
    if isinstance(given, Model):
        given = _layer_of(operation, parameter, given) if layer is None else given[layer]
    elif layer is not None:
        rule, remedy = "must come with a network", "leave it out"
        raise ArgumentError(operation, "layer", rule, layer, remedy)
    if isinstance(given, Layer):
        if not _has_filters(given):
            rule = "must have filters, and be in a network"
            remedy = "take a convolution of net.layers"
            raise ArgumentTypeError(operation, parameter, rule, given, remedy)
        given = given.params["weight"]
        given = given[:, :, None] if given.ndim == 3 else given  # of signals
    elif not isinstance(given, np.ndarray):
        rule, remedy = "must be a network, a layer or an array (K, C, R, S)", "give it the network"
        raise ArgumentTypeError(operation, parameter, rule, given, remedy)
    return _as_filters(operation, parameter, given)


def _layer_of(operation: str, parameter: str, net: Model) -> Layer:
    for layer in net.layers:
        if _has_filters(layer):
            return layer
    rule = "must have a layer of filters"
    raise ArgumentError(operation, parameter, rule, net, "take one with a convolution")


def _has_filters(layer: Layer) -> bool:
    weight = layer.parameters.get("weight")
    return weight is not None and len(weight.shape) in (3, 4)


@quietly
def _as_filters(operation: str, parameter: str, weight: Any) -> Array:
    """Return `weight` as float64 (K, C, R, S), so small that sums and differences are finite."""
    weight = as_plain_array(operation, parameter, weight)
    if weight.ndim != 4 or not weight.size:
        raise ShapeError(
            operation,
            parameter,
            "must have shape (K, C, R, S)",
            weight.shape,
            shown=f"shape {weight.shape}",
        )
    if not np.isfinite(weight).all():
        raise ArgumentError(
            operation,
            parameter,
            "must be finite",
            "infinity or NaN",
            "np.nan_to_num makes it so",
            shown="infinity or NaN",
        )
    wide: Array = weight.astype(np.float64)
    largest = float(np.abs(wide).max())
    return wide / largest if largest > 1e300 else wide
