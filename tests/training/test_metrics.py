from __future__ import annotations

import numpy as np
import pytest

from fastconv.errors import ArgumentTypeError, ShapeError
from fastconv.training import Accuracy, MeanAbsoluteError


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
