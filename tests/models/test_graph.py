"""Nodes, names and what a graph refuses."""

from __future__ import annotations

import numpy as np
import pytest
from networks import branches, random_like, small

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError, ShapeError
from fastconv.models.graph.names import snake_case
from fastconv.testing import assert_bits_equal

create = fastconv.create_layer


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Conv2D", "conv2d"),
        ("MaxPool2D", "max_pool2d"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("ReLU", "relu"),
        ("GlobalAvgPool2D", "global_avg_pool2d"),
        ("BatchNorm", "batch_norm"),
    ],
)
def test_automatic_names_are_the_class_in_lower_snake(kind: str, name: str):
    assert snake_case(kind) == name


def test_automatic_names_count_per_model_and_go_around_chosen_ones():
    conv = ("Conv2D", {"filters": 1, "kernel_size": 1})
    layers = [conv, create("ReLU", name="conv2d_2"), conv, "ReLU"]
    net = fastconv.Sequential(layers, input_shape=(1, 2, 2))
    assert [step.id for step in net._graph.steps] == ["conv2d_1", "conv2d_2", "conv2d_3", "relu_1"]
    assert [layer.name for layer in net.layers] == ["conv2d_1", "conv2d_2", "conv2d_3", "relu_1"]


def test_a_shared_layer_is_one_name_and_several_nodes():
    net = branches()
    assert [name for name in net.weights() if name.startswith("twice")] == [
        "twice/weight",
        "twice/bias",
    ]
    config = net.to_config()
    assert [node for node in config["nodes"] if "use" in node] == [
        {"id": "twice@2", "use": "twice", "from": ["b"]}
    ]


def test_two_layers_with_one_chosen_name_are_refused():
    with pytest.raises(ConfigError, match="two layers or inputs are named 'same'"):
        fastconv.Sequential([create("ReLU", name="same"), create("Tanh", name="same")], (3,))


def test_a_shared_layer_on_inputs_of_two_kinds_is_refused():
    a, b = fastconv.Input((1, 8, 8)), fastconv.Input((2, 8, 8))
    conv = create("Conv2D", filters=2, kernel_size=3, name="conv")
    outputs = conv(a), conv(b)
    with pytest.raises(ShapeError, match=r"parameters of conv fit, weight is \(2, 1, 3, 3\)"):
        fastconv.Model((a, b), outputs)


def test_a_shared_convolution_may_see_images_of_two_sizes():
    a, b = fastconv.Input((1, 8, 8)), fastconv.Input((1, 5, 6))
    conv = create("Conv2D", filters=2, kernel_size=3)
    net = fastconv.Model((a, b), (conv(a), conv(b)))
    shapes = [y.shape for y in net(np.ones((2, 1, 8, 8)), np.ones((2, 1, 5, 6)))]
    assert shapes == [(2, 2, 6, 6), (2, 2, 3, 4)]


def test_a_model_called_on_a_node_is_inlined_with_its_weights(rng):
    part = small()
    x = fastconv.Input((2, 8, 8))
    whole = fastconv.Model(x, create("Softmax")(part(x)))
    assert whole["conv2d_1"] is part["conv2d_1"]
    batch = random_like(part, rng)
    again = fastconv.Sequential([part, "Softmax"], input_shape=(2, 8, 8))
    assert_bits_equal(whole(batch), again(batch))


def test_two_inlined_models_with_automatic_names_live_in_one():
    x = fastconv.Input((2, 8, 8))
    one, two = (fastconv.from_config(small(seed=seed).to_config()) for seed in (1, 2))
    net = fastconv.Model(x, create("Add")(one(x), two(x)))
    names = [step.id for step in net._graph.steps]
    assert len(set(names)) == len(names) == 19
    assert {"conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4"} <= set(names)


def test_what_outputs_do_not_need_is_left_out():
    x = fastconv.Input((4,))
    create("Dense", units=2)(x)
    net = fastconv.Model(x, create("ReLU")(x))
    assert [layer.name for layer in net.layers] == ["relu_1"]


def test_a_network_may_be_deeper_than_the_stack():
    node = x = fastconv.Input((3,))
    relu = create("ReLU")
    for _ in range(3000):
        node = relu(node)
    assert fastconv.Model(x, node)(np.full((1, 3), -1.0)).sum() == 0


def test_a_network_may_return_its_input_as_a_copy():
    x = fastconv.Input((3,))
    batch = np.ones((2, 3), "float32")
    out = fastconv.Model(x, x)(batch)
    assert_bits_equal(out, batch)
    assert not np.shares_memory(out, batch)


def test_outputs_are_never_views_of_what_was_given_or_of_each_other():
    x = fastconv.Input((2, 2, 2))
    flat, same = create("Flatten")(x), create("Dropout", rate=0.5)(x)
    relu = create("ReLU")(x)
    batch = np.ones((2, 2, 2, 2), "float32")
    outputs = fastconv.Model(x, (flat, same, relu, create("Flatten")(relu)))(batch)
    arrays = [*outputs, batch]
    pairs = [(a, b) for i, a in enumerate(arrays) for b in arrays[i + 1 :]]
    assert not any(np.may_share_memory(a, b) for a, b in pairs)


x = fastconv.Input((4,))
REFUSED = [
    (
        "an input that is missing",
        lambda: fastconv.Model(x, create("Add")(x, fastconv.Input((4,)))),
        ConfigError,
        "missing <Node Input",
    ),
    ("no outputs", lambda: fastconv.Model(x, []), ConfigError, "outputs must hold at least one"),
    ("an array for a node", lambda: fastconv.Model(x, np.ones(3)), ArgumentTypeError, "nodes"),
    ("an input twice", lambda: fastconv.Model([x, x], x), ConfigError, "given twice"),
    (
        "a made node for an input",
        lambda: fastconv.Model(create("ReLU")(x), x),
        ConfigError,
        "must come from fastconv.Input",
    ),
    (
        "two dtypes",
        lambda: fastconv.Model([x, fastconv.Input((4,), "float64")], x),
        ConfigError,
        "one dtype",
    ),
    (
        "two inputs of one name",
        lambda: fastconv.Model(two := [fastconv.Input((1,), name="x") for _ in range(2)], two),
        ConfigError,
        "'x' twice",
    ),
    (
        "a layer on an array",
        lambda: create("ReLU")(np.ones((1, 4))),
        ArgumentTypeError,
        "called on nodes, got",
    ),
    (
        "a layer on a shape it cannot take",
        lambda: create("Conv2D", filters=1, kernel_size=1)(x),
        ShapeError,
        "Conv2D",
    ),
    ("shape ()", lambda: fastconv.Input(()), ShapeError, "1 to 8 sizes"),
    ("shape with 0", lambda: fastconv.Input((0, 3)), ArgumentError, "at least 1"),
    ("shape 5", lambda: fastconv.Input(5), ArgumentTypeError, "sequence of integers"),
    ("shape with a float", lambda: fastconv.Input((1.5,)), ArgumentTypeError, "integer"),
    ("shape with True", lambda: fastconv.Input((True,)), ArgumentTypeError, "integer"),
    ("float16", lambda: fastconv.Input((3,), "float16"), ArgumentError, "float32"),
    ("a name with a slash", lambda: fastconv.Input((3,), name="a/b"), ArgumentError, "name must"),
    (
        "a layer's name with a star",
        lambda: fastconv.Model(x, create("ReLU", name="a*")(x)),
        ArgumentError,
        "ReLU: name must",
    ),
    ("a negative seed", lambda: fastconv.Model(x, x, seed=-1), ArgumentError, "seed must"),
]


@pytest.mark.parametrize(
    ("make", "error", "text"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("dtype", [None, np.float32, ["float32"], np.array(["float32", "a"])])
def test_the_dtype_of_an_input_is_a_text(dtype):
    with pytest.raises(ArgumentTypeError, match="Input: dtype must be 'float32', .*'bool', got"):
        fastconv.Input((3,), dtype)
    with pytest.raises(ArgumentError, match="Input: dtype must be .*'float16'"):
        fastconv.Input((3,), "float16")
