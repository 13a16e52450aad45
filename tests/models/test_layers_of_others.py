"""Layers of the plugin package, planned, fused, folded and left out as ours are."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import fastconv
from fastconv import memory
from fastconv.models.running import differentiate
from fastconv.testing import assert_bits_equal, assert_close, check_layer

LAYERS = [
    "acme.Tint",
    "BatchNorm",
    "ReLU",
    "acme.Noise",
    "acme.Tint",
    "acme.Size",
    "acme.Tint",
    "acme.Noise",
    "ReLU",
    "acme.Rows",
    "acme.Tint",
    "ReLU",
    "Flatten",
    ("Dense", {"units": 3}),
]


pytestmark = pytest.mark.usefixtures("plugins")


def network(size=6, dtype="float32"):
    return fastconv.Sequential(LAYERS, (3, size, size), dtype=dtype, seed=0)


@pytest.mark.parametrize(
    ("name", "config", "shape"),
    [
        ("acme.Tint", {}, (2, 3, 4)),
        ("acme.Tint", {"activation": "relu"}, (2, 3, 4, 5)),
        ("acme.Size", {}, (2, 3, 4)),
        ("acme.Rows", {}, (2, 3, 4, 5)),
        ("acme.Noise", {}, (2, 3, 4)),
    ],
)
def test_they_are_what_they_say(name, config, shape):
    check_layer(name, shape, **config)


def test_what_they_can_compute_too_is_fused():
    net = network()
    ids = [
        "tint_1",
        "batch_norm_1",
        "relu_1",
        "noise_1",
        "tint_2",
        "size_1",
        "tint_3",
        "noise_2",
        "relu_2",
        "rows_1",
        "tint_4+relu_3",
        "flatten_1",
        "dense_1",
    ]
    for training in (False, True):
        assert [node.id for node in net.plan(2, training=training).nodes] == ids
    operations = {op.name: op for op in net._schedule(net._graph.outputs).operations}
    written = [name for name, op in operations.items() if op.over is not None]
    # Tint without activation does not read its output; what is idle may be the caller's array
    assert written == ["relu_1", "size_1"]
    assert operations["tint_4"].layer.activation == "relu"
    assert operations["tint_4"].layer.param("scale") is net["tint_4"].param("scale")


def test_the_bits_are_those_of_the_layers_one_by_one(rng):
    net = network()
    x = rng.standard_normal((5, 3, 6, 6)).astype("float32")
    apart = net.intermediate(x, [step.id for step in net._graph.steps])  # nothing is fused
    assert_bits_equal(net(x), apart[-1])
    dy = rng.standard_normal((5, 3)).astype("float32")
    found = []
    for schedule in (
        net._schedule(net._graph.outputs, merge=False),
        net._schedule(net._graph.outputs, training=True),
    ):
        run = partial(differentiate, training=True, rng_key=(1, 2), needs=("inputs", "params"))
        found.append(memory.recycling(run, schedule, [x], lambda ys: ({}, [dy])))
    (outputs, _, plain), (fused_outputs, _, fused) = found
    assert_bits_equal(fused_outputs[0], outputs[0])
    assert_bits_equal(fused.inputs[0], plain.inputs[0])
    for key, gradient in plain.params.items():
        assert_bits_equal(fused.params[key], gradient)


@pytest.mark.parametrize("training", [False, True])
def test_a_plan_says_what_runs_take(training):
    net = network(96)
    plan = net.plan(60, training=training)
    assert not any(node.estimated for node in plan.nodes)
    assert net.measure(60, training=training) == pytest.approx(plan.peak, rel=0.01)
    limit = int(0.8 * plan.peak)
    limited = net.plan(60, training=training, memory_limit=limit)
    assert limited.peak <= limit
    taken = net.measure(60, training=training, memory_limit=limit)
    assert taken == pytest.approx(limited.peak, rel=0.01)


def test_views_and_what_is_idle_take_nothing():
    net = network()
    for training in (False, True):
        nodes = {node.id: node.activations for node in net.plan(1, training=training).nodes}
        assert nodes["rows_1"] == 0
        assert (nodes["noise_1"] == 0) is (not training)


def test_a_network_for_inference_folds_and_leaves_out(rng, tmp_path):
    net = network()
    x = rng.standard_normal((50, 3, 6, 6)).astype("float32")
    net.compile("sgd", "mean_squared_error")
    net.fit(x, np.zeros((50, 3)), epochs=1, verbose=0)  # statistics that are not those of before
    ids = [
        "tint_1",
        "relu_1",
        "tint_2",
        "size_1",
        "tint_3",
        "relu_2",
        "rows_1",
        "tint_4",
        "relu_3",
        "flatten_1",
        "dense_1",
    ]
    net.save(tmp_path / "net.safetensors")
    loaded = fastconv.load(tmp_path / "net.safetensors", for_inference=True)
    for frozen in (net.for_inference(), loaded):
        assert [step.id for step in frozen._graph.steps] == ids
        nodes = [node.id for node in frozen.plan(2).nodes]
        assert nodes[:3] == ["tint_1+relu_1", "tint_2", "size_1"]
        assert "tint_3+relu_2" in nodes
        assert_close(frozen(x), net(x), factor=10)
