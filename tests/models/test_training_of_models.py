"""Networks under the training loop."""

from __future__ import annotations

import numpy as np
import pytest
from networks import branches, random_like, small

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.testing import assert_bits_equal

create = fastconv.create_layer


def learn(seed: int = 0, shuffle: int = 0, epochs: int = 3, more: int = 0):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((50, 2, 8, 8)).astype("float32")
    y = (x.mean(axis=(1, 2, 3)) > 0).astype("int64") + (x[:, 0, 0, 0] > 1)
    net = small(seed=seed)
    net.compile("adam", "softmax_cross_entropy", ["accuracy"])
    history = net.fit(x, y, batch_size=16, epochs=epochs, seed=shuffle, verbose=0)
    if more:
        net.fit(x, y, batch_size=16, epochs=more, seed=shuffle, verbose=0)
    return net, history.history


def same(one, other) -> bool:
    return all(np.array_equal(value, other.weights()[key]) for key, value in one.weights().items())


def test_one_seed_makes_a_run_repeat_bit_for_bit():
    (one, first), (two, second) = learn(), learn()
    assert same(one, two) and first == second
    assert len(first["loss"]) == 3 and set(first) == {"loss", "accuracy"}
    assert not same(one, learn(seed=1)[0])
    assert not same(one, learn(shuffle=1)[0])


def test_two_fits_are_one_long_fit():
    assert same(learn(epochs=4)[0], learn(epochs=2, more=2)[0])


def test_a_network_learns():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 1, 6, 6))
    y = (x[:, 0, 2:4, 2:4].sum(axis=(1, 2)) > 0).astype(int)
    layers = [
        ("Conv2D", {"filters": 8, "kernel_size": 3}),
        "ReLU",
        "Flatten",
        ("Dense", {"units": 2}),
    ]
    net = fastconv.Sequential(layers, (1, 6, 6), seed=0)
    net.compile(("adam", {"learning_rate": 0.01}), "softmax_cross_entropy", metrics=["accuracy"])
    net.fit(x, y, batch_size=20, epochs=15, validation_data=(x, y), verbose=0)
    assert net.evaluate(x, y)["accuracy"] > 0.95
    assert net.predict(x).shape == (200, 2)


def test_several_inputs_and_outputs_train():
    net = branches()
    rng = np.random.default_rng(0)
    a, b = random_like(net, rng, 12)
    targets = (np.arange(12) % 4, np.zeros((12, 3, 6, 6)))
    net.compile("momentum", ["softmax_cross_entropy", "mean_squared_error"])
    before = net.evaluate((a, b), targets)
    history = net.fit({"a": a, "b": b}, targets, batch_size=5, epochs=4, verbose=0)
    assert net.evaluate((a, b), targets)["loss"] < before["loss"]
    assert len(history.history["loss"]) == 4


def test_frozen_layers_and_their_statistics_stay():
    net, _ = learn(epochs=1)
    net.freeze("conv2d_1")
    net.freeze("batch_norm_1")
    before = net.weights()
    rng = np.random.default_rng(1)
    net.train_on_batch(random_like(net, rng, 8), np.arange(8) % 3)
    changed = {k for k, v in net.weights().items() if not np.array_equal(v, before[k])}
    assert changed == {"conv2d_2/weight", "conv2d_2/bias", "dense_1/weight", "dense_1/bias"}


def test_statistics_are_learned_in_training_and_left_in_inference():
    net = small()
    x = random_like(net, np.random.default_rng(2), 8) + 3
    net(x)
    assert net["batch_norm_1"].state["running_mean"].sum() == 0
    net.compile("sgd", "softmax_cross_entropy")
    net.train_on_batch(x, np.arange(8) % 3)
    assert net["batch_norm_1"].state["running_mean"].any()


def test_dropout_differs_by_step_and_node_and_repeats_by_seed():
    drop = ("Dropout", {"rate": 0.5})
    x = np.ones((4, 100), "float32")

    def outputs(seed, step):
        net = fastconv.Sequential([drop, drop], (100,), seed=seed)
        found = []
        net.forward_backward((x,), lambda ys: (found.extend(ys) or {}, ys), step)
        return found[0]

    assert_bits_equal(outputs(1, 2), outputs(1, 2))
    assert 0.15 < (outputs(1, 2) != 0).mean() < 0.35
    for other in (outputs(1, 3), outputs(2, 2)):
        assert not np.array_equal(outputs(1, 2), other)


def test_the_wrong_pair_of_loss_and_last_layer():
    net = fastconv.Sequential([("Dense", {"units": 2}), "Softmax"], (3,))
    with pytest.raises(ArgumentError, match="cross_entropy"):
        net.compile("sgd", "softmax_cross_entropy")
    net.compile("sgd", "cross_entropy")
    with pytest.raises(ArgumentError, match="compiled"):
        small().fit(np.zeros((1, 2, 8, 8)), [0])


def test_a_layer_that_outputs_do_not_need_is_not_trained():
    x = fastconv.Input((3,))
    create("Dense", units=2, name="unused")(x)
    net = fastconv.Model(x, create("Dense", units=2, name="used")(x))
    net.compile("adam", "softmax_cross_entropy")
    net.train_on_batch(np.ones((2, 3)), [0, 1])
    assert list(net.gradients) == ["used/weight", "used/bias"]


def test_a_last_layer_that_is_not_registered_can_be_trained():
    class Head(fastconv.layers.Dense):
        pass

    net = fastconv.Sequential([Head(2)], (3,), seed=0)
    for loss in ("softmax_cross_entropy", "cross_entropy"):
        net.compile("adam", loss)
    net.compile("adam", "softmax_cross_entropy", "accuracy")
    assert net.train_on_batch(np.ones((2, 3)), [0, 1])["accuracy"] == 0.5


@pytest.mark.parametrize(
    "last", ["Flatten", ("Dropout", {"rate": 0.0}), ("Dropout", {"rate": 0.5})]
)
def test_no_array_of_the_caller_is_handed_out(last):
    net = fastconv.Sequential([last], (2, 3))
    x = np.ones((4, 2, 3), "float32")
    found = [net(x), net.predict(x), net.predict_batch((x,)), net.for_inference()(x)]
    found += net.forward_backward((x,), lambda ys: ({}, [np.ones_like(y) for y in ys]), 0)[0]
    for y in found:
        assert not np.may_share_memory(x, y)


def test_gradients_of_inputs_are_arrays_of_their_own():
    ends = [fastconv.Input((3,)), fastconv.Input((3,))]
    net = fastconv.Model(ends, create("Add")(*ends))
    dy = np.ones((1, 3), "float32")
    first, second = net.input_gradient((dy, dy), dy)
    assert_bits_equal(first, second)
    assert not np.may_share_memory(first, second) and not np.may_share_memory(first, dy)


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((30, 8, 8), r"x\[:, None\]"),
        ((30, 8, 8, 1), r"x.transpose\(0, 3, 1, 2\)"),
        ((30, 64), r"x.reshape\(-1, 1, 8, 8\)"),
    ],
)
def test_an_error_speaks_of_the_whole_array(shape, remedy):
    net = fastconv.Sequential(["Flatten", ("Dense", {"units": 2})], (1, 8, 8))
    net.compile("adam", "softmax_cross_entropy")
    x, y = np.zeros(shape), np.zeros(30, int)
    said = f"got {shape}; ".replace("(", r"\(").replace(")", r"\)")
    for call in (
        lambda: net.predict(x),
        lambda: net.fit(x, y, verbose=0),
        lambda: net.evaluate(x, y),
        lambda: net(x),
    ):
        with pytest.raises(ShapeError, match=f"{said}.*{remedy}"):
            call()


def test_a_mask_of_a_gradient_is_not_lost(rng):
    net = small()
    x = random_like(net, rng)
    dy = np.ma.array(np.ones_like(net(x)))
    with pytest.raises(ArgumentTypeError, match="input_gradient: dy must be a plain array"):
        net.input_gradient(x, dy)
    for masked in (np.ma.array(x), [np.ma.array(row) for row in x]):
        with pytest.raises(ArgumentTypeError, match="x must (be a|hold) plain arrays?, got a mask"):
            net(masked)


def test_output_specs_are_those_of_what_is_returned(rng):
    net = branches()
    for spec, y in zip(net.output_specs(), net(random_like(net, rng)), strict=True):
        assert (spec.shape, spec.dtype) == (y.shape[1:], y.dtype.name)
