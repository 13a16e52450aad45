"""The confusion matrix and the mistakes that are drawn are those that there are."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import plot, training
from fastconv.errors import ArgumentError

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure  # noqa: E402


@pytest.fixture
def digits():
    x, y = fastconv.data.digits()
    return fastconv.create_model("SimpleConvNet", weights="digits"), x[:600], y[:600]


def test_counts_are_written_and_shares_are_colours(digits):
    net, x, y = digits
    outputs = net.predict(x)
    axes = plot.confusion_matrix(y, outputs).axes[0]
    matrix = training.confusion_matrix(y, outputs)
    for text in axes.texts:
        column, row = text.get_position()
        assert int(text.get_text()) == matrix[row, column]
    assert len(axes.texts) == 100
    shares = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(shares, matrix / matrix.sum(axis=1, keepdims=True))
    assert axes.get_title() == f"{100 * np.mean(outputs.argmax(1) == y):.1f} % of 600 right"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


def test_classes_have_names_and_many_have_no_counts():
    axes = plot.confusion_matrix([0, 1], [1, 1], names=["a $1$ cat", "dog"]).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [r"a \$1\$ cat", "dog"]
    axes = plot.confusion_matrix(np.arange(90), np.arange(90)).axes[0]
    assert not axes.texts and len(axes.get_xticks()) == 30
    with pytest.raises(ArgumentError, match="names must be at least 3, one for each class"):
        plot.confusion_matrix([0, 2], [1, 1], names=["a", "b"])


def test_a_class_that_never_came_has_no_share():
    axes = plot.confusion_matrix([0, 2], [0, 1]).axes[0]
    assert np.asarray(axes.images[0].get_array()).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_a_matrix_goes_where_it_is_told():
    mine = Figure()
    axes = mine.subplots()
    assert plot.confusion_matrix([0, 1], [1, 1], ax=axes) is mine and mine.axes == [axes]


def test_every_mistake_is_drawn_in_the_order_of_the_rows(digits):
    net, x, y = digits
    said = net.predict(x).argmax(1)
    wrong = np.flatnonzero(said != y)
    assert 3 < len(wrong) <= 20
    figure = plot.misclassified(net, x, y)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [f"row {row}: {y[row]}\nsaid to be {said[row]}" for row in wrong]
    for axes, row in zip(figure.axes, wrong, strict=True):
        image = np.asarray(axes.images[0].get_array())
        np.testing.assert_allclose(image, (x[row, 0] - x[row].min()) / np.ptp(x[row]), rtol=1e-6)
    assert figure.get_suptitle() == f"{len(wrong)} of 600 misclassified"
    first = plot.misclassified(net, x, y, most=2)
    assert [axes.get_title() for axes in first.axes] == titles[:2]
    assert first.get_suptitle().endswith("the first 2")


def test_one_hot_classes_and_none_that_is_wrong(digits):
    net, x, _ = digits
    said = net.predict(x).argmax(1)
    figure = plot.misclassified(net, x, np.eye(10)[said])
    assert figure.axes == [] and figure.get_suptitle() == "0 of 600 misclassified"


def test_a_network_without_classes_is_told():
    net = fastconv.Sequential(["Flatten", ("Dense", {"units": 1})], (1, 2, 2), seed=0)
    with pytest.raises(ArgumentError, match=r"net must give one output \(N, K\)"):
        plot.misclassified(net, np.ones((3, 1, 2, 2)), [0, 1, 0])
