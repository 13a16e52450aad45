"""Models by name, and models from configurations and files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, overload

from fastconv import registry
from fastconv.arguments import as_bool, as_int, as_text
from fastconv.errors import ArgumentError, ConfigError, FormatError, shorten
from fastconv.layers import description
from fastconv.models.graph import trace, weights
from fastconv.models.inference import InferenceModel, freeze_network
from fastconv.models.model import Model
from fastconv.models.saving import CONFIG, Source, WeightFile, configuration
from fastconv.registry.trained import chosen_weights, offered_weights

__all__ = ["create_model", "describe_model", "from_config", "list_models", "load", "register_model"]

F = TypeVar("F", bound=Callable[..., Any])


def from_config(config: Mapping[str, Any] | str | bytes, *, seed: int | None = None) -> Model:
    """Return the network that a configuration describes.

    Its parameters take memory when they are first needed, so that `Model.plan` and
    `Model.summary` answer for networks of any size.

    Parameters
    ----------
    config : mapping, str or bytes
        What `Model.to_config` gave, the form written by hand, or the JSON text of either.
    seed : int, optional
        The seed of starting weights and of dropout.

    Raises
    ------
    ConfigError
        If anything is wrong; it lists every problem with its JSON path.

    Examples
    --------
    >>> layers = ["Flatten", ["Dense", {"units": 10}]]
    >>> from_config({"input_shape": [1, 8, 8], "layers": layers}).count_params()
    650
    """
    (inputs, outputs), name = configuration.read(config)
    return Model(trace(inputs, outputs), name=name, seed=seed)


def _owners(weights: str) -> list[str]:
    """Return which of fastconv's own networks come with weights of this name."""
    ours = [name for name in registry.models.names() if "." not in name]
    return [name for name in ours if weights in offered_weights(registry.models.get(name))]


@overload
def load(path: Source, *, seed: int | None = None) -> Model: ...
@overload
def load(path: Source, *, seed: int | None = None, for_inference: Literal[False]) -> Model: ...
@overload
def load(
    path: Source, *, seed: int | None = None, for_inference: Literal[True]
) -> InferenceModel: ...
def load(
    path: Source, *, seed: int | None = None, for_inference: bool = False
) -> Model | InferenceModel:
    """Return the network that `Model.save` wrote; what was frozen is frozen again.

    From a checkpoint it takes the network alone: ``fit(resume=path)`` goes on with its training.

    Parameters
    ----------
    path : str, path, bytes or binary file
        Where the file is, its bytes, or the file itself, open in binary mode. That is read from its
        beginning, and not closed; one that has no places, such as a download, from where it is, and
        as a whole first.
    seed : int, optional
        The seed of dropout, if the network is trained further; by default another one each time.
    for_inference : bool
        Whether to return what ``load(path).for_inference()`` would. It takes less memory on the
        way, since weights are read, folded, packed and let go layer by layer.

    Raises
    ------
    ArgumentError
        If `path` leads to something other than a file, such as a directory or a pipe, or is a file
        that is closed.
    ArgumentTypeError
        If it is none of these, or a file of text.
    FormatError
        If the file has another format, is damaged, or holds other arrays than its network needs.
        Every byte of a checkpoint is looked at.
        Arrays of float16 and bfloat16 are right: they are widened, which is exact.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import fastconv
    >>> net = fastconv.Sequential(["Flatten", ("Dense", {"units": 10})], input_shape=(1, 8, 8))
    >>> load(net.to_bytes()).count_params()
    650
    """
    from fastconv.models.saving import loading

    for_inference = as_bool("load", "for_inference", for_inference)
    if seed is not None:
        seed = as_int("load", "seed", seed, 0, 2**63 - 1)
    with WeightFile("load", path) as file:
        config = file.metadata.get(CONFIG)
        if config is None:
            raise FormatError(
                "load",
                file.path,
                "must hold a network",
                remedy="make the network and call its load_weights",
                shown="weights alone",
            )
        try:
            model = from_config(config, seed=seed)
        except ConfigError as error:
            raise FormatError("load", f"{file.path}:", str(error)) from error
        graph = model._graph
        loading.check_file(graph, file)
        frozen = loading.frozen_in(graph, file)
        if for_inference:
            return freeze_network(
                graph, model.name, lambda step: loading.fill_layer(graph, step, file)
            )
        loading.fill(graph, file)
    model._prepare()
    parameters = weights.named(graph)
    for key in frozen:
        parameters[key].trainable = False
    return model


def register_model(name: str, *, override: bool = False) -> Callable[[F], F]:
    """Return a decorator that registers a function which returns a configuration.

    Parameters
    ----------
    name : str
        ``"namespace.Name.v1"``; third parties take a namespace of their own.
    override : bool
        Whether a model of this name may be replaced.

    Examples
    --------
    >>> import fastconv
    >>> @fastconv.register_model("acme.Tiny.v1")
    ... def tiny(units=10):
    ...     return {"input_shape": [4], "layers": [["Dense", {"units": units}]]}
    >>> fastconv.create_model("acme.Tiny", units=3).count_params()
    15
    """
    return registry.models.register(name, override=override)


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the registered models that match `pattern`, sorted.

    Beside those of fastconv, models come by `register_model`, and from installed packages that
    have an entry point of the group ``fastconv.models``. Nothing is imported for the list.

    Examples
    --------
    >>> list_models("resnet*")
    ['ResNet18', 'ResNet50']
    """
    return registry.models.names(pattern)


def describe_model(model: str) -> str:
    """Return what there is to know about a registered model: purpose, settings, weights.

    Raises
    ------
    UnknownNameError
        If no model has this name.

    Examples
    --------
    >>> print(describe_model("ResNet18").splitlines()[0])
    fastconv.ResNet18.v1
    """
    try:
        owner = registry.models.get(model)
    except ConfigError as error:
        raise error.within("describe_model") from None
    title = registry.models.canonical(model)
    lines = description.explain(owner, title, title.rpartition(".v")[0].partition(".")[2])
    offered = offered_weights(owner)
    lines += [f"  weights {name!r}: {about.text}" for name, about in offered.items()]
    return "\n".join(lines).rstrip()


def create_model(
    model: str | Mapping[str, Any],
    /,
    *,
    name: str | None = None,
    seed: int | None = None,
    weights: str | os.PathLike[str] | None = None,
    **config: Any,
) -> Model:
    """Return a network by name.

    Parameters
    ----------
    model : str or mapping
        A registered name, or a configuration.
    name : str, optional
        The network's title.
    seed : int, optional
        The seed of starting weights and of dropout.
    weights : str or path, optional
        The name of weights that come with the network, which `describe_model` lists, or a file
        that `Model.load_weights` reads. With a name, settings that are not given are those of the
        network that was trained.
    **config
        The arguments of the registered function. fastconv's own networks have `classes` and
        `input_shape`.

    Raises
    ------
    UnknownNameError
        If the name is not registered; the message offers the nearest ones.
    ConfigError
        If an argument or the configuration is wrong, or the weights are of another network.
    ArgumentTypeError, ArgumentError, FormatError, OSError
        If `weights` is no name, or no file that can be read; or is a name, and a setting that is
        given is not that of the network that was trained.

    Examples
    --------
    >>> create_model("ResNet50", classes=10, input_shape=(3, 32, 32)).count_params()
    23528522
    """
    if isinstance(model, Mapping):
        if config:
            raise ConfigError("create_model", "a mapping", "takes no arguments", config)
        made: Any = model
        trained = chosen_weights(None, weights, _owners)
    else:
        try:
            trained = chosen_weights(registry.models.get(model), weights, _owners)
        except ConfigError as error:
            raise error.within("create_model") from None
        config = trained.completed(weights, config) if trained else config
        made = registry.create(registry.models, model, config, "create_model")
        if seed is not None and isinstance(made, Model):
            raise ArgumentError(
                "create_model",
                "seed",
                f"must be left out for {shorten(model)}, which returns a "
                "network that has its weights",
                seed,
                "let it return a configuration",
            )
    if name is not None:
        as_text("create_model", "name", name)
    try:
        net = made if isinstance(made, Model) else from_config(made, seed=seed)
    except ConfigError as error:
        if isinstance(model, str):
            raise error.within(f"create_model: {model}") from error
        raise
    if name is not None:
        net.name = name
    if trained is not None:
        net.load_weights(trained.path)
    return net
