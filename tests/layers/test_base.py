"""What every layer has from its base class."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError, FastconvError, ShapeError
from fastconv.initializers import Gaussian
from fastconv.layers import BatchNorm, Context, Conv2D, Dense, Flatten, Layer, ReLU, Spec
from fastconv.testing import assert_bits_equal


class Scale(Layer):
    """A layer outside the registry."""

    def __init__(self, factor=2.0, *, shape=(1, 2)):
        self.factor = factor

    def infer(self, *specs):
        return specs[0]


class Twice(Scale):
    """One whose base class takes settings too."""

    def __init__(self, times=2):
        super().__init__(factor=times, shape=())


def built(layer, *shapes, seed=0, dtype="float32"):
    layer.ensure_built(seed, *(Spec(shape, dtype) for shape in shapes))
    return layer


def test_settings_are_recorded_with_defaults():
    layer = Conv2D(3, (2, 1), stride=np.int8(2), padding=[[1, 0], [0, 1]], name="first")
    assert layer.name == "first" and "name" not in layer.config
    assert layer.config["stride"] == 2 and type(layer.config["stride"]) is int
    assert layer.config["kernel_size"] == (2, 1)
    assert layer.config["padding"] == ((1, 0), (0, 1))
    assert layer.to_config() == {
        "filters": 3,
        "kernel_size": [2, 1],
        "stride": 2,
        "padding": [[1, 0], [0, 1]],
        "dilation": 1,
        "groups": 1,
        "bias": True,
        "activation": None,
        "algorithm": "auto",
        "precision": "standard",
        "initializer": "he",
    }


def test_settings_cannot_be_changed_from_outside():
    sides = [1, 2]
    layer = Scale(shape=sides)
    sides.append(3)
    layer.config["factor"] = 5
    assert layer.config == {"factor": 2.0, "shape": (1, 2)}


def test_the_outermost_class_is_recorded():
    assert Twice(3).config == {"times": 3} and Twice(3).factor == 3
    assert type("Plain", (Twice,), {})(times=4).config == {"times": 4}


def test_a_layer_without_settings_takes_a_name():
    assert ReLU(name="r").name == "r" and ReLU().name is None
    assert repr(ReLU(name="r")) == "ReLU(name='r')" and repr(Dense(3)).startswith("Dense(units=3")


@pytest.mark.parametrize("name", [3, "", "a/b", b"a", ["a"], True])
def test_a_name_is_a_text_without_slash(name):
    with pytest.raises(ArgumentTypeError, match="Dense: name must be a text without '/', got"):
        Dense(3, name=name)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Conv2D(3, 3, strides=2), "Conv2D: strides is unknown.*did you mean 'stride'"),
        (lambda: Conv2D(3), "Conv2D: kernel_size is missing, Conv2D needs filters and kernel_size"),
        (lambda: Dense(units=3, in_features=4), "in_features is unknown.*follows from the input"),
        (lambda: Dense(3, 4), "Dense: units alone may .*, got 2 .*; write bias=...,"),
        (lambda: ReLU(inplace=True), "ReLU: inplace is unknown, ReLU has no such setting; it has"),
    ],
)
def test_arguments_that_do_not_fit_are_named(make, text):
    with pytest.raises(ArgumentTypeError, match=text):
        make()


def test_settings_must_have_names_of_their_own():
    with pytest.raises(ArgumentTypeError, match="settings must be named"):
        type("Bad", (Layer,), {"__init__": lambda self, *sizes: None})
    with pytest.raises(ArgumentTypeError, match="'name' belongs to the base class"):
        type("Bad", (Layer,), {"__init__": lambda self, name: None})


def test_an_initializer_instance_is_written_by_name():
    layer = Dense(3, initializer=Gaussian(0.5))
    assert layer.to_config()["initializer"] == ["gaussian", {"std": 0.5}]
    again = fastconv.create_layer("Dense", **json.loads(json.dumps(layer.to_config())))
    assert_bits_equal(built(again, (4,)).params["weight"], built(layer, (4,)).params["weight"])


def test_a_setting_that_json_cannot_hold_is_an_error_when_written():
    layer = built(Dense(3, initializer=lambda rng, shape, fan_in, dtype: np.ones(shape)), (4,))
    assert layer.params["weight"].dtype == "float32"
    with pytest.raises(ConfigError, match="Dense: initializer must be a name.*register it"):
        layer.to_config()
    with pytest.raises(ConfigError, match="Scale: the class must be registered to be written"):
        _ = Scale().registered_name


def test_params_are_read_only_views_and_change_through_set_params():
    layer = built(Dense(2), (3,))
    params = layer.params
    with pytest.raises(ValueError, match="read-only"):
        params["weight"][0] = 1
    with pytest.raises(TypeError):
        params["weight"] = np.ones((2, 3))
    layer.set_params(weight=np.arange(6).reshape(2, 3), bias=[1, 2])
    assert layer.params["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert layer.params["weight"].dtype == "float32"
    layer.set_params(weight=layer.params["weight"][::-1])
    assert layer.params["weight"].tolist() == [[3, 4, 5], [0, 1, 2]]


@pytest.mark.parametrize(
    ("arrays", "error", "text"),
    [
        ({"wieght": 1}, ArgumentError, "head: a parameter must exist, got 'wieght'; it has weight"),
        ({"zzz": 1}, ArgumentError, "it has weight and bias"),
        ({"weight": np.ones((3, 2))}, ShapeError, r"weight must have shape \(2, 3\), got \(3, 2\)"),
        ({"bias": 1.0}, ShapeError, r"bias must have shape \(2,\), got \(\)"),
        ({"bias": None}, ArgumentTypeError, "bias must be an array of real numbers"),
        ({"bias": ["1", "2"]}, ArgumentTypeError, "bias must be an array of real numbers"),
        ({"bias": [True, False]}, ArgumentTypeError, "got a list that holds bool"),
        ({"bias": [1j, 2]}, ArgumentTypeError, "a list that holds complex"),
        ({"bias": [object(), 2]}, ArgumentTypeError, "a list that holds object"),
        ({"bias": np.ma.zeros(2)}, ArgumentTypeError, "got a masked one; use .filled"),
        ({"bias": [1e300, 2]}, ArgumentTypeError, "bias must fit float32, got values up to 1e"),
        ({"bias": [10**400, 2]}, ArgumentTypeError, "of object"),
    ],
)
def test_set_params_changes_all_or_nothing(arrays, error, text):
    layer = built(Dense(2, name="head"), (3,))
    before = {name: value.copy() for name, value in layer.params.items()}
    with pytest.raises(error, match=text):
        layer.set_params(**({"weight": np.ones((2, 3))} | arrays))
    for name, value in before.items():
        assert_bits_equal(layer.params[name], value)


def test_infinities_and_nan_may_be_set():
    layer = built(Dense(2), (3,))
    layer.set_params(bias=np.array([np.inf, np.nan]))
    assert np.isinf(layer.params["bias"][0]) and np.isnan(layer.params["bias"][1])


def test_a_layer_that_is_not_built_says_so():
    with pytest.raises(ArgumentError, match="must exist, got 'weight'; .*a model is made of it"):
        Dense(2).set_params(weight=1)
    with pytest.raises(FastconvError, match="Dense: the layer must be built before it is used"):
        Dense(2).forward(Context(), np.ones((1, 2), "float32"))
    with pytest.raises(FastconvError, match="must be added in build"):
        Dense(2).add_param("weight", (2,))


def test_building_is_done_once_and_repeats_with_the_seed():
    first, second, other = (built(Conv2D(2, 3), (1, 4, 4), seed=s) for s in (0, 0, 1))
    assert_bits_equal(first.params["weight"], second.params["weight"])
    assert (first.params["weight"] != other.params["weight"]).any()
    kept = first.params["weight"].copy()
    built(first, (1, 4, 4), seed=5)
    assert_bits_equal(first.params["weight"], kept)


def test_a_shared_layer_takes_inputs_that_fit_its_parameters():
    layer = built(Conv2D(2, 3), (3, 8, 8))
    built(layer, (3, 5, 7))
    with pytest.raises(ShapeError, match=r"weight must be \(2, 4, 3, 3\) .*got \(2, 3, 3, 3"):
        built(layer, (4, 8, 8))
    with pytest.raises(ShapeError, match="must be .* float64 for .*, got .* float32"):
        built(layer, (3, 8, 8), dtype="float64")
    built(built(ReLU(), (3,)), (4, 5, 6), dtype="float64")


def test_an_initializer_of_the_wrong_shape_is_an_error():
    layer = Dense(2, initializer=lambda rng, shape, fan_in, dtype: np.ones(3))
    with pytest.raises(ShapeError, match=r"weight must start with shape \(2, 3\), got \(3,\)"):
        built(layer, (3,))


@pytest.mark.parametrize(
    ("start", "text"),
    [
        (np.ones(3) * 1j, "Scale: the start of weight must be an array of real numbers, got nda"),
        (np.array(["1", "2", "3"]), "the start of weight must be an array of real numbers"),
        (np.zeros(3, "datetime64[s]"), "the start of weight must be an array of real numbers"),
        (np.ma.masked_array(np.ones(3), [1, 0, 0]), "must be a plain array, got a masked one"),
        (np.full(3, 1e300), r"the start of weight must fit float32, got values up to 1e\+300"),
        ([[1.0], [1.0, 2.0]], "the lists in it must be equally long"),
        (None, "the start of weight must be an array of real numbers, got NoneType"),
    ],
)
def test_a_start_that_is_none_is_named(start, text):
    class Scale(Layer):
        def infer(self, *specs):
            return specs[0]

        def build(self, rng, *specs):
            self.add_param("weight", specs[0].shape, lambda *_: start)

    with pytest.raises(ArgumentTypeError, match=text):
        built(Scale(), (3,))
    start = [1, 2, 3]
    assert built(Scale(), (3,)).params["weight"].tolist() == start


@pytest.mark.parametrize("second", ["add_param", "add_state"])
def test_a_parameter_and_a_statistic_have_names_of_their_own(second):
    class Twice(Layer):
        def infer(self, *specs):
            return specs[0]

        def build(self, rng, *specs):
            self.add_param("scale", (3,))
            getattr(self, second)("scale", (3,))

    match = "Twice: parameters and statistics must have names of their own, got 'scale' twice"
    with pytest.raises(ArgumentError, match=match):
        built(Twice(), (3,))
    with pytest.raises(FastconvError, match=match):
        fastconv.Sequential([Twice()], (3,))


def test_a_parameter_may_have_a_slash_in_its_name():
    class Gate(Layer):
        def infer(self, *specs):
            return specs[0]

        def build(self, rng, *specs):
            self.add_param("gate/weight", specs[0].shape, "ones")

    net = fastconv.Sequential([Gate(name="g")], (3,))
    net.freeze("g")
    assert net["g"].frozen
    assert "(N, 3)           3" in net.summary()
    assert "3 parameters, 3 of them frozen" in net.summary()


def test_copies_and_pickles_are_independent_and_leave_caches_behind():
    layer = built(Conv2D(40, 3, name="c"), (2, 5, 5))
    x = np.ones((1, 2, 5, 5), "float32")
    y = layer.forward(Context(), x)
    assert layer.parameters["weight"].packed_nbytes > 0
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.name == "c" and other.config == layer.config
        assert other.parameters["weight"].packed_nbytes == 0
        assert_bits_equal(other.forward(Context(), x), y)
        other.set_params(weight=np.zeros((40, 2, 3, 3)))
    assert_bits_equal(layer.forward(Context(), x), y)


def test_packed_weights_are_made_again_only_after_a_change():
    layer = built(Dense(40), (6,))
    x = np.ones((2, 6), "float32")
    layer.forward(Context(), x)
    weight = layer.parameters["weight"]
    packed = weight.packed("dense", None)  # in the cache, so nothing is made
    layer.forward(Context(), x)
    assert weight.packed("dense", None) is packed
    layer.set_params(weight=np.zeros((40, 6)))
    assert not layer.forward(Context(), x).any()


def test_training_packs_nothing_for_keeps():
    layer = built(Dense(40), (6,))
    layer.forward(Context(True), np.ones((2, 6), "float32"))
    assert layer.parameters["weight"].packed_nbytes == 0


def test_weights_that_are_dropped_live_on_in_packed_form():
    layer = built(Conv2D(40, 3), (2, 5, 5))
    x = np.ones((1, 2, 5, 5), "float32")
    y = layer.forward(Context(), x)
    layer.parameters["weight"].release()
    assert layer.parameters["weight"].nbytes == 0 and layer.parameters["weight"].size == 720
    for other in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_bits_equal(other.forward(Context(), x), y)
    with pytest.raises(FastconvError, match="weight: the plain value must be kept to be read"):
        _ = layer.params["weight"]


def test_methods_that_are_missing_are_named():
    bare = type("Bare", (Layer,), {})()
    calls = {
        "infer": lambda: bare.infer(),
        "forward": lambda: bare.forward(Context()),
        "backward": lambda: bare.backward(Context(), np.ones(1)),
    }
    for method, call in calls.items():
        with pytest.raises(NotImplementedError, match=f"Bare: {method} must be defined"):
            call()
    assert bare.costs(1, training=True).estimated


def test_frozen_statistics_are_no_parameters():
    layer = built(BatchNorm(), (3, 2, 2))
    assert set(layer.params) == {"weight", "bias"}
    assert set(layer.state) == {"running_mean", "running_var"}
    assert not any(p.trainable for p in layer.states.values())


def test_a_registered_class_is_known_by_its_versioned_name():
    with registry.isolated():
        fastconv.register_layer("acme.Scale.v3")(Scale)
        assert Scale().registered_name == "acme.Scale.v3"
        assert Scale(shape=(3,)).to_config() == {"factor": 2.0, "shape": [3]}
    assert Flatten().registered_name == "fastconv.Flatten.v1"


def test_a_dataclass_is_refused():
    with pytest.raises(ArgumentTypeError, match="Blur: __init__ must be .* @dataclass makes it"):

        @fastconv.register_layer("acme.Blur.v1")
        @dataclass
        class Blur(Layer):
            size: int = 3

    with registry.isolated():

        @dataclass
        @fastconv.register_layer("acme.Blur.v1")
        class Blur(Layer):  # noqa: F811
            size: int = 3

            def infer(self, *specs):
                return specs[0]

        for use in (lambda: Blur().config, lambda: Blur().name, lambda: Blur().param("weight")):
            with pytest.raises(FastconvError, match="Blur: __init__ must be written in the class"):
                use()
        with pytest.raises(ArgumentTypeError, match="@dataclass makes it"):
            fastconv.Sequential([Blur()], (3,))


def test_several_nodes_are_given_one_by_one():
    nodes = [fastconv.Input((3,)), fastconv.Input((3,))]
    with pytest.raises(ArgumentTypeError, match=r"got a list; write Add\(...\)\(a, b\)"):
        fastconv.create_layer("Add")(nodes)


def test_same_in_capitals_gets_a_hint():
    with pytest.raises(ArgumentError, match="got 'SAME'; did you mean 'same'?"):
        Conv2D(3, 3, padding="SAME")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "Scale: factor must be finite to be written, got nan"),
        (np.float32("inf"), "Scale: factor must be finite"),
        ([1.0, float("-inf")], "Scale: factor must be finite"),
        ({"a": {"b": float("nan")}}, r"Scale: factor\.a\.b must be finite"),
        ({1: 2}, "Scale: factor must have keys that are texts to be written, got 1"),
        ({"\ud800": 2}, "Scale: factor must have keys that are texts"),
        ("\ud800", "Scale: factor must be a text in Unicode"),
        (10**19, "Scale: factor must have at most 19 digits"),
        (-(10**300), "Scale: factor must have at most 19 digits"),
    ],
)
def test_a_setting_that_no_file_can_hold_is_named(value, text, tmp_path):
    with registry.isolated():
        fastconv.register_layer("acme.Scale.v1")(Scale)
        net = fastconv.Sequential([Scale(value)], input_shape=(4,))
        with pytest.raises(ConfigError, match=text):
            net.to_config()
        with pytest.raises(ConfigError, match=text):
            net.save(tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_settings_by_position_alone_are_refused_with_the_class():
    with pytest.raises(ArgumentTypeError, match=r"settings must be named.*got \(self, a, /\)"):

        class Bad(Layer):
            def __init__(self, a, /):
                pass

    class Good(Layer):
        def __init__(self, /, a=1):
            pass

    assert Good(a=2).config == {"a": 2}


def test_a_layer_that_infers_no_spec_is_named():
    class Broken(Layer):
        def infer(self, *specs):
            return (3,)

    with pytest.raises(ArgumentTypeError, match="Broken: infer must return a Spec, got tuple"):
        Broken()(fastconv.Input((3,)))
    with pytest.raises(ArgumentTypeError, match="Broken 'mine': infer must return a Spec"):
        Broken(name="mine")(fastconv.Input((3,)))
    with pytest.raises(ConfigError, match=r"layers\[0\]: Broken: infer must return a Spec"):
        fastconv.Sequential([Broken()], input_shape=(3,))
