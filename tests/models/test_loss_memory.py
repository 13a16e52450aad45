"""What losses take beside their gradient: stated, counted by plans, and small for large maps."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from networks import traced
from test_limits import SLACK, least

import fastconv
from fastconv import registry
from fastconv.training.compiled import BYTES_PER_ANSWER
from fastconv.training.losses import blockwise

OF_CLASSES = ("softmax_cross_entropy", "cross_entropy")
ENDS = {"logits": None, "probabilities": "Softmax", "log odds": None, "chances": "Sigmoid"}
ALL = [*registry.losses.names(), ("softmax_cross_entropy", {"label_smoothing": 0.1})]


def loss_of(spec):
    return registry.resolve(registry.losses, spec, "test")


def data_for(loss, shape, dtype, rng, labels=False):
    """Outputs that `loss` takes, and targets in another dtype, which it must cast."""
    outputs = rng.random(shape).astype(dtype)
    if loss.takes == "probabilities":
        outputs /= outputs.sum(axis=1, keepdims=True)
    if labels:
        return outputs, rng.integers(0, shape[1], shape[:1] + shape[2:]).astype(np.int32)
    other = np.float32 if dtype == "float64" else np.float64
    return outputs, (rng.random(shape) > 0.5).astype(other)


@pytest.mark.parametrize("shape", [(), (1,), (70_000,), (4, 3), (100, 1000), (3, 2, 90, 91)])
def test_blocks_hold_each_number_once(shape):
    seen = np.zeros(shape, int)
    for block in blockwise.blocks(shape):
        seen[block] += 1
        assert seen[block].size <= blockwise.block_numbers(shape) <= blockwise.NUMBERS
    assert (seen == 1).all()
    assert blockwise.block_numbers(shape) > min(math.prod(shape), blockwise.NUMBERS) // 2


@pytest.mark.parametrize("shape", [(2, 40_000), (3, 40_000, 2), (2, 20_000, 2, 1)])
def test_a_block_has_at_least_one_answer(shape):
    assert blockwise.block_numbers(shape) == shape[1]
    assert {len(range(shape[1])[block[1]]) for block in blockwise.blocks(shape)} == {shape[1]}


def test_no_rows_and_no_places():
    for shape in [(0, 3), (2, 0), (2, 3, 0), (0, 0)]:
        assert blockwise.block_numbers(shape) == 0
        assert not any(np.zeros(shape)[block].size for block in blockwise.blocks(shape))


@pytest.mark.parametrize("spec", ALL)
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_change_no_gradient(spec, weighted, rng, monkeypatch):
    loss, shape = loss_of(spec), (3, 5, 64, 70)
    weights = (np.array([0.5, 0.0, 2.0]),) if weighted else ()
    for labels in (False, True) if loss.name in OF_CLASSES else (False,):
        outputs, targets = data_for(loss, shape, "float32", rng, labels)
        value, gradient = loss.value_and_gradient(outputs, targets, *weights)
        assert loss(outputs, targets, *weights) == value
        monkeypatch.setattr(blockwise, "NUMBERS", outputs.size)
        whole_value, whole = loss.value_and_gradient(outputs, targets, *weights)
        monkeypatch.undo()
        assert np.array_equal(gradient, whole)
        assert value == pytest.approx(whole_value, rel=1e-14)


@pytest.mark.parametrize("spec", ALL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(4, 2, 63), (2, 10, 128, 100), (64, 2, 80, 80)])
def test_a_loss_takes_what_it_states(spec, dtype, shape, rng):
    loss = loss_of(spec)
    stated, most = loss.temporary_bytes(shape, np.dtype(dtype).itemsize), 0
    for labels in (False, True) if loss.name in OF_CLASSES else (False,):
        for weights in ((), (np.ones(shape[0]),)):
            outputs, targets = data_for(loss, shape, dtype, rng, labels)
            loss.value_and_gradient(outputs, targets, *weights)
            taken = traced(
                lambda given=(outputs, targets, *weights): loss.value_and_gradient(*given)
            )
            most = max(most, taken)
    assert most <= stated + 12_000  # Python's own objects
    assert most >= 0.7 * stated
    without = traced(lambda: loss(outputs, targets))
    assert without <= loss.temporary_bytes(shape, np.dtype(dtype).itemsize, gradient=False) + 12_000


def test_a_loss_of_others_counts_as_it_says():
    class Own(fastconv.training.Loss):
        name = "own"

        def value_and_gradient(self, outputs, targets, weights=None):
            return 0.0, np.zeros_like(outputs)

    class Hungry(Own):
        def temporary_bytes(self, shape, itemsize=4):
            return 7 * math.prod(shape) * itemsize

    peaks = []
    for loss in (Own(), Hungry()):
        net = pixels(None, 4)
        net.compile("sgd", loss)
        plan = net.plan(8, training=True)
        assert net.measure(8, training=True) == pytest.approx(plan.peak, rel=0.01)
        peaks.append(plan.peak)
    assert peaks[1] - peaks[0] >= 4 * 8 * 4 * 64 * 64 * 4


def pixels(end, channels):
    """A network that answers for each pixel, with nothing larger than what it ends in."""
    layers = [("Conv2D", {"filters": channels, "kernel_size": 3, "padding": "same"})]
    return fastconv.Sequential([*layers, end] if end else layers, (1, 64, 64), seed=0)


def of_pixels(spec, rng):
    """A compiled network that answers for each pixel, with rows to learn from."""
    loss = loss_of(spec)
    net = pixels(ENDS.get(loss.takes), 4)
    metric = {"values": "mean_absolute_error"}.get(loss.takes, "binary_accuracy")
    net.compile("sgd", spec, "accuracy" if loss.name in OF_CLASSES else metric)
    _, y = data_for(loss, (8, 4, 64, 64), "float32", rng)
    return net, rng.random((8, 1, 64, 64), np.float32), y


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("spec", ALL)
def test_training_on_large_maps_keeps_within_its_limit(spec, shuffle, rng):
    net, x, y = of_pixels(spec, rng)
    settings = {"batch_size": 4, "epochs": 1, "verbose": 0, "shuffle": shuffle}
    settings["sample_weight"] = np.ones(8)
    limit = least(lambda **k: net.fit(x, y, **settings, **k))
    net.fit(x, y, **settings, memory_limit=limit)
    net.gradients = {}
    taken = traced(lambda: net.fit(x, y, **settings, memory_limit=limit))
    assert 0.6 * limit < taken <= limit * 1.01 + SLACK


@pytest.mark.parametrize("spec", ALL)
def test_plans_of_training_on_large_maps_are_what_runs_take(spec, rng):
    net, _, _ = of_pixels(spec, rng)
    for _ in ("with a metric", "without"):
        peak = net.plan(500, training=True).peak
        assert net.measure(500, training=True) == pytest.approx(peak, rel=0.01)
        net.compile("sgd", spec)


@pytest.mark.parametrize("spec", ALL)
def test_evaluating_large_maps_keeps_within_its_limit(spec, rng):
    net, x, y = of_pixels(spec, rng)
    limit = least(lambda **k: net.evaluate(x, y, batch_size=8, **k))
    net.evaluate(x, y, batch_size=8, memory_limit=limit)
    taken = traced(lambda: net.evaluate(x, y, batch_size=8, memory_limit=limit))
    assert 0.4 * limit < taken <= limit * 1.01 + SLACK


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_evaluating_names_the_smallest_limit(batch_size, rng):
    layers = ["Flatten", ("Dense", {"units": 40}), "ReLU", ("Dense", {"units": 10})]
    net = fastconv.Sequential(layers, (1, 8, 8), seed=0)
    net.compile("sgd", "softmax_cross_entropy", ["accuracy"])
    x, y = rng.random((100, 1, 8, 8), np.float32), np.arange(100) % 10
    call = partial(net.evaluate, x, y, batch_size=batch_size)
    limit = least(lambda **k: call(**k))
    assert call(memory_limit=limit) == pytest.approx(call(), rel=1e-5)
    for smaller in (limit - 1, limit // 2):
        with pytest.raises(fastconv.MemoryLimitError) as caught:
            call(memory_limit=smaller)
        assert caught.value.least == limit


def test_a_plan_without_a_loss_keeps_evaluating_within_it(rng):
    """Where the largest maps are inside the network, what is measured adds nothing."""
    layers = [("Conv2D", {"filters": 8, "kernel_size": 3}), "Flatten", ("Dense", {"units": 10})]
    net = fastconv.Sequential(layers, (1, 32, 32), seed=0)
    net.compile("sgd", "softmax_cross_entropy", "accuracy")
    x, y = rng.random((50, 1, 32, 32), np.float32), rng.integers(0, 10, 50)
    limit = net.plan(50).peak
    expected = net.evaluate(x, y, batch_size=50)
    assert net.evaluate(x, y, batch_size=50, memory_limit=limit) == expected


@pytest.mark.parametrize("metric", [n for n in registry.metrics.names() if n != "auc"])
@pytest.mark.parametrize("classes", [1, 2, 10])
def test_metrics_take_no_more_than_is_counted(metric, classes, rng):
    outputs = rng.random((4, classes, 64, 64)).astype(np.float32)
    targets = (rng.random(outputs.shape) > 0.5).astype(float)
    found = registry.create(registry.metrics, metric, {"k": 1} if metric == "top_k" else {}, "test")
    try:
        found(outputs, targets)
    except fastconv.errors.FastconvError:
        pytest.skip("the metric is of other outputs")
    counted = 2 * outputs.nbytes + BYTES_PER_ANSWER * outputs.size // classes
    assert traced(lambda: found(outputs, targets)) <= counted + 20_000


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_targets_that_are_lists_count_as_the_arrays_that_are_made_of_them(method, rng):
    net, x, y = of_pixels("mean_squared_error", rng)
    settings = {"batch_size": 4, **({"epochs": 1, "verbose": 0} if method == "fit" else {})}

    def run(targets, **limit):
        return getattr(net, method)(x, targets, **settings, **limit)

    limit = least(lambda **k: run(y, **k)) + y.nbytes
    rows = list(y)
    assert least(lambda **k: run(rows, **k)) == limit
    run(rows, memory_limit=limit)
    net.gradients = {}
    assert traced(lambda: run(rows, memory_limit=limit)) <= limit * 1.01 + SLACK


def test_weights_of_another_dtype_count_as_the_array_that_is_made_of_them(rng):
    net = fastconv.Sequential([("Dense", {"units": 1})], (2,), seed=0)
    net.compile("sgd", "mean_squared_error")
    rows = 50_000
    x, y, weights = rng.random((rows, 2), np.float32), rng.random((rows, 1)), np.ones(rows)

    def run(given, **limit):
        return net.evaluate(x, y, sample_weight=given, batch_size=100, **limit)

    limit = least(lambda **k: run(weights, **k))
    assert least(lambda **k: run(weights.astype(np.float32), **k)) == limit + weights.nbytes
    assert least(lambda **k: run(weights.tolist(), **k)) == limit + weights.nbytes
