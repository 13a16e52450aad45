"""What metrics keep, and what is held for validation and weights of classes: limits count it."""

from __future__ import annotations

import numpy as np
import pytest
from networks import traced
from test_limits import SLACK, least

import fastconv
from fastconv.training import AUC
from fastconv.training.metrics.counting import CountingMetric


def of_maps(metrics, channels=3, seed=0):
    """A network with an answer for each pixel, and nothing larger than what it ends in."""
    layers = [("Conv2D", {"filters": channels, "kernel_size": 3, "padding": "same"})]
    net = fastconv.Sequential(layers, (1, 32, 32), seed=seed)
    net.compile("sgd", "softmax_cross_entropy", metrics)
    return net


def maps(rows, rng, channels=3):
    return rng.random((rows, 1, 32, 32), np.float32), rng.integers(0, channels, (rows, 32, 32))


@pytest.mark.parametrize("average", ["auto", 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_auc_takes_what_it_states(average, weighted, rng):
    metric, shape, rows = AUC(average), (3, 40, 41), 64
    outputs = rng.random((rows, *shape)).astype(np.float32)
    targets = rng.integers(0, 3, (rows, 40, 41))
    weights = np.ones(rows) if weighted else None
    kept, besides = metric.count_bytes(shape, rows)
    taken = traced(lambda: metric.counts(outputs, targets, weights))
    arrays = 2 * outputs.nbytes + 24 * targets.size  # what any metric is taken to need
    assert 0.6 * (kept + besides) < taken <= kept + besides + arrays
    parts = [metric.counts(outputs[at], targets[at]) for at in (slice(32), slice(32, None))]
    assert sum(part.nbytes for part in parts) == kept
    together = traced(lambda: metric.figure(metric.added(*parts)))
    assert 0.8 * besides < together <= besides + SLACK


@pytest.mark.parametrize("batch_size", [4, 16])
def test_evaluating_with_auc_keeps_within_its_limit(batch_size, rng):
    net, (x, y) = of_maps("auc"), maps(48, rng)
    limit = least(lambda **k: net.evaluate(x, y, batch_size=batch_size, **k))
    expected = net.evaluate(x, y, batch_size=batch_size)
    taken = traced(lambda: net.evaluate(x, y, batch_size=batch_size, memory_limit=limit))
    assert 0.7 * limit < taken <= limit * 1.01 + SLACK
    found = net.evaluate(x, y, batch_size=batch_size, memory_limit=limit)
    assert found["auc"] == expected["auc"]


@pytest.mark.parametrize("validation", ["none", "split", "arrays", "lists"])
def test_training_with_auc_keeps_within_its_limit(validation, rng):
    net, (x, y) = of_maps("auc"), maps(48, rng)
    settings = {"batch_size": 8, "epochs": 1, "verbose": 0}
    if validation == "split":
        settings["validation_split"] = 0.5
    elif validation != "none":
        held = maps(24, rng)
        settings["validation_data"] = [list(a) for a in held] if validation == "lists" else held
    limit = least(lambda **k: net.fit(x, y, **settings, **k))
    net.fit(x, y, **settings, memory_limit=limit)
    net.gradients = {}
    taken = traced(lambda: net.fit(x, y, **settings, memory_limit=limit))
    assert 0.7 * limit < taken <= limit * 1.01 + SLACK


@pytest.mark.parametrize("streams", [False, True])
def test_rows_for_validation_that_are_lists_count_while_a_network_learns(streams, rng):
    net, (x, y), (other, labels) = of_maps(()), maps(16, rng), maps(200, rng)
    settings = {"epochs": 1, "verbose": 0}
    data = ([(x[:8], y[:8]), (x[8:], y[8:])],) if streams else (x, y)
    if not streams:
        settings["batch_size"] = 8

    def run(rows, **limit):
        # their rows are given one by one, so that what is evaluated needs less than a step
        return net.fit(*data, validation_data=(rows, labels), **settings, **limit)

    def allowed(rows):
        return bisect(lambda limit: run(rows, memory_limit=limit), 10_000, 10_000_000)

    assert allowed(list(other)) - allowed(other) == pytest.approx(other.nbytes, rel=0.01)
    limit = allowed(list(other))
    assert traced(lambda: run(list(other), memory_limit=limit)) <= limit * 1.01 + SLACK


def bisect(run, low, high):
    """The least limit, within 200 bytes, under which `run` raises nothing."""
    while high - low > 200:
        middle = (low + high) // 2
        try:
            run(middle)
        except fastconv.errors.MemoryLimitError:
            low = middle
        else:
            high = middle
    return high


def test_weights_of_classes_count_for_each_row_of_a_batch(rng):
    net = fastconv.Sequential([("Dense", {"units": 200})], (2,), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    x, labels = rng.random((4000, 2), np.float32), rng.integers(0, 200, 4000)
    y = np.eye(200, dtype=np.float32)[labels]
    settings = {"batch_size": 2000, "epochs": 1, "verbose": 0, "class_weight": {3: 2.0}}
    limits = [least(lambda t=t, **k: net.fit(x, t, **settings, **k)) for t in (labels, y)]
    for targets, limit in zip((labels, y), limits, strict=True):
        net.gradients = {}
        taken = traced(lambda t=targets, m=limit: net.fit(x, t, **settings, memory_limit=m))
        assert taken <= limit * 1.01 + SLACK


def test_a_metric_of_others_counts_as_it_says(rng):
    class Outputs(CountingMetric):
        """Keeps all that it is given."""

        name = "outputs"

        def counts(self, outputs, targets, weights=None):
            return outputs.astype(np.float64).ravel()

        def added(self, counts, more):
            return np.concatenate([counts, more])

        def figure(self, counts):
            return float(counts.mean())

    class Stating(Outputs):
        def count_bytes(self, shape, rows):
            kept = 8 * rows * int(np.prod(shape))
            return kept, kept

    x, y = maps(16, rng)
    limits = [
        least(lambda m=metric, **k: of_maps(m).evaluate(x, y, batch_size=4, **k))
        for metric in (Outputs(), Stating())
    ]
    assert limits[1] - limits[0] > 8 * 16 * 3 * 32 * 32
    net = of_maps(Stating())
    taken = traced(lambda: net.evaluate(x, y, batch_size=4, memory_limit=limits[1]))
    assert taken <= limits[1] * 1.01 + SLACK


@pytest.mark.parametrize("wrong", [8, (8,), (8, -1), ("8", 0), None])
def test_what_a_metric_says_of_its_counts_is_two_numbers(wrong, rng):
    class Wrong(AUC):
        name = "wrong"

        def count_bytes(self, shape, rows):
            return wrong

    x, y = maps(4, rng)
    with pytest.raises(fastconv.errors.ArgumentTypeError, match=r"wrong: count_bytes must return"):
        of_maps(Wrong()).evaluate(x, y, memory_limit="1 GB")
