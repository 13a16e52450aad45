"""A network runs as in training, and gives the gradients of its loss, and nothing changes."""

from __future__ import annotations

import gc
import re
import tracemalloc

import numpy as np
import pytest

import fastconv
from fastconv import memory
from fastconv.errors import ArgumentError, ArgumentTypeError, MemoryLimitError
from fastconv.testing import assert_bits_equal

CONV = ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": 1})
LAYERS = [CONV, "BatchNorm", "ReLU", ("Dropout", {"rate": 0.5}), "Flatten", ("Dense", {"units": 3})]


def network(layers=LAYERS, shape=(2, 6, 6), **settings):
    net = fastconv.Sequential(layers, shape, seed=0, **settings)
    net.compile("adam", "softmax_cross_entropy", "accuracy")
    return net


def batch(net, rows=10):
    shape = net._graph.input_specs[0].shape
    x = 3 * np.random.default_rng(1).normal(size=(rows, *shape)) + 1
    return x.astype("float32"), np.arange(rows) % 3


def everything(net):
    """All that a step changes."""
    state = net.compiled.optimizer.state_dict()
    return {**net.weights(), **{f"optimizer {k}": np.asarray(v) for k, v in state.items()}}


def assert_unchanged(net, before, step, gradients):
    after = everything(net)
    assert after.keys() == before.keys()
    for key, value in before.items():
        assert_bits_equal(after[key], value)
    assert net.compiled.step == step and net.gradients is gradients


# net(x, training=True)


def test_dropout_drops_and_nothing_changes():
    net = network()
    x, y = batch(net)
    net.train_on_batch(x, y)
    before, step, gradients = everything(net), net.compiled.step, net.gradients
    first = net(x, training=True, seed=3)
    assert_bits_equal(net(x, training=True, seed=3), first)
    assert not np.array_equal(net(x, training=True, seed=4), first)
    assert not np.array_equal(net(x, training=True), net(x, training=True))
    assert_unchanged(net, before, step, gradients)
    assert_bits_equal(net(x), net(x))
    # what fit does next is what it would have done
    other = network()
    other.train_on_batch(x, y)
    assert net.train_on_batch(x, y) == other.train_on_batch(x, y)


def test_the_outputs_are_those_of_a_step_of_training():
    net = network()
    x, _ = batch(net)
    outputs, _ = net.forward_backward((x,), lambda ys: ({}, [np.zeros_like(y) for y in ys]), 0)
    net = network()
    assert_bits_equal(net(x, training=True, seed=net.seed), outputs[0])


def test_normalisation_takes_the_statistics_of_the_batch():
    net = fastconv.Sequential(["BatchNorm"], (3, 4, 4), "float64", seed=0)
    x = 5 * np.random.default_rng(2).normal(size=(8, 3, 4, 4)) + 7
    y = net(x, training=True)
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-5), rtol=1e-9, atol=1e-12)
    assert not net["batch_norm_1"].state["running_mean"].any()
    net.freeze("batch_norm_1")  # then the running ones are taken
    assert_bits_equal(net(x, training=True), net(x))


def test_many_draws_say_how_sure_a_network_is():
    net = fastconv.Sequential([("Dropout", {"rate": 0.5})], (1000,), seed=0)
    x = np.ones((1, 1000), np.float32)
    draws = np.stack([net(x, training=True, seed=seed) for seed in range(50)])
    assert set(np.unique(draws)) == {0, 2} and draws.mean() == pytest.approx(1, abs=0.02)


def test_outputs_are_arrays_of_their_own():
    x = fastconv.Input((4,))
    h = fastconv.create_layer("Dense", units=2)(x)
    net = fastconv.Model(x, [x, h, h], seed=0)
    given = np.ones((3, 4), np.float32)
    same, one, other = net(given, training=True)
    assert not any(np.shares_memory(a, b) for a, b in [(same, given), (one, other)])
    assert_bits_equal(one, other)


def least(call) -> int:
    with pytest.raises(MemoryLimitError) as error:
        call(1)
    return int(re.search(r"at least (\d+) bytes", str(error.value))[1])


@pytest.mark.parametrize("cast", ["float32", "float64"])
@pytest.mark.parametrize(
    "layers", [LAYERS, [CONV, ("Dropout", {"rate": 0.3}), "Sigmoid", CONV, "BatchNorm"]]
)
def test_limits_are_kept_and_change_no_bit(layers, cast):
    net = fastconv.Sequential(layers, (3, 40, 40), seed=0)
    x = np.random.default_rng(0).normal(size=(20, 3, 40, 40)).astype(cast)
    free = net(x, training=True, seed=3)
    limit = least(lambda limit: net(x, training=True, memory_limit=limit))
    assert limit < net.plan(20, training=True).peak  # no gradient, no backward pass
    for layer in net.layers:
        for parameter in layer.parameters.values():
            parameter.unpack()
    memory.release()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        y = net(x, training=True, seed=3, memory_limit=limit)
        taken = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert_bits_equal(y, free)
    assert taken <= limit + 120_000


def test_wrong_calls_are_refused():
    net = network([("Dense", {"units": 4}), "BatchNorm", ("Dense", {"units": 3})], (5,))
    x = np.ones((4, 5), np.float32)
    for call, error, text in [
        (lambda: net(x, seed=3), ArgumentError, "seed must come with training=True, got 3"),
        (lambda: net(x, training=1), ArgumentTypeError, "training must be True or False"),
        (lambda: net(x, training=True, seed=-1), ArgumentError, "seed must be at least 0"),
        (lambda: net(x[:1], training=True), ArgumentError, "at least 2 rows for batch_norm_1"),
        (lambda: net.for_inference()(x, seed=1), ArgumentError, "seed must be left out"),
        (
            lambda: net.for_inference()(x, training=True),
            ArgumentError,
            "training must be left out .*; call the one it is of",
        ),
    ]:
        with pytest.raises(error, match=text):
            call()


def test_a_batch_of_no_rows_is_right():
    net = fastconv.Sequential([("Dense", {"units": 3}), ("Dropout", {"rate": 0.5})], (4,), seed=0)
    assert net(np.ones((0, 4)), training=True).shape == (0, 3)


# net.loss_gradients


@pytest.mark.parametrize("limited", [False, True])
def test_loss_gradients_are_those_of_the_next_step_and_nothing_changes(limited):
    net = network()
    x, y = batch(net)
    for _ in range(2):
        before, step, gradients = everything(net), net.compiled.step, net.gradients
        limit = net.plan(10, training=True).peak if limited else None
        found = net.loss_gradients(x, y, memory_limit=limit)
        assert_unchanged(net, before, step, gradients)
        net.train_on_batch(x, y)
        assert found.keys() == net.gradients.keys()
        for key, gradient in net.gradients.items():
            assert_bits_equal(found[key], gradient)


def test_loss_gradients_of_weighted_rows_and_of_frozen_layers():
    net = network([("Dense", {"units": 3})], (5,), dtype="float64")
    x, y = batch(net, 4)
    weights = np.array([1.0, 0.0, 2.0, 0.0])
    found = net.loss_gradients(x, y, sample_weight=weights)
    kept = net.loss_gradients(x[[0, 2, 2]], y[[0, 2, 2]])
    for key, gradient in kept.items():
        np.testing.assert_allclose(found[key], gradient, rtol=1e-13, atol=1e-16)
    none = net.loss_gradients(x, y, sample_weight=np.zeros(4))
    assert not any(gradient.any() for gradient in none.values())
    net.freeze("*/bias")
    assert list(net.loss_gradients(x, y)) == ["dense_1/weight"]


def test_loss_gradients_need_a_loss_and_data_that_fit():
    net = fastconv.Sequential([("Dense", {"units": 3})], (5,), seed=0)
    x = np.ones((4, 5))
    with pytest.raises(ArgumentError, match="loss_gradients: model must be compiled first"):
        net.loss_gradients(x, np.zeros(4, int))
    net.compile("sgd", "softmax_cross_entropy")
    with pytest.raises(ArgumentError, match="labels must be 0 to 2 for 3 outputs, got 3"):
        net.loss_gradients(x, np.full(4, 3))
    with pytest.raises(ArgumentError, match="sample_weight must be finite and at least 0, got -1"):
        net.loss_gradients(x, np.zeros(4, int), sample_weight=-np.ones(4))


def test_a_frozen_network_has_no_gradients():
    net = network()
    x, y = batch(net)
    net.freeze("*")
    assert net.loss_gradients(x, y) == {}
