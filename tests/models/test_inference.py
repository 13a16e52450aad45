"""Frozen twins."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from networks import as_tuple, book, branches, random_like, small

import fastconv
from fastconv.errors import FastconvError
from fastconv.testing import assert_bits_equal, assert_close

create = fastconv.create_layer


def moved(net, rng):
    """Give a network weights and statistics that are all different."""
    weights = net.weights()
    net.set_weights({k: v + rng.uniform(0.1, 0.9, v.shape) for k, v in weights.items()})
    return net


@pytest.mark.parametrize("make", [book, branches])
def test_without_batch_norm_the_bits_are_the_same(make, rng):
    net = moved(make(), rng)
    x = random_like(net, rng)
    for y, expected in zip(as_tuple(net.for_inference()(x)), as_tuple(net(x)), strict=True):
        assert_bits_equal(y, expected)


def test_batch_norm_is_folded_and_dropout_gone(rng):
    net = moved(small("float64"), rng)
    frozen = net.for_inference()
    assert [step.name for step in frozen._graph.steps] == [
        "conv2d_1",
        "relu_1",
        "max_pool2d_1",
        "conv2d_2",
        "relu_2",
        "flatten_1",
        "dense_1",
    ]
    x = random_like(net, rng)
    assert_close(frozen(x), net(x))
    assert_close(frozen.predict(x, batch_size=2), net(x))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("first", ["Conv2D", "Dense"])
def test_folding_with_and_without_bias(first, bias, rng):
    config = {"filters": 3, "kernel_size": 2} if first == "Conv2D" else {"units": 3}
    shape = (2, 4, 4) if first == "Conv2D" else (5,)
    layers = [(first, {**config, "bias": bias}), ("BatchNorm", {"epsilon": 0.01}), "ReLU"]
    net = moved(fastconv.Sequential(layers, shape, "float64", seed=0), rng)
    frozen = net.for_inference()
    assert len(frozen._graph.steps) == 2
    x = random_like(net, rng)
    assert_close(frozen(x), net(x))


@pytest.mark.parametrize("kind", ["two convolutions", "ReLU last", "ReLU first", "in a row"])
def test_a_shared_batch_norm_is_folded_into_each(kind, rng, tmp_path):
    x, norm = fastconv.Input((4, 5, 5), "float64"), create("BatchNorm")
    a, b = (create("Conv2D", filters=4, kernel_size=3, padding=1)(x) for _ in "ab")
    ends = {
        "two convolutions": lambda: (norm(a), norm(b)),
        "ReLU last": lambda: (norm(a), norm(create("ReLU")(b))),
        "ReLU first": lambda: (norm(create("ReLU")(b)), norm(a)),
        "in a row": lambda: (norm(norm(a)), b),
    }[kind]()
    net = moved(fastconv.Model(x, create("Add")(*ends), seed=0), rng)
    weights, images = net.weights(), random_like(net, rng)
    net.save(tmp_path / "net.safetensors")
    twin = fastconv.load(tmp_path / "net.safetensors", for_inference=True)
    for frozen in (net.for_inference(), twin):
        assert_close(frozen(images), net(images))
    for key, value in net.weights().items():
        assert_bits_equal(value, weights[key])


def test_what_others_read_is_not_folded(rng):
    x = fastconv.Input((2, 4, 4), "float64")
    conv = create("Conv2D", filters=3, kernel_size=3, name="conv")
    one = conv(x)
    both = create("Add")(create("BatchNorm")(one), one)
    net = moved(fastconv.Model(x, both, seed=0), rng)
    batch = random_like(net, rng)
    assert len(net.for_inference()._graph.steps) == 3
    assert_bits_equal(net.for_inference()(batch), net(batch))
    a, b = fastconv.Input((2, 4, 4), "float64"), fastconv.Input((2, 4, 4), "float64")
    shared = moved(fastconv.Model((a, b), (create("BatchNorm")(conv(a)), conv(b)), seed=0), rng)
    assert len(shared.for_inference()._graph.steps) == 3


def test_a_convolution_with_activation_is_not_folded(rng):
    layers = [("Conv2D", {"filters": 2, "kernel_size": 3, "activation": "relu"}), "BatchNorm"]
    net = moved(fastconv.Sequential(layers, (1, 5, 5), seed=0), rng)
    x = random_like(net, rng)
    assert_bits_equal(net.for_inference()(x), net(x))


def test_the_twin_stays_when_the_network_learns(rng):
    net = moved(small(), rng)
    x = random_like(net, rng)
    frozen = net.for_inference()
    y = frozen(x)
    net.compile("sgd", "softmax_cross_entropy")
    before = net(x)
    net.train_on_batch(x, [0, 1, 2])
    assert not np.array_equal(net(x), before)
    assert_bits_equal(frozen(x), y)


def test_plain_weights_are_dropped(rng):
    net = book()
    frozen = net.for_inference()
    with pytest.raises(FastconvError, match="dropped"):
        frozen._graph.layers["dense_1"].params["weight"]
    assert frozen.nbytes < 1.5 * sum(value.nbytes for value in net.weights().values())
    assert net["dense_1"].params["weight"].shape == (100, 4320)
    assert frozen.count_params() == net.count_params()
    assert frozen.plan(3).nodes[0].id == "conv2d_1+relu_1"
    assert "dense_2" in frozen.summary()
    assert repr(frozen).startswith("<InferenceModel of 7 layers, ")


def normed(filters: int) -> list:
    config = {"filters": filters, "kernel_size": 3, "padding": 1}
    return [("Conv2D", config), "BatchNorm", "ReLU"]


@pytest.mark.parametrize("make", [small, book, branches])
def test_loaded_for_inference_is_loaded_and_frozen(make, rng, tmp_path):
    net = moved(make(), rng)
    path = tmp_path / "net.safetensors"
    net.save(path)
    x = random_like(net, rng)
    streamed = fastconv.load(path, for_inference=True)
    frozen = fastconv.load(path).for_inference()
    assert_bits_equal(as_tuple(streamed(x))[0], as_tuple(frozen(x))[0])
    assert streamed.nbytes == frozen.nbytes
    assert streamed.plan(3).peak == frozen.plan(3).peak
    assert streamed.plan(3).parameter_bytes < net.plan(3).parameter_bytes


def test_loading_for_inference_holds_one_plain_layer_at_a_time(rng, tmp_path):
    layers = [layer for _ in range(4) for layer in normed(128)]
    net = moved(fastconv.Sequential(layers, (128, 4, 4), seed=0), rng)
    path = tmp_path / "net.safetensors"
    net.save(path)
    fastconv.load(path, for_inference=True)
    tracemalloc.start()
    try:
        frozen = fastconv.load(path, for_inference=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    one = 128 * 128 * 9 * 4
    assert peak < frozen.nbytes + 3 * one + 200_000 < frozen.nbytes + 4 * one


def test_loading_for_inference_refuses_as_loading_does(tmp_path):
    net = small()
    path = tmp_path / "net.safetensors"
    net.save_weights(path)
    with pytest.raises(fastconv.errors.FormatError, match="weights alone"):
        fastconv.load(path, for_inference=True)
    net.save(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(fastconv.errors.FormatError):
        fastconv.load(path, for_inference=True)
    with pytest.raises(TypeError, match="^load: for_inference"):
        fastconv.load(path, for_inference="yes")


def test_a_network_made_for_inference_has_no_plan_of_training():
    frozen = small().for_inference()
    for ask in (frozen.plan, frozen.measure):
        with pytest.raises(fastconv.ArgumentError, match="^plan: training must be False"):
            ask(2, training=True)
