"""What compile lets stand together: names of figures, losses and last layers, optimizers."""

from __future__ import annotations

import copy
import functools
import gc
import pickle

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ShapeError
from fastconv.training import SGD, Adam, Loss, Momentum, loop

DENSE = ("Dense", {"units": 3})


def network(*layers, shape=(4,), dtype="float32"):
    return fastconv.Sequential(list(layers), shape, dtype=dtype, seed=0)


def data(rows=12):
    rng = np.random.default_rng(0)
    return rng.standard_normal((rows, 4)), np.arange(rows) % 3


# Names of figures


def test_metrics_of_one_name_are_not_added():
    net = network(DENSE)
    metrics = [lambda y, t: np.zeros(len(y)), lambda y, t: np.ones(len(y)), "accuracy", "accuracy"]
    net.compile("sgd", "softmax_cross_entropy", metrics)
    figures = net.train_on_batch(*data())
    assert list(figures) == ["loss", "<lambda>", "<lambda>_2", "accuracy", "accuracy_2"]
    assert (figures["<lambda>"], figures["<lambda>_2"]) == (0, 1)
    assert figures["accuracy"] == figures["accuracy_2"] <= 1
    history = net.fit(*data(), epochs=1, validation_data=data(), verbose=0).history
    assert len(history) == 10


def test_a_number_that_is_taken_is_passed_over():
    def accuracy_2(outputs, targets):
        return np.full(len(outputs), 7.0)

    net = network(DENSE)
    net.compile("sgd", "softmax_cross_entropy", [accuracy_2, "accuracy", "accuracy"])
    assert list(net.evaluate(*data())) == ["loss", "accuracy_2", "accuracy", "accuracy_3"]


@pytest.mark.parametrize("name", ["loss", "val_loss", "val_accuracy", "val_"])
def test_names_of_the_loss_and_of_validation_are_refused(name):
    def metric(outputs, targets):
        return np.zeros(len(outputs))

    metric.__name__ = name
    net = network(DENSE)
    with pytest.raises(ArgumentError, match=f"compile: metrics must not be called.*'{name}'"):
        net.compile("sgd", "softmax_cross_entropy", metric)
    metric.name = "other"
    net.compile("sgd", "softmax_cross_entropy", metric)
    assert list(net.evaluate(*data())) == ["loss", "other"]


def test_things_without_a_name_are_told_apart():
    class Metric:
        def __call__(self, outputs, targets):
            return np.ones(len(outputs))

    partial = functools.partial(lambda y, t, by: np.full(len(y), by), by=2)
    net = network(DENSE)
    net.compile("sgd", "softmax_cross_entropy", [Metric(), Metric(), partial, partial])
    names = ["loss", "Metric", "Metric_2", "partial", "partial_2"]
    assert list(net.evaluate(*data())) == names


def heads(*names):
    x = fastconv.Input((4,))
    outputs = [fastconv.create_layer("Dense", units=3, name=name)(x) for name in names]
    return fastconv.Model(x, outputs, seed=0)


def named(name):
    def metric(outputs, targets):
        return np.zeros(len(outputs))

    metric.__name__ = name
    return metric


def test_prefixes_of_outputs_make_no_two_names_equal():
    net = heads("a", "a_b")
    metrics = [[named("b_loss"), named("b_m")], [named("m"), named("m")]]
    net.compile("sgd", "softmax_cross_entropy", metrics)
    x, y = data()
    figures = net.train_on_batch(x, (y, y))
    assert list(figures) == [
        "loss",
        "a_loss",
        "a_b_loss",
        "a_b_loss_2",
        "a_b_m",
        "a_b_m_2",
        "a_b_m_3",
    ]
    assert figures["loss"] == pytest.approx(figures["a_loss"] + figures["a_b_loss"])
    with pytest.raises(ArgumentError, match="must not be called 'loss'"):
        net.compile("sgd", "softmax_cross_entropy", [[named("loss")], []])


def test_an_output_called_val_is_not_taken_for_validation():
    net = heads("a", "val")
    net.compile("sgd", "softmax_cross_entropy")
    x, y = data()
    found = net.fit(x, (y, y), validation_data=(x, (y, y)), epochs=1, verbose=0).history
    assert len(found) == 6 and {len(figures) for figures in found.values()} == {1}


# Losses and last layers

RIGHT = ""
PAIRS = [
    # last layers: what they say of softmax_cross_entropy, and of cross_entropy
    ([DENSE], RIGHT, 'take loss="softmax_cross_entropy", or end in Softmax'),
    ([DENSE, "ReLU"], RIGHT, 'take loss="softmax_cross_entropy", or end in Softmax'),
    ([("Dense", {"units": 3, "activation": "relu"})], RIGHT, "or end in Softmax"),
    ([DENSE, "BatchNorm"], RIGHT, "or end in Softmax"),
    ([DENSE, "Softmax"], 'take loss="cross_entropy", or leave the Softmax out', RIGHT),
    ([DENSE, "Softmax", "Flatten"], "leave the Softmax out", RIGHT),
    ([DENSE, "Softmax", ("Dropout", {"rate": 0.1})], "leave the Softmax out", RIGHT),
    ([DENSE, "Sigmoid"], "leave the Sigmoid out", "leave the Sigmoid out"),
    ([DENSE, "Sigmoid", "Flatten"], "leave the Sigmoid out", "leave the Sigmoid out"),
    ([DENSE, "Tanh"], "leave the Tanh out", "leave the Tanh out"),
    ([DENSE, "Tanh", ("Dropout", {"rate": 0.1}), "Flatten"], "leave the Tanh", "leave the Tanh"),
    ([DENSE, "Flatten", ("Dropout", {"rate": 0.1})], RIGHT, "or end in Softmax"),
    ([DENSE, "Softmax", DENSE], RIGHT, "or end in Softmax"),
]


def listed(pairs):
    losses = ("softmax_cross_entropy", "cross_entropy")
    return [
        (layers, loss, said)
        for layers, *both in pairs
        for loss, said in zip(losses, both, strict=True)
    ]


@pytest.mark.parametrize(("layers", "loss", "said"), listed(PAIRS))
def test_each_loss_behind_each_last_layer(layers, loss, said):
    net = network(*layers)
    net.compile("sgd", "mean_squared_error", "accuracy")  # of any numbers
    if said == RIGHT:
        net.compile("sgd", loss, "accuracy")
        return
    with pytest.raises(ArgumentError) as caught:
        net.compile("sgd", loss)
    assert caught.value.parameter == "loss" and caught.value.value == loss
    assert said in caught.value.remedy
    assert net.compiled.losses[0].name == "mean_squared_error", "an error changes nothing"


CONV = ("Conv2D", {"filters": 3, "kernel_size": 1})
MAPS = [
    ([CONV, "Softmax"], "leave the Softmax out", RIGHT),
    ([CONV, "Softmax", "GlobalAvgPool2D"], "leave the Softmax out", RIGHT),
    # classes are no longer on axis 1, or no longer sum to 1
    ([CONV, "Softmax", "Flatten"], "leave the Softmax out", "leave the Softmax out"),
    (
        [CONV, "Softmax", ("MaxPool2D", {"pool_size": 2})],
        "leave the Softmax out",
        "leave the Softmax out",
    ),
    ([CONV, "GlobalAvgPool2D"], RIGHT, "or end in Softmax"),
    (
        [CONV, "Sigmoid", ("MaxPool2D", {"pool_size": 2})],
        "leave the Sigmoid out",
        "leave the Sigmoid out",
    ),
    ([CONV, "ReLU", "GlobalAvgPool2D", "Softmax", "Flatten"], "leave the Softmax out", RIGHT),
]


@pytest.mark.parametrize(("layers", "loss", "said"), listed(MAPS))
def test_each_loss_behind_maps(layers, loss, said):
    net = network(*layers, shape=(2, 4, 4))
    if said == RIGHT:
        net.compile("sgd", loss)
        return
    with pytest.raises(ArgumentError) as caught:
        net.compile("sgd", loss)
    assert said in caught.value.remedy


def test_maps_of_one_pixel_keep_their_classes_when_flattened():
    net = network(CONV, "Softmax", "Flatten", shape=(2, 1, 1))
    net.compile("sgd", "cross_entropy")


def test_every_layer_of_ours_says_what_it_gives():
    known = {"values", "probabilities", "chances", "bounded", "input", "elements"}
    layers = [registry.layers.get(name) for name in fastconv.list_layers()]
    ours = [
        kind(**kind.example_config)
        for kind in layers
        if registry.layers.name_of(kind).startswith("fastconv.")
    ]
    assert len(ours) >= 14
    for layer in ours:
        assert layer.gives in known, layer


def test_layers_and_losses_of_others_say_it_too():
    class Gate(fastconv.layers.Sigmoid):
        """Does not say it anew."""

    class Shares(fastconv.layers.Softmax):
        gives = "probabilities"

    class Scores(Loss):
        name, takes = "scores", "logits"

        def value_and_gradient(self, outputs, targets):
            return 0.0, np.zeros_like(outputs)

        def check_outputs(self, shape):
            if shape[0] != 3:
                raise ShapeError("scores", "outputs", "must be 3")

    for loss in ("softmax_cross_entropy", "cross_entropy"):
        network(DENSE, Gate()).compile("sgd", loss)
    network(DENSE).compile("sgd", Scores())
    for last in (Shares(), "Softmax", "Sigmoid", "Tanh"):
        with pytest.raises(ArgumentError, match="compile: loss must"):
            network(DENSE, last).compile("sgd", Scores())
    with pytest.raises(ShapeError, match="scores: outputs must be 3"):
        network(("Dense", {"units": 2})).compile("sgd", Scores())


@pytest.mark.parametrize(
    ("loss", "metrics"),
    [("softmax_cross_entropy", ()), ("cross_entropy", ()), ("mean_squared_error", "accuracy")],
)
def test_one_unit_is_refused_for_classes(loss, metrics):
    last = [("Dense", {"units": 1})] + (["Softmax"] if loss == "cross_entropy" else [])
    net = network(*last)
    with pytest.raises(ShapeError, match=r"at least 2 classes on axis 1, got shape \(N, 1\); "):
        net.compile("sgd", loss, metrics)
    network(last[0]).compile("sgd", "mean_squared_error", "mean_absolute_error")
    pixels = network(("Conv2D", {"filters": 1, "kernel_size": 1}), shape=(2, 4, 4))
    with pytest.raises(ShapeError, match=r"got shape \(N, 1, 4, 4\)"):
        pixels.compile("sgd", "softmax_cross_entropy")


def test_a_softmax_of_one_unit_is_refused_under_any_loss():
    net = network(("Dense", {"units": 1}), "Softmax")
    with pytest.raises(ShapeError, match="compile: outputs must have at least 2 classes") as caught:
        net.compile("sgd", "mean_squared_error")
    assert caught.value.remedy.endswith("or leave the Softmax out")


@pytest.mark.parametrize("after", ["Flatten", ("Dense", {"units": 3})])
def test_a_softmax_of_one_unit_is_refused_anywhere(after):
    """What lies before it would learn nothing."""
    net = network(("Dense", {"units": 1}), "Softmax", after)
    with pytest.raises(ShapeError, match="at least 2 classes on axis 1.*, got shape .N, 1"):
        net.compile("sgd", "mean_squared_error")
    conv = ("Conv2D", {"filters": 1, "kernel_size": 1})
    net = network(conv, "Softmax", "Flatten", shape=(2, 4, 4))
    with pytest.raises(ShapeError, match=r"Softmax: input must .* got shape \(N, 1, 4, 4\); leave"):
        net.compile("sgd", "mean_squared_error")
    assert (net(np.zeros((1, 2, 4, 4))) == 1).all()


def test_every_output_is_looked_at():
    x = fastconv.Input((4,))
    first = fastconv.create_layer("Dense", units=3)(x)
    second = fastconv.create_layer("Sigmoid")(fastconv.create_layer("Dense", units=3)(x))
    net = fastconv.Model(x, (first, second), seed=0)
    with pytest.raises(ArgumentError, match="after a Sigmoid layer"):
        net.compile("sgd", "softmax_cross_entropy")
    net.compile("sgd", ["softmax_cross_entropy", "mean_squared_error"])
    echo = fastconv.Model(x, (x, first))  # of an input nothing is known
    echo.compile("sgd", ["cross_entropy", "softmax_cross_entropy"])
    with pytest.raises(ArgumentError, match="after a Dense layer"):
        echo.compile("sgd", "cross_entropy")


# Optimizers belong to one network


def test_compile_starts_an_optimizer_anew():
    x, y = data()
    adam, net = Adam(0.01), network(DENSE)
    start = net.weights()
    found = []
    for _ in range(2):
        net.set_weights(start)
        net.compile(adam, "softmax_cross_entropy")
        assert not adam.state_dict()
        net.fit(x, y, epochs=2, verbose=0)
        found.append(net.weights())
    for key in start:
        np.testing.assert_array_equal(found[0][key], found[1][key])
    assert adam.learning_rate == 0.01


def test_an_optimizer_of_another_network_is_refused():
    momentum, first, second = Momentum(), network(DENSE), network(DENSE)
    first.compile(momentum, "softmax_cross_entropy")
    first.train_on_batch(*data())
    state = momentum.state_dict()
    with pytest.raises(ArgumentError, match="optimizer must not belong to another network.*Moment"):
        second.compile(momentum, "softmax_cross_entropy")
    assert second.compiled is None and momentum.state_dict().keys() == state.keys()
    second.compile(copy.deepcopy(momentum), "softmax_cross_entropy")
    assert not second.compiled.optimizer.state_dict()
    first.compile("sgd", "softmax_cross_entropy")  # which lets go of it
    second.compile(momentum, "softmax_cross_entropy")


def test_a_compile_that_fails_takes_nothing():
    momentum, first, second = Momentum(), network(DENSE), network(DENSE)
    with pytest.raises(ArgumentError):
        first.compile(momentum, "cross_entropy")
    second.compile(momentum, "softmax_cross_entropy")
    second.train_on_batch(*data())
    with pytest.raises(ArgumentError):
        second.compile(momentum, "cross_entropy")
    assert momentum.state_dict(), "the state of the compile before"


def test_a_network_that_is_gone_frees_its_optimizer():
    momentum, net = Momentum(), network(DENSE)
    net.compile(momentum, "softmax_cross_entropy")
    net.fit(*data(), epochs=1, verbose=0)
    net.itself = net  # gone for the collector of garbage alone
    gc.disable()
    try:
        del net
        network(DENSE).compile(momentum, "softmax_cross_entropy")
    finally:
        gc.enable()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_of_a_network_owns_its_copy(copied):
    x, y = data()
    net, other = network(DENSE), network(DENSE)
    net.compile(Momentum(), "softmax_cross_entropy")
    net.fit(x, y, epochs=2, verbose=0)
    twin = copied(net)
    assert twin.history.history == net.history.history
    for one in (net, twin):
        with pytest.raises(ArgumentError, match="another network"):
            other.compile(one.compiled.optimizer, "softmax_cross_entropy")
    net.fit(x, y, epochs=2, verbose=0)
    twin.fit(x, y, epochs=2, verbose=0)  # with its own state, which goes on
    for key, weight in net.weights().items():
        np.testing.assert_array_equal(twin.weights()[key], weight)
    freed = twin.compiled.optimizer
    twin.compile("sgd", "softmax_cross_entropy")
    other.compile(freed, "softmax_cross_entropy")


def test_state_can_be_loaded_after_compile():
    x, y = data()
    whole, parts = network(DENSE), network(DENSE)
    for net in (whole, parts):
        net.compile("momentum", "softmax_cross_entropy")
        net.fit(x, y, epochs=1, shuffle=False, verbose=0)
    state = parts.compiled.optimizer.state_dict()
    parts.compile(Momentum(), "softmax_cross_entropy")
    parts.compiled.optimizer.load_state_dict(state)
    for net in (whole, parts):
        net.fit(x, y, epochs=1, shuffle=False, verbose=0)
    for key, weight in whole.weights().items():
        np.testing.assert_array_equal(parts.weights()[key], weight)


# Settings that the dtype does not hold


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (("sgd", {"learning_rate": 1e-60}), "sgd: learning_rate must not round to 0 in float32"),
        (("sgd", {"learning_rate": 1e60}), "sgd: learning_rate must not round to inf in float32"),
        (("adam", {"epsilon": 1e-60}), "adam: epsilon must not round to 0"),
        (("rmsprop", {"epsilon": 1e-60}), "rmsprop: epsilon must not round to 0"),
        (("adagrad", {"epsilon": 1e-60}), "adagrad: epsilon must not round to 0"),
        (("momentum", {"momentum": 1e-60}), "momentum: momentum must not round to 0"),
        (("adam", {"epsilon": 1e-44}), r"epsilon \* sqrt\(1 - beta2\) must not round to 0"),
    ],
)
def test_what_rounds_to_0_or_infinity_is_refused_by_compile(optimizer, words):
    with pytest.raises(ArgumentError, match=words):
        network(DENSE).compile(optimizer, "softmax_cross_entropy")
    wide = network(DENSE, dtype="float64")
    wide.compile(optimizer, "softmax_cross_entropy")
    wide.train_on_batch(*data())
    if optimizer != ("sgd", {"learning_rate": 1e60}):
        assert all(np.isfinite(weight).all() for weight in wide.weights().values())


@pytest.mark.parametrize("name", registry.optimizers.names())
def test_a_rate_of_0_is_right(name):
    net = network(DENSE)
    net.compile((name, {"learning_rate": 0.0}), "softmax_cross_entropy")
    before = net.weights()
    net.train_on_batch(*data())
    for key, weight in net.weights().items():
        np.testing.assert_array_equal(before[key], weight)


def test_a_schedule_may_come_to_0_but_not_to_infinity():
    net, seen = network(DENSE), []

    def schedule(run, epoch, figures):
        run.optimizer.learning_rate = [1e-30, 1e-60, 0.0, 1e60][epoch]
        seen.append(run.optimizer.learning_rate)

    net.compile("sgd", "softmax_cross_entropy")
    with pytest.raises(ArgumentError, match="learning_rate must not round to inf in float32"):
        net.fit(*data(), epochs=4, verbose=0, callbacks=schedule)
    assert seen == [1e-30, 1e-60, 0.0]


@pytest.mark.parametrize("decay", [1 - 1e-10, 1 - 1e-16])
def test_decays_that_round_to_1_remember_everything(decay):
    """The part that is new is handed to the kernels in double precision."""
    x, y = data()
    for optimizer in (Adam(0.01, beta1=decay, beta2=decay), Momentum(0.01, decay)):
        net = network(DENSE)
        net.compile(optimizer, "softmax_cross_entropy")
        before = net.evaluate(x, y)["loss"]
        net.fit(x, y, epochs=20, verbose=0)
        assert net.evaluate(x, y)["loss"] < before
        assert all(np.isfinite(weight).all() for weight in net.weights().values())


def test_a_momentum_of_batch_norm_that_moves_nothing_is_refused():
    norm = ("BatchNorm", {"momentum": 1 - 1e-10})
    net = network(norm, DENSE)
    with pytest.raises(ArgumentError, match="BatchNorm: momentum must be below 1 in float32"):
        net.compile("sgd", "softmax_cross_entropy")
    net.freeze("batch_norm_1")
    net.compile("sgd", "softmax_cross_entropy")
    network(norm, DENSE, dtype="float64").compile("sgd", "softmax_cross_entropy")


def test_a_rate_of_dropout_that_leaves_nothing_is_refused():
    with pytest.raises(ArgumentError, match="Dropout: rate must be"):
        fastconv.create_layer("Dropout", rate=1 - 1e-10)


def test_lr_is_no_attribute():
    sgd = SGD()
    with pytest.raises(AttributeError, match="sgd: lr is no attribute; it is called learning_rate"):
        _ = sgd.lr
    with pytest.raises(AttributeError, match="sgd: lr is no attribute; it is called learning_rate"):
        sgd.lr = 0.1
    assert not hasattr(sgd, "lr") and sgd.learning_rate == 0.01


def test_the_protocol_is_enough(linear):
    model = linear()
    momentum = Momentum()
    loop.compile(model, momentum, "softmax_cross_entropy")
    with pytest.raises(ArgumentError, match="another network"):
        loop.compile(linear(), momentum, "softmax_cross_entropy")
