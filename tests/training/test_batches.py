"""How data is cut into batches, and what is said of it once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastconv
from fastconv.batches import slices
from fastconv.errors import ArgumentError, DataWarning, MemoryLimitError
from fastconv.training import Callback, loop
from fastconv.training.data import count_batches


@pytest.mark.parametrize("least", [1, 2, 3])
def test_slices_take_every_row_once_and_leave_none_too_few(least):
    for rows in range(least, 40):
        for batch_size in range(least, 12):
            parts = list(slices(rows, batch_size, least=least))
            assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
            assert parts[-1].stop == rows
            sizes = [part.stop - part.start for part in parts]
            assert min(sizes) >= least and max(sizes) < batch_size + least
            assert (len(sizes), max(sizes)) == count_batches(rows, batch_size, least)
            if least == 1:
                assert max(sizes) <= batch_size and len(sizes) == -(-rows // batch_size)


NORM = [("Dense", {"units": 6}), "BatchNorm", ("Dense", {"units": 3})]
PLAIN = [("Dense", {"units": 6}), "Tanh", ("Dense", {"units": 3})]


def network(layers, shape=(4,)):
    net = fastconv.Sequential(layers, shape, seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    return net


def data(rows):
    return np.random.default_rng(0).standard_normal((rows, 4)), np.arange(rows) % 3


class Sizes(Callback):
    """Counts the batches of each epoch, and their rows by the classes of a layer's output."""

    def on_fit_begin(self, run):
        self.batches, self.seen = run.batches, 0

    def on_batch_end(self, run, batch, figures):
        self.seen = batch + 1


def rows_of_steps(net, monkeypatch):
    found = []
    forward_backward = net.forward_backward

    def watched(xs, *args, **kwargs):
        found.append(len(xs[0]))
        return forward_backward(xs, *args, **kwargs)

    monkeypatch.setattr(net, "forward_backward", watched)
    return found


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize(
    ("layers", "rows", "expected"),
    [
        (NORM, 21, [10, 11]),
        (NORM, 22, [10, 10, 2]),
        (NORM, 20, [10, 10]),
        (NORM, 11, [11]),
        (PLAIN, 21, [10, 10, 1]),
    ],
)
def test_a_last_row_joins_the_batch_before(layers, rows, expected, limited, monkeypatch):
    net, sizes = network(layers), Sizes()
    found = rows_of_steps(net, monkeypatch)
    limit = 2 * net.plan(11, training=True).peak if limited else None
    net.fit(*data(rows), batch_size=10, epochs=2, verbose=0, callbacks=sizes, memory_limit=limit)
    assert found == 2 * expected
    assert sizes.batches == sizes.seen == len(expected)


def test_the_running_variance_is_that_of_the_data():
    rng = np.random.default_rng(0)
    x, y = 3 * rng.standard_normal((101, 4)) + 5, np.arange(101) % 3
    net = fastconv.Sequential(["BatchNorm", ("Dense", {"units": 3})], (4,), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    net.fit(x, y, batch_size=100, epochs=100, verbose=0)
    np.testing.assert_allclose(net["batch_norm_1"].state["running_var"], x.var(axis=0), rtol=0.01)


def test_the_limit_is_planned_for_the_larger_batch():
    net = network(NORM)
    large, small = (net.plan(rows, training=True).peak for rows in (11, 10))
    assert small < large
    with pytest.raises(MemoryLimitError) as caught:
        net.fit(*data(11), batch_size=10, verbose=0, memory_limit=1)
    assert "a batch of 11" in str(caught.value)


@pytest.mark.parametrize("frozen", [False, True])
def test_one_value_a_feature_by_hand_is_an_error(frozen):
    net = network(NORM)
    if frozen:  # it takes its running statistics, and needs no others
        net.freeze("batch_norm_1")
        net.train_on_batch(*data(1))
        net.fit(*data(3), batch_size=1, epochs=1, verbose=0)
        return
    before = net.weights()
    remedy = r"; take more rows at a time, or net.freeze\('batch_norm_1'\)"
    for call, words in (
        (lambda: net.train_on_batch(*data(1)), "train_on_batch: x must hold at least 2 rows for "),
        (lambda: net.fit(*data(1), verbose=0), "fit: x must hold at least 2 rows for "),
        (lambda: net.fit(*data(9), batch_size=1), "fit: batch_size must be at least 2 for "),
    ):
        with pytest.raises(ArgumentError, match=f"{words}batch_norm_1 to learn, got 1{remedy}"):
            call()
    for key, weight in net.weights().items():
        np.testing.assert_array_equal(weight, before[key])
    assert net.predict(data(1)[0]).shape == (1, 3) and "loss" in net.evaluate(*data(1))


def test_a_layer_that_is_unfrozen_between_epochs_is_asked_anew(monkeypatch):
    net = network(NORM)
    net.freeze("batch_norm_1")
    found = rows_of_steps(net, monkeypatch)

    def unfreeze(run, epoch, figures):
        run.model.unfreeze("batch_norm_1")

    net.fit(*data(21), batch_size=10, epochs=2, verbose=0, callbacks=unfreeze)
    assert found == [10, 10, 1, 10, 11]
    net.freeze("batch_norm_1")
    with pytest.raises(ArgumentError, match="fit: batch_size must be at least 2 for batch_norm_1"):
        net.fit(*data(3), batch_size=1, epochs=2, verbose=0, callbacks=unfreeze)


def test_a_layer_that_is_unfrozen_within_an_epoch_stops_before_a_row_alone():
    class Unfreeze(Callback):
        def on_batch_end(self, run, batch, figures):
            run.model.unfreeze("batch_norm_1")

    net = network(NORM)
    net.freeze("batch_norm_1")
    with pytest.raises(ArgumentError, match="fit: x must hold at least 2 rows for batch_norm_1"):
        net.fit(*data(21), batch_size=10, verbose=0, callbacks=Unfreeze())
    assert net.compiled.step == 2


@pytest.mark.parametrize(
    ("layers", "shape", "least"),
    [
        (["BatchNorm"], (4,), 2),
        (["BatchNorm"], (4, 1, 1), 2),
        (["BatchNorm"], (4, 1, 2), 1),
        ([("Conv2D", {"filters": 2, "kernel_size": 1}), "BatchNorm"], (2, 3, 3), 1),
        (
            [("Conv2D", {"filters": 2, "kernel_size": 1}), "GlobalAvgPool2D", "BatchNorm"],
            (2, 3, 3),
            2,
        ),
    ],
)
def test_how_many_rows_there_must_be(layers, shape, least):
    assert fastconv.Sequential(layers, shape).least_rows()[0] == least


def test_a_layer_of_others_says_how_many_rows_it_needs(monkeypatch):
    class Pairs(fastconv.Layer):
        def infer(self, *specs):
            return self.one_input(specs)

        def forward(self, ctx, x):
            return x.copy()

        def backward(self, ctx, dy):
            return dy

        def least_rows(self, *specs):
            return 4

    net = network([Pairs(name="pairs"), *PLAIN])
    found = rows_of_steps(net, monkeypatch)
    net.fit(*data(23), batch_size=10, epochs=1, verbose=0)
    assert found == [10, 13]
    with pytest.raises(ArgumentError, match="at least 4 rows for pairs to learn, got 3"):
        net.train_on_batch(*data(3))


# What is said of data


@pytest.mark.parametrize("dtype", ["uint8", "int64", "uint16", "int16"])
def test_whole_numbers_to_255_are_spoken_of_once_a_fit(dtype):
    net = network(["Flatten", *PLAIN], (1, 2, 2))
    x = np.arange(20 * 4).reshape(20, 1, 2, 2).astype(dtype)
    x[3] = 255
    y = np.arange(20) % 3
    with pytest.warns(DataWarning, match=r"got integers up to 255; .*: x / 255$") as caught:
        net.fit(x, y, epochs=3, batch_size=5, verbose=0, validation_data=(x, y))
    assert len(caught) == 1 and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(x / 255, y, epochs=1, verbose=0)  # what it says
        net.fit(x.astype(float), y, epochs=1, verbose=0)
        net.fit(x // 16, y, epochs=1, verbose=0)
        net.train_on_batch(x, y)
        net.evaluate(x, y)
        net.predict(x)
    with pytest.warns(DataWarning, match=r"up to 4000; .*: x / 4000$"):
        net.fit(np.full((20, 1, 2, 2), -4000), y, epochs=1, verbose=0)


@pytest.mark.parametrize(
    ("layers", "warns"),
    [
        (["BatchNorm", "Flatten"], False),
        (["Flatten", "BatchNorm"], False),
        ([("Dropout", {"rate": 0.1}), "Flatten", "BatchNorm"], False),
        (["Flatten", "Tanh", "BatchNorm"], True),
    ],
)
def test_a_network_that_scales_its_inputs_needs_no_warning(layers, warns):
    net = network([*layers, *PLAIN], (1, 2, 2))
    x, y = np.full((20, 1, 2, 2), 200, np.uint8), np.arange(20) % 3
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.fit(x, y, epochs=1, verbose=0)
    assert bool(caught) == warns


def test_a_warning_that_is_an_error_comes_before_training():
    net = network(["Flatten", *PLAIN], (1, 2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataWarning):
            net.fit(np.full((20, 1, 2, 2), 200), np.arange(20) % 3, verbose=0)
    assert net.history is None and net.compiled.step == 0


def test_each_input_is_looked_at_for_itself():
    a, b = fastconv.Input((4,)), fastconv.Input((4,))
    norm = fastconv.create_layer("BatchNorm")(a)
    node = fastconv.create_layer("Dense", units=3)(fastconv.create_layer("Add")(norm, b))
    net = fastconv.Model((a, b), node, seed=0)
    assert net.normalized_inputs() == [True, False]
    both = fastconv.Model(a, fastconv.create_layer("Add")(norm, a), seed=0)
    assert both.normalized_inputs() == [False], "one way past the layer that normalises"
    assert fastconv.Model(a, a).normalized_inputs() == [False]


def test_the_loop_asks_the_model(linear, blobs):
    model = linear()
    loop.compile(model, "sgd", "softmax_cross_entropy")
    model.least = 51
    with pytest.raises(ArgumentError, match="for dense_1 to learn, got 50"):
        loop.fit(model, *blobs, batch_size=50, verbose=0)
    loop.fit(model, *blobs, batch_size=100, epochs=1, verbose=0)
    assert model.batches == [150]
