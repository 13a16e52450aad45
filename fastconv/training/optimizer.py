"""What optimizers have in common: a learning rate, state beside every parameter, an owner."""

from __future__ import annotations

import gc
import math
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from fastconv.arguments import as_int, as_mapping, as_plain_array, as_real, as_text, check_rounding
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    ShapeError,
    UnknownAttributeError,
    shorten,
)
from fastconv.floating import quietly
from fastconv.layers.parameter import Parameter, exclusively

__all__ = ["Optimizer"]

Array = np.ndarray[Any, Any]
_LR = "it is called learning_rate"


@quietly
def _laid_out(array: Array, dtype: np.dtype[Any]) -> Array:
    return np.ascontiguousarray(array, dtype)


def _owner(array: Array) -> int:
    """Return the identity of the array that owns the memory of `array`."""
    return id(array if array.base is None else array.base)


class Optimizer(ABC):
    """Base of the optimizers: a learning rate, and slots of state beside every parameter.

    The learning rate may be changed between steps. An optimizer belongs to the network that was
    last compiled with it, as long as that network exists. Copies and pickles belong to nobody.
    """

    name: ClassVar[str]
    slot_names: ClassVar[tuple[str, ...]] = ()
    _owner: weakref.ref[Any] | None = None
    _dtypes: tuple[str, ...] = ()

    def __init__(self, learning_rate: float):
        self.learning_rate = learning_rate
        self._slots: dict[str, tuple[Array, ...]] = {}
        self._steps: dict[str, int] = {}  # by parameter, since one unfrozen later starts at 1

    @property
    def learning_rate(self) -> float:
        """The step size, finite and at least 0."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        rule = "at least 0 and finite"
        rate = as_real(self.name, "learning_rate", value, rule, 0.0, math.inf)
        if rate > 1:  # a rate that rounds to 0 is right: schedules let it fade
            for dtype in self._dtypes:
                check_rounding(self.name, "learning_rate", rate, dtype)
        self._learning_rate = rate

    @property
    def lr(self) -> float:
        """No attribute of this name exists; the error says what the right one is."""
        raise UnknownAttributeError(self.name, "lr", "is no attribute", remedy=_LR)

    @lr.setter
    def lr(self, value: float) -> None:
        raise UnknownAttributeError(self.name, "lr", "is no attribute", remedy=_LR)

    def check(self, *dtypes: str) -> None:
        """Raise ArgumentError if one of `dtypes` would round a setting to 0 or to infinity."""
        for dtype in dtypes:
            for key, value in vars(self).items():
                if isinstance(value, float) and math.isfinite(value):
                    check_rounding(self.name, key.lstrip("_"), value, dtype)

    def start(self, owner: Any, dtypes: Iterable[str] = (), instead_of: Any = None) -> None:
        """Begin anew, as the optimizer of `owner`; `compile` calls this.

        Parameters
        ----------
        owner : object
            What the optimizer belongs to from now on, as long as that exists.
        dtypes : iterable of str
            The dtypes in which `owner` computes.
        instead_of : object, optional
            What the optimizer may have belonged to before.

        Raises
        ------
        ArgumentError
            If the optimizer belongs to something else, whose state would be lost.
        """
        if self._belongs_elsewhere(owner, instead_of):
            gc.collect()  # a network that only its own parts refer to does not count
        if self._belongs_elsewhere(owner, instead_of):
            raise ArgumentError(
                "compile",
                "optimizer",
                "must not belong to another network",
                type(self).__name__,
                "give each network its own: copy.deepcopy(optimizer), or a name with settings",
                shown=shorten(self),
            )
        self._owner = weakref.ref(owner)
        self._dtypes = tuple(dtypes)
        self.reset()

    def belong(self, owner: Any) -> None:
        """Belong to `owner` from now on and keep all state, unless there is an owner already."""
        if self._owner is None or self._owner() is None:
            self._owner = weakref.ref(owner)

    def _belongs_elsewhere(self, *known: Any) -> bool:
        owner = None if self._owner is None else self._owner()
        return owner is not None and all(owner is not one for one in known)

    def reset(self) -> None:
        """Forget all state; the settings stay, and with them the learning rate."""
        exclusively(self._become, {}, {})

    def _become(self, steps: dict[str, int], slots: dict[str, tuple[Array, ...]]) -> None:
        vars(self).update(_steps=steps, _slots=slots)  # in one step, as an interrupt may come

    def __getstate__(self) -> dict[str, Any]:
        return exclusively(self._state)

    def _state(self) -> dict[str, Any]:
        # a list is made first, for a signal handler may take a step meanwhile
        slots = {key: tuple(map(np.copy, group)) for key, group in list(self._slots.items())}
        state = {**vars(self), "_slots": slots, "_steps": dict(self._steps)}
        state.pop("_owner", None)
        return state

    @abstractmethod
    def apply(self, t: int, value: Array, gradient: Array, *slots: Array) -> None:
        """Update a parameter and its slots in place; `t` counts the steps from 1.

        All arrays are one-dimensional and contiguous, and have one length and dtype. `gradient`
        must not be written to. It runs under the caller's floating-point error state of NumPy.
        """

    def update(self, parameters: Mapping[str, Parameter], gradients: Mapping[str, Array]) -> None:
        """Take one step: every parameter changes in place by the gradient under its key.

        Gradients may be views of the parameters' own values; the values before the step count.
        After an error nothing has changed.  An interrupt ends the step in the middle: what has
        been computed by then stays.

        Raises
        ------
        ShapeError
            If a gradient or the kept state has another shape than the parameter.
        """
        as_mapping(self.name, "parameters", parameters, "keys to parameters")
        as_mapping(self.name, "gradients", gradients, "keys to arrays")
        steps = []
        for key, parameter in parameters.items():
            if not isinstance(parameter, Parameter):
                rule = "must be a Parameter"
                raise ArgumentTypeError(self.name, f"parameters[{key!r}]", rule, parameter)
            if key not in gradients:
                rule = "must hold one for every parameter"
                raise ArgumentError(self.name, "gradients", rule, shown=f"none for {key!r}")
            gradient = gradients[key]
            if type(gradient) is not np.ndarray or gradient.dtype != parameter.dtype:
                kinds = (np.integer, np.floating)
                gradient = as_plain_array(self.name, f"gradients[{key!r}]", gradient, kinds)
            steps.append((key, parameter, gradient))
        values = {id(parameter.value) for _, parameter, _ in steps}
        exclusively(
            self._step,
            [
                (key, parameter, gradient.copy() if _owner(gradient) in values else gradient)
                for key, parameter, gradient in steps
            ],
        )

    def _step(self, steps: Iterable[tuple[str, Parameter, Array]]) -> None:
        # new state is made in here too, since other threads may copy it
        ready = [(*step, self._checked_slots(*step)) for step in steps]
        for key, parameter, gradient, slots in ready:
            value = parameter.writable()
            self._steps[key] = t = self._steps.get(key, 0) + 1
            if value.size:
                if gradient.dtype != value.dtype or not gradient.flags.c_contiguous:
                    gradient = _laid_out(gradient, value.dtype)
                arrays = (value, gradient, *slots)
                if value.ndim != 1:
                    arrays = tuple(array.reshape(-1) for array in arrays)
                self.apply(t, *arrays)

    def _checked_slots(self, key: str, parameter: Parameter, gradient: Array) -> tuple[Array, ...]:
        """Return the state of a parameter; raise if it or the gradient does not fit."""
        slots = self._slots_for(key, parameter)
        for array in (gradient, *slots):
            if array.shape != parameter.shape:
                raise ShapeError(
                    self.name,
                    f"state and gradient of {key!r}",
                    f"must have shape {parameter.shape}",
                    array.shape,
                    "a model needs its own optimizer",
                )
        if any(slot.dtype != parameter.dtype for slot in slots):
            rule = f"must be {parameter.dtype}, as the parameter is"
            shown = str(slots[0].dtype)
            raise ArgumentTypeError(self.name, f"state of {key!r}", rule, shown, shown=shown)
        return slots

    def _slots_for(self, key: str, parameter: Parameter) -> tuple[Array, ...]:
        self._steps.setdefault(key, 0)
        if key not in self._slots:
            zeros = (np.zeros(parameter.shape, parameter.dtype) for _ in self.slot_names)
            self._slots[key] = tuple(zeros)
        return self._slots[key]

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all state: ``steps/<key>``, and ``<slot>/<key>`` for every slot."""
        return exclusively(self._copies)

    def _copies(self) -> dict[str, Array]:
        state: dict[str, Array] = {}
        for key, slots in list(self._slots.items()):
            state[f"steps/{key}"] = np.array(self._steps[key])
            for slot, array in zip(self.slot_names, slots, strict=True):
                state[f"{slot}/{key}"] = array.copy()
        return state

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy the state that `state_dict` of the same kind of optimizer returned.

        Call this after ``compile``, which makes an optimizer forget its state.

        Raises
        ------
        ArgumentError
            If a slot is missing, or there is one that this optimizer does not have.
        """
        as_mapping(self.name, "state", state, "what state_dict() names to arrays")
        for name in state:
            as_text(self.name, "names in state", name)
        keys = [name[6:] for name in state if name.startswith("steps/")]
        wanted = {f"{slot}/{key}" for key in keys for slot in ("steps", *self.slot_names)}
        if wrong := sorted(wanted.symmetric_difference(state)):
            raise ArgumentError(
                self.name,
                "state",
                f"must hold steps and {self.slot_names} of every parameter",
                wrong[0],
                shown=f"a missing or unknown entry {wrong[0]!r}",
            )
        steps = {
            key: as_int(self.name, f"state['steps/{key}']", state[f"steps/{key}"], 0, 2**63 - 1)
            for key in keys
        }
        slots = {
            key: tuple(self._copied(f"{slot}/{key}", state) for slot in self.slot_names)
            for key in keys
        }
        exclusively(self._become, steps, slots)

    def _copied(self, name: str, state: Mapping[str, Array]) -> Array:
        array = as_plain_array(self.name, f"state[{name!r}]", state[name], (np.floating,))
        return np.array(array, order="C")

    def __repr__(self) -> str:
        shown = (f"{k.lstrip('_')}={v!r}" for k, v in vars(self).items() if isinstance(v, float))
        return f"{type(self).__name__}({', '.join(shown)})"
