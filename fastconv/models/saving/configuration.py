"""Configurations: plain JSON from a network and back.

Two forms can be read. The full one, which is also the one that is written::

    {"format": "fastconv/1", "dtype": "float32", "inputs": [{"id": "x", "shape": [1, 28, 28]}],
     "nodes": [{"id": "conv2d_1", "layer": "fastconv.Conv2D.v1", "config": {...}, "from": ["x"]},
               {"id": "relu_1", "layer": "fastconv.ReLU.v1"},
               {"id": "again", "use": "conv2d_1", "from": ["x"]}],
     "outputs": ["relu_1"]}

An input of integers has its ``"dtype"`` beside the shape, and one whose batch is on another axis
than 0, or missing, its ``"batch_axis"``.

The other form is written by hand, a chain: ``{"input_shape": [1, 28, 28], "layers": ["ReLU"]}``.
Names are looked up in the registry only: a configuration can import nothing and run nothing.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from fastconv import registry
from fastconv.errors import ArgumentError, ConfigError, Problem, from_signal, shorten
from fastconv.layers.base import Layer
from fastconv.layers.spec import DTYPES, DTYPES_RULE, FLOATS, FLOATS_RULE, Spec
from fastconv.models.graph import Graph, Node
from fastconv.models.saving import strict_json
from fastconv.models.saving.problems import MAX_NODES, Problems, input_node, problems_of
from fastconv.models.saving.reader import Reader

__all__ = ["FORMAT", "Ends", "chain", "read", "write"]

FORMAT = "fastconv/1"

Ends = tuple[list[Node], list[Node]]  # inputs, outputs


def write(graph: Graph, name: str | None = None) -> dict[str, Any]:
    """Return the configuration of a network as JSON, with every default and versioned names.

    Raises
    ------
    ConfigError
        If the network has more nodes than can be read again, a layer is not registered, or a
        setting has no form in JSON.
    """
    if len(graph.steps) > MAX_NODES:
        rule = f"must have at most {MAX_NODES} nodes"
        raise ConfigError("to_config", "a network", rule, len(graph.steps))
    ids = graph.ids
    nodes: list[dict[str, Any]] = []
    for step in graph.steps:
        node: dict[str, Any] = {"id": step.id}
        if step.id == step.name:
            node["layer"] = step.layer.registered_name
            node["config"] = step.layer.to_config()
        else:
            node["use"] = step.name
        node["from"] = [ids[source] for source in step.sources]
        nodes.append(node)
    inputs = zip(graph.input_ids, graph.input_specs, strict=True)
    return {
        "format": FORMAT,
        **({} if name is None else {"name": name}),
        "dtype": graph.dtype,
        "inputs": [_input(input_id, spec, graph.dtype) for input_id, spec in inputs],
        "nodes": nodes,
        "outputs": [ids[output] for output in graph.outputs],
    }


def _input(input_id: str, spec: Spec, dtype: str) -> dict[str, Any]:
    """Return an input; its dtype and batch axis stand there only if they are unusual."""
    item: dict[str, Any] = {"id": input_id, "shape": list(spec.shape)}
    if spec.dtype != dtype:
        item["dtype"] = spec.dtype
    if spec.batch_axis != 0:
        item["batch_axis"] = spec.batch_axis
    return item


def read(config: Any) -> tuple[Ends, str | None]:
    """Return inputs, outputs and name of the network that a configuration describes.

    Parameters
    ----------
    config : mapping, str or bytes
        Either form, or its JSON text.

    Raises
    ------
    ConfigError
        If anything is wrong; it lists every problem with its JSON path.
    """
    _refuse_a_path(config)
    if isinstance(config, (str, bytes)):
        mark = codecs.BOM_UTF8 if isinstance(config, bytes) else "\ufeff"  # from Windows' editors
        config = config.removeprefix(mark)  # type: ignore[arg-type]
        config = strict_json.parse(config, "configuration")
    problems = Problems()
    if not isinstance(config, Mapping):
        shown = "a list of layers alone" if isinstance(config, (list, tuple)) else None
        remedy = 'write {"input_shape": [1, 8, 8], "layers": [...]}'
        problems.add("configuration", "must be an object", config, remedy, shown=shown)
        problems.finish()
    name = config.get("name")
    if name is not None and not isinstance(name, str):
        problems.add("name", "must be a string", name)
    chain = "layers" in config or ("input_shape" in config and "nodes" not in config)
    version = config.get("format", FORMAT if chain else None)
    if not isinstance(version, str) or version != FORMAT:
        rule = f"must be {FORMAT!r}"
        if version is None:
            problems.add("format", f"{rule}, is missing")
        else:
            problems.add("format", rule, version)
    dtype = config.get("dtype", "float32")
    known = DTYPES if chain else FLOATS  # the full form has them at the inputs
    if not isinstance(dtype, str) or dtype not in known:
        rule = DTYPES_RULE if chain else FLOATS_RULE
        problems.add("dtype", rule, dtype)
        dtype = "float32"
    if chain:
        problems.keys("", config, ("format", "name", "dtype", "input_shape", "layers"))
        shape = config.get("input_shape")
        ends = None
        if "layers" not in config:
            problems.add("layers", "must be a list of layers, is missing")
        else:
            ends = _chain(config["layers"], shape, dtype, problems, from_json=True)
    else:
        problems.keys("", config, ("format", "name", "dtype", "inputs", "nodes", "outputs"))
        ends = Reader(config, dtype, problems).ends()
    problems.finish()
    assert ends is not None
    return ends, name


def _refuse_a_path(config: Any) -> None:
    """Raise a ConfigError that says how to read a file, if `config` is the name of one."""
    if isinstance(config, str):
        plain = config.strip()
        if plain[:1] in tuple("{[") or not re.fullmatch(r"[^\n]{1,4096}\.[A-Za-z]{1,12}", plain):
            return
    elif not isinstance(config, os.PathLike):
        return
    name = str(config)
    read = (
        "fastconv.load(path)"
        if name.endswith(".safetensors")
        else ("fastconv.from_config(open(path).read())")
    )
    raise ConfigError(
        "from_config",
        "config",
        "must be a mapping or JSON text",
        name,
        f"read it with {read}",
        shown=f"the name of a file, {shorten(name)}",
    )


def chain(layers: Any, input_shape: Any, dtype: str) -> Ends:
    """Return input and output of layers in a row: of names, pairs, instances or models."""
    problems = Problems()
    ends = _chain(layers, input_shape, dtype, problems, from_json=False)
    problems.finish()
    assert ends is not None
    return ends


def _chain(
    layers: Any, input_shape: Any, dtype: str, problems: Problems, *, from_json: bool
) -> Ends | None:
    if input_shape is None and not from_json:
        rule, remedy = "must be the shape of one example", "write input_shape=(C, H, W)"
        problems.note(Problem("Sequential", "input_shape", rule, None, remedy))
        start = node = None
    else:
        start = node = input_node("input_shape", input_shape, dtype, None, problems)
    listed = isinstance(layers, (list, tuple))
    if not listed or not 1 <= len(layers) <= MAX_NODES:
        got, remedy = (len(layers), "") if listed else (layers, _no_list(layers))
        problems.add("layers", f"must be a list of 1 to {MAX_NODES} layers", got, remedy)
        return None
    for i, item in enumerate(layers):
        path = f"layers[{i}]"
        if not from_json and callable(item) and not isinstance(item, type):
            part = item  # a layer, or a model, which is inlined
        else:
            part = _chained_layer(path, item, problems)
        if part is None or node is None:
            node = None  # later layers are still checked, except for their shapes
            continue
        try:
            node = part(node)
            if not isinstance(node, Node):
                raise ArgumentError("", "", "must be a layer or a model of one output", item)
        except BaseException as error:  # a third party's layer may raise anything
            if from_signal(error):
                raise
            problems.note(*problems_of(path, error))
            node = None
    return None if start is None or node is None else ([start], [node])


def _chained_layer(path: str, item: Any, problems: Problems) -> Layer | None:
    """Return the layer of one entry of a chain, or None after its problems are noted."""
    name = None
    if isinstance(item, Mapping):
        problems.keys(path, item, ("id", "layer", "config"))
        kind, config, name = item.get("layer"), item.get("config", {}), item.get("id")
        where, settings = f"{path}.layer", f"{path}.config"
    elif isinstance(item, (list, tuple)) and len(item) == 2:
        kind, config = item
        where, settings = f"{path}[0]", f"{path}[1]"
        if isinstance(config, Mapping) and "name" in config:
            config = dict(config)
            name = config.pop("name")
    else:
        kind, config, where, settings = item, {}, path, path
    if kind is item and not isinstance(kind, str):
        remedy = ""
        if isinstance(item, Node):
            shape = ", ".join(map(str, item.shape))
            remedy = f"leave it out, and give its shape as input_shape=({shape})"
        elif isinstance(item, type):
            remedy = f"call it: {item.__name__}(...)"
        problems.add(path, 'must be a name or ["name", {...}]', item, remedy)
        return None
    if name is not None and not problems.is_id(f"{path}.id", name):
        name = None
    return problems.layer(where, kind, settings, config, name)


def _no_list(layers: object) -> str:
    """Return what to do if something other than a list of layers was given."""
    if isinstance(layers, Mapping) and ("layers" in layers or "nodes" in layers):
        return "fastconv.from_config(config) reads a configuration"
    if isinstance(layers, Node):
        return "fastconv.Model(inputs, outputs) takes nodes"
    if isinstance(layers, str) and layers in registry.layers:
        return f"write [{layers!r}]"
    if isinstance(layers, Layer):
        return "put it in a list"
    plain = isinstance(layers, Iterable) and not isinstance(layers, (str, bytes, Mapping))
    return "write list(...)" if plain else ""
