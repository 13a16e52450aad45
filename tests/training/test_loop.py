from __future__ import annotations

import numpy as np
import pytest

from fastconv import registry
from fastconv.batches import predict
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConfigError,
    ShapeError,
    UnknownNameError,
)
from fastconv.training import Callback, History, SoftmaxCrossEntropy, loop
from fastconv.training.losses import Loss


@pytest.fixture
def net(linear):
    def make(**config):
        model = linear(**config)
        loop.compile(model, "adam", "softmax_cross_entropy", ["accuracy"])
        return model

    return make


def weights(model):
    return [p.value.copy() for p in model.parameters.values()]


def test_it_learns(net, blobs):
    model = net()
    history = loop.fit(model, *blobs, epochs=100, batch_size=20, verbose=0, validation_data=blobs)
    assert isinstance(history, History)
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert {len(figures) for figures in history.history.values()} == {100}
    assert history.history["loss"][-1] < history.history["loss"][0] / 2
    assert history.history["val_accuracy"][-1] > 0.9
    assert history.history["val_accuracy"][-1] == loop.evaluate(model, *blobs)["accuracy"]


def test_a_seed_repeats_bit_for_bit_and_another_does_not(net, blobs):
    runs = []
    for seed in (0, 0, 1):
        model = net()
        history = loop.fit(model, *blobs, epochs=2, batch_size=16, seed=seed, verbose=0)
        runs.append((history.history, *weights(model)))
    np.testing.assert_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0][1], runs[2][1])


def test_two_fits_are_one_long_one(net, blobs):
    whole, parts = net(), net()
    loop.fit(whole, *blobs, epochs=4, verbose=0)
    loop.fit(parts, *blobs, epochs=2, verbose=0)
    loop.fit(parts, *blobs, epochs=2, verbose=0)
    np.testing.assert_equal(weights(whole), weights(parts))
    assert parts.steps == list(range(8))


def test_without_shuffle_a_fit_is_its_batches(net, blobs):
    x, y = blobs
    whole, single = net(), net()
    loop.fit(whole, x, y, epochs=1, batch_size=40, shuffle=False, verbose=0)
    for begin in range(0, 150, 40):
        figures = loop.train_on_batch(single, x[begin : begin + 40], y[begin : begin + 40])
    np.testing.assert_equal(weights(whole), weights(single))
    assert list(figures) == ["loss", "accuracy"]
    assert whole.batches == [40, 40, 40, 30]


@pytest.mark.parametrize("batch_size", [1, 7, 100, 149, 150, 1000])
def test_evaluate_is_exact_for_any_batch_size(net, blobs, batch_size):
    x, y = blobs
    model = net()
    figures = loop.evaluate(model, x, y, batch_size=batch_size)
    outputs = model.predict_batch((x,))
    assert figures["accuracy"] == (outputs.argmax(axis=1) == y).sum() / 150
    assert figures["loss"] == pytest.approx(SoftmaxCrossEntropy()(outputs, y), rel=1e-12)


@pytest.mark.parametrize("rows", [0, 1, 6, 7, 8, 20])
@pytest.mark.parametrize("heads", [1, 2])
def test_predict_is_the_network_row_by_row(linear, rows, heads):
    model = linear(heads=heads)
    x = np.random.default_rng(0).normal(size=(rows, 4))
    found = predict(model, x, batch_size=7)
    expected = model.predict_batch((x,))
    assert isinstance(found, tuple) == (heads == 2)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert max(model.batches[:-1]) <= 7


def test_several_outputs_are_named_and_summed(linear, blobs):
    x, y = blobs
    model = linear(heads=2)
    loop.compile(
        model,
        ("sgd", {"learning_rate": 0.1}),
        ["softmax_cross_entropy", "mean_squared_error"],
        [["accuracy"], ["mean_absolute_error"]],
    )
    targets = (y, np.eye(3)[y])
    figures = loop.train_on_batch(model, x, targets)
    assert figures["loss"] == figures["output_1_loss"] + figures["output_2_loss"]
    assert {"output_1_accuracy", "output_2_mean_absolute_error"} < set(figures)
    assert loop.fit(model, x, targets, epochs=1, verbose=0).history.keys() == figures.keys()
    with pytest.raises(ShapeError, match="y must hold 2 arrays, got 3"):
        loop.fit(model, x, (y, y, y), verbose=0)
    with pytest.raises(ArgumentError, match="one entry per output, 2, got 3"):
        loop.compile(model, "sgd", ["mean_squared_error"] * 3)


def test_any_function_is_a_metric(linear, blobs):
    def certainty(outputs, targets):
        return outputs.max(axis=1)

    model = linear()
    loop.compile(model, "sgd", "softmax_cross_entropy", [certainty])
    x, y = blobs
    expected = model.predict_batch((x,)).max(axis=1).mean()
    assert loop.evaluate(model, x, y, batch_size=40)["certainty"] == pytest.approx(expected)
    loop.compile(model, "sgd", "softmax_cross_entropy", [lambda outputs, targets: 1.0])
    with pytest.raises(ShapeError, match="one figure per answer"):
        loop.evaluate(model, x, y)


def test_callbacks_see_the_run_and_may_stop_it(net, blobs):
    class Seen(Callback):
        def __init__(self):
            self.calls = []

        def on_fit_begin(self, run):
            self.calls.append(("begin", run.epochs, run.batches))

        def on_batch_end(self, run, batch, figures):
            self.calls.append(("batch", batch, sorted(figures)))

        def on_epoch_end(self, run, epoch, figures):
            run.stop = epoch == 1
            run.optimizer.learning_rate /= 2

        def on_fit_end(self, run):
            self.calls.append("end")

    seen, model = Seen(), net()
    history = loop.fit(model, *blobs, epochs=9, verbose=0, callbacks=[seen])
    assert seen.calls[0] == ("begin", 9, 2) and seen.calls[-1] == "end"
    assert seen.calls[1] == ("batch", 0, ["accuracy", "loss"]) and len(seen.calls) == 6
    assert len(history.history["loss"]) == 2
    assert model.compiled.optimizer.learning_rate == 0.00025


def test_callbacks_end_when_fit_fails(net, blobs):
    class Broken(Callback):
        ended = False

        def on_batch_end(self, run, batch, figures):
            raise KeyboardInterrupt

        def on_fit_end(self, run):
            self.ended = True

    broken = Broken()
    with pytest.raises(KeyboardInterrupt):
        loop.fit(net(), *blobs, verbose=1, callbacks=[broken])
    assert broken.ended


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_what_is_printed_without_a_terminal(net, blobs, verbose, capsys):
    loop.fit(net(), *blobs, epochs=10, verbose=verbose)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert not err and len(lines) == (10 if verbose else 0)
    assert all("\r" not in line for line in lines)
    if verbose:
        assert lines[0].startswith("epoch  1/10  loss ") and " %  (" in lines[0]


def test_a_terminal_gets_a_bar(net, blobs, monkeypatch, capsys):
    import sys

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    loop.fit(net(), *blobs, epochs=2, batch_size=10, verbose=1, callbacks=["epoch_lines"])
    out, err = capsys.readouterr()
    assert "\r" in out and "epoch 1/2" in out and not err


def test_uint8_and_lists_are_cast_by_the_model(net):
    model = net()
    x = np.arange(24, dtype=np.uint8).reshape(6, 4)
    y = [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(
        predict(model, x, batch_size=4), predict(model, x.tolist(), batch_size=4)
    )
    loop.fit(model, x.tolist(), y, epochs=1, verbose=0)


@pytest.mark.parametrize(
    ("last", "loss", "words"),
    [
        ("fastconv.Softmax.v1", "softmax_cross_entropy", 'loss="cross_entropy"'),
        ("fastconv.Dense.v1", "cross_entropy", 'loss="softmax_cross_entropy"'),
        ("fastconv.Sigmoid.v1", "cross_entropy", "after a Sigmoid layer"),
    ],
)
def test_the_wrong_pair_is_refused(linear, last, loss, words):
    with pytest.raises(ArgumentError, match=words):
        loop.compile(linear(last=last), "adam", loss)


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        ("fastconv.Softmax.v1", "cross_entropy"),
        ("fastconv.Dense.v1", "softmax_cross_entropy"),
        ("fastconv.Softmax.v1", "mean_squared_error"),
        (None, "cross_entropy"),  # of a class that is not registered: nothing is known of it
    ],
)
def test_right_pairs_pass(linear, last, loss):
    loop.compile(linear(last=last), "adam", loss)


def test_compile_refuses_what_it_does_not_know(linear):
    model = linear()
    with pytest.raises(ArgumentTypeError, match="loss must be given"):
        loop.compile(model)
    with pytest.raises(UnknownNameError, match="adam"):
        loop.compile(model, "adma", "softmax_cross_entropy")
    with pytest.raises(ConfigError, match="learning_rate"):
        loop.compile(model, ("adam", {"lr": 0.1}), "softmax_cross_entropy")
    with pytest.raises(ArgumentTypeError, match="instance of Loss"):
        loop.compile(model, "adam", lambda outputs, targets: 0.0)
    with pytest.raises(UnknownNameError, match="softmax_cross_entropy"):
        loop.compile(model, "adam", "CrossEntropyLoss")


def test_fit_refuses_wrong_data(net, linear, blobs):
    x, y = blobs
    with pytest.raises(ArgumentError, match="must be compiled first"):
        loop.fit(linear(), x, y)
    model = net()
    for call in (loop.fit, loop.evaluate, loop.train_on_batch):
        with pytest.raises(ShapeError, match="at least one row"):
            call(model, x[:0], y[:0])
        with pytest.raises(ShapeError, match="as many rows as x, 150"):
            call(model, x, y[:-1])
    with pytest.raises(
        ArgumentTypeError,
        match=r"validation_data must be \(x, y\), \(x, y, sample_weight\) or an iterable",
    ):
        loop.fit(model, x, y, validation_data=x, verbose=0)
    for setting in ({"batch_size": 0}, {"epochs": 0}, {"verbose": 3}, {"seed": -1}):
        with pytest.raises(ArgumentError, match=f"fit: {next(iter(setting))} must be"):
            loop.fit(model, x, y, **setting)
    with pytest.raises(ArgumentTypeError):
        loop.fit(model, x, y, batch_size=1.5)
    with pytest.raises(ArgumentTypeError, match="x must be an array"):
        loop.fit(model, [[1], [1, 2]], [0, 1])
    with pytest.raises(ShapeError, match=r"\(N, ...\)"):
        predict(model, 3.0)


def test_callbacks_by_name(net, blobs):
    with registry.isolated(), pytest.raises(UnknownNameError):
        loop.fit(net(), *blobs, verbose=0, callbacks=["no_such"])


def test_one_metric_needs_no_list(linear):
    for metrics in ("accuracy", ("accuracy", {}), ["accuracy"], lambda outputs, targets: targets):
        loop.compile(linear(), "adam", "softmax_cross_entropy", metrics)
    both = loop.compile(linear(heads=2), "adam", "softmax_cross_entropy", "accuracy")
    assert [len(metrics) for metrics in both.metrics] == [1, 1]


@pytest.mark.parametrize("where", ["y", "validation_data"])
def test_a_wrong_last_label_is_found_before_the_first_step(where, net, blobs):
    x, y = blobs
    wrong = y.copy()
    wrong[-1] = 77
    data = {"y": wrong} if where == "y" else {"y": y, "validation_data": (x, wrong)}
    model = net()
    before = weights(model)
    with pytest.raises(ArgumentError, match="labels must be 0 to 2 for 3 outputs, got 77"):
        loop.fit(model, x, **data, batch_size=2, verbose=0)
    assert all(map(np.array_equal, before, weights(model))) and not model.steps


def test_a_loss_without_a_check_of_targets_is_right(linear, blobs):
    class Own(Loss):
        def value_and_gradient(self, outputs, targets):
            return 0.0, np.zeros_like(outputs)

    model = linear()
    loop.compile(model, "sgd", Own())
    assert loop.fit(model, *blobs, epochs=1, verbose=0).history == {"loss": [0.0]}


def test_a_mask_is_never_lost(net, blobs):
    x, y = blobs
    masked = np.ma.array(y, mask=y > 0)
    for use in (loop.fit, loop.evaluate, loop.train_on_batch):
        with pytest.raises(ArgumentTypeError, match="y must be a plain array, got a masked one"):
            use(net(), x, masked)
    with pytest.raises(ArgumentTypeError, match="fit: y must hold plain arrays, got a masked one"):
        loop.fit(net(), x, [np.ma.array(label) for label in y])


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"x": None}, r"fit: x must be an array \(N, ...\), got NoneType"),
        ({"x": "abc"}, "fit: x must be an array .*got str"),
        ({"x": (i for i in range(3))}, "fit: x must be an array .*got generator"),
        ({"y": None}, "fit: y must be an array .*got NoneType"),
        ({"y": {"a": 1}}, "fit: y must be an array .*got dict"),
        ({"verbose": "abc"}, "fit: verbose must be an integer, got 'abc'"),
        ({"verbose": None}, "fit: verbose must be an integer, got None"),
        ({"shuffle": "no"}, "fit: shuffle must be True or False, got 'no'"),
        ({"shuffle": 1}, "fit: shuffle must be True or False, got 1"),
        ({"callbacks": 3}, "fit: callbacks must be a list of names.*got 3"),
        ({"callbacks": [3]}, "fit: callback must be a name"),
    ],
)
def test_what_fit_refuses_by_type(settings, text, net, blobs):
    x, y = blobs
    with pytest.raises(ArgumentTypeError, match=text):
        loop.fit(net(), **{"x": x, "y": y, "verbose": 0, **settings})


@pytest.mark.parametrize("y", [None, {"a": 1}, np.zeros((2, 6))])
def test_several_outputs_need_a_tuple(y, net, blobs):
    text = f"y must be a tuple of 2 arrays, got {type(y).__name__}"
    with pytest.raises(ArgumentTypeError, match=text):
        loop.fit(net(heads=2), blobs[0], y)


def test_one_callback_needs_no_list(net, blobs, capsys):
    with pytest.raises(UnknownNameError, match="callback must be a registered name, got 'abc'"):
        loop.fit(net(), *blobs, callbacks="abc")
    loop.fit(net(), *blobs, epochs=2, verbose=0, callbacks="epoch_lines")
    assert len(capsys.readouterr().out.splitlines()) == 2
    history = History()
    loop.fit(net(), *blobs, epochs=2, verbose=False, callbacks=history)
    assert len(history.history["loss"]) == 2
    loop.fit(net(), *blobs, epochs=1, verbose=0, callbacks=None)


@pytest.mark.parametrize("metrics", [None, 3])
def test_metrics_are_a_list(metrics, linear):
    said = "compile: metrics must be a list, or one metric, got"
    with pytest.raises(ArgumentTypeError, match=said):
        loop.compile(linear(), "adam", "softmax_cross_entropy", metrics)
