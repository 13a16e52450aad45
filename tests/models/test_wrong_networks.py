"""Constructors and functions of models, called wrongly: an error of ours that says what to do."""

from __future__ import annotations

import collections
import itertools
import re

import numpy as np
import pytest

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError, FastconvError

X = fastconv.Input((1, 8, 8))
RELU = fastconv.create_layer("ReLU")
NET = fastconv.Sequential(["Flatten", ("Dense", {"units": 3})], (1, 8, 8), seed=0)
CONFIG = {"input_shape": [3], "layers": ["ReLU"]}

CALLS = [
    (
        lambda: fastconv.Sequential(["Flatten"]),
        ConfigError,
        "Sequential: input_shape must be the shape of one example, got None; "
        "write input_shape=(C, H, W)",
    ),
    (lambda: fastconv.Sequential(), ConfigError, "write input_shape=(C, H, W)"),
    (
        lambda: fastconv.Sequential([], (3,)),
        ConfigError,
        "layers: must be a list of 1 to 100000 layers, got 0",
    ),
    (
        lambda: fastconv.Sequential(CONFIG, (3,)),
        ConfigError,
        "fastconv.from_config(config) reads a configuration",
    ),
    (lambda: fastconv.Sequential("ReLU", (3,)), ConfigError, "got 'ReLU'; write ['ReLU']"),
    (lambda: fastconv.Sequential(X, (3,)), ConfigError, "fastconv.Model(inputs, outputs) takes"),
    (lambda: fastconv.Sequential(RELU, (3,)), ConfigError, "put it in a list"),
    (lambda: fastconv.Sequential((n for n in ["ReLU"]), (3,)), ConfigError, "write list(...)"),
    (lambda: fastconv.Sequential(None, (3,)), ConfigError, "layers, got None"),
    (
        lambda: fastconv.Sequential([X, "Flatten"], (3,)),
        ConfigError,
        'layers[0]: must be a name or ["name", {...}], got <Node Input (N, 1, 8, 8) '
        "float32>; leave "
        "it out, and give its shape as input_shape=(1, 8, 8)",
    ),
    (lambda: fastconv.Sequential([fastconv.layers.ReLU], (3,)), ConfigError, "call it: ReLU(...)"),
    (
        lambda: fastconv.Sequential([(fastconv.layers.Dense, {"units": 3})], (3,)),
        ConfigError,
        "layers[0][0]: must be the name of a registered layer, got ",
    ),
    (
        lambda: fastconv.Sequential([lambda node: 3], (3,)),
        ConfigError,
        "layers[0]: must be a layer or a model of one output, got <function",
    ),
    (
        lambda: fastconv.Sequential([lambda node: 1 / 0], (3,)),
        ConfigError,
        "layers[0]: ZeroDivisionError: division by zero",
    ),
    (
        lambda: fastconv.Sequential([lambda node: (_ for _ in ()).throw(SystemExit)], (3,)),
        ConfigError,
        "layers[0]: SystemExit",
    ),
    (lambda: fastconv.Sequential(["ReLU"], 5), ConfigError, "input_shape: must be a list of sizes"),
    (
        lambda: fastconv.Sequential(["ReLU"], (None, 1, 8, 8)),
        ConfigError,
        "got (None, 1, 8, 8); leave the batch out: (1, 8, 8)",
    ),
    (lambda: fastconv.Input((None, 3)), ArgumentTypeError, "leave the batch out: (3,)"),
    (
        lambda: fastconv.Sequential(["ReLU"], (3,), "float16"),
        ConfigError,
        "input_shape: dtype must be 'float32', 'float64', 'int64', 'int32', 'uint8', 'int8' or "
        "'bool', got 'float16'",
    ),
    (lambda: fastconv.Model(), ArgumentTypeError, "Model: inputs must be nodes, got NoneType"),
    (lambda: fastconv.Model(X), ArgumentTypeError, "Model: outputs must be nodes, got NoneType"),
    (
        lambda: fastconv.Model(5, X),
        ArgumentTypeError,
        "Model: inputs must be nodes, got int; nodes come from fastconv.Input and from calling",
    ),
    (lambda: fastconv.Model("x", X), ArgumentTypeError, "inputs must be nodes, got str"),
    (
        lambda: fastconv.Model({"x": X}, X),
        ArgumentTypeError,
        "inputs must be nodes, got dict; give the nodes in a list",
    ),
    (lambda: fastconv.Model(NET, X), ArgumentTypeError, "inputs must be nodes, got Sequential"),
    (
        lambda: fastconv.Model(X, RELU),
        ArgumentTypeError,
        "outputs must be nodes, got ReLU; call the layer on a node first",
    ),
    (lambda: fastconv.Model(X, [RELU]), ArgumentTypeError, "outputs must be nodes, got ReLU; call"),
    (lambda: fastconv.Model(X, X, name=3), ArgumentTypeError, "Model: name must be a text, got 3"),
    (lambda: fastconv.Model(X, X, seed="1"), ArgumentTypeError, "Model: seed must be an integer"),
    (lambda: fastconv.Input(itertools.count(1)), FastconvError, "shape must have at most 32 sizes"),
    (lambda: fastconv.Input({1, 28}), ArgumentTypeError, "shape must be a sequence of integers"),
    (
        lambda: fastconv.create_model(CONFIG, name=3),
        ArgumentTypeError,
        "create_model: name must be a text, got 3",
    ),
    (
        lambda: fastconv.create_model(CONFIG, units=3),
        ConfigError,
        "create_model: a mapping takes no arguments, got {'units': 3}",
    ),
    (
        lambda: fastconv.create_model("Conv2D"),
        ConfigError,
        "create_model: model must be a registered name, got 'Conv2D'",
    ),
    (lambda: fastconv.from_config(CONFIG, seed=-1), ArgumentError, "Model: seed must be at least"),
    (lambda: fastconv.list_models(3), ArgumentTypeError, "list_models: pattern must be a text"),
    (
        lambda: fastconv.register_model("acme.F.v1")(3),
        ArgumentTypeError,
        "register_model: 'acme.F.v1' must be a function or a class, got 3",
    ),
    (
        lambda: fastconv.register_model("acme.F.v1", override="no")(dict),
        ArgumentTypeError,
        "register_model: override must be True or False, got 'no'",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), CALLS, ids=[row[2][:60] for row in CALLS])
def test_a_wrong_call_is_told_what_to_do(call, error, text):
    with pytest.raises(error, match=re.escape(text)) as caught:
        call()
    assert caught.value.rule or len(caught.value.problems) > 1


def test_a_function_that_returns_no_configuration_is_named():
    with fastconv.registry.isolated():
        fastconv.register_model("acme.Five.v1")(lambda: 5)
        fastconv.register_model("acme.Made.v1")(lambda: NET)
        fastconv.register_model("acme.Builtin.v1")(dict)
        with pytest.raises(ConfigError, match="create_model: acme.Five: configuration: must be an"):
            fastconv.create_model("acme.Five")
        assert fastconv.create_model("acme.Made") is NET
        with pytest.raises(ArgumentError, match="seed must be left out for 'acme.Made', which"):
            fastconv.create_model("acme.Made", seed=3)
        made = fastconv.create_model("acme.Builtin", input_shape=[3], layers=["ReLU"])
        assert len(made.layers) == 1


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError(name)

    __repr__ = __iter__ = __len__ = __eq__ = __getattr__
    __hash__ = None


class Text(str):
    pass


JUNK = [
    None,
    0,
    -1,
    1.5,
    float("nan"),
    True,
    10**40,
    1j,
    "",
    "abc",
    "Conv2D",
    "\ud800",
    "x" * 10**5,
    b"abc",
    [],
    [1],
    [[]],
    [None],
    (),
    (1, 2),
    {},
    {1: 2},
    {"a": 1},
    set(),
    object(),
    int,
    Hostile,
    Hostile(),
    lambda: 0,
    np.zeros(3),
    np.zeros((2, 1, 8, 8)),
    np.array(["a"]),
    np.float32(1),
    np.datetime64(0, "s"),
    X,
    NET,
    RELU,
    [X, X],
    [NET],
    fastconv.Model,
    range(3),
    Text("abc"),
    memoryview(b"ab"),
    slice(None),
    ...,
    NotImplemented,
    collections.deque([1]),
]
FULL = {
    "format": "fastconv/1",
    "inputs": [{"id": "x", "shape": [3]}],
    "nodes": [{"id": "a", "layer": "ReLU"}],
    "outputs": ["a"],
}


def node(**parts):
    return {**FULL, "nodes": [{"id": "a", "layer": "ReLU", **parts}]}


TAKING = {
    "Input": lambda v: fastconv.Input(v),
    "Input dtype": lambda v: fastconv.Input((3,), v),
    "Input name": lambda v: fastconv.Input((3,), name=v),
    "Model": lambda v: fastconv.Model(v, X),
    "Model outputs": lambda v: fastconv.Model(X, v),
    "Model name": lambda v: fastconv.Model(X, X, name=v),
    "Model seed": lambda v: fastconv.Model(X, X, seed=v),
    "Sequential": lambda v: fastconv.Sequential(v, (1, 8, 8)),
    "Sequential layer": lambda v: fastconv.Sequential([v], (1, 8, 8)),
    "Sequential pair": lambda v: fastconv.Sequential([("Conv2D", v)], (1, 8, 8)),
    "Sequential name": lambda v: fastconv.Sequential([(v, {})], (1, 8, 8)),
    "Sequential id": lambda v: fastconv.Sequential([{"layer": "ReLU", "id": v}], (1, 8, 8)),
    "Sequential shape": lambda v: fastconv.Sequential(["ReLU"], v),
    "Sequential dtype": lambda v: fastconv.Sequential(["ReLU"], (3,), v),
    "filters": lambda v: fastconv.create_layer("Conv2D", filters=v, kernel_size=3),
    "name": lambda v: fastconv.create_layer("ReLU", name=v),
    "create_layer": fastconv.create_layer,
    "describe_layer": fastconv.describe_layer,
    "list_layers": fastconv.list_layers,
    "list_models": fastconv.list_models,
    "create_model": fastconv.create_model,
    "create_model name": lambda v: fastconv.create_model(CONFIG, name=v),
    "create_model seed": lambda v: fastconv.create_model(CONFIG, seed=v),
    "from_config": fastconv.from_config,
    "register_model": lambda v: fastconv.register_model(v)(lambda: {}),
    "register_model function": lambda v: fastconv.register_model("acme.F.v1")(v),
    "register_model override": lambda v: fastconv.register_model("acme.F.v1", override=v)(int),
    "register_layer": lambda v: fastconv.register_layer("acme.F.v1")(v),
    "load for_inference": lambda v: fastconv.load("there/is/none", for_inference=v),
    **{f"config {k}": lambda v, k=k: fastconv.from_config({**FULL, k: v}) for k in FULL},
    **{
        f"config {k}": lambda v, k=k: fastconv.from_config({**CONFIG, k: v})
        for k in ("layers", "input_shape", "dtype", "name")
    },
    **{
        f"node {k}": lambda v, k=k: fastconv.from_config(node(**{k: v}))
        for k in ("id", "layer", "config", "use", "from")
    },
}


@pytest.mark.parametrize("name", TAKING)
def test_whatever_is_given_an_error_is_one_of_ours(name):
    for value in JUNK:
        with fastconv.registry.isolated():
            try:
                TAKING[name](value)
            except FastconvError as error:
                assert len(str(error)) < 2000
            except FileNotFoundError:
                assert name == "load for_inference"
