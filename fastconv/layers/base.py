"""The base class of layers: configuration, parameters, shape inference, no state of a call."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from fastconv import initializers, registry
from fastconv.arguments import as_choice, as_int, as_plain_array, as_text, is_sequence
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConfigError,
    FastconvError,
    ShapeError,
    UnknownAttributeError,
    UnknownNameError,
    from_signal,
    nearest,
    shorten,
)
from fastconv.layers.context import Context
from fastconv.layers.parameter import Parameter, assign_all, exclusively
from fastconv.layers.recorded import recording, taking_limit, unrecorded, written
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["Layer"]

# Set by the models above: makes a node of a graph from a layer and the nodes it is called on.
_connect: Callable[..., Any] | None = None


class _Views(dict[str, np.ndarray]):
    """Arrays of a layer by name; what it does not have, `Layer._unknown` says."""

    def __init__(self, layer: Layer, views: dict[str, np.ndarray]) -> None:
        super().__init__(views)
        self._layer = layer

    def __getitem__(self, name: str) -> np.ndarray:
        if not isinstance(name, str) or name not in self:
            raise self._layer._unknown(name, self)
        return super().__getitem__(name)


class Layer:
    """A configuration, the parameters it leads to, and a pair of pure functions of arrays.

    The arguments of a subclass's ``__init__`` are its configuration; this class records them,
    defaults included. Every layer takes ``name=``, the name it has in a model, which is no part
    of the configuration. A subclass overrides `infer`, `forward` and `backward`, and `build`
    where it has parameters, `costs` where it can tell them.

    A layer keeps nothing of a call: that is in the `Context`. So one layer may stand in a graph
    several times and serve many threads at once. It writes neither to inputs nor to gradients.

    docs/layers.md writes one from beginning to end; `fastconv.testing.check_layer` tells whether
    it keeps what is promised here.

    Parameters
    ----------
    name : str, optional
        The layer's name in a model.

    Examples
    --------
    >>> from fastconv.layers import Dense
    >>> layer = Dense(10, name="head")
    >>> layer.name, layer.config["units"], layer.infer(Spec((64,))).shape
    ('head', 10, (10,))
    """

    # An example that `describe_layer` shows: settings, and shapes of inputs without the batch.
    example_config: Mapping[str, Any] = MappingProxyType({})
    example_shapes: tuple[tuple[int, ...], ...] = ()

    # Whether `backward` returns one array that is new, or `dy` itself or a view of it: the layer
    # before may then write over it. Not so where it returns what something else still reads.
    new_gradients: bool = False

    # What the numbers of the output are, which `compile` holds against the loss: "values", any
    # numbers; "probabilities", shares that axis 1 divides among classes; "chances", each from 0
    # to 1; "bounded", each from -1 to 1; "input", what those of the only input are; "elements",
    # the numbers of the only input, some of them or in other places. None: nothing is known; so
    # it is of a subclass that does not say it anew.
    gives: str | None = None

    # Whether inputs of any scale, such as pixels from 0 to 255, are brought to a usual one here.
    normalizes: bool = False

    name: str | None
    parameters: dict[str, Parameter]
    states: dict[str, Parameter]
    _config: dict[str, Any]
    _specs: tuple[Spec, ...] | None
    # while `build` runs: what it draws from, is built for and starts with, and the names it took
    _building: (
        tuple[np.random.Generator, tuple[Spec, ...], Callable[..., Any] | None, set[str]] | None
    )

    @recording
    def __init__(self) -> None:
        """Take no settings."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = recording(cls.__init__)  # type: ignore[method-assign]
        if "gives" not in cls.__dict__:
            cls.gives = None
        if "costs" in cls.__dict__:
            cls.costs = taking_limit(cls.costs)  # type: ignore[method-assign]

    def __getattr__(self, name: str) -> Any:
        # Reached only for what is missing; these the recorded __init__ sets.
        if name in Layer.__annotations__ and not name.startswith("__"):
            cls = type(self)
            error = unrecorded(cls, cls.__name__)
            raise error or AttributeError(f"{cls.__name__}: {name} is set by the base class")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def trainable(self) -> Any:
        """No attribute of layers, but for those that have such a setting.

        Keras freezes by it; here it would be an attribute that nobody reads.
        """
        if "trainable" in vars(self):
            return vars(self)["trainable"]
        raise AttributeError  # what __getattr__ says of it

    @trainable.setter
    def trainable(self, value: Any) -> None:
        if "trainable" not in vars(self).get("_config", {}):
            owner = vars(self).get("name") or type(self).__name__
            remedy = f"net.freeze({owner!r}) keeps a layer as it is, net.unfreeze lets it learn"
            raise UnknownAttributeError(owner, "trainable", "is no attribute", remedy=remedy)
        vars(self)["trainable"] = value

    # Configuration

    @property
    def config(self) -> dict[str, Any]:
        """The settings, defaults included; a copy."""
        return dict(self._config)

    @property
    def registered_name(self) -> str:
        """The versioned name of the class, as files have it.

        Raises
        ------
        ConfigError
            If the class is not registered.
        """
        name = registry.layers.name_of(type(self))
        if name is None:
            raise ConfigError(
                type(self).__name__, "the class", "must be registered to be written",
                remedy="decorate it with @fastconv.register_layer('your_package.Name.v1')",
            )  # fmt: skip
        return name

    def to_config(self) -> dict[str, Any]:
        """Return the settings as plain JSON values, defaults included.

        Raises
        ------
        ConfigError
            If a setting has no form in JSON.
        """
        return {
            key: written(value, type(self).__name__, key) for key, value in self._config.items()
        }

    # Shapes, parameters, statistics

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the output for those of the inputs; raise ShapeError if none is."""
        raise NotImplementedError(f"{type(self).__name__}: infer must be defined")

    def one_input(self, specs: tuple[Spec, ...], axes: str = "") -> Spec:
        """Return the only Spec; raise ShapeError unless there is one, with `axes` as given.

        `axes` has a letter per axis without the batch, ``"CHW"`` or ``"I"``; empty is any.
        """
        owner = type(self).__name__
        if not is_sequence(specs):
            raise ArgumentTypeError(owner, "specs", "must be a tuple of Specs", specs)
        if len(specs) != 1:
            raise ShapeError(owner, "inputs", "must be one", len(specs))
        if not isinstance(specs[0], Spec):
            raise ArgumentTypeError(owner, "the input", "must be a Spec", specs[0])
        shape = specs[0].shape
        if axes and len(axes) != len(shape):
            remedy = ""
            if axes == "CHW" and len(shape) == 2:
                remedy = f"reshape it to {(1, *shape)}"
            elif len(axes) == 1:
                remedy = "put a Flatten or GlobalAvgPool2D before it"
            letters = ", ".join(axes) + ("," if len(axes) == 1 else "")
            rule = f"must have shape ({letters}) beside the batch"
            raise ShapeError(owner, "input", rule, shape, remedy)
        return specs[0]

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make the parameters with `add_param` and `add_state`; called by `ensure_built`."""

    @property
    def has_parameters(self) -> bool:
        """Whether the class defines `build`; networks have many layers that do not."""
        return type(self).build is not Layer.build

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

    def _twin(self) -> Any:
        """Return a layer of the same settings and parameters, these in dicts of its own."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        twin.parameters, twin.states = dict(self.parameters), dict(self.states)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = memo[id(self)] = object.__new__(type(self))
        vars(twin).update(exclusively(copy.deepcopy, vars(self), memo))
        return twin

    # Arrays

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return the output for the inputs `xs`, batch first; write to none of them."""
        raise NotImplementedError(f"{type(self).__name__}: forward must be defined")

    def backward(self, ctx: Context, dy: np.ndarray) -> Any:
        """Return the gradient of each input, None where ``ctx.needs`` says so.

        One array or None for one input, a tuple for several. The gradients of parameters go
        to ``ctx.add_grad``. `dy` is not written to; what is returned may be `dy` itself.
        """
        raise NotImplementedError(f"{type(self).__name__}: backward must be defined")

    def least_rows(self, *specs: Spec) -> int:
        """Return the fewest rows of a batch that the layer can learn from.

        Asked before training, and not of a layer that is frozen. A layer that takes statistics
        over the batch has none of a single value. It raises ArgumentError where it cannot be
        trained on such inputs at all.
        """
        return 1

    def pack(self) -> None:
        """Put the weights in the order that inference reads them, if that is another one.

        Called when a network is built or loaded, so that its first run takes no longer than
        the next. Training lets go of what was packed.
        """

    def costs(
        self,
        batch: int,
        *specs: Spec,
        training: bool = False,
        workspace_limit: int | str | None = None,
    ) -> LayerCosts:
        """Return what a call takes; a layer that does not define this is estimated."""
        return LayerCosts(keeps=frozenset({"inputs", "output"}), estimated=True)

    def __call__(self, *nodes: Any) -> Any:
        """Return the node of a graph that applies this layer to `nodes`."""
        if _connect is None:
            raise FastconvError(
                type(self).__name__, "graphs", "must be imported before a layer is called",
                remedy="import fastconv.models",
            )  # fmt: skip
        return _connect(self, *nodes)

    def __repr__(self) -> str:
        settings = [f"{key}={value!r}" for key, value in self._config.items()]
        if self.name is not None:
            settings.append(f"name={self.name!r}")
        return f"{type(self).__name__}({', '.join(settings)})"

    def _begin(self, name: str | None, config: dict[str, Any]) -> None:
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            rule = "must be a text without '/'"
            raise ArgumentTypeError(type(self).__name__, "name", rule, name)
        vars(self).update(
            name=name, _config=config, parameters={}, states={}, _specs=None, _building=None
        )


registry.layers.requires = Layer
