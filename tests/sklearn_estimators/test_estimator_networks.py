"""What `model` may be, and the small network that is there where it is None."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentTypeError, ConfigError, ShapeError, UnknownNameError
from fastconv.sklearn.networks import make_network, small_layers

LAYERS = ["Flatten", ("Dense", {"units": 3})]
SHAPE = (1, 28, 28)


def made(model, shape=SHAPE, outputs=3, seed=1):
    return make_network("f", model, shape, outputs, seed)


def layers_of(shape, outputs=3):
    return LAYERS


def own_network(input_shape, outputs, seed):
    return fastconv.Sequential(["Flatten", ("Dense", {"units": outputs})], input_shape, seed=seed)


@pytest.mark.parametrize(
    "model",
    [
        None,
        "LeNet5",
        ("SimpleConvNet", {"filters": 4}),
        ["SimpleConvNet", {"filters": 4}],
        LAYERS,
        tuple(LAYERS),
        [fastconv.layers.Flatten(), fastconv.layers.Dense(3)],
        {"layers": LAYERS},
        {"input_shape": SHAPE, "layers": LAYERS},
        fastconv.Sequential(LAYERS, SHAPE, seed=1),
        layers_of,
        functools.partial(layers_of, outputs=7),
        own_network,
        lambda shape, outputs: {"layers": ["Flatten", ("Dense", {"units": outputs})]},
        lambda shape, outputs: ("SimpleConvNet", {"hidden": 5}),
    ],
    ids=lambda model: re.sub(r" at 0x\w+", "", str(model)),
)
def test_a_network_of_whatever_model_is(model):
    if isinstance(model, functools.partial):
        model = functools.partial(lambda prefix, shape, outputs: LAYERS, "prefix")
    one, two = made(model), made(model)
    assert one.input_specs()[0].shape == SHAPE and one.output_specs()[0].shape == (3,)
    assert one.seed == 1
    for key, array in one.weights().items():
        np.testing.assert_array_equal(array, two.weights()[key])
    x = np.ones((2, *SHAPE), np.float32)
    assert np.isfinite(one(x)).all() and one(x).shape == (2, 3)


def test_settings_are_those_that_are_given():
    assert made(("SimpleConvNet", {"filters": 4}))["conv1"].params["weight"].shape[0] == 4
    digits = made(("DigitsNet", {"weights": "digits"}), (1, 8, 8), 10)
    known = fastconv.create_model("DigitsNet", weights="digits")
    for key, array in digits.weights().items():
        np.testing.assert_array_equal(array, known.weights()[key])


def test_a_registered_function_gets_what_it_has_settings_for():
    with registry.isolated():
        fastconv.register_model("acme.Fixed.v1")(lambda: {"input_shape": [5], "layers": LAYERS})
        assert made("acme.Fixed", (5,)).output_specs()[0].shape == (3,)
        given = fastconv.Sequential(LAYERS, (5,), seed=9)
        fastconv.register_model("acme.Net.v1")(lambda: given)
        assert made("acme.Net", (5,)).seed == 1


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        (3, ArgumentTypeError, "^f: model must be None, the name of a network"),
        (fastconv.Sequential, ArgumentTypeError, "^f: model must be None, the name of a network"),
        (fastconv.layers.Dense(3), ArgumentTypeError, "^f: model must be None, the name"),
        ("LeNet", UnknownNameError, "LeNet5"),
        (("LeNet5", {"filters": 3}), ConfigError, "filters"),
        (["Flatten", ("Dense", {"units": 4})], ShapeError, r"one output \(N, 3\), got \(N, 4\)"),
        ("UNet", ShapeError, r"one output \(N, 3\)"),
        (["Flatten", "Dense"], ConfigError, "units"),
        (lambda shape, outputs: None, ArgumentTypeError, "^f: model must return a network"),
    ],
)
def test_what_no_network_can_be_made_of_is_told(model, error, said):
    with pytest.raises(error, match=said):
        made(model, (1, 32, 32))


def test_a_network_of_two_inputs_is_told():
    a, b = fastconv.Input((3,)), fastconv.Input((3,))
    two = fastconv.Model([a, b], fastconv.create_layer("Add")(a, b))
    with pytest.raises(ShapeError, match="must be a network of one input"):
        made(two, (3,))


@pytest.mark.parametrize(
    ("shape", "filters", "last"),
    [
        ((1, 8, 8), [16], (16, 4, 4)),
        ((3, 32, 32), [16, 32, 64], (64, 4, 4)),
        ((3, 224, 224), [16, 32, 64, 128, 128], (128, 7, 7)),
        ((1, 1, 1), [16], (16, 1, 1)),
        ((2, 1, 40), [16, 32, 64], (64, 1, 5)),
        ((4, 100), [16, 32, 64, 128], (128, 6)),
    ],
)
def test_the_small_network_halves_its_maps(shape, filters, last):
    layers = small_layers("f", shape, 5)
    assert [layer[1]["filters"] for layer in layers if "filters" in layer[1]] == filters
    net = fastconv.Sequential(layers, shape, seed=0)
    before = [layer.name for layer in net.layers].index("flatten_1") - 1
    x = np.ones((2, *shape), np.float32)
    assert net.intermediate(x, net.layers[before].name).shape == (2, *last)
    assert net(x).shape == (2, 5)


def test_the_small_network_of_features():
    assert [layer[0] for layer in small_layers("f", (4,), 5)] == ["Flatten"] + ["Dense"] * 3
