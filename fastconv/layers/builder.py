"""How the parameters and statistics of a layer are made, and what they would be."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

from fastconv import initializers
from fastconv.arguments import as_choice, as_int, as_plain_array, as_text, is_sequence
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    FastconvError,
    ShapeError,
    from_signal,
    shorten,
)
from fastconv.layers.parameter import Parameter, exclusively
from fastconv.layers.recorded import missing
from fastconv.layers.spec import FLOATS, Spec

__all__ = ["Builder", "Slot"]


class Slot(NamedTuple):
    """What a parameter is or will be, whether it takes memory or not."""

    shape: tuple[int, ...]
    dtype: str
    learned: bool

    @property
    def size(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the plain value."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass
class Building:
    """One run of `build`: what it draws from and is run for, and what it has asked for so far.

    Attributes
    ----------
    outline : dict or None
        Where the Slots that `build` asks for go; None if parameters are to be made.
    taken : set of str
        The names that `build` has given so far.
    """

    rng: np.random.Generator
    specs: tuple[Spec, ...]
    initializer: Callable[..., Any] | None
    outline: dict[str, Slot] | None = None
    taken: set[str] = field(default_factory=set)


class Builder:
    """Makes the parameters and statistics of a layer for given inputs, by its `build`."""

    name: str | None = missing()
    parameters: dict[str, Parameter] = missing()
    states: dict[str, Parameter] = missing()
    _specs: tuple[Spec, ...] | None = missing()
    _building: Building | None = missing()  # while `build` runs

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the output; raise ShapeError if the inputs' `specs` do not fit."""
        raise NotImplementedError(f"{type(self).__name__}: infer must be defined")

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make the parameters with `add_param` and `add_state`; called by `ensure_built`."""

    @property
    def has_parameters(self) -> bool:
        """Whether the class defines `build`; networks have many layers that do not."""
        return type(self).build is not Builder.build

    def ensure_built(
        self,
        rng: np.random.Generator | Sequence[int] | int | None,
        *specs: Spec,
        initializer: Callable[..., Any] | None = None,
    ) -> None:
        """Build for `specs`, once; with other specs later, check that the parameters fit them.

        Several threads may call this at once: all of them get the parameters made first.

        Parameters
        ----------
        rng : Generator, int or None
            What starting values are drawn from.
        *specs : Spec
            The Specs of the inputs.
        initializer : callable, optional
            Takes the place of every initializer that `build` asks for.

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
        # What build makes goes to a twin, so that an interrupt or another thread finds either
        # none of it or all of it.
        maker, before = self._twin(), dict(vars(self))
        try:
            generator = np.random.default_rng(rng)
        except Exception as error:  # NumPy looks at what is given in many ways
            if from_signal(error):
                raise
            rule = "must be a Generator, or a seed of at least 0"
            raise ArgumentTypeError("ensure_built", "rng", rule, rng) from None
        maker._building = Building(generator, specs, initializer)
        maker.build(generator, *specs)
        if self._specs is None:
            maker._building, maker._specs = None, specs
            made = {k: v for k, v in vars(maker).items() if before.get(k, self) is not v}
            exclusively(self._take_over, made)

    def outline(self, *specs: Spec) -> dict[str, Slot]:
        """Return by name what the layer has, or would make for `specs`; nothing is allocated.

        Raises
        ------
        ShapeError
            If it is built, and its parameters do not fit `specs`.
        """
        if not self.has_parameters:
            return {}
        if self.built:
            self.ensure_built(0, *specs)
            return self._slots()
        try:
            maker = self._twin()
            maker._building = building = Building(np.random.default_rng(0), specs, None, {})
            maker.build(building.rng, *specs)
            return building.outline or {}
        except Exception as error:  # a third party's build may want the arrays, or be broken
            if from_signal(error):
                raise
        trial = copy.deepcopy(self)
        trial.ensure_built(0, *specs)
        return trial._slots()

    def _slots(self) -> dict[str, Slot]:
        return {
            name: Slot(p.shape, p.dtype.name, group is self.parameters)
            for group in (self.parameters, self.states)
            for name, p in group.items()
        }

    def _take_over(self, made: dict[str, Any]) -> None:
        if self._specs is None:
            # the dicts are updated and not replaced, for twins of this layer share them
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
            By default that of the first input of floats. If no input is of floats, that of the
            output.
        fan_in : int, optional
            How many inputs one output has. By default, the product of `shape` after the first
            axis.
        """
        self._add(self.parameters, name, shape, initializer, dtype, fan_in)

    def add_state(self, name: str, shape: tuple[int, ...], value: float = 0.0) -> None:
        """Add a statistic, `value` everywhere, that no optimizer changes; call it in `build`."""
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
        building, specs = self._building, self._building.specs
        if name in building.taken:
            rule = "must have names of their own"
            shown = f"{shorten(name)} twice"
            raise ArgumentError(owner, "parameters and statistics", rule, name, shown=shown)
        building.taken.add(name)
        if dtype is None:
            dtype = specs[0].dtype if specs[0].dtype in FLOATS else self._float(specs)
        else:
            as_choice(owner, f"dtype of {name}", dtype, FLOATS)
        if not is_sequence(shape):
            raise ArgumentTypeError(owner, f"the shape of {name}", "must be a tuple", shape)
        shape = tuple(as_int(owner, f"the shape of {name}", size, 0) for size in shape)
        inputs_of_one = math.prod(shape[1:])
        if fan_in is not None:
            inputs_of_one = as_int(owner, f"fan_in of {name}", fan_in, 1)
        if building.outline is not None:
            building.outline[name] = Slot(shape, dtype, group is self.parameters)
            return
        known = group.get(name)
        if known is not None:
            if (known.shape, known.dtype.name) != (shape, dtype):
                inputs = ", ".join(f"{s.shape} {s.dtype}" for s in specs)
                raise ShapeError(
                    owner,
                    name,
                    f"must be {shape} {dtype} for inputs {inputs}",
                    (known.shape, known.dtype.name),
                    "a shared layer takes inputs of one kind",
                    shown=f"{known.shape} {known.dtype.name}",
                )
            return
        start = building.initializer or initializers.resolve(initializer, owner)
        value = start(building.rng, shape, inputs_of_one, dtype)
        trainable = group is self.parameters
        if type(value) is not np.ndarray or value.dtype != dtype:
            value = as_plain_array(owner, f"the start of {name}", value, dtype=np.dtype(dtype))
        if value.shape != shape:
            raise ShapeError(owner, name, f"must start with shape {shape}", value.shape)
        group[name] = Parameter(value, name=name, trainable=trainable)

    def _float(self, specs: tuple[Spec, ...]) -> str:
        """Return the dtype that parameters have if the first input is of integers."""
        for spec in (*specs, self.infer(*specs)):
            if spec.is_float:
                return spec.dtype
        return "float32"

    def twin(self) -> Self:
        """Return a layer that stands for this one: it has the same settings and parameters.

        `with_activation` and `folded` make a twin, and then change what it computes.

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
        """Return a twin that has its own dicts of parameters and statistics."""
        twin = self.twin()
        twin.parameters, twin.states = dict(self.parameters), dict(self.states)
        return twin
