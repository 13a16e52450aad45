"""Inputs of integers: inferred, planned, run, trained, written and read; floats are refused."""

from __future__ import annotations

import copy
import json
import pickle
import warnings

import numpy as np
import pytest
from networks import as_tuple, traced

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError
from fastconv.testing import assert_bits_equal, check_layer

pytestmark = pytest.mark.usefixtures("plugins")
create, Input = fastconv.create_layer, fastconv.Input


def words(dtype="int64", entries=8, units=4, length=5):
    """A network on numbers of rows of a table."""
    layers = [
        ("acme.Table", {"entries": entries, "units": units}),
        "Flatten",
        ("Dense", {"units": 3}),
    ]
    return fastconv.Sequential(layers, (length,), dtype, seed=0)


def pixels():
    """A network on images of bytes."""
    layers = [
        "acme.Pixels",
        ("Conv2D", {"filters": 3, "kernel_size": 3}),
        "ReLU",
        "Flatten",
        ("Dense", {"units": 2}),
    ]
    return fastconv.Sequential(layers, (1, 6, 6), "uint8", seed=0)


def both():
    """Numbers of rows beside floats."""
    numbers, values = Input((5,), "int32", name="numbers"), Input((20,), name="values")
    rows = create("Flatten")(create("acme.Table")(numbers))
    return fastconv.Model((numbers, values), create("Add")(rows, values), seed=0)


def numbers(rng, rows=12, dtype="int64", length=5):
    return rng.integers(0, 8, (rows, length)).astype(dtype)


@pytest.mark.parametrize(
    ("name", "shape"), [("acme.Table", (3, 5)), ("acme.Pixels", (2, 3, 4)), ("acme.Above", (3, 4))]
)
def test_the_layers_keep_what_layers_promise(name, shape):
    check_layer(name, shape)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_a_table_is_inferred_and_runs(rng, dtype):
    net, x = words(dtype), numbers(rng, dtype=dtype)
    table, weights = net["table_1"].params["table"], net["dense_1"].params
    due = table[x].reshape(12, 20) @ weights["weight"].T + weights["bias"]
    assert table.dtype == "float32"
    y = net(x)
    np.testing.assert_allclose(y, due, rtol=1e-5, atol=1e-6)
    for found in (
        net.predict(x, 5),
        net.for_inference()(x),
        net(x.tolist()),
        net(x.astype("i1")),
        net(x.astype(">i8")),
        net(np.asfortranarray(x)),
        net.predict(x, 5),
    ):
        assert_bits_equal(found, y)
    assert net(x[:0]).shape == net.predict(x[:0]).shape == (0, 3)
    assert_bits_equal(net.intermediate(x, "table_1"), table[x])


def test_bytes_are_pixels(rng):
    net, x = pixels(), rng.integers(0, 256, (9, 1, 6, 6)).astype(np.uint8)
    floats = fastconv.Sequential(net.layers[1:], (1, 6, 6))
    assert_bits_equal(net(x), floats(x * np.float32(1 / 255)))
    assert net.plan(9).nodes[0].activations == 4 * x.size


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_plans_are_exact(dtype, training):
    net = words(dtype, units=64, length=40)
    for rows in (100, 500):
        plan = net.plan(rows, training=training)
        assert plan.peak < net.measure(rows, training=training) < 1.02 * plan.peak
    assert plan.nodes[0].activations == 500 * 40 * 64 * 4
    assert plan.nodes[0].workspace == (0 if dtype == "int64" else 500 * 40 * 8)
    if not training:
        least = net.plan(500).peak // 3
        x = np.zeros((500, 40), dtype)
        y = net.predict(x, 500)
        net.predict(x, 500, memory_limit=least)  # makes what is made once
        assert traced(lambda: net.predict(x, 500, memory_limit=least)) < least + 30_000
        assert_bits_equal(net.predict(x, 500, memory_limit=least), y)


def test_a_cast_copy_is_of_the_dtype_of_the_input():
    net = words("int64", length=1000, units=1)
    x = np.zeros((500, 1000), "int32")
    plan = net.plan(500)
    least = 8 * x.size + plan.peak
    net.predict(x, 500)
    net.predict(x, 500, memory_limit=least // 4)  # both make what is made once: packed weights
    taken = traced(lambda: net.predict(x, 500)) + plan.nodes[-1].packed
    assert 0.98 * least < taken < 1.02 * least
    asked = traced(lambda: net.predict(x, 500, memory_limit=least // 4))
    assert asked < least // 4 + 30_000


def test_training_asks_integers_for_no_gradient(rng):
    net, x = words(), numbers(rng, 60)
    y = x[:, 0] % 3
    net.compile(("adam", {"learning_rate": 0.05}), "softmax_cross_entropy", "accuracy")
    before = net.weights()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numbers of rows need no scale
        net.fit(x * 1, y, epochs=40, batch_size=16, verbose=0)
    assert net.evaluate(x, y)["accuracy"] == 1
    assert (net.weights()["table_1/table"] != before["table_1/table"]).any()
    assert set(net.gradients) == {"table_1/table", "dense_1/weight", "dense_1/bias"}


def test_training_within_a_limit_has_the_same_bits(rng):
    x = numbers(rng, 30)
    found = []
    for limit in (None, "1 MB", 9000):
        net = words()
        net.compile("sgd", "softmax_cross_entropy")
        net.fit(x, x[:, 1] % 3, epochs=2, batch_size=30, verbose=0, memory_limit=limit)
        found.append(net.weights())
    for key, value in found[0].items():
        assert_bits_equal(found[1][key], value)
        assert_bits_equal(found[2][key], value)


def test_gradients_of_the_floats_beside(rng):
    net = both()
    x, values = numbers(rng), rng.standard_normal((12, 20))
    dy = rng.standard_normal((12, 20)).astype("float32")
    dnumbers, dvalues = net.input_gradient((x, values), dy)
    assert dnumbers is None
    assert_bits_equal(dvalues, dy)
    with pytest.raises(ArgumentError, match="must have one of the inputs of floats, got integers"):
        words().input_gradient(x, np.zeros((12, 3)))


def test_integers_in_the_middle_stop_gradients(rng):
    x = Input((6,))
    dense = create("Dense", units=5, name="before")(x)
    table = create("acme.Table", name="table")(create("acme.Above")(dense))
    net = fastconv.Model(x, create("Dense", units=2)(create("Flatten")(table)), seed=0)
    data, y = rng.standard_normal((20, 6)).astype("float32"), np.arange(20) % 2
    assert net(data).shape == (20, 2)
    with pytest.raises(ArgumentError, match=r"before: the output must .*net.freeze\('before'\)"):
        net.compile("sgd", "softmax_cross_entropy")
    net.freeze("before")
    net.compile("sgd", "softmax_cross_entropy")
    before = net.weights()
    net.fit(data, y, epochs=1, verbose=0)
    assert (net.weights()["table/table"] != before["table/table"]).any()
    assert_bits_equal(net.weights()["before/weight"], before["before/weight"])
    dx = net.input_gradient(data, np.ones((20, 2)))
    assert not dx.any() and dx.shape == data.shape
    net.unfreeze("*")
    with pytest.raises(ArgumentError, match=r"before: the output must"):
        net.fit(data, y, epochs=1, verbose=0)


def test_an_output_of_integers_has_no_loss(rng):
    x = Input((6,))
    net = fastconv.Model(x, create("acme.Above")(create("Dense", units=5)(x)))
    found = net(rng.standard_normal((3, 6)))
    assert found.dtype == np.uint8 and set(np.unique(found)) <= {0, 1}
    assert net.predict(np.ones((7, 6)), 2).dtype == np.uint8
    with pytest.raises(ArgumentError, match=r"compile: the output must be of floats.*uint8"):
        net.compile("sgd", "mean_squared_error")
    with pytest.raises(ArgumentError, match="must have every output of floats"):
        net.input_gradient(np.ones((1, 6)), np.ones((1, 5)))


def test_files_and_configurations_have_the_dtype(rng, tmp_path):
    for net, x in ((words(), (numbers(rng),)), (both(), (numbers(rng), np.ones((12, 20))))):
        text = json.dumps(net.to_config())
        again = fastconv.from_config(text)
        assert again.to_config() == net.to_config()
        net.save(tmp_path / "net.safetensors")
        loaded = fastconv.load(tmp_path / "net.safetensors")
        assert loaded.to_config() == net.to_config()
        for other in (
            loaded,
            pickle.loads(pickle.dumps(net)),
            copy.deepcopy(net),
            fastconv.load(tmp_path / "net.safetensors", for_inference=True),
        ):
            for found, due in zip(as_tuple(other(*x)), as_tuple(net(*x)), strict=True):
                assert_bits_equal(found, due)
    assert words("uint8").to_config()["dtype"] == "float32"
    assert words("uint8").to_config()["inputs"] == [{"id": "x", "shape": [5], "dtype": "uint8"}]
    assert both().to_config()["inputs"] == [
        {"id": "numbers", "shape": [5], "dtype": "int32"},
        {"id": "values", "shape": [20]},
    ]


def test_what_was_written_stays_right():
    text = """{"format": "fastconv/1", "dtype": "float64",
        "inputs": [{"id": "a", "shape": [2], "dtype": "int64"},
                   {"id": "b", "shape": [3], "dtype": "bool", "batch_axis": 1},
                   {"id": "c", "shape": [], "batch_axis": null}, {"id": "d", "shape": [1]}],
        "nodes": [{"id": "flat", "layer": "fastconv.Flatten.v1", "config": {}, "from": ["a"]}],
        "outputs": ["flat", "b", "c", "d"]}"""
    net = fastconv.from_config(text)
    assert net.to_config() == json.loads(text)
    found = net([[1, 2]], [[1], [0], [1]], 0.5, [[7]])
    assert [y.dtype.name for y in found] == ["int64", "bool", "float64", "float64"]
    assert [y.shape for y in found] == [(1, 2), (3, 1), (), (1, 1)]


def test_the_form_written_by_hand_has_the_dtype_too(rng):
    config = {"input_shape": [5], "dtype": "int64", "layers": ["acme.Table", "Flatten"]}
    assert fastconv.from_config(config)(numbers(rng)).shape == (12, 20)


def test_networks_of_floats_are_written_as_before():
    config = fastconv.Sequential(["ReLU"], (3,), "float64").to_config()
    assert config["dtype"] == "float64" and config["inputs"] == [{"id": "x", "shape": [3]}]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"dtype": "int16"}, r"^inputs\[0\].dtype: must be 'float32'.*got 'int16'"),
        ({"dtype": 3}, r"^inputs\[0\].dtype: must be 'float32'.*got 3"),
        ({"batch_axis": 2}, r"^inputs\[0\].batch_axis: must be at most 1, got 2"),
        ({"batch_axis": True}, r"^inputs\[0\].batch_axis: must be an integer, got True"),
        ({"type": "int8"}, r"^inputs\[0\].type: unknown key"),
        ({"dtype": "int8"}, r"^nodes\[0\]: Table: input must be int64 or int32 or uint8, got int8"),
    ],
)
def test_wrong_configurations_have_the_place(change, text):
    config = words().to_config()
    config["inputs"][0] |= change
    with pytest.raises(ConfigError, match=text):
        fastconv.from_config(config)


def test_summary_and_plan_say_it():
    net = both()
    assert "numbers    Input    (N, 5) int32" in net.summary()
    assert "inputs: numbers (N, 5) int32, values (N, 20) float32\n" in str(net.plan(3))
    assert net.plan(3).to_dict()["inputs"][0] == "numbers (N, 5) int32"
    plain = fastconv.Sequential(["ReLU"], (3,))
    assert "float32" not in plain.summary().split("\n0 parameters")[0]
    assert "inputs" not in str(plain.plan()) and "inputs" not in plain.plan().to_dict()


@pytest.mark.parametrize("call", ["__call__", "predict", "evaluate", "fit", "intermediate"])
def test_floats_and_what_is_out_of_range_are_refused(rng, call):
    net, x = words("uint8"), numbers(rng)
    net.compile("sgd", "softmax_cross_entropy")
    before = net.weights()

    def run(x):
        y = np.zeros(len(x), int)
        more = {"evaluate": (y,), "fit": (y,), "intermediate": ("table_1",)}.get(call, ())
        return getattr(net, call)(x, *more)

    text = r"must be of integers, as an Input of uint8 takes, got float64; .*"
    with pytest.raises(ArgumentTypeError, match=text + r"x.astype\('uint8'\)"):
        run(x.astype(float))
    with pytest.raises(ArgumentTypeError, match="got float64; "):
        run(x.astype(float).tolist())
    for wrong in (256, -1):
        far = np.concatenate([x, np.full((200, 5), wrong)])
        with pytest.raises(ArgumentError, match=f"integers from 0 to 255, which uint8 .*{wrong}"):
            run(far)
    for key, value in net.weights().items():
        assert_bits_equal(value, before[key])  # refused before the first step


def test_large_integers_are_compared_exactly():
    net = fastconv.Model(node := Input((1,), "int64"), create("acme.Table")(node))
    with pytest.raises(ArgumentError, match="which int64 has, got 9223372036854775808$"):
        net(np.array([[2**63]], np.uint64))
    flags = Input((2,), "bool")
    net = fastconv.Model(flags, create("Flatten")(flags))
    assert_bits_equal(net([[0, 1]]), np.array([[False, True]]))
    assert_bits_equal(net([[True, False]]), np.array([[True, False]]))
    with pytest.raises(ArgumentError, match="integers from 0 to 1, which bool has, got 2"):
        net([[0, 2]])


def test_integers_for_an_input_of_floats_are_cast_as_before():
    net = fastconv.Sequential(["Flatten"], (2,))
    for x in ([[1, 2]], np.array([[1, 2]], np.uint8), np.array([[1, 2]], np.int64)):
        assert_bits_equal(net(x), np.array([[1, 2]], np.float32))


def test_inputs_of_floats_still_have_one_dtype():
    a, b = Input((3,), "float32"), Input((3,), "float64")
    with pytest.raises(ConfigError, match="inputs must have one dtype, got float32 and float64"):
        fastconv.Model((a, b), (a, b))


def test_what_moves_numbers_takes_integers_too(rng):
    a, b = Input((2, 3), "int32", name="a"), Input((1, 3), "int32", name="b")
    net = fastconv.Model((a, b), create("Flatten")(create("Concatenate")(a, b)))
    x, y = rng.integers(-9, 9, (4, 2, 3)), rng.integers(-9, 9, (4, 1, 3))
    due = np.concatenate([x, y], 1).reshape(4, 9).astype("int32")
    assert_bits_equal(net(x, y), due)
    assert_bits_equal(net.predict((x, y), 3), due)
    assert net.plan(4).nodes[0].activations == 4 * due.size
