"""Layer normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import functional
from fastconv.functional.layer_norm import as_axes, layer_norm_workspace, span_of_axes
from fastconv.functional.statistics import Normalized
from fastconv.layers.catalogue import register_layer
from fastconv.layers.normalization import Normalization, as_epsilon
from fastconv.layers.spec import Spec

__all__ = ["LayerNorm"]


@register_layer("fastconv.LayerNorm.v1")
class LayerNorm(Normalization):
    """Give each sample, or each place of it, mean 0 and variance 1, then learn others.

    Training and inference are the same, and so are batches of any size: no sample sees another.

    Parameters
    ----------
    axes : int or sequence of int
        What is normalised together. An integer is the first axis, and all behind it go with it:
        1 is the whole sample, -1 the last axis alone. A sequence names the axes one by one, and
        they must follow each other: ``[1]`` are the channels of images, at each pixel by itself.
        The batch is axis 0.
    epsilon : float
        What is added to the variance, above 0.

    Notes
    -----
    Parameters: ``weight`` and ``bias``, a scale and a shift of each element of these axes. An
    integer is ONNX's axis; PyTorch's normalized_shape names sizes of the last axes, so one of two
    sizes is ``axes=-2``; Keras' axis is a sequence here, as its integer is one axis alone. The
    formula is that of Ba, Kiros and Hinton 2016, equation 4. For the backward pass two float64
    numbers for each mean are kept beside the input.

    Examples
    --------
    >>> layer = LayerNorm([1])
    >>> layer.ensure_built(0, Spec((16, 8, 8)))
    >>> layer.params["weight"].shape
    (16,)
    """

    example_shapes = ((16, 8, 8),)
    new_gradients = True
    gives = "values"
    normalizes = True
    output_may_be_overwritten = True

    def __init__(self, axes: int | Sequence[int] = 1, epsilon: float = 1e-5) -> None:
        self.axes = as_axes("LayerNorm", axes)
        self.epsilon = as_epsilon("LayerNorm", epsilon)

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the input."""
        spec = self.one_input(specs)
        self._normalized(spec)
        return spec

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make scale and shift."""
        shape = self._normalized(specs[0])
        self.add_param("weight", shape, "ones")
        self.add_param("bias", shape)

    def normalize(
        self, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, statistics: bool
    ) -> Normalized:
        """Return y, mean and inverse."""
        return functional.layer_norm(x, weight, bias, self.axes, self.epsilon, statistics)

    def slopes(self, dy: np.ndarray, x: np.ndarray, *given: Any, needs: Any) -> tuple[Any, ...]:
        """Return dx, dweight and dbias."""
        weight, mean, inverse = given
        return functional.layer_norm_backward(dy, x, weight, mean, inverse, self.axes, needs=needs)

    def rows(self, spec: Spec) -> int:
        """Return how many means a sample has."""
        return spec.size // math.prod(self._normalized(spec))

    def workspace(self, shape: tuple[int, ...], itemsize: int) -> int:
        """Return the bytes of the partial sums."""
        return layer_norm_workspace(shape, self.axes, itemsize)

    def _normalized(self, spec: Spec) -> tuple[int, ...]:
        """Return the sizes of the normalised axes."""
        first, end = span_of_axes("LayerNorm", self.axes, len(spec.shape) + 1)
        return spec.shape[first - 1 : end - 1]
