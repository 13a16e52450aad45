"""Group normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_int
from fastconv.functional.group_norm import check_groups, group_norm_workspace
from fastconv.functional.statistics import Normalized
from fastconv.layers.catalogue import register_layer
from fastconv.layers.normalization import Normalization, as_epsilon
from fastconv.layers.spec import Spec

__all__ = ["GroupNorm"]


@register_layer("fastconv.GroupNorm.v1")
class GroupNorm(Normalization):
    """Give each group of channels of each sample mean 0 and variance 1, then learn others.

    Training and inference are the same, and so are batches of any size: no sample sees another.
    With as many groups as channels it is instance normalisation; with one group it takes all of
    a sample at once.

    Parameters
    ----------
    groups : int
        How many groups of neighbouring channels there are. It divides the channels.
    epsilon : float
        What is added to the variance, above 0.

    Notes
    -----
    Parameters: ``weight`` and ``bias``, a scale and a shift of each channel, (C,). The formula is
    that of Wu and He 2018, equation 7. For the backward pass two float64 numbers a group are kept
    beside the input.

    Examples
    --------
    >>> GroupNorm(4).infer(Spec((16, 8, 8))).shape
    (16, 8, 8)
    """

    example_config = {"groups": 4}
    example_shapes = ((16, 8, 8),)
    new_gradients = True
    gives = "values"
    normalizes = True
    output_may_be_overwritten = True

    def __init__(self, groups: int, epsilon: float = 1e-5) -> None:
        self.groups = as_int("GroupNorm", "groups", groups, 1)
        self.epsilon = as_epsilon("GroupNorm", epsilon)

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the input."""
        spec = self.one_input(specs)
        check_groups("GroupNorm", self.groups, spec.shape[0])
        return spec

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make scale and shift."""
        self.add_param("weight", specs[0].shape[:1], "ones")
        self.add_param("bias", specs[0].shape[:1])

    def normalize(
        self, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, statistics: bool
    ) -> Normalized:
        """Return y, mean and inverse."""
        return functional.group_norm(x, weight, bias, self.groups, self.epsilon, statistics)

    def slopes(self, dy: np.ndarray, x: np.ndarray, *given: Any, needs: Any) -> tuple[Any, ...]:
        """Return dx, dweight and dbias."""
        weight, mean, inverse = given
        return functional.group_norm_backward(dy, x, weight, mean, inverse, needs=needs)

    def rows(self, spec: Spec) -> int:
        """Return the groups of a sample."""
        return self.groups

    def workspace(self, shape: tuple[int, ...], itemsize: int) -> int:
        """Return the bytes of the partial sums."""
        return group_norm_workspace(shape, itemsize)
