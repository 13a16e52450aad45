"""What users hold: inputs, names, freezing, summaries, the catalogue."""

from __future__ import annotations

import numpy as np
import pytest
from networks import book, branches, random_like, small

import fastconv
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConfigError,
    ShapeError,
    UnknownNameError,
)
from fastconv.testing import assert_bits_equal

create = fastconv.create_layer


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", ">f4", "float16", "bool"])
def test_a_network_casts_what_it_is_given(dtype, rng):
    net = book()
    x = rng.integers(0, 2, (2, 1, 28, 28)).astype(dtype)
    y = net(x)
    assert y.dtype == np.float32
    assert_bits_equal(y, net(x.astype("float32")))


def test_what_float32_cannot_hold_is_infinite():
    assert fastconv.Sequential(["ReLU"], (1,))([[1e300]])[0, 0] == np.inf


def test_lists_views_and_subclasses_are_right(rng):
    net = small("float64")
    x = random_like(net, rng)
    expected = net(x)
    assert_bits_equal(net(x.tolist()), expected)
    assert_bits_equal(net(np.asfortranarray(x)), expected)
    assert_bits_equal(net(np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1]), expected)
    read_only = x.copy()
    read_only.flags.writeable = False
    assert_bits_equal(net(read_only), expected)


SHAPES = [
    ((5, 28, 28), r"shape \(N, 1, 28, 28\), got \(5, 28, 28\); add the channel: x\[:, None\]"),
    ((5, 28, 28, 1), r"the channels come first here: x.transpose\(0, 3, 1, 2\)"),
    ((1, 28, 28), r"one example needs a batch of its own: x\[None\]"),
    ((5, 784), r"x.reshape\(-1, 1, 28, 28\) has it"),
    ((5, 3, 28, 28), r"got \(5, 3, 28, 28\)$"),
    ((28, 28), r"got \(28, 28\)$"),
    ((), r"got \(\)$"),
    ((0,), r"got \(0,\)$"),
]


@pytest.mark.parametrize(("shape", "text"), SHAPES)
def test_a_wrong_shape_is_an_error_that_says_how_to_reshape(shape, text):
    with pytest.raises(ShapeError, match=text):
        book()(np.zeros(shape))
    with pytest.raises(ShapeError):
        book().predict(np.zeros(shape))


@pytest.mark.parametrize(
    "x",
    [
        None,
        "abc",
        [[1, 2], [3]],
        np.zeros((1, 3), complex),
        np.zeros((1, 3), object),
        np.zeros((1, 3), "M8[s]"),
        np.ma.masked_array(np.zeros((1, 3)), mask=True),
        {"y": 1},
    ],
    ids=["None", "text", "ragged", "complex", "object", "dates", "masked", "unknown id"],
)
def test_what_is_not_made_of_real_numbers_is_refused(x):
    with pytest.raises(ArgumentTypeError, match="^Model: x must"):
        fastconv.Sequential(["ReLU"], (3,))(x)


def test_several_inputs_come_as_arguments_a_tuple_or_a_mapping(rng):
    net = branches()
    a, b = random_like(net, rng)
    expected = net(a, b)
    for given in ((a, b), [a, b], {"b": b, "a": a}):
        for one, other in zip(net(given), expected, strict=True):
            assert_bits_equal(one, other)
    assert [len(part) for part in net.predict((a, b), batch_size=2)] == [3, 3]
    with pytest.raises(ArgumentTypeError, match="must be a tuple of 2 arrays, a, b, got ndarray"):
        net(a)
    with pytest.raises(ArgumentTypeError, match="none for 'b'"):
        net({"a": a})
    with pytest.raises(ArgumentTypeError, match="got 'c'"):
        net({"a": a, "c": b})
    with pytest.raises(ShapeError, match="equally many examples, got 3, 2"):
        net(a, b[:2])


def test_one_seed_makes_the_same_weights():
    one, two, other = small(seed=1).weights(), small(seed=1).weights(), small(seed=2).weights()
    for key, value in one.items():
        assert_bits_equal(value, two[key])
    assert not np.array_equal(one["dense_1/weight"], other["dense_1/weight"])
    assert fastconv.Sequential(["ReLU"], (3,)).seed != fastconv.Sequential(["ReLU"], (3,)).seed


def test_the_weights_of_a_configuration_are_those_of_the_class():
    made = fastconv.from_config(small().to_config(), seed=0).weights()
    for key, value in small(seed=0).weights().items():
        assert_bits_equal(made[key], value)


def test_layers_by_name():
    net = book()
    assert [type(layer).__name__ for layer in net.layers][:3] == ["Conv2D", "ReLU", "MaxPool2D"]
    assert net["dense_2"].params["weight"].shape == (10, 100)
    for wrong in ("dense_3", 0, None):
        with pytest.raises(UnknownNameError, match="name must be of a layer"):
            net[wrong]


def test_changed_weights_are_packed_anew(rng):
    net = small()
    x = random_like(net, rng)
    net(x)
    net["conv2d_1"].set_params(weight=np.zeros((4, 2, 3, 3)))
    net["conv2d_2"].set_params(weight=np.zeros((4, 4, 3, 3)), bias=np.zeros(4))
    assert_bits_equal(net(x), np.zeros((3, 3), "float32"))


def test_weights_are_copies():
    net = small()
    net.weights()["dense_1/bias"][:] = 7
    assert net.weights()["dense_1/bias"].sum() == 0


def test_count_params_counts_a_shared_layer_once_and_statistics_never():
    assert book().count_params() == 433_890
    assert branches().count_params() == (3 * 2 * 9 + 3) + (6 * 4 + 4)
    net = small()
    learned = net.count_params()
    assert sum(value.size for value in net.weights().values()) == learned + 8
    net.freeze()
    assert net.count_params() == learned


def test_freeze_takes_layers_or_keys():
    net = small()
    everything = list(net.trainable_parameters())
    net.freeze("conv*")
    assert list(net.trainable_parameters()) == [k for k in everything if not k.startswith("conv")]
    net.unfreeze("*/weight")
    assert "conv2d_1/weight" in net.trainable_parameters()
    assert "conv2d_1/bias" not in net.trainable_parameters()
    net.unfreeze("*")
    assert list(net.trainable_parameters()) == everything
    with pytest.raises(ArgumentError, match="freeze: pattern must match a layer, got 'konv'"):
        net.freeze("konv")
    with pytest.raises(ArgumentTypeError, match="pattern must be a text"):
        net.freeze(3)


def test_summary():
    assert small().summary().splitlines() == [
        "id            layer      output        parameters  from",
        "------------  ---------  ------------  ----------  ----",
        "x             Input      (N, 2, 8, 8)           0",
        "conv2d_1      Conv2D     (N, 4, 8, 8)          76",
        "batch_norm_1  BatchNorm  (N, 4, 8, 8)           8",
        "relu_1        ReLU       (N, 4, 8, 8)           0",
        "max_pool2d_1  MaxPool2D  (N, 4, 4, 4)           0",
        "conv2d_2      Conv2D     (N, 4, 2, 2)         148",
        "relu_2        ReLU       (N, 4, 2, 2)           0",
        "flatten_1     Flatten    (N, 16)                0",
        "dropout_1     Dropout    (N, 16)                0",
        "dense_1       Dense      (N, 3)                51",
        "283 parameters; 8 statistics; 1.14 KiB in float32",
    ]


def test_the_summary_of_a_graph_says_who_reads_whom():
    net = branches()
    net.freeze("head")
    text = net.summary()
    assert any(line.split()[1:4] == ["use", "of", "twice"] for line in text.splitlines())
    assert "twice, twice@2, sigmoid_1" in text
    assert "85 parameters, 28 of them frozen" in text
    assert text.endswith("outputs: head, multiply_1")


def test_the_article_and_the_book_count_as_published():
    def count(layers, shape):
        return fastconv.Sequential(layers, shape).count_params()

    def conv(filters, size, **more):
        return ("Conv2D", {"filters": filters, "kernel_size": size, **more})

    dense, pool = ("Dense", {"units": 10}), ("MaxPool2D", {"pool_size": 2})
    assert count([conv(128, 3), pool, "Flatten", dense], (1, 28, 28)) == 217_610
    assert count([conv(128, 4), pool, "Flatten", dense], (1, 28, 28)) == 186_506


def test_models_by_name():
    with fastconv.registry.isolated():

        @fastconv.register_model("acme.Tiny.v1")
        def tiny(units: int = 10):
            return {"input_shape": [4], "layers": [["Dense", {"units": units}]]}

        assert fastconv.list_models("ACME*") == ["acme.Tiny"]
        net = fastconv.create_model("acme.Tiny", units=3, name="mine", seed=1)
        assert (net.count_params(), net.name, net.seed) == (15, "mine", 1)
        with pytest.raises(ConfigError, match="unit is unknown.*did you mean 'units'"):
            fastconv.create_model("acme.Tiny", unit=3)
        with pytest.raises(ConfigError, match="units: must be at least 1"):
            fastconv.create_model("acme.Tiny", units=0)
    with pytest.raises(UnknownNameError, match="model must be a registered name"):
        fastconv.create_model("acme.Tiny")
    assert fastconv.create_model(tiny()).count_params() == 50
    with pytest.raises(ConfigError, match="a mapping takes no arguments"):
        fastconv.create_model(tiny(), units=3)


def test_repr():
    assert repr(book()) == "<Sequential of 7 layers, 433,890 parameters>"
    assert repr(fastconv.Input((1, 2), "float64")) == "<Node Input (N, 1, 2) float64>"
