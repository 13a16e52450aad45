"""Words of Keras, PyTorch and scikit-learn, and mistyped ones, are answered by what to write."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fastconv
from fastconv.errors import ArgumentTypeError, FastconvError
from fastconv.models.text import words


@pytest.fixture
def net():
    net = fastconv.Sequential(["Flatten", ("Dense", {"units": 2})], (1, 2, 2), seed=0)
    net.compile("sgd", "softmax_cross_entropy", "accuracy")
    return net


X, Y = np.zeros((4, 1, 2, 2)), np.arange(4) % 2


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("epoch", "did you mean 'epochs'?"),
        ("nb_epoch", "did you mean 'epochs'?"),
        ("num_epochs", "did you mean 'epochs'?"),
        ("batch", "did you mean 'batch_size'?"),
        ("Batch_Size", "did you mean 'batch_size'?"),
        ("validation", "did you mean 'validation_data'?"),
        ("callback", "did you mean 'callbacks'?"),
        ("random_state", "did you mean 'seed'?"),
        ("learning_rate", 'net.compile(("adam", {"learning_rate": 0.01})'),
        ("lr", 'net.compile(("adam", {"learning_rate": 0.01})'),
        ("optimizer", "it is chosen before: net.compile(optimizer, loss, metrics)"),
        ("loss", "it is chosen before"),
        ("class_weights", "did you mean 'class_weight'?"),
        ("sample_weights", "did you mean 'sample_weight'?"),
        ("validation_fraction", "did you mean 'validation_split'?"),
        ("steps_per_epoch", "in batches of batch_size, or all that an iterable gives"),
        ("validation_steps", "in batches of batch_size, or all that an iterable gives"),
        ("generator", "an iterable of batches (x, y) is given as x, without y"),
        ("dataloader", "an iterable of batches (x, y) is given as x, without y"),
        ("validation_generator", "did you mean 'validation_data'?"),
        ("transforms", "fastconv.data.compose(...) makes one of several"),
        ("augmentation", "did you mean 'transform'?"),
        ("num_workers", "a thread reads the next batch where reading takes time"),
        ("initial_epoch", "a second fit goes on"),
        ("workers", "a thread reads the next batch"),
        ("n_jobs", "fastconv.set_num_threads(n)"),
        ("nonsense", "there are x, y, batch_size"),
    ],
)
def test_words_given_to_fit(word, remedy, net):
    with pytest.raises(ArgumentTypeError) as caught:
        net.fit(X, Y, **{word: 1})
    error = caught.value
    assert (error.operation, error.parameter) == ("fit", word)
    assert remedy in error.remedy and str(error).startswith(f"fit: {word} is no parameter; ")
    assert net.compiled.step == 0


@pytest.mark.parametrize(
    ("method", "word", "remedy"),
    [
        ("compile", "lr", 'it belongs to the optimizer: ("adam", {"learning_rate": 0.01})'),
        ("compile", "learning_rate", "it belongs to the optimizer"),
        ("compile", "criterion", "did you mean 'loss'?"),
        ("compile", "metric", "did you mean 'metrics'?"),
        ("compile", "optimiser", "did you mean 'optimizer'?"),
        ("compile", "run_eagerly", "leave it out"),
        ("evaluate", "verbose", "leave it out"),
        ("evaluate", "batchsize", "did you mean 'batch_size'?"),
        ("predict", "verbose", "leave it out"),
        ("predict", "batch", "did you mean 'batch_size'?"),
        ("train_on_batch", "class_weight", "can be given more often"),
        ("train_on_batch", "reset_metrics", "there are x, y"),
    ],
)
def test_words_given_to_other_methods(method, word, remedy, net):
    given = {"predict": (X,), "compile": ()}.get(method, (X, Y))
    with pytest.raises(ArgumentTypeError, match=f"^{method}: {word} is no parameter; ") as caught:
        getattr(net, method)(*given, **{word: 1})
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda net: net.fit(X, Y, 32, 10),
            "only x and y may come without a name, got 4 arg.*write batch_size=..., epochs=...",
        ),
        (lambda net: net.fit(X), "fit: y must be .* x comes alone where it is an iterable of bat"),
        (lambda net: net.train_on_batch(X), "train_on_batch: missing a required argument: 'y'"),
        (lambda net: net.fit(y=Y), "fit: missing a required argument: 'x'"),
        (lambda net: net.evaluate(), "evaluate: missing a required argument: 'x'"),
        (lambda net: net.evaluate(X, Y, 32), "only x and y may come without a name"),
        (lambda net: net.train_on_batch(X, Y, None), "only x and y may come without a name"),
        (lambda net: net.predict(), "predict: missing a required argument: 'x'"),
        (lambda net: net.predict(X, 1, 2), "only x and batch_size may come without a name"),
        (lambda net: net.fit(X, Y, x=X), "fit: multiple values for argument 'x'"),
    ],
)
def test_arguments_that_do_not_fit(call, words, net):
    with pytest.raises(ArgumentTypeError, match=words):
        call(net)


def test_arguments_by_name_are_right(net):
    net.fit(x=X, y=Y, epochs=1, verbose=0)
    net.evaluate(X, y=Y)
    net.evaluate(y=Y, x=X)
    assert net.predict(x=X, batch_size=2).shape == net.predict(X, 2).shape


def test_a_type_error_of_somebody_elses_is_left_alone(net):
    def broken(outputs, targets):
        raise TypeError("my own")

    net.compile("sgd", "softmax_cross_entropy", broken)
    with pytest.raises(TypeError, match="^my own$"):
        net.fit(X, Y, verbose=0)


@pytest.mark.parametrize("name", [*words.ATTRIBUTES, "predikt", "sumary", "trainn"])
def test_attributes_of_others(name, net):
    for network in (net, net.for_inference()):
        if name != "trainable" and hasattr(network, name):
            assert name in dir(fastconv.Model)
            continue
        with pytest.raises(AttributeError) as caught:
            getattr(network, name)
        assert isinstance(caught.value, FastconvError) and caught.value.remedy
        assert not hasattr(network, name)


def test_what_attributes_there_are_in_training_and_in_inference(net):
    for name in ("fit", "compile", "save", "freeze"):
        assert hasattr(net, name)
        with pytest.raises(AttributeError, match=f"InferenceModel: {name} is no attribute.*alone"):
            getattr(net.for_inference(), name)


@pytest.mark.parametrize("name", ["_private", "__array__", "xyzzy_plugh", "_repr_svg_"])
def test_other_attributes_are_missing_as_usual(name, net):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'") as caught:
        getattr(net, name)
    assert not isinstance(caught.value, FastconvError)


def test_nothing_is_frozen_in_vain(net):
    layer = net["dense_1"]
    for wrong in (lambda: setattr(net, "trainable", False), lambda: setattr(layer, "trainable", 0)):
        with pytest.raises(AttributeError, match=r"trainable is no attribute; .*net.freeze\("):
            wrong()
    assert all(parameter.trainable for parameter in layer.parameters.values())


def test_a_layer_of_others_may_have_such_a_setting():
    class Table(fastconv.Layer):
        def __init__(self, trainable: bool = True):
            self.trainable = trainable

        def infer(self, *specs):
            return specs[0]

    layer = Table(trainable=False)
    layer.trainable = True
    assert layer.trainable and not layer.config["trainable"]


def test_an_attribute_error_within_a_property_is_its_own():
    class Broken(fastconv.Model):
        @property
        def mine(self):
            return [].nothing

    x = fastconv.Input((2,))
    net = Broken(x, fastconv.create_layer("Tanh")(x))
    with pytest.raises(AttributeError, match="'list' object has no attribute 'nothing'"):
        _ = net.mine


def test_copies_and_pickles_are_as_before(net):
    for twin in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(twin.predict(X), net.predict(X))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("text", "metric: a metric must give one figure per answer, an array .*got str"),
        (None, "metric: a metric must give one figure per answer, an array .*got NoneType"),
        ({"a": 1}, "metric: a metric must give one figure per answer.*got dict"),
        (0.5, r"got shape \(\); return the figures themselves, fit takes their mean"),
        (np.float32(0.5), r"got shape \(\); return the figures themselves"),
        (np.zeros(3), r"an array \(4, ...\), got shape \(3,\)"),
        ([1.0, [2.0]], "metric: a metric must give one figure per answer"),
        (np.ma.array(np.zeros(4), mask=True), "metric: a metric must be a plain array, got a mask"),
        (np.array(["a"] * 4), "metric: a metric must give one figure per answer"),
        (np.zeros(4, complex), "metric: a metric must give one figure per answer"),
    ],
)
def test_what_a_metric_gives(given, words, net):
    def metric(outputs, targets):
        return given

    net.compile("sgd", "softmax_cross_entropy", metric)
    before = net.weights()
    for call in (
        lambda: net.fit(X, Y, verbose=0),
        lambda: net.evaluate(X, Y),
        lambda: net.train_on_batch(X, Y),
    ):
        with pytest.raises(FastconvError, match=words):
            call()
    for key, weight in net.weights().items():
        np.testing.assert_array_equal(weight, before[key])


@pytest.mark.parametrize("given", [[1, 0, 1, 1], np.ones(4, bool), np.ones((4, 2), np.int8)])
def test_a_metric_may_give_any_numbers(given, net):
    def metric(outputs, targets):
        return given

    net.compile("sgd", "softmax_cross_entropy", metric)
    assert net.evaluate(X, Y)["metric"] == pytest.approx(np.mean(given))
