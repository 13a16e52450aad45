"""Rows that count more or less: losses, metrics, and the figures of many batches."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.training import Loss, loop
from fastconv.training.compiled import Totals
from fastconv.training.weighting import as_weights

RNG = np.random.default_rng(7)
NAMES = list(registry.losses.names())


def _loss(name):
    return registry.resolve(registry.losses, name, "test")


def _case(rows=6, extra=()):
    outputs = RNG.uniform(0.05, 0.3, size=(rows, 3, *extra))
    targets = RNG.dirichlet(np.ones(3), (rows, *extra))
    return outputs, np.moveaxis(targets, -1, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("extra", [(), (2, 2)])
def test_a_weighted_loss_is_the_weighted_mean_of_the_losses_of_the_rows(name, extra):
    outputs, targets = _case(extra=extra)
    loss, weights = _loss(name), np.array([1.0, 0.5, 3.0, 0.0, 2.0, 0.25])
    value, gradient = loss.value_and_gradient(outputs, targets, weights)
    each = [loss.value_and_gradient(outputs[[n]], targets[[n]]) for n in range(6)]
    assert value == pytest.approx(
        sum(w * v for w, (v, _) in zip(weights, each, strict=True)) / 6.75, rel=1e-14
    )
    for n, (_, own) in enumerate(each):
        np.testing.assert_allclose(gradient[[n]], own * weights[n] / 6.75, rtol=1e-13, atol=1e-18)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_a_scale(name):
    outputs, targets = _case()
    plain = _loss(name).value_and_gradient(outputs, targets)
    for weight in (1, 2.5, 1e-300):
        value, gradient = _loss(name).value_and_gradient(outputs, targets, np.full(6, weight))
        assert value == pytest.approx(plain[0], rel=1e-14)
        np.testing.assert_allclose(gradient, plain[1], rtol=1e-14)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_of_weight_zero_is_left_out_whatever_it_holds(name, dtype):
    outputs, targets = _case()
    loss, weights = _loss(name), np.array([1.0, 2.0, 0.0, 1.0, 0.0, 3.0])
    kept = weights > 0
    outputs = outputs.astype(dtype)
    outputs[2] = np.nan
    value, gradient = loss.value_and_gradient(outputs, targets, weights)
    right, own = loss.value_and_gradient(outputs[kept], targets[kept], weights[kept])
    assert value == right and gradient.dtype == dtype
    np.testing.assert_array_equal(gradient[kept], own)
    assert not gradient[~kept].any()


@pytest.mark.parametrize("name", NAMES)
def test_weights_that_are_all_zero_give_zeros(name):
    outputs, targets = _case()
    outputs[0] = np.nan
    value, gradient = _loss(name).value_and_gradient(outputs, targets, np.zeros(6))
    assert value == 0 and not gradient.any() and gradient.shape == outputs.shape


@pytest.mark.parametrize("name", NAMES)
def test_wrong_weights_are_refused(name):
    outputs, targets = _case()
    for weights, error, text in [
        (np.ones(5), ShapeError, r"one number for each row, an array \(6,\), got shape \(5,\)"),
        (np.ones((6, 1)), ShapeError, "one number for each row"),
        (-np.ones(6), ArgumentError, "weights must be finite and at least 0, got -1"),
        (np.full(6, np.nan), ArgumentError, "got nan"),
        (np.full(6, 1e308), ArgumentError, "finite sum"),
        (np.array(list("abcdef")), ArgumentTypeError, "real numbers"),
    ]:
        with pytest.raises(error, match=text):
            _loss(name).value_and_gradient(outputs, targets, weights)


def test_weights_of_any_kind_of_number_become_float64():
    assert as_weights("fit", None, 3) is None
    for weights in ([1, 2, 3], np.array([1, 2, 3], np.uint8), np.array([1, 2, 3], ">f4")):
        found = as_weights("fit", weights, 3)
        assert found.dtype == np.float64 and found.tolist() == [1, 2, 3]


def test_totals_of_weighted_batches_are_those_of_all_rows(linear, blobs):
    x, y = blobs
    weights = RNG.uniform(0, 3, 150)
    weights[100:110] = 0  # one whole batch
    model = linear()
    loop.compile(model, "sgd", "softmax_cross_entropy", ["accuracy", lambda a, b: np.abs(a)])
    whole = {}
    for size in (150, 10, 7):
        totals = Totals()
        for at in range(0, 150, size):
            rows = slice(at, at + size)
            outputs = (model.predict_batch((x[rows],)),)
            function = model.compiled.loss_function((y[rows],), weights[rows])
            losses = function(outputs)[0]
            model.compiled.measure(totals, losses, outputs, (y[rows],), weights[rows])
        whole = whole or totals.means()
        assert totals.means() == pytest.approx(whole, rel=1e-13)
    right = model.predict_batch((x,)).argmax(1) == y
    assert whole["accuracy"] == pytest.approx(np.average(right, weights=weights), rel=1e-13)


def test_figures_of_nothing_but_zero_weights_are_zero(linear):
    model, zeros = linear(), np.zeros(4)
    loop.compile(model, "sgd", "softmax_cross_entropy", ["accuracy"])
    outputs, targets, totals = (np.full((4, 3), np.nan),), (np.zeros(4, int),), Totals()
    losses, gradients = model.compiled.loss_function(targets, zeros)(outputs)
    assert losses == {"loss": 0} and not gradients[0].any()
    model.compiled.measure(totals, losses, outputs, targets, zeros)
    assert totals.means() == {"loss": 0, "accuracy": 0}


def test_totals_go_on_from_their_state(linear, blobs):
    x, y = blobs
    model = linear()
    loop.compile(model, "sgd", "softmax_cross_entropy", ["accuracy"])
    totals, outputs = model.compiled.totals(), (model.predict_batch((x,)),)
    model.compiled.measure(totals, {"loss": 0.3}, outputs, (y,))
    again = model.compiled.totals(totals.state())
    for one in (totals, again):
        model.compiled.measure(one, {"loss": 0.7}, outputs, (y,))
    assert again.means() == totals.means() and list(again.means()) == ["loss", "accuracy"]


def test_a_loss_of_others_without_weights_serves_until_some_are_given():
    class Own(Loss):
        name = "own"

        def value_and_gradient(self, outputs, targets):
            return 0.5, np.zeros_like(outputs)

    net = fastconv.Sequential([("Dense", {"units": 3})], (5,), seed=0)
    net.compile("sgd", Own())
    x, y = np.ones((4, 5)), np.zeros((4, 3))
    assert net.train_on_batch(x, y) == {"loss": 0.5} and Own()(x, y) == 0.5
    with pytest.raises(ArgumentTypeError, match=r"the loss 'own'.* \(outputs, targets, weights=N"):
        net.compiled.check_weights("fit", "sample_weight")
    with pytest.raises(ArgumentTypeError, match="the loss 'own'"):
        net.compiled.loss_function((y,), np.ones(4))


@pytest.mark.parametrize("targets", [lambda y: y, lambda y: np.eye(3)[y]], ids=["labels", "rows"])
def test_class_weights_without_a_finite_sum_are_told_before_the_first_step(linear, blobs, targets):
    x, y = blobs
    y = targets(y)
    model = linear()
    loop.compile(model, "sgd", "softmax_cross_entropy")
    rule = "fit: class_weight must have a finite sum over the rows, times their sample_weight, got"
    for size, settings in (
        (10, {"class_weight": [1e308] * 3}),
        (1, {"class_weight": {0: 1e308}}),  # of each batch alone the sum is finite
        (10, {"class_weight": {2: 1e300}, "sample_weight": np.full(150, 1e10)}),
        (1, {"class_weight": {2: 1e300}, "sample_weight": np.full(150, 1e7)}),
    ):
        with np.errstate(all="raise"), pytest.raises(ArgumentError, match=f"{rule} inf"):
            loop.fit(model, (x,), y, batch_size=size, verbose=0, **settings)
    assert model.compiled.step == 0
    loop.fit(model, (x,), y, epochs=1, verbose=0, class_weight={0: 1e305})


def test_class_weights_of_batches_without_a_finite_sum(linear, blobs):
    net = fastconv.Sequential([("Dense", {"units": 3})], (4,), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    with pytest.raises(ArgumentError, match="fit: class_weight must have a finite sum .* got inf"):
        net.fit([blobs], epochs=1, verbose=0, class_weight=[1e308] * 3)
    assert net.compiled.step == 0


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"softmax_cross_entropy", "cross_entropy"}))
@pytest.mark.parametrize("weights", [(), ([2.0],)])
def test_one_number_is_one_row(name, weights):
    loss = _loss(name)
    value, gradient = loss.value_and_gradient(np.array(0.25), np.array(1.0), *weights)
    expected, row = loss.value_and_gradient(np.array([0.25]), np.array([1.0]))
    assert value == expected and gradient.shape == () and gradient == row[0]
    assert loss(np.array(0.25), np.array(1.0), *weights) == value
