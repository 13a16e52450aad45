"""What one node and call share between forward and backward; layers hold nothing of a call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from fastconv import memory
from fastconv.concurrency import computed_once

__all__ = ["Context"]


class Context:
    """The surroundings of one call of a layer.

    Parameters
    ----------
    training : bool
        Whether the layer behaves as in training: dropout drops, statistics are taken. In a step
        of training too it is false for a frozen layer.
    needs : sequence of bool
        For each input, whether its gradient will be asked for.
    needs_params : collection of str, or callable from str to bool
        The parameters whose gradients will be asked for.
    rng_key : sequence of int
        Seed, step and node. The generator made from it is the same each time.
    workspace_limit : int, str or None
        The most temporary memory that the call may take.
    lends : bool
        Whether packed weights are to serve this call alone, and not be kept.

    Attributes
    ----------
    differentiated : bool
        Whether a backward pass will follow.
    saved : tuple
        What `save` was given.
    grads : dict of str to ndarray
        The gradients of parameters, by name.
    new_state : dict of str to ndarray
        Statistics that take effect after the step.
    may_overwrite : bool
        Whether nobody but the layer reads its input (or in the backward pass `dy`) again.
    moments, slopes : ndarray or None
        Of a layer that `synchronises` and sees a piece of a batch: what all pieces gave together,
        the second in the backward pass. None where its input is the batch.
    """

    may_overwrite = False
    moments: np.ndarray | None = None
    slopes: np.ndarray | None = None
    saved: tuple[Any, ...] = ()
    #: Shape and dtype of each input; the model checks that gradients have them too.
    given: Sequence[tuple[tuple[int, ...], np.dtype[Any]]] = ()

    def __init__(
        self,
        training: bool = False,
        *,
        needs: Sequence[bool] = (),
        needs_params: Collection[str] | Callable[[str], bool] = (),
        rng_key: Sequence[int] = (0, 0, 0),
        workspace_limit: int | str | None = None,
        lends: bool = False,
    ) -> None:
        self.training = training
        self.lends = lends
        self.workspace_limit = workspace_limit
        self.grads: dict[str, np.ndarray] = {}
        self.new_state: dict[str, np.ndarray] = {}
        self._needs = tuple(needs)
        self._needs_params = needs_params
        self._rng_key = tuple(rng_key)
        self.differentiated = any(self._needs) or callable(needs_params) or bool(needs_params)

    def needs(self, index: int) -> bool:
        """Return whether the gradient of input `index` is asked for."""
        return index < len(self._needs) and self._needs[index]

    def needs_param(self, name: str) -> bool:
        """Return whether the gradient of the parameter `name` is asked for."""
        if callable(self._needs_params):
            return self._needs_params(name)
        return name in self._needs_params

    @computed_once
    def rng(self) -> np.random.Generator:
        """Random numbers of this call, the same when the call is repeated."""
        return np.random.default_rng(self._rng_key)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return an uninitialised array for an output or a gradient."""
        return memory.empty(shape, dtype)

    def reusable(self, array: np.ndarray) -> np.ndarray | None:
        """Return `array`, the input or `dy`, if a result may be written over it, else None."""
        return array if self.may_overwrite and array.flags.carray else None

    def workspace(self, nbytes: int) -> AbstractContextManager[np.ndarray]:
        """Return a context that lends `nbytes` of the arena as a one-dimensional uint8 array."""
        return memory.workspace(nbytes)

    def save(self, *things: Any) -> None:
        """Keep `things` for the backward pass; keep nothing if none will follow."""
        if self.differentiated:
            self.saved = things

    def add_grad(self, name: str, array: np.ndarray | None) -> None:
        """Give the gradient of the parameter `name`; if it is given twice, both are added."""
        if array is None or not self.needs_param(name):
            return
        before = self.grads.get(name)
        self.grads[name] = array if before is None else before + array

    def set_state(self, name: str, array: np.ndarray) -> None:
        """Give the statistic `name` the value it takes after the step."""
        self.new_state[name] = array
