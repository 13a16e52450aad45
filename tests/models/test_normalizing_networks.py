"""Networks of normalising layers and of embeddings: plans, limits, files, training."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv.models.planning import measure
from fastconv.testing import assert_bits_equal

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"


def images():
    conv = ("Conv2D", {"filters": 12, "kernel_size": 3, "padding": 1})
    layers = [
        conv,
        ("LocalResponseNorm", {"size": 5}),
        "ReLU",
        conv,
        ("GroupNorm", {"groups": 4}),
        "ReLU",
        conv,
        ("LayerNorm", {"axes": [1]}),
        ("Softmax", {"axis": 3}),
        conv,
        "LayerNorm",
        "GlobalAvgPool2D",
        ("Dense", {"units": 10}),
    ]
    return fastconv.Sequential(layers, (3, 24, 24), seed=0)


def texts():
    layers = [
        ("Embedding", {"entries": 500, "units": 32}),
        ("LayerNorm", {"axes": -1}),
        "Flatten",
        ("Dense", {"units": 3}),
    ]
    return fastconv.Sequential(layers, (40,), "int64", seed=0)


def given(net, rows, rng):
    if net.to_config()["inputs"][0].get("dtype") == "int64":
        return rng.integers(0, 500, (rows, 40))
    return rng.standard_normal((rows, 3, 24, 24)).astype("float32")


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("make", [images, texts])
def test_a_plan_says_what_runs_take(make, training):
    net = make()
    rows = 40 if make is images else 400
    plan = net.plan(rows, training=training)
    assert not any(node.estimated for node in plan.nodes)
    assert measure(net, plan) == pytest.approx(plan.peak, rel=0.01)


@pytest.mark.parametrize("make", [images, texts])
def test_limits_are_kept_and_change_no_bit(make, rng):
    net, rows = make(), 100 if make is images else 400
    x = given(net, rows, rng)
    y = net(x)
    plan = net.plan(rows)
    limited = net.plan(rows, memory_limit=int(plan.peak * 0.7))
    assert measure(net, limited) == pytest.approx(limited.peak, rel=0.01)
    assert_bits_equal(net(x, memory_limit=int(plan.peak * 0.7)), y)


@pytest.mark.parametrize("make", [images, texts])
def test_it_trains_and_comes_back_from_a_file(make, rng, tmp_path):
    net = make()
    x, y = given(net, 30, rng), np.arange(30) % 3
    net.compile("adam", "softmax_cross_entropy", "accuracy")
    history = net.fit(x, y, epochs=8, batch_size=10, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    net.save(tmp_path / "net.safetensors")
    loaded = fastconv.load(tmp_path / "net.safetensors")
    assert loaded.to_config() == net.to_config()
    assert_bits_equal(loaded(x), net(x))
    frozen = net.for_inference()(x)
    np.testing.assert_allclose(frozen, net(x), rtol=1e-4, atol=1e-5)


def test_a_frozen_normalisation_passes_the_gradient_and_has_none(rng):
    net = images()
    x = given(net, 4, rng)
    net.compile("sgd", "softmax_cross_entropy")
    before = net.weights()
    net.freeze("*norm*")
    net.train_on_batch(x, np.arange(4))
    after = net.weights()
    for key, value in before.items():
        assert (after[key] == value).all() == ("norm" in key), key


def test_the_networks_of_the_page():
    text = PAGE.read_text().partition("\n## Normalisation")[2].partition("\n## ")[0]
    found = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert len(found) >= 2
    for config in found:
        fastconv.from_config(config)
