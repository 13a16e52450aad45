"""What has parameters and statistics: how they are made, asked for, changed and copied."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from fastconv import initializers
from fastconv.arguments import as_choice, as_int, as_plain_array, as_text, is_sequence
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    FastconvError,
    ShapeError,
    UnknownNameError,
    from_signal,
    nearest,
    shorten,
)
from fastconv.layers.parameter import Parameter, assign_all, exclusively
from fastconv.layers.recorded import missing
from fastconv.layers.spec import Spec

__all__ = ["Owner"]


class _Views(dict[str, np.ndarray]):
    """Arrays of a layer by name; what it does not have, `Owner._unknown` says."""

    def __init__(self, owner: Owner, views: dict[str, np.ndarray]) -> None:
        super().__init__(views)
        self._owner = owner

    def __getitem__(self, name: str) -> np.ndarray:
        if not isinstance(name, str) or name not in self:
            raise self._owner._unknown(name, self)
        return super().__getitem__(name)


class Owner:
    """The parameters and statistics of a layer, which it makes in `build` for given inputs."""

    name: str | None = missing()
    parameters: dict[str, Parameter] = missing()
    states: dict[str, Parameter] = missing()
    _specs: tuple[Spec, ...] | None = missing()
    # while `build` runs: what it draws from, is built for and starts with, and the names it took
    _building: (
        tuple[np.random.Generator, tuple[Spec, ...], Callable[..., Any] | None, set[str]] | None
    ) = missing()

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the output for those of the inputs; raise ShapeError if none is."""
        raise NotImplementedError(f"{type(self).__name__}: infer must be defined")

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make the parameters with `add_param` and `add_state`; called by `ensure_built`."""

    @property
    def has_parameters(self) -> bool:
        """Whether the class defines `build`; networks have many layers that do not."""
        return type(self).build is not Owner.build

    def ensure_built(
        self,
        rng: np.random.Generator | Sequence[int] | int | None,
        *specs: Spec,
        initializer: Callable[..., Any] | None = None,
    ) -> None:
        """Build for `specs`, once; with other specs later, check that the parameters fit them.

        Threads may come at once: all of them have the parameters that were there first.

        Parameters
        ----------
        rng : Generator, int or None
            What starting values are drawn from.
        *specs : Spec
            Of the inputs.
        initializer : callable, optional
            Serves in the place of all that `build` asks for.

        Raises
        ------
        ShapeError
            If the layer is shared and its parameters do not fit `specs`.
        """
        self.infer(*specs)
        if specs == self._specs:
            return
        if not self.has_parameters:
            self._specs = self._specs or specs
            return
        # What build makes goes to a twin, so that an interrupt or another thread finds none of
        # it or all.
        maker, before = self._twin(), dict(vars(self))
        try:
            generator = np.random.default_rng(rng)
        except Exception as error:  # NumPy looks at what is given in many ways
            if from_signal(error):
                raise
            rule = "must be a Generator, or a seed of at least 0"
            raise ArgumentTypeError("ensure_built", "rng", rule, rng) from None
        maker._building = generator, specs, initializer, set()
        maker.build(generator, *specs)
        if self._specs is None:
            maker._building, maker._specs = None, specs
            made = {k: v for k, v in vars(maker).items() if before.get(k, self) is not v}
            exclusively(self._take_over, made)

    def _take_over(self, made: dict[str, Any]) -> None:
        if self._specs is None:
            # into the dicts that are there: layers that stand for this one and another share them
            for group in ("parameters", "states"):
                vars(self)[group].update(made.pop(group, {}))
            vars(self).update(made)

    @property
    def built(self) -> bool:
        """Whether the parameters exist."""
        return self._specs is not None

    def add_param(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Any = "zeros",
        *,
        dtype: str | None = None,
        fan_in: int | None = None,
    ) -> None:
        """Add a learned parameter; to be called in `build`.

        Parameters
        ----------
        name : str
            Its name in the layer, such as ``"weight"``.
        shape : tuple of int
            Its shape.
        initializer : str, pair or callable
            A registered initializer, or a callable of ``(rng, shape, fan_in, dtype)``.
        dtype : str, optional
            That of the first input by default.
        fan_in : int, optional
            How many inputs one output has; the product of `shape` after the first axis by
            default.
        """
        self._add(self.parameters, name, shape, initializer, dtype, fan_in)

    def add_state(self, name: str, shape: tuple[int, ...], value: float = 0.0) -> None:
        """Add a statistic, `value` everywhere, which no optimizer changes; called in `build`."""
        self._add(self.states, name, shape, initializers.Constant(value), None, None)

    def _add(
        self,
        group: dict[str, Parameter],
        name: str,
        shape: tuple[int, ...],
        initializer: Any,
        dtype: str | None,
        fan_in: int | None,
    ) -> None:
        owner = type(self).__name__
        if self._building is None:
            raise FastconvError(owner, "parameters", "must be added in build", shown=shorten(name))
        as_text(owner, "name", name)
        rng, specs, replacement, taken = self._building
        if name in taken:
            rule = "must have names of their own"
            shown = f"{shorten(name)} twice"
            raise ArgumentError(owner, "parameters and statistics", rule, name, shown=shown)
        taken.add(name)
        if dtype is None:
            dtype = specs[0].dtype
        as_choice(owner, f"dtype of {name}", dtype, ("float32", "float64"))
        if not is_sequence(shape):
            raise ArgumentTypeError(owner, f"the shape of {name}", "must be a tuple", shape)
        shape = tuple(as_int(owner, f"the shape of {name}", size, 0) for size in shape)
        inputs_of_one = math.prod(shape[1:])
        if fan_in is not None:
            inputs_of_one = as_int(owner, f"fan_in of {name}", fan_in, 1)
        known = group.get(name)
        if known is not None:
            if (known.shape, known.dtype.name) != (shape, dtype):
                inputs = ", ".join(f"{s.shape} {s.dtype}" for s in specs)
                raise ShapeError(
                    owner, name, f"must be {shape} {dtype} for inputs {inputs}",
                    (known.shape, known.dtype.name), "a shared layer takes inputs of one kind",
                    shown=f"{known.shape} {known.dtype.name}",
                )  # fmt: skip
            return
        start = replacement or initializers.resolve(initializer, owner)
        value = start(rng, shape, inputs_of_one, dtype)
        trainable = group is self.parameters
        if type(value) is not np.ndarray or value.dtype != dtype:
            value = as_plain_array(owner, f"the start of {name}", value, dtype=np.dtype(dtype))
        if value.shape != shape:
            raise ShapeError(owner, name, f"must start with shape {shape}", value.shape)
        group[name] = Parameter(value, name=name, trainable=trainable)

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
            type(self).__name__, "the layer", "must be built before it is used",
            remedy="make a model of it, or call ensure_built(rng, Spec(shape, dtype))",
            shown="one that is not",
        )  # fmt: skip

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
        """Give learned parameters new values: all of those named, or on an error none.

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

    def twin(self) -> Self:
        """Return a layer that stands for this one: of the same settings, on the same parameters.

        For `with_activation` and `folded`, which then change what the twin computes.

        Examples
        --------
        >>> from fastconv.layers import Dense
        >>> layer = Dense(10)
        >>> twin = layer.twin()
        >>> twin.activation = "relu"
        >>> twin.parameters is layer.parameters, layer.activation
        (True, None)
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def _twin(self) -> Self:
        """Return a twin with dicts of parameters and statistics of its own."""
        twin = self.twin()
        twin.parameters, twin.states = dict(self.parameters), dict(self.states)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = memo[id(self)] = object.__new__(type(self))
        vars(twin).update(exclusively(copy.deepcopy, vars(self), memo))
        return twin

    def __getstate__(self) -> dict[str, Any]:
        # Parameters are pickled one by one; this makes them those of one time, unless they are
        # pickled with a network, which has done so.
        return {**vars(self), "_handed": exclusively(self._hand_out)}

    def _hand_out(self) -> list[Any]:
        groups = (self.parameters, self.states)
        return [p.hand_out(again=False) for group in groups for p in group.values()]

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        vars(self).pop("_handed", None)
