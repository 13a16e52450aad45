"""The network that an estimator trains: made of what its `model` says, for the data at hand."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError, ShapeError, shorten
from fastconv.layers import Layer, Spec
from fastconv.models import Model, Sequential, create_model, from_config
from fastconv.training.choosing import is_pair

__all__ = ["input_spec", "make_network", "small_layers"]

#: Maps of the small network are halved until they have so many rows and columns, or fewer.
SMALL = 7
#: Filters of its first block and of its widest, and units of its dense layers.
FIRST, WIDEST, UNITS = 16, 128, 64

MODEL_RULE = (
    "must be None, the name of a network, (name, {...}), a configuration, a list of layers, a "
    "network, or a function of (input_shape, outputs)"
)


def make_network(
    operation: str, model: Any, shape: tuple[int, ...], outputs: int, seed: int
) -> Model:
    """Return a network of its own that gives `outputs` numbers for an example.

    Parameters
    ----------
    operation : str
        What errors name.
    model : None, str, (str, dict), mapping, sequence of layers, Model or callable
        As `CNNClassifier` takes it.  It stays as it is.
    shape : tuple of int
        That of an example.  Networks and configurations that have one keep their own.
    outputs : int
    seed : int
        That of starting weights and of dropout.

    Raises
    ------
    ArgumentTypeError
        If `model` is something else.
    ShapeError
        If the network has another number of inputs or outputs.
    """
    if callable(model) and not isinstance(model, (Model, Layer, type)):
        model = _called(operation, model, shape, outputs, seed)
    net = _made(operation, model, shape, outputs, seed)
    specs = net.output_specs()
    if [spec.shape for spec in specs] != [(outputs,)]:
        shown = ", ".join(spec.letters for spec in specs)
        rule = f"must be a network of one output (N, {outputs})"
        raise ShapeError(operation, "model", rule, remedy=_ending(outputs), shown=shown)
    input_spec(operation, net)
    return net


def _ending(outputs: int) -> str:
    return f'let it end in "Flatten" and ("Dense", {{"units": {outputs}}})'


def input_spec(operation: str, net: Model) -> Spec:
    """Return the Spec of the one input of `net`; raise ShapeError if it has others."""
    specs = net.input_specs()
    if len(specs) != 1 or specs[0].batch_axis != 0:
        shown = ", ".join(spec.letters for spec in specs)
        rule = "must be a network of one input, with the batch on axis 0"
        raise ShapeError(operation, "model", rule, shown=shown)
    return specs[0]


def _called(operation: str, model: Any, shape: tuple[int, ...], outputs: int, seed: int) -> Any:
    """Return what a function makes; if it has a parameter `seed`, it is given that too."""
    try:
        takes_seed = "seed" in inspect.signature(model).parameters
    except (TypeError, ValueError):  # some functions written in C do not tell what they take
        takes_seed = False
    found = model(shape, outputs, seed=seed) if takes_seed else model(shape, outputs)
    if found is None or (callable(found) and not isinstance(found, Model)):
        rule = "must return a network, a name, a configuration or a list of layers"
        raise ArgumentTypeError(operation, "model", rule, shown=shorten(found))
    return found


def _made(operation: str, model: Any, shape: tuple[int, ...], outputs: int, seed: int) -> Model:
    if model is None:
        return Sequential(small_layers(operation, shape, outputs), shape, seed=seed)
    if isinstance(model, Model):
        twin = copy.deepcopy(model)
        twin.seed = seed
        return twin
    if isinstance(model, str) or (is_pair(model) and isinstance(model[0], str)):
        name, settings = (model, {}) if isinstance(model, str) else model
        known = {"classes": outputs, "input_shape": shape}
        return _named(operation, name, known, settings, seed)
    if isinstance(model, Mapping):
        chain = "layers" in model and "input_shape" not in model
        return from_config({**model, "input_shape": list(shape)} if chain else model, seed=seed)
    if isinstance(model, Sequence) and not isinstance(model, bytes):
        # Layers that are objects would keep what they learn from one fit to the next.
        return Sequential(copy.deepcopy(list(model)), shape, seed=seed)
    raise ArgumentTypeError(operation, "model", MODEL_RULE, model, shown=shorten(model))


def _named(
    operation: str, name: str, known: dict[str, Any], settings: Mapping[str, Any], seed: int
) -> Model:
    """Return a registered network; of `known` it gets what it has settings for."""
    try:
        taken = registry.parameters_of(registry.models.get(name))
    except ConfigError as error:
        raise error.within(operation) from None
    config = {key: value for key, value in known.items() if key in taken} | dict(settings)
    try:
        return create_model(name, seed=seed, **config)
    except ArgumentError as error:
        if error.parameter != "seed":
            raise
    net = create_model(name, **config)  # its function returns a network that has its weights
    net.seed = seed
    return net


def small_layers(operation: str, shape: tuple[int, ...], outputs: int) -> list[Any]:
    """Return the layers of a small network for examples of `shape`.

    Features (F,) go through two dense layers, signals (C, L) and maps (C, H, W) before that through
    blocks of a convolution, the rectifier and maximum pooling, until the map has at most 7 rows and
    columns.

    Raises
    ------
    ShapeError
        If `shape` has more axes.

    Examples
    --------
    >>> [layer[0] for layer in small_layers("fit", (1, 8, 8), 10)]
    ['Conv2D', 'MaxPool2D', 'Flatten', 'Dense', 'Dense']
    """
    if not 1 <= len(shape) <= 3:
        rule = "must be (F,), (C, L) or (C, H, W) where model is None"
        raise ShapeError(operation, "input_shape", rule, shape, "give a model")
    layers: list[Any] = []
    kind, sizes, filters = f"{len(shape) - 1}D", list(shape[1:]), FIRST
    while sizes and (not layers or max(sizes) > SMALL):
        pool = [min(2, size) for size in sizes]
        conv = {"filters": filters, "kernel_size": 3, "padding": "same", "activation": "relu"}
        layers.append([f"Conv{kind}", conv])
        layers.append([f"MaxPool{kind}", {"pool_size": pool if len(pool) > 1 else pool[0]}])
        sizes = [size // by for size, by in zip(sizes, pool, strict=True)]
        filters = min(2 * filters, WIDEST)
    layers.append(["Flatten", {}])
    for _ in range(1 if sizes else 2):
        layers.append(["Dense", {"units": UNITS, "activation": "relu"}])
    return [*layers, ["Dense", {"units": outputs}]]
