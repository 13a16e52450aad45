"""What optimizers have in common: a learning rate, state beside every parameter, an owner."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np

from fastconv import registry
from fastconv.arguments import as_int, as_mapping, as_plain_array, check_rounding
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.functional.updates import UNCHANGED, Change
from fastconv.layers.parameter import Parameter, exclusively
from fastconv.training.clipping import Clipping, laid_out
from fastconv.training.learning_rate import HasLearningRate, Rate, as_schedule
from fastconv.training.optimizer_state import Slots, Steps, arrays_of, slots_of
from fastconv.training.owned import Owned

__all__ = ["Optimizer"]

Array = np.ndarray[Any, Any]


def _owner(array: Array) -> int:
    """Return the identity of the array that owns the memory of `array`."""
    return id(array if array.base is None else array.base)


class Optimizer(HasLearningRate, Clipping, Owned, ABC):
    """Base of the optimizers: a learning rate, and slots of state beside every parameter.

    The learning rate may be changed between steps. An optimizer belongs to the network that was
    last compiled with it, as long as that network exists. Copies and pickles belong to nobody.

    Parameters
    ----------
    learning_rate : float, Schedule, name or (name, dict)
        The size of a step, or what gives it for each.
    weight_decay : float
        How much of a parameter of two axes or more is added to its gradient: the gradient of
        ``weight_decay / 2`` times the sum of the squares. Biases and the parameters of
        normalisation, which have one axis, are left alone.
    clip_norm : float, optional
        The most that the norm of all gradients together may be. If it is more, all are scaled by
        ``clip_norm / norm``. The norm is computed in float64.
    clip_value : float, optional
        The most that one number of a gradient may be, to either side.

    Notes
    -----
    Gradients are first scaled by the norm, then clipped by value, then the decay is added: as in
    PyTorch, where a network is clipped before its optimizer's step. The model's gradients stay
    what they are: the step changes them as it reads them. A class of one's own that hands these
    settings on to this one takes ``change=`` in `apply`.
    """

    slot_names: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        learning_rate: Rate,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ):
        self.learning_rate = learning_rate
        self._clip(weight_decay, clip_norm, clip_value)
        self._slots: Slots = {}
        self._steps: Steps = {}  # by parameter, since one unfrozen later starts at 1
        self._step_count = 0

    def check(self, *dtypes: str) -> None:
        """Raise ArgumentError if one of `dtypes` would round a setting to 0 or to infinity."""
        for dtype in dtypes:
            for key, value in vars(self).items():
                if isinstance(value, float) and math.isfinite(value) and key != "_last_rate":
                    check_rounding(self.name, key.lstrip("_"), value, dtype)

    def start(self, owner: Any, dtypes: Iterable[str] = (), instead_of: Any = None) -> None:
        """Begin anew, as the optimizer of `owner`; `compile` calls this.

        Parameters
        ----------
        owner, instead_of : object
            As `take` has them.
        dtypes : iterable of str
            The dtypes in which `owner` computes.
        """
        self.take(owner, instead_of)
        self._dtypes = tuple(dtypes)
        self.reset()

    def reset(self) -> None:
        """Forget all state; the settings stay, and with them the learning rate."""
        exclusively(self._become, {}, {}, 0)

    def _become(self, steps: Steps, slots: Slots, count: int, **more: Any) -> None:
        # in one step, as an interrupt may come
        vars(self).update(_steps=steps, _slots=slots, _step_count=count, _last_rate=None, **more)

    def __getstate__(self) -> dict[str, Any]:
        return exclusively(self._state)

    def _state(self) -> dict[str, Any]:
        # a list is made first, for a signal handler may take a step meanwhile
        slots = {key: tuple(map(np.copy, group)) for key, group in list(self._slots.items())}
        state = {**vars(self), "_slots": slots, "_steps": dict(self._steps)}
        state.pop("_owner", None)
        return state

    @abstractmethod
    def apply(
        self, t: int, value: Array, gradient: Array, *slots: Array, change: Change = UNCHANGED
    ) -> None:
        """Update a parameter and its slots in place; `t` counts its steps from 1.

        All arrays are one-dimensional and contiguous, and have one length and dtype. `gradient`
        must not be written to. It runs under the caller's floating-point error state of NumPy.
        `change` says what is done to both before; it is given only where it does anything.
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
        rate = self.learning_rate  # a schedule may raise here, before anything changes
        changes = self._changes(
            rate, [(parameter, gradient) for _, parameter, gradient, _ in ready]
        )
        for (key, parameter, gradient, slots), change in zip(ready, changes, strict=True):
            value = parameter.writable()
            self._steps[key] = t = self._steps.get(key, 0) + 1
            if value.size:
                gradient = laid_out(gradient, value.dtype)
                arrays = (value, gradient, *slots)
                if value.ndim != 1:
                    arrays = tuple(array.reshape(-1) for array in arrays)
                if change == UNCHANGED:
                    self.apply(t, *arrays)
                else:
                    self.apply(t, *arrays, change=change)
        self._step_count += 1
        self._last_rate = rate

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
        elif not all(slot.flags.writeable for slot in self._slots[key]):
            # a pickle was mapped from a file, to be read alone
            self._slots[key] = tuple([np.array(slot, order="C") for slot in self._slots[key]])
        return self._slots[key]

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all slots: ``steps/<key>``, and ``<slot>/<key>`` for every slot."""
        return exclusively(arrays_of, self.slot_names, self._steps, self._slots)

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy the slots that `state_dict` of the same kind of optimizer returned.

        Call this after ``compile``, which makes an optimizer forget its state.

        Raises
        ------
        ArgumentError
            If a slot is missing, or there is one that this optimizer does not have.
        """
        steps, slots = slots_of(self.name, self.slot_names, state)
        exclusively(self._become, steps, slots, max(steps.values(), default=0))

    def state(self, copy: bool = True) -> dict[str, Any]:
        """Return all that training changes: what `state_dict` does, and JSON values beside it.

        These are ``step``, the number of steps so far, ``learning_rate``, a number, and
        ``schedule``, its name and settings or None.

        Parameters
        ----------
        copy : bool
            Whether arrays are copies, and not those that the next step changes.

        Raises
        ------
        ArgumentError
            If there is a schedule whose class has no name.
        """
        return exclusively(self._whole_state, copy)

    def _whole_state(self, copy: bool) -> dict[str, Any]:
        arrays = arrays_of(self.slot_names, self._steps, self._slots, copy)
        rate, schedule = self._learning_rate, self.named_schedule()
        return {"step": self._step_count, "learning_rate": rate, "schedule": schedule, **arrays}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` of the same kind of optimizer returned; errors change nothing."""
        as_mapping(self.name, "state", state, "what state() names to values")
        rest = dict(state)
        for name in ("step", "learning_rate", "schedule"):
            if name not in rest:
                raise ArgumentError(self.name, "state", f"must hold {name!r}", shown="none")
        count = as_int(self.name, "state['step']", rest.pop("step"), 0, 2**63 - 1)
        rate, spec = self._checked_rate(rest.pop("learning_rate")), rest.pop("schedule")
        schedule = None if spec is None else as_schedule(self.name, "state['schedule']", spec)
        if schedule is None and spec is not None:
            rule = "must be the name of a schedule and its settings, or None"
            raise ArgumentError(self.name, "state['schedule']", rule, spec)
        steps, slots = slots_of(self.name, self.slot_names, rest)
        become = partial(self._become, _learning_rate=rate, _schedule=schedule)
        exclusively(become, steps, slots, count)

    def settings(self) -> dict[str, Any]:
        """Return the settings as JSON values, from which the same kind makes an equal optimizer."""
        own = registry.own_settings(self)
        return {**own, "learning_rate": self.named_schedule() or self._learning_rate}

    def __repr__(self) -> str:
        own = registry.own_settings(self)
        own["learning_rate"] = self._learning_rate if self._schedule is None else self._schedule
        if not self.weight_decay:
            own.pop("weight_decay", None)
        shown = (f"{key}={value!r}" for key, value in own.items() if value is not None)
        return f"{type(self).__name__}({', '.join(shown)})"
