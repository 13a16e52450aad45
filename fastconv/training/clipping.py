"""What happens to gradients and parameters before a step: clipping, and weight decay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from fastconv.arguments import as_real
from fastconv.floating import quietly
from fastconv.functional import updates
from fastconv.functional.updates import Change
from fastconv.layers.parameter import Parameter

__all__ = ["Clipping", "laid_out"]

Array = np.ndarray[Any, Any]


def laid_out(array: Array, dtype: np.dtype[Any]) -> Array:
    """Return `array` in `dtype`, with its rows one after the other in memory."""
    if array.dtype == dtype and array.flags.c_contiguous:
        return array  # the usual case, quickly
    return _copied(array, dtype)


@quietly
def _copied(array: Array, dtype: np.dtype[Any]) -> Array:
    return np.ascontiguousarray(array, dtype)


class Clipping:
    """The part of an optimizer that says how gradients are clipped and weights decay."""

    name: ClassVar[str]
    #: Whether the decay shrinks the parameters themselves, ``w -= rate * weight_decay * w``.
    decouples_decay: ClassVar[bool] = False
    # so that optimizers pickled before there were such settings go on
    weight_decay: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None

    def _clip(self, weight_decay: object, clip_norm: object, clip_value: object) -> None:
        rule = "at least 0 and finite"
        self.weight_decay = as_real(self.name, "weight_decay", weight_decay, rule, 0.0, math.inf)
        self.clip_norm = self._limit("clip_norm", clip_norm)
        self.clip_value = self._limit("clip_value", clip_value)

    def _limit(self, parameter: str, value: object) -> float | None:
        if value is None:
            return None
        rule = "positive and finite, or None"
        return as_real(self.name, parameter, value, rule, math.ulp(0.0), math.inf)

    def _changes(self, rate: float, steps: Sequence[tuple[Parameter, Array]]) -> list[Change]:
        """Return what a step does to each parameter and its gradient beforehand."""
        scale = 1.0
        if self.clip_norm is not None:
            norm = updates.norm(laid_out(gradient, p.dtype) for p, gradient in steps)
            if not norm <= self.clip_norm:  # NaN makes every gradient NaN
                scale = self.clip_norm / norm
        limit = math.inf if self.clip_value is None else self.clip_value
        plain = Change(scale, limit)
        decayed = plain._replace(weight_decay=self.weight_decay)
        if self.decouples_decay:
            decayed = plain._replace(shrink=rate * self.weight_decay)
        return [decayed if len(parameter.shape) > 1 else plain for parameter, _ in steps]
