"""The base class of layers: configuration, parameters, shape inference, no state of a call."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from fastconv import notebook, registry
from fastconv.arguments import is_sequence
from fastconv.errors import (
    ArgumentTypeError,
    ConfigError,
    ShapeError,
    UnknownAttributeError,
    shorten,
)
from fastconv.layers.context import Context
from fastconv.layers.nodes import Node, connect
from fastconv.layers.owner import Owner
from fastconv.layers.recorded import missing, recording, taking_limit, written
from fastconv.layers.spec import LayerCosts, Spec
from fastconv.layers.traits import Traits

__all__ = ["Layer", "made_of"]


class Layer(Traits, Owner):
    """A configuration, the parameters it leads to, and a pair of pure functions of arrays.

    The arguments of a subclass's ``__init__`` are its configuration; this class records them,
    defaults included. Every layer takes ``name=``, the name it has in a model, which is no part
    of the configuration. A subclass overrides `infer`, `forward` and `backward`, and `build`
    where it has parameters, and `costs` where it knows them. By `Traits` it declares what else
    models want to know, such as whether its output is a view.

    A layer keeps nothing of a call: what belongs to a call is in the `Context`. So one layer may
    stand in a graph several times and serve many threads at once. It writes neither to inputs nor
    to gradients.

    docs/layers.md writes a layer from beginning to end; `fastconv.testing.check_layer` tells
    whether a layer keeps what is promised here.

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

    _config: dict[str, Any] = missing()

    @recording
    def __init__(self) -> None:
        """Take no settings."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = recording(cls.__init__)  # type: ignore[method-assign]
        if "costs" in cls.__dict__:
            cls.costs = taking_limit(cls.costs)  # type: ignore[method-assign]

    @property
    def trainable(self) -> Any:
        """The setting of this name, for layers that have one; others have no such attribute.

        In Keras it freezes a layer; here nobody would read it.
        """
        if "trainable" in vars(self):
            return vars(self)["trainable"]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute 'trainable'")

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
                type(self).__name__,
                "the class",
                "must be registered to be written",
                remedy="decorate it with @fastconv.register_layer('your_package.Name.v1')",
            )
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

    # Shapes

    def check_inputs(self, specs: tuple[Spec, ...]) -> None:
        """Raise unless the layer takes inputs of these dtypes, with the batch on these axes.

        Raises
        ------
        ArgumentTypeError
            If a dtype is none of those that the layer `takes`.
        ShapeError
            If a batch is on another axis than 0, or missing, and the layer does not take
            `any_batch_axis`.
        """
        takes, any_batch_axis = self.takes, self.any_batch_axis
        for spec in specs:
            if spec.dtype not in takes:
                raise self._refused_dtype(spec)
            if spec.batch_axis != 0 and not any_batch_axis:
                raise self._refused_axis(spec)

    def _refused_dtype(self, spec: Spec) -> ArgumentTypeError:
        first, *others = self.takes
        rule = f"must be {' or '.join([first, *others])}"
        remedy = f"make the Input {first}, which casts what it is given"
        if spec.is_float:
            remedy = f"make the Input {first}"
        remedy += f", or put a layer before it that gives {first}"
        if not type(self).__module__.startswith("fastconv."):
            remedy += f"; a layer that takes {spec.dtype} has it in its attribute takes"
        owner = type(self).__name__
        return ArgumentTypeError(owner, "input", rule, spec.dtype, remedy, shown=spec.dtype)

    def _refused_axis(self, spec: Spec) -> ShapeError:
        remedy = "take Input(shape), and move the batch: np.moveaxis(x, "
        remedy += f"{spec.batch_axis}, 0)"
        shown = f"{spec.letters}, with it on axis {spec.batch_axis}"
        if spec.batch_axis is None:
            remedy = "take Input(shape), and give it a row for each sample"
            shown = f"{spec.letters}, without a batch"
        if not type(self).__module__.startswith("fastconv."):
            remedy += "; a layer that takes such inputs has any_batch_axis = True"
        owner, rule = type(self).__name__, "must have the batch on axis 0"
        return ShapeError(owner, "input", rule, spec.batch_axis, remedy, shown=shown)

    def one_input(self, specs: tuple[Spec, ...], axes: str = "") -> Spec:
        """Return the only Spec; raise ShapeError unless there is exactly one, with these `axes`.

        `axes` has a letter for each axis but the batch, such as ``"CHW"`` or ``"I"``. If it is
        empty, any number of axes is right.
        """
        owner = type(self).__name__
        if not is_sequence(specs):
            raise ArgumentTypeError(owner, "specs", "must be a tuple of Specs", specs)
        if len(specs) != 1:
            raise ShapeError(owner, "inputs", "must be exactly one", len(specs))
        if not isinstance(specs[0], Spec):
            raise ArgumentTypeError(owner, "the input", "must be a Spec", specs[0])
        spec = specs[0]
        if spec.dtype not in self.takes or spec.batch_axis != 0:
            self.check_inputs(specs)
        shape = spec.shape
        if axes and len(axes) != len(shape):
            remedy = ""
            if axes in ("CHW", "CL") and len(shape) == len(axes) - 1:
                remedy = f"reshape it to {(1, *shape)}"
            elif axes in ("CHW", "CL") and len(shape) == len(axes) + 1:
                remedy = f"leave the batch out: {shape[1:]}"
            elif len(axes) == 1:
                remedy = "put a Flatten or GlobalAvgPool2D before it"
            letters = ", ".join(axes) + ("," if len(axes) == 1 else "")
            rule = f"must have shape ({letters}) beside the batch"
            raise ShapeError(owner, "input", rule, shape, remedy)
        return spec

    # Arrays

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return the output for the inputs `xs`, batch first; write to none of them."""
        raise NotImplementedError(f"{type(self).__name__}: forward must be defined")

    def backward(self, ctx: Context, dy: np.ndarray) -> Any:
        """Return the gradient of each input, or None for one that ``ctx.needs`` does not ask for.

        For one input that is one array or None, for several it is a tuple. The gradients of
        parameters go to ``ctx.add_grad``. The layer does not write to `dy`, but may return it.
        """
        raise NotImplementedError(f"{type(self).__name__}: backward must be defined")

    def least_rows(self, *specs: Spec) -> int:
        """Return the fewest rows of a batch that the layer can learn from.

        Models ask for it before training, but not of frozen layers. A layer that takes statistics
        over the batch needs more than one value for them. A layer that cannot be trained on such
        inputs at all raises ArgumentError.
        """
        return 1

    def pack(self) -> None:
        """Put the weights in the order in which inference reads them, if that is another one.

        It is called when a network is built or loaded, so that the first run takes no longer
        than the next. Training lets go of what was packed.
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

    def __call__(self, *nodes: Any) -> Node:
        """Return the node of a graph that applies this layer to `nodes`."""
        return connect(self, *nodes)

    def __repr__(self) -> str:
        settings = [f"{key}={value!r}" for key, value in self._config.items()]
        if self.name is not None:
            settings.append(f"name={self.name!r}")
        return f"{type(self).__name__}({', '.join(settings)})"

    def _repr_html_(self) -> str:
        title = f"{type(self).__name__}{f' {self.name}' if self.name is not None else ''}"
        held = {**self.parameters, **self.states}
        rows = [[name, f"{p.shape} {p.dtype}", f"{p.size:,}"] for name, p in held.items()]
        settings = [[name, shorten(value, 80)] for name, value in self._config.items()]
        parts = [
            notebook.table(["setting", "value"], settings, align="<<") if settings else "",
            notebook.table(["parameter", "shape", "numbers"], rows, align="<<>") if rows else "",
        ]
        return notebook.page(title, *parts)

    def _begin(self, name: str | None, config: dict[str, Any]) -> None:
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            rule = "must be a text without '/'"
            raise ArgumentTypeError(type(self).__name__, "name", rule, name)
        vars(self).update(
            name=name, _config=config, parameters={}, states={}, _specs=None, _building=None
        )


registry.layers.requires = Layer


def made_of(layer: Layer) -> tuple[str, dict[str, Any]]:
    """Return the registered name of a layer's class, or where the class is, and all settings."""
    kind = type(layer)
    return registry.layers.name_of(kind) or f"{kind.__module__}.{kind.__qualname__}", layer.config
