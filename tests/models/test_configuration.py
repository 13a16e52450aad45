"""JSON both ways, and every way in which it can be wrong."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from networks import BOOK, as_tuple, book, branches, random_like, small

import fastconv
from fastconv.errors import ConfigError
from fastconv.testing import assert_bits_equal


@pytest.mark.parametrize("make", [book, small, branches])
def test_round_trip(make, rng):
    net = make()
    config = json.loads(json.dumps(net.to_config()))
    again = fastconv.from_config(config)
    assert again.to_config() == config == net.to_config()
    again.set_weights(net.weights())
    x = random_like(net, rng)
    for one, other in zip(as_tuple(net(x)), as_tuple(again(x)), strict=True):
        assert_bits_equal(one, other)


def test_writers_emit_versions_and_every_default():
    node = book().to_config()["nodes"][0]
    assert node["layer"] == "fastconv.Conv2D.v1"
    assert node["config"]["groups"] == 1
    assert node["config"]["initializer"] == "he"
    assert node["from"] == ["x"]


def test_both_forms_and_texts_give_one_network():
    by_hand = {
        "input_shape": [1, 28, 28],
        "layers": [list(s) if isinstance(s, tuple) else s for s in BOOK],
    }
    expected = book().to_config()
    assert fastconv.from_config(by_hand).to_config() == expected
    assert fastconv.from_config(json.dumps(by_hand)).to_config() == expected
    assert fastconv.from_config(json.dumps(expected).encode()).to_config() == expected


def test_an_omitted_from_is_the_node_before_and_use_may_come_first():
    config = {
        "format": "fastconv/1",
        "dtype": "float64",
        "inputs": [{"id": "x", "shape": [1, 5, 5]}],
        "nodes": [
            {"id": "again", "use": "conv", "from": ["x"]},
            {"id": "relu", "layer": "ReLU"},
            {"id": "sum", "layer": "Add", "from": ["relu", "conv"]},
            {
                "id": "conv",
                "layer": "Conv2D",
                "config": {"filters": 2, "kernel_size": 3},
                "from": ["x"],
            },
        ],
        "outputs": ["sum"],
    }
    net = fastconv.from_config(config, seed=0)
    written = {node["id"]: node for node in net.to_config()["nodes"]}
    assert written["again"] == {"id": "again", "use": "conv", "from": ["x"]}
    assert written["relu"]["from"] == ["again"]
    assert list(net.weights()) == ["conv/weight", "conv/bias"]
    assert fastconv.from_config(net.to_config()).to_config() == net.to_config()


def test_layers_by_hand_may_have_names():
    layers = [["Dense", {"units": 2, "name": "a"}], {"layer": "ReLU", "id": "b"}, "Tanh"]
    net = fastconv.from_config({"input_shape": [3], "layers": layers, "name": "mine"})
    assert [layer.name for layer in net.layers] == ["a", "b", "tanh_1"]
    assert net.name == net.to_config()["name"] == "mine"


def chain(*layers: Any) -> dict[str, Any]:
    return {"input_shape": [1, 8, 8], "layers": list(layers)}


def full(*nodes: Any, outputs: Any = ("x",), **more: Any) -> dict[str, Any]:
    inputs = [{"id": "x", "shape": [1, 8, 8]}]
    return {
        "format": "fastconv/1",
        "inputs": inputs,
        "nodes": list(nodes),
        "outputs": list(outputs),
        **more,
    }


WRONG = [
    (chain("os.system"), r"layers\[0\]: .*registered name, got 'os.system'"),
    (chain("a.b:C"), r"layers\[0\]: .*'a.b:C'"),
    (chain("__class__"), r"layers\[0\]: .*'__class__'"),
    (chain(["os.system", {"command": "true"}]), r"layers\[0\]\[0\]: .*'os.system'"),
    (chain([]), r"layers\[0\]: must be a name or"),
    (chain(["ReLU"]), r"layers\[0\]: must be a name or"),
    (chain(None), r"layers\[0\]: must be a name or .* got None"),
    (chain(3), r"layers\[0\]: must be a name or"),
    (chain(["ReLU", None]), r"layers\[0\]\[1\]: must be an object"),
    (chain("Relu"), "did you mean 'ReLU'"),
    (chain("nn.Conv2d"), "did you mean 'Conv2D'"),
    (chain("Convolution"), "did you mean 'Conv2D'"),
    (chain("Affine"), "did you mean 'Dense'"),
    (chain("MaxPooling2D"), "did you mean 'MaxPool2D'"),
    (
        chain(["Conv2D", {"out_channels": 3, "kernel_size": 3}]),
        r"layers\[0\]\[1\].out_channels: .*did you mean 'filters'",
    ),
    (chain(["Conv2D", {"filters": 3, "kernel_size": 3, "strides": 2}]), "did you mean 'stride'"),
    (
        chain(["Conv2D", {"filters": 3, "kernel_size": 3, "in_channels": 1}]),
        "follows from the input",
    ),
    (chain(["Conv2D", {"filters": 3}]), r"layers\[0\]\[1\].kernel_size: missing"),
    (
        chain(["Conv2D", {"filters": 3, "kernel_size": 3, "stride": True}]),
        r"layers\[0\]\[1\].stride: must be an integer or a tuple of two, got True",
    ),
    (chain(["Conv2D", {"filters": 3, "kernel_size": 1e30}]), "kernel_size: must be an integer"),
    (chain(["Conv2D", {"filters": 10**15, "kernel_size": 3}]), "filters: must be at most"),
    (chain(["Conv2D", {"filters": float("nan"), "kernel_size": 3}]), "filters: must be an integer"),
    (chain(["Conv2D", {"filters": 3, "kernel_size": 3, 5: 5}]), r"layers\[0\]\[1\].5: unknown"),
    (
        chain(["Conv2D", {"filters": 3, "kernel_size": 3, "initializer": "hee"}]),
        r"initializer: .*'he'",
    ),
    (chain(["Conv2D", {"filters": 3, "kernel_size": 9}]), r"layers\[0\]: Conv2D: .*9x9"),
    (chain({"layer": "ReLU", "confg": {}}), r"layers\[0\].confg: unknown key; .* 'config'"),
    (chain(*["ReLU"] * 10**6), "layers: must be a list of 1 to 100000 layers, got 1000000"),
    (chain(), "layers: must be a list of 1 to 100000"),
    ({"layers": ["ReLU"]}, "input_shape: must be a list"),
    ({"layers": ["ReLU"], "input_shape": [1, -3, 3]}, r"input_shape: shape\[1\] must be"),
    ({**chain("ReLU"), "dtype": "float16"}, "dtype: must be 'float32', "),
    ({**chain("ReLU"), "dtyp": "float32"}, "dtyp: unknown key; did you mean 'dtype'"),
    ({**chain("ReLU"), "format": "fastconv/9"}, "format: must be 'fastconv/1', got 'fastconv/9'"),
    ({}, "format: must be 'fastconv/1', is missing"),
    ({1: 2}, "1: unknown key"),
    (None, "must be an object, got None"),
    ([], "must be an object"),
    (full(outputs=[]), "outputs: must be a list"),
    (full(7), r"nodes\[0\]: must be an object, got 7"),
    (full({"id": "a", "layer": None}), r"nodes\[0\].layer: must be the name"),
    (full({"id": "a", "layer": ["ReLU"]}), r"nodes\[0\].layer: must be the name"),
    (full({"id": "a", "layer": {"id": "b"}}), r"nodes\[0\].layer: must be the name"),
    (full({"id": "a", "class_name": "ReLU"}), r"nodes\[0\].class_name: .*did you mean 'layer'"),
    (full({"id": "a"}), r'nodes\[0\]: must have either "layer" or "use"'),
    (full({"id": "a", "layer": "ReLU", "use": "a"}), 'either "layer" or "use"'),
    (
        full({"id": "a", "layer": "ReLU"}, {"id": "b", "use": "a", "config": {}}),
        r"nodes\[1\].config: goes with",
    ),
    (full({"id": "a", "use": "x"}), r"nodes\[0\].use: 'x' is no node with a layer"),
    (full({"id": "a", "layer": "ReLU"}, {"id": "b", "use": "aa"}), r"nodes\[1\].use: .*mean 'a'"),
    (full({"layer": "ReLU"}), r"nodes\[0\].id: must be 1 to 100 characters"),
    (full({"id": "a/b", "layer": "ReLU"}), r"nodes\[0\].id: must be 1 to 100 characters"),
    (
        full({"id": "a", "layer": "ReLU"}, {"id": "a", "layer": "ReLU"}),
        r"nodes\[1\].id: 'a' is already the id of nodes\[0\]",
    ),
    (full({"id": "x", "layer": "ReLU"}), r"nodes\[0\].id: 'x' is already the id of inputs\[0\]"),
    (
        full({"id": "conv", "layer": "ReLU"}, {"id": "b", "layer": "ReLU", "from": ["con"]}),
        r"nodes\[1\].from\[0\]: no input or node has the id 'con'; did you mean 'conv'",
    ),
    (full({"id": "a", "layer": "ReLU", "from": "x"}), r"nodes\[0\].from: must be a list of ids"),
    (full({"id": "a", "layer": "ReLU", "from": []}), r"nodes\[0\].from: must be a list of ids"),
    (full({"id": "a", "layer": "ReLU", "from": [["x"]]}), r"nodes\[0\].from\[0\]: no input"),
    (
        full({"id": "a", "layer": "ReLU", "from": ["b"]}, {"id": "b", "layer": "ReLU"}),
        r"from: is part of a cycle: a -> b -> a",
    ),
    (full({"id": "a", "layer": "ReLU", "from": ["a"]}), r"nodes\[0\].from: .*cycle: a -> a"),
    (full({"id": "a", "layer": "ReLU"}, outputs=["z"]), r"outputs\[0\]: no input or node"),
    (full({"id": "a", "layer": "ReLU"}, outputs=[None]), r"outputs\[0\]: no input or node"),
    (full({"id": "a", "layer": "Add", "from": ["x"]}), r"nodes\[0\]: Add"),
    (
        full({"id": "a", "layer": "Flatten"}, {"id": "b", "layer": "Add", "from": ["a", "x"]}),
        r"nodes\[1\]: Add",
    ),
    (
        full(
            {"id": "a", "layer": "ReLU"},
            inputs=[{"id": "x", "shape": [1]}, {"id": "y", "shape": [1]}],
        ),
        r"nodes\[0\].from: must be given where there are several inputs",
    ),
]


@pytest.mark.parametrize(("config", "text"), WRONG, ids=[text[:50] for _, text in WRONG])
def test_wrong(config, text):
    before = set(sys.modules)
    with pytest.raises(ConfigError) as caught:
        fastconv.from_config(config)
    assert re.search(text, str(caught.value)), str(caught.value)
    assert set(sys.modules) == before


def test_sequential_reports_the_same_problems():
    with pytest.raises(ConfigError, match=r"layers\[1\]\[1\].units: must be at least 1"):
        fastconv.Sequential(["Flatten", ("Dense", {"units": 0})], input_shape=(1, 8, 8))


def test_all_problems_are_found_in_one_pass():
    conv = {"filters": 0, "kernel_size": 0, "stride": True, "strides": 2}
    config = full(
        {"id": "a", "layer": "Conv2D", "config": conv},
        {"id": "a", "layer": "Affine"},
        {"id": "b", "layer": "ReLU", "from": ["c"]},
        {"id": "c", "layer": "ReLU", "from": ["b"]},
        {"id": "d", "layer": "Conv2D", "config": {"filters": 1, "kernel_size": 9}, "from": ["x"]},
        outputs=["nowhere"],
        dtype="int8",
    )
    with pytest.raises(ConfigError) as caught:
        fastconv.from_config(config)
    paths = [problem.partition(": ")[0] for problem in caught.value.problems]
    assert sorted(paths) == sorted(
        [
            "dtype",
            "nodes[1].id",
            "nodes[0].config.strides",
            "nodes[0].config.filters",
            "nodes[0].config.kernel_size",
            "nodes[0].config.stride",
            "nodes[1].layer",
            "nodes[2].from",
            "nodes[4]",
            "outputs[0]",
        ]
    )


def test_a_shared_layer_on_inputs_of_two_kinds_has_its_path():
    nodes = [
        {"id": "c", "layer": "Conv2D", "config": {"filters": 2, "kernel_size": 3}},
        {"id": "d", "use": "c"},
    ]
    with pytest.raises(ConfigError, match=r"nodes\[1\]: d: .*parameters of c fit"):
        fastconv.from_config(full(*nodes, outputs=["d"]))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"layers": [], "layers": []}', "keys must be unique, 'layers' is given twice"),
        ('{"input_shape": [NaN]}', "NaN is no JSON number"),
        ('{"input_shape": [-Infinity]}', "-Infinity is no JSON number"),
        ('{"input_shape": [1e999]}', "finite"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"input_shape": [' + "9" * 5000 + "]}", "at most 19 digits, got one of 5000"),
        ("[" + "1," * 10**6 + "1]", "at most 250000 values"),
        (" " * 10**7, "at most 8388608 bytes"),
        ('{"input_shape": [1, 8', "delimiter"),
        ("", "Expecting value"),
        (b"\xff\xfe", "utf-8"),
    ],
    ids=lambda value: str(value[:24]) if isinstance(value, (str, bytes)) else None,
)
def test_hostile_json(text, problem):
    begun = time.process_time()
    with pytest.raises(ConfigError, match=problem):
        fastconv.from_config(text)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("kind", ["zzz", "Dropoutt"])
def test_ten_thousand_problems_are_said_in_a_hundred_lines(kind):
    nodes = [{"id": f"n{i}", "layer": kind, "from": [f"w{i}"]} for i in range(10_000)]
    begun = time.process_time()
    with pytest.raises(ConfigError) as caught:
        fastconv.from_config(full(*nodes))
    assert len(caught.value.problems) == 101
    assert "and 19900 more" in caught.value.problems[-1]
    assert time.process_time() - begun < 5


def test_a_network_that_could_not_be_read_again_is_not_written():
    x = node = fastconv.Input((1,))
    relu = fastconv.create_layer("ReLU")
    for _ in range(100_001):
        node = relu(node)
    with pytest.raises(ConfigError, match="at most 100000 nodes, got 100001"):
        fastconv.Model(x, node).to_config()


def test_a_configuration_takes_no_memory_for_weights():
    net = fastconv.from_config(chain("Flatten", ["Dense", {"units": 2**31 - 1}]))
    assert net.count_params() == 65 * (2**31 - 1)
    assert "139,586,437,055 parameters" in net.summary()


def test_a_third_partys_layer_that_breaks_is_a_problem_with_a_path():
    with fastconv.registry.isolated():

        @fastconv.register_layer("acme.Broken.v1")
        class Broken(fastconv.Layer):
            def __init__(self, size=1):
                raise RuntimeError("no luck")

        @fastconv.register_layer("acme.Shapeless.v1")
        class Shapeless(fastconv.Layer):
            def infer(self, *specs):
                return specs[7]

        with pytest.raises(ConfigError) as caught:
            fastconv.from_config(chain("acme.Broken", "ReLU"))
        assert caught.value.problems == ["layers[0]: RuntimeError: no luck"]
        with pytest.raises(ConfigError, match=r"layers\[1\]: IndexError"):
            fastconv.from_config(chain("ReLU", "acme.Shapeless"))


def test_the_name_of_a_file_is_no_configuration():
    names = {"net.json": "open", Path("a/net.json"): "open", "a.safetensors": "load"}
    for name, said in names.items():
        with pytest.raises(ConfigError, match=f"got the name of a file, .*read it with .*{said}"):
            fastconv.from_config(name)


def test_a_list_is_told_what_is_missing():
    with pytest.raises(ConfigError, match=r'write {"input_shape": \[1, 8, 8\], "layers": \[...\]}'):
        fastconv.from_config(["ReLU"])


def test_nodes_that_no_output_needs_are_left_out_for_good():
    net = fastconv.from_config(full({"id": "a", "layer": "ReLU"}, outputs=["x"]))
    config = net.to_config()
    assert config["nodes"] == [] and config["outputs"] == ["x"]
    assert fastconv.from_config(json.loads(json.dumps(config))).to_config() == config


def test_the_mark_of_windows_editors_is_read_over():
    text = json.dumps(full({"id": "a", "layer": "ReLU"}, outputs=["a"]))
    right = fastconv.from_config(text).to_config()
    assert fastconv.from_config("\ufeff" + text).to_config() == right
    assert fastconv.from_config(text.encode("utf-8-sig")).to_config() == right
    with pytest.raises(ConfigError, match="BOM"):
        fastconv.from_config("\ufeff\ufeff" + text)


def test_half_a_surrogate_pair_is_no_id():
    with pytest.raises(ConfigError, match=r"nodes\[0\].id: must be 1 to 100 characters"):
        fastconv.from_config(full({"id": "\ud800", "layer": "ReLU"}))


def test_a_chain_without_layers_is_told_that_they_are_missing():
    with pytest.raises(ConfigError) as caught:
        fastconv.from_config({"input_shape": [1, 8, 8]})
    assert str(caught.value).endswith("layers: must be a list of layers, is missing")
    assert len(caught.value.problems) == 1
