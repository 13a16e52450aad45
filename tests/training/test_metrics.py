from __future__ import annotations

import numpy as np
import pytest

from fastconv.errors import ArgumentTypeError, ShapeError
from fastconv.training import (
    Accuracy,
    CrossEntropy,
    MeanAbsoluteError,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    loop,
)
from fastconv.training.compiled import Totals


def test_accuracy_of_labels_one_hot_and_pixels():
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]])
    assert Accuracy()(outputs, np.array([1, 1, 0])).tolist() == [True, False, True]
    assert Accuracy()(outputs, np.eye(2)[[1, 1, 0]]).tolist() == [True, False, True]
    pixels = np.moveaxis(outputs[None], -1, 1)  # (1, 2, 3)
    assert Accuracy()(pixels, np.array([[1, 1, 0]])).tolist() == [[True, False, True]]


def test_mean_absolute_error():
    assert MeanAbsoluteError()(np.array([[1.0, 2.0]]), np.array([[0, 4]])).tolist() == [[1, 2]]
    with pytest.raises(ShapeError, match="shape of the outputs"):
        MeanAbsoluteError()(np.zeros((2, 1)), np.zeros(2))


def test_accuracy_needs_two_classes():
    with pytest.raises(ShapeError, match="at least 2 classes"):
        Accuracy()(np.zeros((3, 1)), np.zeros(3, int))


@pytest.mark.parametrize("metric", [Accuracy(), MeanAbsoluteError()])
def test_masked_targets_are_refused(metric):
    with pytest.raises(ArgumentTypeError, match=f"{metric.name}: targets must be a plain array"):
        metric(np.eye(3), np.ma.array(np.eye(3)))


def test_answers_of_maps_with_nan_are_wrong():
    outputs = np.zeros((1, 2, 3))
    outputs[0, 1] = 1
    outputs[0, 0, 2] = np.nan
    assert Accuracy()(outputs, np.array([[1, 0, 1]])).tolist() == [[True, False, False]]


# Long sums: float32 alone would be off by percents here

LONG = 3_000_000


def test_long_sums_of_metrics_are_exact(linear):
    outputs = np.full((LONG, 2), np.float32(0.1))
    targets = np.zeros((LONG, 2), np.float32)
    model = linear()
    loop.compile(model, "sgd", "mean_squared_error", ["mean_absolute_error", "accuracy"])
    totals = Totals()
    model.compiled.measure(totals, {}, (outputs,), (targets,))
    means = totals.means()
    assert means["mean_absolute_error"] == pytest.approx(float(np.float32(0.1)), rel=1e-9)
    assert means["accuracy"] == 1


@pytest.mark.parametrize("order", ["C", "F"])
def test_long_sums_of_losses_are_exact(order):
    outputs = np.full((LONG, 2), np.float32(0.1), order=order)
    value = float(np.float32(0.1)) ** 2
    loss = MeanSquaredError()(outputs, np.zeros_like(outputs))
    assert loss == pytest.approx(value, rel=1e-6)
    labels = np.zeros(LONG, int)
    assert SoftmaxCrossEntropy()(outputs, labels) == pytest.approx(np.log(2), rel=1e-6)
    shares = np.full_like(outputs, 0.5)
    assert SoftmaxCrossEntropy()(outputs, shares) == pytest.approx(np.log(2), rel=1e-6)
    assert CrossEntropy()(shares, labels) == pytest.approx(np.log(2), rel=1e-6)


def test_totals_of_many_batches_are_exact():
    totals = Totals()
    for _ in range(300_000):
        totals.add("loss", 0.1, 1)
    assert totals.means()["loss"] == pytest.approx(0.1, rel=1e-9)


def test_half_precision_and_whole_numbers_are_summed_in_double_precision(linear):
    model = linear()
    loop.compile(
        model,
        "sgd",
        "mean_squared_error",
        [lambda y, t: np.full(len(y), 1, np.float16), lambda y, t: np.full(len(y), 127, np.int8)],
    )
    totals = Totals()
    rows = np.zeros((100_000, 3))
    model.compiled.measure(totals, {}, (rows,), (rows,))
    assert list(totals.means().values()) == [1, 127]
