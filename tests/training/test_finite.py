"""What is infinite or NaN stops training before it reaches a weight."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv.errors import TrainingError
from fastconv.testing import assert_bits_equal
from fastconv.training import Loss, loop

LAYERS = [
    ("Conv2D", {"filters": 4, "kernel_size": 3}),
    "BatchNorm",
    "ReLU",
    "Flatten",
    ("Dense", {"units": 3}),
]


def network(layers=LAYERS, shape=(1, 6, 6), loss="softmax_cross_entropy", dtype="float32"):
    net = fastconv.Sequential(layers, shape, dtype=dtype, seed=0)
    net.compile(("adam", {"learning_rate": 0.01}), loss, [])
    return net


def data(rows=24, shape=(1, 6, 6)):
    x = np.random.default_rng(0).standard_normal((rows, *shape)).astype("float32")
    return x, np.arange(rows) % 3


def same(one, other) -> bool:
    return all(np.array_equal(one[key], other[key], equal_nan=True) for key in one)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_number_in_x_is_named_and_the_weights_stay(wrong, shuffle):
    x, y = data()
    x[17, 0, 2, 3] = wrong
    net, clean = network(), network()
    with pytest.raises(TrainingError) as caught:
        net.fit(x, y, batch_size=8, epochs=3, shuffle=shuffle, seed=1, verbose=0)
    error = caught.value
    assert (error.operation, error.parameter, error.epoch) == ("fit", "x", 0)
    place = f"in row 17 in epoch 1, batch {error.batch + 1}"
    assert f"fit: x must be finite, got {wrong} {place}; " in str(error)
    # the weights are those of the batches before: a fit of these alone gives the same
    order = np.arange(24)
    if shuffle:
        order = np.random.default_rng((1, 0)).permutation(24)
    assert 17 in order[8 * error.batch : 8 * error.batch + 8]
    for batch in range(error.batch):
        rows = order[8 * batch : 8 * batch + 8]
        clean.train_on_batch(x[rows], y[rows])
    assert same(net.weights(), clean.weights())
    assert net.history.history == {} and net.compiled.step == error.batch


def test_a_later_epoch_and_batch_are_counted():
    x, y = data()
    net = network()

    def spoil(run, epoch, figures):
        if epoch == 1:
            x[20] = np.nan

    with pytest.raises(TrainingError, match="row 20 in epoch 3, batch 3;") as caught:
        net.fit(x, y, batch_size=8, epochs=5, shuffle=False, verbose=0, callbacks=spoil)
    assert (caught.value.epoch, caught.value.batch) == (2, 2)
    assert len(net.history.history["loss"]) == 2


def test_targets_are_named():
    net = network([("Dense", {"units": 2})], (3,), "mean_squared_error")
    x, y = np.ones((6, 3)), np.zeros((6, 2))
    y[4, 1] = np.inf
    before = net.weights()
    with pytest.raises(TrainingError, match="train_on_batch: y must be finite, got inf in row 4;"):
        net.train_on_batch(x, y)
    with pytest.raises(TrainingError, match="fit: y must be finite, got inf in row 4 in epoch 1"):
        net.fit(x, y, verbose=0)
    assert same(before, net.weights())


def test_what_the_dtype_does_not_hold_is_named():
    x, y = data()
    x = x.astype(float)
    x[3, 0, 0, 0] = 1e200
    with pytest.raises(TrainingError, match=r"x must be finite in float32, got 1e\+200 in row 3;"):
        network().train_on_batch(x, y)


def test_targets_that_the_dtype_does_not_hold_are_named():
    net = network([("Dense", {"units": 2})], (3,), "mean_squared_error")
    x, y = np.ones((6, 3)), np.zeros((6, 2))
    y[4, 1] = 1e200
    with pytest.raises(TrainingError, match=r"y must be finite in float32, got 1e\+200 in row 4;"):
        net.train_on_batch(x, y)


def test_one_of_several_inputs_is_named():
    a, b = fastconv.Input((3,)), fastconv.Input((3,))
    node = fastconv.create_layer("Dense", units=2)(fastconv.create_layer("Add")(a, b))
    net = fastconv.Model((a, b), node, seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    x = np.ones((4, 3)), np.ones((4, 3))
    x[1][2] = np.nan
    with pytest.raises(TrainingError, match=r"x\[1\] must be finite, got nan in row 2;"):
        net.train_on_batch(x, [0, 1, 0, 1])


def test_a_weight_that_is_not_finite_is_named():
    x, y = data()
    net = network()
    weight = net.weights()["dense_1/weight"]
    weight[0, 0] = np.nan
    net.set_weights({"dense_1/weight": weight})
    with pytest.raises(TrainingError, match="dense_1/weight must be finite, got nan;"):
        net.train_on_batch(x, y)


@pytest.mark.parametrize("limited", [False, True])
def test_the_first_layer_that_overflows_is_named(limited):
    conv = ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": 1})
    net = network([conv, "Tanh", conv, "ReLU", conv, "Flatten", ("Dense", {"units": 3})])
    net.set_weights({"conv2d_2/weight": np.full((4, 4, 3, 3), 3e38)})
    x, y = data()
    limit = int(0.95 * net.plan(24, training=True).peak) if limited else None
    before = net.weights()
    with pytest.raises(TrainingError, match="output of conv2d_2 must be finite, got -?(inf|nan)"):
        net.train_on_batch(x, y, memory_limit=limit)
    assert same(before, net.weights())


def test_gradients_are_looked_at_where_the_loss_is_finite():
    class Steep(Loss):
        name = "steep"

        def value_and_gradient(self, outputs, targets):
            gradient = np.zeros_like(outputs)
            gradient[0, 0] = 3e38
            return 1.0, gradient

    net = network(loss=Steep())
    x, y = data()
    before = net.weights()
    with pytest.raises(TrainingError, match="the gradient of .*/.* must be finite, got") as caught:
        net.fit(100 * x, y, verbose=0)
    assert caught.value.parameter.split()[-1] in before
    assert same(before, net.weights()) and net.compiled.step == 0
    assert not net.compiled.optimizer.state_dict()


def test_statistics_are_looked_at():
    net = network(["BatchNorm", "Flatten", ("Dense", {"units": 3})])
    x, y = data()
    before = net.weights()
    # finite once it is normalised, but its variance is none of float32
    with pytest.raises(TrainingError, match="the new batch_norm_1/running_var must be finite, got"):
        net.train_on_batch(1e25 * x, y)
    assert same(before, net.weights())


def test_a_loss_of_ones_own_is_named():
    class Empty(Loss):
        name = "empty"

        def value_and_gradient(self, outputs, targets):
            return float("nan"), np.zeros_like(outputs)

    x, y = data()
    with pytest.raises(TrainingError, match="fit: the loss must be finite, got nan in epoch 1, ba"):
        network(loss=Empty()).fit(x, y, verbose=0)


def test_finite_gradients_whose_sum_is_not_are_right():
    class Large(Loss):
        name = "large"

        def value_and_gradient(self, outputs, targets):
            return 0.0, np.full_like(outputs, 3e38)

    net = fastconv.Sequential([("Dense", {"units": 2})], (3,), seed=0)
    net.compile(("sgd", {"learning_rate": 1e-38}), Large())
    net.train_on_batch(np.ones((1, 3)), [0])
    assert all(np.isfinite(weight).all() for weight in net.weights().values())


def test_who_wants_to_goes_on():
    x, y = data()
    x[0, 0, 0, 0] = np.nan
    for step in (
        lambda net: net.fit(x, y, epochs=1, verbose=0, stop_on_nan=False),
        lambda net: net.train_on_batch(x, y, stop_on_nan=False),
    ):
        net = network()
        step(net)
        assert np.isnan(net.weights()["dense_1/weight"]).all()


def test_a_run_without_such_numbers_has_the_same_bits():
    x, y = data()
    found = []
    for stop in (True, False):
        net = network()
        found.append((net.fit(x, y, epochs=3, verbose=0, stop_on_nan=stop).history, net.weights()))
    assert found[0][0] == found[1][0]
    for key, weight in found[0][1].items():
        assert_bits_equal(weight, found[1][1][key])


def test_outputs_of_nan_are_never_right():
    x, y = data()
    net = network()
    net.compile("sgd", "softmax_cross_entropy", ["accuracy"])
    net.set_weights({"dense_1/bias": np.full(3, np.nan)})
    figures = net.evaluate(x, y)
    assert figures["accuracy"] == 0 and np.isnan(figures["loss"])
    shares = np.eye(3)[y]
    net.compile("sgd", "mean_squared_error", ["accuracy", "mean_absolute_error"])
    figures = net.evaluate(x, shares)
    assert figures["accuracy"] == 0
    assert np.isnan(figures["loss"]) and np.isnan(figures["mean_absolute_error"])


def test_one_nan_among_outputs_is_wrong_and_an_infinity_may_be_right():
    from fastconv.training import Accuracy

    outputs = np.array([[0.0, np.nan], [np.nan, 0.0], [np.inf, 0.0], [-np.inf, 1.0], [0.0, 1.0]])
    assert Accuracy()(outputs, np.array([1, 1, 0, 1, 1])).tolist() == [False, False, *3 * [True]]


def test_the_loop_stops_a_model_that_cannot_say_where(linear, blobs):
    model = linear()
    loop.compile(model, "sgd", "softmax_cross_entropy")
    model.parameters["dense_1/weight"].assign(np.full((4, 3), np.nan))
    with pytest.raises(TrainingError, match="fit: the loss must be finite, got nan in epoch 1"):
        loop.fit(model, *blobs, verbose=0)
    assert not model.steps


def test_errors_keep_their_place_when_pickled():
    import pickle

    error = TrainingError("fit", "x", "must be finite", 1.0, epoch=3, batch=5)
    again = pickle.loads(pickle.dumps(error))
    assert (again.epoch, again.batch, str(again)) == (3, 5, str(error))
