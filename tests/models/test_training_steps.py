"""What a training step saves: passes over memory and memory, and never a bit."""

from __future__ import annotations

import gc
from functools import partial

import numpy as np
import pytest
from networks import as_tuple, book, branches, random_like, small

import fastconv
from fastconv import memory
from fastconv.models.running import differentiate
from fastconv.step_memory import StepMemory
from fastconv.testing import assert_bits_equal

create = fastconv.create_layer


def overlapping() -> fastconv.Sequential:
    """Pooling whose windows overlap, in a row with ReLU, twice."""
    pool = ("MaxPool2D", {"pool_size": 3, "stride": 2, "padding": 1})
    conv = ("Conv2D", {"filters": 6, "kernel_size": 3, "padding": 1})
    layers = [conv, "ReLU", pool, conv, "BatchNorm", "ReLU", pool, pool, "Flatten", "ReLU"]
    return fastconv.Sequential([*layers, ("Dense", {"units": 3})], (2, 19, 17), seed=0)


def residual() -> fastconv.Model:
    """A gradient that goes two ways through Add, and ReLU behind it."""
    x = fastconv.Input((3, 8, 8))
    conv = {"filters": 3, "kernel_size": 3, "padding": 1}
    first = create("ReLU")(create("Conv2D", **conv)(x))
    inner = create("Conv2D", **conv)(create("ReLU")(create("Conv2D", **conv)(first)))
    after = create("ReLU")(create("Add")(inner, first))
    return fastconv.Model(x, create("Dense", units=2)(create("Flatten")(after)), seed=0)


def late() -> fastconv.Model:
    """A value with three readers, one of which has its ReLU behind the others."""
    x = fastconv.Input((3, 8, 8))
    conv = {"filters": 3, "kernel_size": 3, "padding": 1}
    first = create("Tanh")(create("Conv2D", **conv)(x))
    inner = create("Conv2D", **conv)(first)
    others = create("Sigmoid")(first), create("Conv2D", **conv)(first)
    after = create("Add")(create("ReLU")(inner), *others)
    return fastconv.Model(x, create("Dense", units=2)(create("Flatten")(after)), seed=0)


@pytest.mark.parametrize("make", [book, small, branches, overlapping, residual, late])
def test_a_step_has_the_bits_of_its_layers_one_by_one(make, rng):
    net = make()
    xs = as_tuple(random_like(net, rng, 6))
    dys = [rng.standard_normal(y.shape).astype(y.dtype) for y in as_tuple(net(*xs))]
    kept = [x.copy() for x in xs], [dy.copy() for dy in dys]
    plain = net._schedule(net._graph.outputs, merge=False)
    merged = net._schedule(net._graph.outputs, training=True)
    found = []
    for schedule in (plain, merged, merged):
        run = partial(differentiate, training=True, rng_key=(1, 2), needs=("inputs", "params"))
        outputs, _, gradients = memory.recycling(run, schedule, list(xs), lambda ys: ({}, dys))
        found.append((outputs, gradients))
    for outputs, gradients in found[1:]:
        for one, other in zip(found[0][0], outputs, strict=True):
            assert_bits_equal(one, other)
        assert gradients.params.keys() == found[0][1].params.keys()
        for key, gradient in gradients.params.items():
            assert_bits_equal(gradient, found[0][1].params[key])
        for one, other in zip(found[0][1].inputs, gradients.inputs, strict=True):
            assert_bits_equal(one, other)
    for one, other in zip((*xs, *dys), (*kept[0], *kept[1]), strict=True):
        assert_bits_equal(one, other)


def test_max_pooling_comes_before_relu():
    net = overlapping()
    ops = net._schedule(net._graph.outputs, training=True).operations
    ids = ["+".join(step.id for step in op.steps) for op in ops]
    assert ids[:4] == ["conv2d_1", "max_pool2d_1+relu_1", "conv2d_2", "batch_norm_1"]
    assert ids[4:6] == ["max_pool2d_2", "max_pool2d_3+relu_2"]
    assert all(op.over is None for op in ops[:6])


def test_arrays_of_a_step_outlive_the_next_ones(rng):
    """Their memory is taken again only after the last view of it is gone."""
    net = book()
    net.compile("sgd", "softmax_cross_entropy")
    x, t = random_like(net, rng, 50), np.arange(50) % 10
    net.train_on_batch(x, t)
    held = {key: gradient.reshape(-1)[1:] for key, gradient in net.gradients.items()}
    copies = {key: gradient.copy() for key, gradient in held.items()}
    for _ in range(3):
        net.train_on_batch(x + 1, t)
    for key, gradient in held.items():
        assert_bits_equal(gradient, copies[key])


def test_a_slab_lends_what_fits_and_joins_what_comes_back(rng):
    shared = StepMemory()
    shared.resize(64 * 64)
    held: dict[int, np.ndarray] = {}
    for number in range(2000):
        if held and rng.random() < 0.5:
            value, array = held.popitem() if rng.random() < 0.5 else next(iter(held.items()))
            held.pop(value, None)
            assert (array == value).all()
            del array
        else:
            shape = (int(rng.integers(1, 200)),)
            array = shared.lend(shape, np.dtype("int64"))
            assert array.ctypes.data % 16 == 0
            array[:] = number
            held[number] = array[:]
            del array
        ends = [at + size for at, size in shared.holes]
        assert all(end < at for end, (at, _) in zip(ends, shared.holes[1:], strict=False))
    held.clear()
    gc.collect()
    shared.begin()
    assert shared.lent == 0 and len(shared.holes) == 1


def test_memory_of_training_is_given_back(rng):
    net = book()
    net.compile("sgd", "softmax_cross_entropy")
    x, t = random_like(net, rng, 50), np.arange(50) % 10
    for _ in range(2):
        net.train_on_batch(x, t)
    net.gradients = {}
    assert memory.release() > 50 * 30 * 24 * 24 * 4  # the output of the convolution, at least
    assert memory.release() == 0
    net.fit(x, t, epochs=2, batch_size=10, verbose=0)
    assert memory.release() == 0


def test_weights_are_packed_when_a_network_is_made_or_loaded(tmp_path):
    net = book()
    net.save(tmp_path / "net.safetensors")
    again = fastconv.load(tmp_path / "net.safetensors")
    twin = book(1)
    twin.load_weights(tmp_path / "net.safetensors")
    x = np.ones((1, 1, 28, 28), np.float32)
    for network in (net, again, twin, net.for_inference()):
        with memory.track() as used:
            network(x)
        assert used.packed == 0
    net.compile("sgd", "softmax_cross_entropy")
    net.train_on_batch(x, [1])
    assert net["conv2d_1"].parameters["weight"].packed_nbytes == 0, "what is old is let go"
