"""The owner of parameters and statistics: how they are asked for, changed and copied."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from fastconv.errors import FastconvError, UnknownNameError, nearest
from fastconv.layers.builder import Builder
from fastconv.layers.parameter import Parameter, assign_all, exclusively

__all__ = ["Owner"]


class _Views(dict[str, np.ndarray]):
    """Arrays of a layer by name; for a name that it does not have, `Owner._unknown` is raised."""

    def __init__(self, owner: Owner, views: dict[str, np.ndarray]) -> None:
        super().__init__(views)
        self._owner = owner

    def __getitem__(self, name: str) -> np.ndarray:
        if not isinstance(name, str) or name not in self:
            raise self._owner._unknown(name, self)
        return super().__getitem__(name)


class Owner(Builder):
    """The parameters and statistics of a layer: asked for, changed, copied."""

    @property
    def frozen(self) -> bool:
        """Whether there are learned parameters, and training changes none of them.

        In a step of training such a layer is called with ``ctx.training`` false: it behaves as in
        inference, and its statistics stay.
        """
        learned = self.parameters.values()
        return bool(learned) and not any(parameter.trainable for parameter in learned)

    def param(self, name: str) -> Parameter:
        """Return the parameter or statistic `name`.

        Raises
        ------
        FastconvError
            Before `build`.
        UnknownNameError
            If there is none of this name.
        """
        try:
            return self.parameters[name]
        except (KeyError, TypeError):  # a statistic, or nothing
            pass
        if isinstance(name, str) and name in self.states:
            return self.states[name]
        if self.built:
            raise self._unknown(name, [*self.parameters, *self.states])
        raise FastconvError(
            type(self).__name__,
            "the layer",
            "must be built before it is used",
            remedy="make a model of it, or call ensure_built(rng, Spec(shape, dtype))",
            shown="one that is not",
        )

    @property
    def params(self) -> Mapping[str, np.ndarray]:
        """Read-only views of the learned parameters, by name."""
        return self._views(self.parameters)

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        """Read-only views of the statistics, by name."""
        return self._views(self.states)

    def _views(self, group: Mapping[str, Parameter]) -> Mapping[str, np.ndarray]:
        return MappingProxyType(_Views(self, {name: p.view for name, p in group.items()}))

    def _unknown(self, name: object, known: Iterable[str]) -> UnknownNameError:
        names = nearest(name, known) or list(known)
        remedy = f"it has {' and '.join(names)}" if names else "it has none"
        if not self.built:
            remedy = "it gets them when a model is made of it"
        owner = self.name or type(self).__name__
        return UnknownNameError(owner, "a parameter", "must exist", name, remedy)

    def set_params(self, **arrays: Any) -> None:
        """Give the named learned parameters new values: all of them, or on an error none.

        Raises
        ------
        UnknownNameError
            If a name is unknown, or the layer is not built.
        ShapeError, ArgumentTypeError
            If a shape differs, or a value is not a real number that the dtype holds.
        """
        owner = self.name or type(self).__name__
        checked = {}
        for name, array in arrays.items():
            if name not in self.parameters:
                raise self._unknown(name, self.parameters)
            checked[name] = self.parameters[name].checked(array, owner)
        assign_all([(self.parameters[name], array) for name, array in checked.items()])

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = memo[id(self)] = object.__new__(type(self))
        vars(twin).update(exclusively(copy.deepcopy, vars(self), memo))
        return twin

    def __getstate__(self) -> dict[str, Any]:
        # Parameters are pickled one by one. Here they are all copied at one moment, unless the
        # layer is pickled with a network, which has copied them already.
        return {**vars(self), "_handed": exclusively(self._hand_out)}

    def _hand_out(self) -> list[Any]:
        groups = (self.parameters, self.states)
        return [p.hand_out(again=False) for group in groups for p in group.values()]

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        vars(self).pop("_handed", None)
