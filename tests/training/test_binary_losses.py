"""Losses of labels that are each yes or no, and of distances; label smoothing."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.training import (
    BinaryCrossEntropy,
    Huber,
    MeanAbsoluteErrorLoss,
    MeanSquaredError,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)

RNG = np.random.default_rng(3)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_values_that_others_document():
    # PyTorch, BCEWithLogitsLoss: 64 labels, all there, all outputs 1.5
    loss = SigmoidCrossEntropy()
    assert loss(np.full((10, 64), 1.5), np.ones((10, 64))) == pytest.approx(0.20141, abs=5e-6)
    # Keras, BinaryCrossentropy(from_logits=True), Huber, MeanAbsoluteError
    logits, y = np.array([[-18.6], [0.51], [2.94], [-12.8]]), np.array([0, 1, 0, 0])
    assert loss(logits, y) == pytest.approx(0.865458, abs=1e-6)
    found, true = np.array([[0.6, 0.4], [0.4, 0.6]]), np.array([[0, 1], [0, 0]])
    assert Huber()(found, true) == pytest.approx(0.155)
    assert MeanAbsoluteErrorLoss()(np.array([[1.0, 1.0], [1.0, 0.0]]), true) == 0.5


@pytest.mark.parametrize("shape", [(5, 1), (4, 3), (2, 3, 2, 2)])
def test_both_losses_are_the_formula(shape):
    x, t = RNG.normal(size=shape), RNG.uniform(size=shape)
    p = sigmoid(x)
    right = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    for loss, y, slope in [
        (SigmoidCrossEntropy(), x, p - t),
        (BinaryCrossEntropy(), p, (p - t) / (p * (1 - p))),
    ]:
        value, gradient = loss.value_and_gradient(y, t)
        assert value == pytest.approx(right, rel=1e-14)
        np.testing.assert_allclose(gradient, slope / x.size, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("loss", [SigmoidCrossEntropy(), BinaryCrossEntropy()])
def test_one_label_may_have_an_axis_or_none(loss):
    y, t = RNG.uniform(0.1, 0.9, size=(6, 1)), RNG.integers(0, 2, 6)
    value, gradient = loss.value_and_gradient(y, t[:, None])
    for targets in (t, t.astype(bool), t.astype(float), t.tolist(), t.astype(np.uint8)):
        again = loss.value_and_gradient(y, targets)
        assert again[0] == value and again[1].shape == (6, 1)
        np.testing.assert_array_equal(again[1], gradient)
    maps = RNG.uniform(0.1, 0.9, size=(2, 1, 3, 3))
    assert loss(maps, np.ones((2, 3, 3))) == loss(maps, np.ones((2, 1, 3, 3)))


TINY = np.exp(-40.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("x", "t", "value", "slope"),
    [
        (1e4, 1, 0, 0),
        (1e4, 0, 1e4, 1),
        (-1e4, 0, 0, 0),
        (-1e4, 1, 1e4, -1),
        (40, 1, TINY, -TINY),
        (-40, 0, TINY, TINY),
        (40, 0, 40, 1),
        (0, 0.5, np.log(2), 0),
        (1e30, 1, 0, 0),
        (np.inf, 1, 0, 0),
        (-np.inf, 0, 0, 0),
        (np.inf, 0, np.inf, 1),
    ],
)
def test_log_odds_of_any_size_keep_their_digits(x, t, value, slope, dtype):
    found, gradient = SigmoidCrossEntropy().value_and_gradient(
        np.array([[x]], dtype), np.array([[t]])
    )
    rtol = 5e-7 if dtype == "float32" else 1e-14
    np.testing.assert_allclose([found, gradient.item()], [value, slope], rtol=rtol, atol=0)


def test_the_pair_sigmoid_and_binary_cross_entropy_agrees_with_the_fused_loss():
    x, t = RNG.normal(size=(6, 5)), RNG.integers(0, 2, (6, 5))
    fused = SigmoidCrossEntropy()(x, t)
    assert BinaryCrossEntropy()(sigmoid(x), t) == pytest.approx(fused, rel=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chances_of_0_and_1_give_finite_figures(dtype):
    y = np.array([[0, 1, 0, 1]], dtype)
    value, gradient = BinaryCrossEntropy().value_and_gradient(y, np.array([[1, 0, 0, 1]]))
    most = -np.log(np.finfo(dtype).tiny)
    assert value == pytest.approx(most / 2, rel=1e-6) and np.isfinite(gradient).all()
    assert gradient[0, 0] < 0 < gradient[0, 1]


def test_small_chances_keep_their_digits():
    value = BinaryCrossEntropy()(np.array([[1e-10]], np.float32), np.array([[0]]))
    assert value == pytest.approx(1e-10, rel=1e-6)  # log1p(-p), and not log(1 - p), which is 0


@pytest.mark.parametrize("loss", [SigmoidCrossEntropy(), BinaryCrossEntropy()])
@pytest.mark.parametrize(
    ("targets", "error", "words"),
    [
        (np.array([[0, 2]]), ArgumentError, "0, 1 or a chance between, got 2; take y > 0"),
        (np.array([[-1, 1]]), ArgumentError, "got -1; take y > -1"),
        (np.array([[1, 2]]), ArgumentError, "got 2; take y - 1"),
        (np.array([[0.5, 1.5]]), ArgumentError, r"got 1.5; take y > 0.5"),
        (np.array([[np.nan, 1]]), ArgumentError, "leave out the rows without a label"),
        (np.array([["a", "b"]]), ArgumentTypeError, "must be numbers"),
        (np.array([1]), ShapeError, r"got \(1,\); for one of 2 classes take loss=.*np.eye\(2\)"),
        (np.array([[[1, 0]]]), ShapeError, r"take y.reshape\(-1, 2\)"),
    ],
)
def test_wrong_targets_are_refused(loss, targets, error, words):
    for call in (
        lambda: loss(np.full((1, 2), 0.5), targets),
        lambda: loss.check_targets((1, 2), targets),
    ):
        with pytest.raises(error, match=words):
            call()


def test_targets_are_looked_at_before_the_first_step():
    net = fastconv.Sequential([("Dense", {"units": 1})], (3,), seed=0)
    net.compile("sgd", "sigmoid_cross_entropy", "binary_accuracy")
    x, y, before = np.ones((20, 3)), np.zeros(20), net.weights()
    y[-1] = 3
    with pytest.raises(ArgumentError, match="sigmoid_cross_entropy: targets must be 0, 1"):
        net.fit(x, y, batch_size=5, epochs=1, verbose=0)
    np.testing.assert_array_equal(net.weights()["dense_1/weight"], before["dense_1/weight"])


def test_chances_beyond_0_and_1_are_refused():
    for wrong, rule in ((-0.5, "must not be negative"), (1.5, "must be at most 1")):
        with pytest.raises(ArgumentError, match=f"{rule}.*sigmoid_cross_entropy"):
            BinaryCrossEntropy()(np.array([[0.5, wrong]]), np.array([[1, 0]]))


def test_a_network_learns_several_labels_at_once():
    x = RNG.normal(size=(200, 4)).astype("float32")
    y = (x[:, :3] > 0).astype(int)  # three labels that do not exclude each other
    for loss, last in (("sigmoid_cross_entropy", []), ("binary_cross_entropy", ["Sigmoid"])):
        net = fastconv.Sequential([("Dense", {"units": 3}), *last], (4,), seed=0)
        net.compile(("adam", {"learning_rate": 0.1}), loss, ["binary_accuracy", "f1", "auc"])
        net.fit(x, y, epochs=20, verbose=0)
        found = net.evaluate(x, y)
        assert min(found["binary_accuracy"], found["f1"], found["auc"]) > 0.95
        said = net.predict(x) > (0.5 if last else 0)
        assert found["binary_accuracy"] == np.mean(said == y)


# Distances


def test_huber_is_a_square_and_then_a_line():
    d = np.array([[-3, -0.5, 0, 0.2, 2, 50]])
    for delta in (1.0, 0.3, 10.0):
        right = np.where(np.abs(d) <= delta, d**2 / 2, delta * (np.abs(d) - delta / 2))
        value, gradient = Huber(delta).value_and_gradient(d, np.zeros_like(d))
        assert value == pytest.approx(right.mean(), rel=1e-14)
        np.testing.assert_allclose(gradient, np.clip(d, -delta, delta) / 6, rtol=1e-14)
    assert Huber(1e6)(d, d + 2) == MeanSquaredError()(d, d + 2) / 2


def test_the_slope_of_the_absolute_error_is_a_sign():
    value, gradient = MeanAbsoluteErrorLoss().value_and_gradient(
        np.array([[1, -2], [3, 0]], np.float32), np.array([[2, 1], [1, 0]])
    )
    assert value == 1.5 and gradient.tolist() == [[-0.25, -0.25], [0.25, 0]]


@pytest.mark.parametrize("delta", [0, -1, np.inf, np.nan, 1e-50])
def test_wrong_deltas_are_refused(delta):
    with pytest.raises(ArgumentError, match="huber: delta must"):
        Huber(delta)


# Label smoothing


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 2, 2)])
def test_label_smoothing_is_the_loss_of_smoothed_shares(shape):
    y, classes = RNG.normal(size=shape), shape[1]
    labels = RNG.integers(0, classes, shape[:1] + shape[2:])
    one_hot = np.moveaxis(np.eye(classes)[labels], -1, 1)
    logs = y - np.log(np.exp(y).sum(axis=1, keepdims=True))
    for smoothing in (0.1, 0.5):
        t = one_hot * (1 - smoothing) + smoothing / classes
        right = -(t * logs).sum() / labels.size
        loss = SoftmaxCrossEntropy(label_smoothing=smoothing)
        for targets in (labels, one_hot):
            value, gradient = loss.value_and_gradient(y, targets)
            assert value == pytest.approx(right, rel=1e-13)
            np.testing.assert_allclose(
                gradient, (np.exp(logs) - t) / labels.size, rtol=1e-10, atol=1e-15
            )


def test_no_smoothing_is_the_loss_as_it_is():
    y, labels = RNG.normal(size=(5, 4)).astype("float32"), RNG.integers(0, 4, 5)
    plain = SoftmaxCrossEntropy().value_and_gradient(y, labels)
    again = SoftmaxCrossEntropy(label_smoothing=0).value_and_gradient(y, labels)
    assert plain[0] == again[0] and plain[1].tobytes() == again[1].tobytes()


@pytest.mark.parametrize("smoothing", [-0.1, 1, 1.5, np.nan])
def test_wrong_smoothings_are_refused(smoothing):
    with pytest.raises(ArgumentError, match="label_smoothing must be at least 0 and below 1"):
        SoftmaxCrossEntropy(label_smoothing=smoothing)
    net = fastconv.Sequential([("Dense", {"units": 3})], (3,), seed=0)
    with pytest.raises(ArgumentError, match="label_smoothing must be"):
        net.compile("sgd", ("softmax_cross_entropy", {"label_smoothing": smoothing}))


# Pairs of loss and last layer


@pytest.mark.parametrize(
    ("loss", "last", "words"),
    [
        ("sigmoid_cross_entropy", "Sigmoid", 'take loss="binary_cross_entropy", or leave the Sig'),
        ("sigmoid_cross_entropy", "Softmax", 'for one of several classes take loss="cross_ent'),
        ("sigmoid_cross_entropy", "Tanh", "leave the Tanh out"),
        ("binary_cross_entropy", "Dense", 'take loss="sigmoid_cross_entropy", or end in Sigmoid'),
        ("binary_cross_entropy", "Softmax", 'for one of several classes take loss="cross_ent'),
        ("binary_cross_entropy", "Tanh", 'leave the Tanh out and take loss="sigmoid_cross_ent'),
        ("softmax_cross_entropy", "Sigmoid", 'for labels .* take loss="binary_cross_entropy"'),
        ("cross_entropy", "Sigmoid", 'for labels .* take loss="binary_cross_entropy"'),
    ],
)
def test_the_wrong_last_layer_is_refused_with_what_to_do(loss, last, words):
    net = fastconv.Sequential([("Dense", {"units": 3}), *([] if last == "Dense" else [last])], (3,))
    with pytest.raises(ArgumentError, match=f"compile: loss must .* after a {last} .*{words}"):
        net.compile("sgd", loss)


def test_distances_fit_every_last_layer():
    for loss in ("mean_squared_error", "mean_absolute_error", "huber"):
        for last in ("Sigmoid", "Softmax", "Tanh", "ReLU"):
            net = fastconv.Sequential([("Dense", {"units": 3}), last], (3,), seed=0)
            net.compile("sgd", loss)
            assert np.isfinite(net.train_on_batch(np.ones((2, 3)), np.zeros((2, 3)))["loss"])


@pytest.mark.parametrize(
    ("name", "offer"),
    [
        ("BCEWithLogitsLoss", "'sigmoid_cross_entropy'"),
        ("nn.BCELoss", "'binary_cross_entropy'"),
        ("binary_crossentropy", "'sigmoid_cross_entropy' or 'binary_cross_entropy'"),
        ("mae", "'mean_absolute_error'"),
        ("L1Loss", "'mean_absolute_error'"),
        ("SmoothL1Loss", "'huber'"),
        ("Huber", "'huber'"),
        ("categorical_crossentropy", "'softmax_cross_entropy' or 'cross_entropy'"),
        ("CrossEntropyLoss", "'softmax_cross_entropy'"),
        ("mse", "'mean_squared_error'"),
    ],
)
def test_names_of_other_libraries_lead_to_the_loss(name, offer):
    net = fastconv.Sequential([("Dense", {"units": 3})], (3,))
    with pytest.raises(fastconv.errors.UnknownNameError, match=f"did you mean {offer}"):
        net.compile("sgd", name)
