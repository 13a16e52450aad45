"""Activations as layers, and as the setting of layers with weights: fused, in place, planned."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

import fastconv
from fastconv import activations, functional, memory, registry
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError, UnknownNameError
from fastconv.layers import Context, Spec
from fastconv.testing import assert_bits_equal, check_layer

NAMES = sorted(registry.activations.names())
#: Each function as `activation=` takes it, and the layer that computes it.
CASES = [
    *((name, name) for name in NAMES),
    (("leaky_relu", {"negative_slope": 0.2}), ("LeakyReLU", {"negative_slope": 0.2})),
    (["elu", {"alpha": 0.5}], ("ELU", {"alpha": 0.5})),
    (("hard_sigmoid", {"alpha": 0.2}), ("HardSigmoid", {"alpha": 0.2})),
    (("gelu", {"approximate": "tanh"}), ("GELU", {"approximate": "tanh"})),
]
LAYERS = {
    "elu": "ELU",
    "gelu": "GELU",
    "hard_sigmoid": "HardSigmoid",
    "hard_swish": "HardSwish",
    "leaky_relu": "LeakyReLU",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "sigmoid": "Sigmoid",
    "silu": "SiLU",
    "softplus": "Softplus",
    "tanh": "Tanh",
}
CONV = {"filters": 4, "kernel_size": 3, "padding": 1}


def layer_of(layer):
    return LAYERS.get(layer, layer) if isinstance(layer, str) else layer


def test_every_function_has_a_layer():
    assert NAMES == sorted(LAYERS)
    for name, layer in LAYERS.items():
        assert fastconv.create_layer(layer).acts_as == name


@pytest.mark.parametrize(("activation", "layer"), CASES, ids=repr)
def test_a_setting_is_the_layer_behind_and_so_is_what_a_network_fuses(activation, layer, rng):
    x = rng.standard_normal((3, 2, 6, 5)).astype("float32")
    y = rng.integers(0, 3, 3)
    behind = layer_of(layer)
    rows = [
        [("Conv2D", {**CONV, "activation": activation}), "Flatten"],
        [("Conv2D", CONV), behind, "Flatten"],
    ]
    tails = [[("Dense", {"units": 3, "activation": activation})], [("Dense", {"units": 3}), behind]]
    found, weights = [], None
    for row, tail in zip(rows, tails, strict=True):
        layers = [*row, *tail, ("Dense", {"units": 3})]
        net = fastconv.Sequential(layers, input_shape=(2, 6, 5), seed=1)
        net.set_weights(weights or net.weights())
        weights = net.weights()
        before = net(x)
        net.compile("sgd", "softmax_cross_entropy")
        net.train_on_batch(x, y)
        plans = [net.plan(3, training=training).peak for training in (False, True)]
        found.append((before, net(x), *net.weights().values(), plans))
    for one, other in zip(*found, strict=True):
        if isinstance(one, list):
            assert one == other
        else:
            assert_bits_equal(one, other)


@pytest.mark.parametrize(("activation", "layer"), CASES, ids=repr)
def test_a_fused_layer_keeps_what_layers_promise(activation, layer):
    check_layer("Dense", (3, 5), units=4, activation=activation)
    check_layer("Conv2D", (2, 2, 4, 5), filters=3, kernel_size=2, activation=activation)


@pytest.mark.parametrize("activation", NAMES)
def test_what_is_saved_is_what_costs_say(activation, rng):
    layer = fastconv.create_layer("Conv2D", **CONV, activation=activation)
    layer.ensure_built(0, Spec((2, 6, 5)))
    x = rng.standard_normal((3, 2, 6, 5)).astype("float32")
    ctx = Context(True, needs=[True], needs_params=frozenset(layer.parameters))
    y = layer.forward(ctx, x)
    costs = layer.costs(3, Spec((2, 6, 5)), training=True)
    others = [a for a in ctx.saved if not np.shares_memory(a, x) and not np.shares_memory(a, y)]
    assert sum(a.nbytes for a in others) == costs.saved
    assert ("output" in costs.keeps) == any(np.shares_memory(a, y) for a in ctx.saved)
    assert layer.costs(3, Spec((2, 6, 5))).saved == 0


@pytest.mark.parametrize("activation", NAMES)
def test_in_inference_the_output_of_a_convolution_is_overwritten(activation, rng):
    x = rng.standard_normal((3, 2, 6, 5)).astype("float32")
    for layers in (
        [("Conv2D", {**CONV, "activation": activation})],
        [("Conv2D", CONV), activation],
    ):
        layers = [layer_of(layer) for layer in layers]
        net = fastconv.Sequential(layers, input_shape=(2, 6, 5), seed=1)
        net(x)
        with memory.track() as used:
            y = net(x)
        assert used.output == y.nbytes


def test_settings_are_written_read_copied_and_pickled():
    layer = fastconv.create_layer("Dense", units=2, activation=("elu", {"alpha": 0.5}))
    written = json.loads(json.dumps(layer.to_config()))
    assert written["activation"] == ["elu", {"alpha": 0.5}]
    assert fastconv.create_layer("Dense", **written).function == activations.ELU(0.5)
    for same in (pickle.loads(pickle.dumps(layer)), layer.twin()):
        assert same.function == activations.ELU(0.5)
    twin = layer.twin()
    twin.activation = "relu"
    assert (twin.function.name, layer.function.name) == ("relu", "elu")
    vars(twin).pop("function")  # as in pickles of earlier versions
    assert twin.function == activations.ReLU()
    net = fastconv.from_config(
        {"input_shape": [3], "layers": [["Dense", {"units": 2, "activation": "silu"}]]}
    )
    assert net.to_config()["nodes"][0]["config"]["activation"] == "silu"


@pytest.mark.parametrize(
    ("activation", "error", "text"),
    [
        ("swish", UnknownNameError, "did you mean 'silu'"),
        ("LeakyReLU", UnknownNameError, "did you mean 'leaky_relu'"),
        ("nn.GELU", UnknownNameError, "did you mean 'gelu'"),
        ("HardSwish", UnknownNameError, "did you mean 'hard_swish'"),
        ("hardsigmoid", UnknownNameError, "did you mean 'hard_sigmoid'"),
        ("Relu", UnknownNameError, "did you mean 'relu'"),
        ("softmax", ArgumentError, "put a Softmax layer behind it"),
        ("linear", ArgumentError, "leave it out: None is no activation"),
        ("prelu", ArgumentError, "put a PReLU layer behind it"),
        (3, ArgumentTypeError, r"must be None, a name or \(name, {...}\)"),
        (np.tanh, ArgumentTypeError, "give its name, or put a layer behind"),
        (["relu"], ArgumentTypeError, "must be None, a name"),
        (("elu", {"beta": 1}), ConfigError, "beta is unknown"),
        (("elu", {"negative_slope": 1}), ConfigError, "negative_slope is unknown"),
        (("leaky_relu", {"alpha": 1}), ConfigError, "did you mean 'negative_slope'"),
        (("relu6", {"max_value": 1}), ConfigError, "it has none"),
        (("elu", {"alpha": -1}), ArgumentError, "alpha must be at least 0"),
    ],
    ids=repr,
)
def test_wrong_activations_are_told(activation, error, text):
    for name, settings in (("Conv2D", CONV), ("Dense", {"units": 2})):
        with pytest.raises(error, match=text):
            fastconv.create_layer(name, **settings, activation=activation)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("nn.SiLU", "SiLU"),
        ("swish", "SiLU"),
        ("Swish", "SiLU"),
        ("LeakyRelu", "LeakyReLU"),
        ("leaky_relu", "LeakyReLU"),
        ("Hardswish", "HardSwish"),
        ("nn.Hardsigmoid", "HardSigmoid"),
        ("nn.gelu", "GELU"),
        ("nn.Elu", "ELU"),
        ("PRelu", "PReLU"),
        ("relu_6", "ReLU6"),
        ("softplus", "Softplus"),
        ("rescaling", "Rescaling"),
        ("nn.identity", "Identity"),
    ],
)
def test_names_of_other_libraries_lead_to_layers(name, meant):
    with pytest.raises(UnknownNameError, match=f"did you mean '{meant}'"):
        fastconv.create_layer(name)


@pytest.mark.parametrize(
    ("layer", "setting", "meant"),
    [
        ("LeakyReLU", "alpha", "negative_slope"),
        ("LeakyReLU", "slope", "negative_slope"),
        ("GELU", "approximation", "approximate"),
    ],
)
def test_settings_of_other_libraries_get_a_hint(layer, setting, meant):
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'"):
        fastconv.create_layer(layer, **{setting: 0.1})


def test_a_loss_is_held_against_the_activation_of_the_last_layer():
    net = fastconv.Sequential([("Dense", {"units": 3, "activation": "sigmoid"})], (4,))
    with pytest.raises(ArgumentError, match="after a Sigmoid layer"):
        net.compile("sgd", "softmax_cross_entropy")
    net = fastconv.Sequential([("Dense", {"units": 3, "activation": "leaky_relu"})], (4,))
    net.compile("sgd", "softmax_cross_entropy")


def test_a_subclass_that_computes_something_else_is_asked():
    class Gate(fastconv.layers.Sigmoid):
        def apply(self, x):
            return functional.sigmoid(2 * x)

        def gradient(self, dy, y):
            return 2 * functional.sigmoid_backward(dy, y)

    x = np.linspace(-1, 1, 12).reshape(3, 4)
    assert Gate.acts_as is None
    for may_overwrite in (False, True):
        ctx = Context(needs=[True])
        ctx.may_overwrite = may_overwrite
        y = Gate().forward(ctx, x.copy())
        assert_bits_equal(y, functional.sigmoid(2 * x))
        due = 2 * functional.sigmoid_backward(np.ones_like(x), y)
        assert_bits_equal(Gate().backward(ctx, np.ones_like(x)), due)
