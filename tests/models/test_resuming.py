"""Runs that stop and go on from a checkpoint end with the bits of runs that never stopped."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from networks import branches
from stopped import SETTINGS, Late, StopAt, X, Y, assert_equal_networks, compiled, loaded, stopped

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, CheckpointWarning
from fastconv.testing import assert_bits_equal

#: An epoch has five batches.
PLACES = [1, 4, 5, 7, 10, 14, 15]
PATH = "run.safetensors"
OF_ONE_OUTPUT = ("auc", "binary_accuracy", "mean_absolute_error")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def goes_on(make, batches, y=Y, callbacks=list, **settings):
    """A run that never stops, and one that does and goes on, end with the same bits."""
    whole, first = make(), make()
    settings = {**SETTINGS, **settings}
    history = whole.fit(X, y, callbacks=callbacks(), **settings)
    stopped(first, batches, PATH, callbacks(), y=y, **settings)
    again = make()
    resumed = again.fit(X, y, resume=PATH, callbacks=callbacks(), **settings)
    assert_equal_networks(whole, again)
    assert resumed is again.history and resumed.history == history.history
    return history.history


@pytest.mark.parametrize("batches", PLACES)
def test_from_any_batch(batches):
    goes_on(compiled, batches)


@pytest.mark.parametrize("optimizer", registry.optimizers.names())
def test_with_every_optimizer(optimizer):
    goes_on(lambda: compiled(optimizer), 7)


@pytest.mark.parametrize(
    "optimizer",
    [
        ("adamw", {"weight_decay": 0.1, "clip_norm": 0.5}),
        ("sgd", {"learning_rate": ("cosine", {"steps": 15, "warm_up": 3})}),
        ("momentum", {"learning_rate": ["step", {"steps": 4, "factor": 0.5}], "clip_value": 0.01}),
    ],
)
def test_with_settings_of_optimizers(optimizer):
    goes_on(lambda: compiled(optimizer), 8)


@pytest.mark.parametrize(
    "settings",
    [{"shuffle": False}, {"memory_limit": "200 kB"}, {"batch_size": 23}, {"seed": 2**64 - 1}],
)
def test_with_settings_of_fit(settings):
    goes_on(compiled, 2, **settings)


@pytest.mark.parametrize("metric", registry.metrics.names())
def test_with_the_partial_sums_of_every_metric(metric):
    settings = {"k": 2} if metric == "top_k" else {}
    if metric in OF_ONE_OUTPUT:
        y = (Y == 1).astype("float32")[:, None]

        def make():
            net = fastconv.Sequential(
                ["Flatten", "BatchNorm", ("Dense", {"units": 1})], (2, 8, 8), seed=1
            )
            net.compile("adam", "sigmoid_cross_entropy", metric)
            return net

        goes_on(make, 8, y=y, validation_data=(X[:7], y[:7]))
    else:
        goes_on(lambda: compiled(metrics=[(metric, settings), "accuracy"]), 8)


def test_several_inputs_and_outputs():
    rng = np.random.default_rng(1)
    x = tuple(rng.standard_normal((9, 2, 6, 6)) for _ in range(2))
    y = (rng.integers(0, 4, 9), rng.standard_normal((9, 3, 6, 6)))
    settings = {"batch_size": 2, "epochs": 2, "verbose": 0, "validation_data": (x, y)}

    def make():
        net = branches()
        losses = ["softmax_cross_entropy", "mean_squared_error"]
        net.compile("adam", losses, [["accuracy"], ["mean_absolute_error"]])
        return net

    whole, first = make(), make()
    history = whole.fit(x, y, **settings)
    with pytest.raises(KeyboardInterrupt):
        first.fit(x, y, callbacks=StopAt(3), **settings)
    first.save(PATH, training=True)
    again = fastconv.load(PATH)  # compiled as the file says
    assert again.fit(x, y, resume=PATH, **settings).history == history.history
    assert_equal_networks(whole, again)


def test_a_network_that_is_not_compiled_is_compiled_as_it_was():
    whole, first = compiled(), compiled()
    whole.fit(X, Y, **SETTINGS)
    stopped(first, 3, PATH)
    again = fastconv.load(PATH)
    assert again.compiled is None
    again.fit(X, Y, resume=PATH, **SETTINGS)
    assert_equal_networks(whole, again)


def test_a_run_may_stop_again_and_again():
    whole, net = compiled(), compiled()
    history = whole.fit(X, Y, **SETTINGS)
    stopped(net, 2, PATH)
    for _ in range(4):
        net = loaded(PATH)
        stopped(net, 3, PATH, resume=PATH)
    assert net.fit(X, Y, resume=PATH, **SETTINGS).history == history.history
    assert_equal_networks(whole, net)


def test_after_fits_without_a_stop():
    """Epochs of earlier fits count for the order, and not for `epochs`."""
    whole, first = compiled(), compiled()
    for net in (whole, first):
        net.fit(X, Y, **{**SETTINGS, "epochs": 2})
    whole.fit(X, Y, **SETTINGS)
    stopped(first, 6, PATH)
    again = loaded(PATH)
    history = again.fit(X, Y, resume=PATH, **SETTINGS)
    assert again.compiled.epoch == 5 and len(history.history["loss"]) == 3
    assert_equal_networks(whole, again)


def test_a_finished_run_goes_on_if_there_are_more_epochs():
    whole, first = compiled(), compiled()
    whole.fit(X, Y, **SETTINGS)
    first.fit(X, Y, **{**SETTINGS, "epochs": 2})
    first.save(PATH, training=True)
    same = loaded(PATH)
    history = same.fit(X, Y, resume=PATH, **{**SETTINGS, "epochs": 2})
    assert_equal_networks(first, same)
    assert history.history == first.history.history
    again = loaded(PATH)
    again.fit(X, Y, resume=PATH, **SETTINGS)
    assert_equal_networks(whole, again)
    for epochs in (1, 2):
        stopped(again := compiled(), 11, PATH)
        with pytest.raises(ArgumentError, match=f"epochs must be at least 3, .* got {epochs}; it"):
            again.fit(X, Y, resume=PATH, **{**SETTINGS, "epochs": epochs})


def test_a_run_that_a_callback_ended_stays_ended():
    def stop(run, epoch, figures):
        run.stop = epoch == 1

    net = compiled()
    net.fit(X, Y, callbacks=stop, **SETTINGS)
    net.save(PATH, training=True)
    again = loaded(PATH)
    history = again.fit(X, Y, resume=PATH, callbacks=stop, **SETTINGS)
    assert len(history.history["loss"]) == 2
    assert_equal_networks(net, again)


def test_a_checkpoint_without_a_fit_gives_its_optimizer():
    whole, first = compiled(), compiled()
    for net in (whole, first):
        for _ in range(3):
            net.train_on_batch(X, Y)
    first.save(PATH, training=True)
    again = loaded(PATH)
    for net, more in ((whole, {}), (again, {"resume": PATH})):
        net.fit(X, Y, **SETTINGS, **more)
    assert_equal_networks(whole, again)


def test_what_is_frozen_is_as_it_was():
    def freeze(run, epoch, figures):
        run.model.freeze("conv2d_1")

    whole, first = compiled(), compiled()
    first.freeze("*/bias"), whole.freeze("*/bias")
    whole.fit(X, Y, callbacks=freeze, **SETTINGS)
    stopped(first, 7, PATH, [freeze])
    again = compiled()
    again.fit(X, Y, resume=PATH, callbacks=freeze, **SETTINGS)
    assert_equal_networks(whole, again)
    assert set(again.trainable_parameters()) == {
        "batch_norm_1/weight",
        "conv2d_2/weight",
        "dense_1/weight",
    }


def test_a_seed_of_dropout_goes_on_too():
    whole = compiled()
    whole.fit(X, Y, **SETTINGS)
    stopped(compiled(), 3, PATH)
    again = fastconv.load(PATH, seed=99)
    again.fit(X, Y, resume=PATH, **SETTINGS)
    assert_equal_networks(whole, again)


# Data


def brighter(rng, x, y):
    """A transform with random numbers of its own."""
    return x + rng.normal(0, 0.1, (len(x), 1, 1, 1)).astype("float32"), y


class Rows:
    """Rows that are read one by one."""

    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array)

    def __getitem__(self, row):
        return self.array[row]


def mapped():
    np.save("x.npy", X)
    return np.load("x.npy", mmap_mode="r")


BATCHES = [(X[i : i + 5], Y[i : i + 5]) for i in range(0, 23, 5)]
DATA = {
    "a transform": lambda: (X, Y, {"transform": brighter}),
    "weights of rows": lambda: (X, Y, {"sample_weight": np.linspace(0.5, 2, 23)}),
    "weights of classes": lambda: (X, Y, {"class_weight": {0: 2.0, 2: 0.5}}),
    "a split": lambda: (X, Y, {"validation_split": 0.3, "validation_data": None}),
    "a file in memory": lambda: (mapped(), Y, {}),
    "rows that are read": lambda: (Rows(X), Y, {"transform": brighter}),
    "a list of batches": lambda: (BATCHES, None, {"shuffle": False}),
    "batches that begin anew": lambda: (Anew(), None, {"transform": brighter}),
}


class Anew:
    """Batches without a length."""

    def __iter__(self):
        return iter(BATCHES)


@pytest.mark.parametrize("batches", [3, 5, 8])
@pytest.mark.parametrize("name", DATA)
def test_with_data_of_every_kind(name, batches):
    x, y, more = DATA[name]()
    settings = {**SETTINGS, **more}
    whole, first, again = compiled(), compiled(), compiled()
    history = whole.fit(x, y, **settings)
    with pytest.raises(KeyboardInterrupt):
        first.fit(x, y, callbacks=StopAt(batches), **settings)
    first.save(PATH, training=True)
    assert again.fit(x, y, resume=PATH, **settings).history == history.history
    assert_equal_networks(whole, again)


def test_batches_that_run_only_once_are_refused():
    net = compiled()
    settings = {**SETTINGS, "epochs": 1}
    with pytest.raises(KeyboardInterrupt):
        net.fit(iter(BATCHES), callbacks=StopAt(2), **settings)
    net.save(PATH, training=True)
    again = compiled()
    with pytest.raises(
        TypeError, match="fit: x must be an iterable that begins anew to go on from"
    ):
        again.fit(iter(BATCHES), resume=PATH, **settings)
    assert_equal_networks(again, compiled())


# Callbacks

#: A patience that ends the run, and one that does not; the worst figure comes first in neither.
CALLBACKS = {
    "early_stopping": lambda: [("early_stopping", {"patience": 1, "monitor": "val_loss"})],
    "its best weights": lambda: [("early_stopping", {"patience": 5, "min_delta": 9.0})],
    "reduce_on_plateau": lambda: [("reduce_on_plateau", {"patience": 1, "min_delta": 9.0})],
    "a schedule": lambda: [("learning_rate_schedule", {"schedule": ("step", {"steps": 2})})],
    "several": lambda: [
        ("reduce_on_plateau", {"patience": 1}),
        ("early_stopping", {"patience": 2, "monitor": "loss"}),
        ("csv_log", {"path": "log.csv"}),
        ("checkpoint", {"path": "other.safetensors", "every": 4}),
    ],
}


@pytest.mark.parametrize("batches", [3, 9, 12])
@pytest.mark.parametrize("name", CALLBACKS)
def test_with_callbacks(name, batches):
    whole = compiled(("adam", {"learning_rate": 0.3}))
    settings = {**SETTINGS, "epochs": 6}
    history = whole.fit(X, Y, callbacks=CALLBACKS[name](), **settings)
    lines = Path("log.csv").read_text() if name == "several" else ""
    saving = ("checkpoint", {"path": PATH, "every": 1})
    first = compiled(("adam", {"learning_rate": 0.3}))
    with contextlib.suppress(KeyboardInterrupt):  # early stopping may come before it
        first.fit(X, Y, callbacks=[*CALLBACKS[name](), saving, Late(batches)], **settings)
    again = compiled(("adam", {"learning_rate": 0.3}))
    resumed = again.fit(X, Y, resume=PATH, callbacks=[saving, *CALLBACKS[name]()], **settings)
    assert resumed.history == history.history
    assert_equal_networks(whole, again)
    assert not lines or Path("log.csv").read_text() == lines


def test_a_long_run_has_no_end_of_its_file():
    """Figures of more epochs than JSON may have values are arrays."""
    x, y = np.ones((2, 1), "float32"), np.array([0, 1])
    net = fastconv.Sequential([("Dense", {"units": 2})], (1,), seed=0)
    net.compile("sgd", "softmax_cross_entropy", "accuracy")
    log = fastconv.training.CSVLog("log.csv")
    net.fit(x, y, epochs=1, verbose=0, callbacks=log)
    for rows in net.history.history.values():
        rows *= 300_000
    log._rows *= 300_000
    net.save(PATH, training=True)
    again = fastconv.load(PATH)
    again_log = ("csv_log", {"path": "log.csv"})
    history = again.fit(x, y, epochs=2, verbose=0, callbacks=again_log, resume=PATH)
    assert {len(rows) for rows in history.history.values()} == {300_001}
    assert Path("log.csv").read_text().count("\n") == 300_002


def test_at_every_end_of_an_epoch_all_callbacks_have_been_told():
    """The checkpoint of the last epoch holds that training was ended there, and by what."""
    stopping = ("early_stopping", {"patience": 1, "min_delta": 9.0})
    net = compiled()
    net.fit(X, Y, callbacks=[("checkpoint", {"path": PATH}), stopping], **SETTINGS)
    again = loaded(PATH)
    history = again.fit(X, Y, resume=PATH, callbacks=[stopping], **SETTINGS)
    assert len(history.history["loss"]) == 2
    assert_equal_networks(net, again)


def test_an_interrupt_while_callbacks_are_told_of_an_epoch_is_told():
    def interrupt(run, epoch, figures):
        raise KeyboardInterrupt

    plateau = ("reduce_on_plateau", {"patience": 1})
    for callbacks, told in (([plateau, interrupt], True), ([interrupt, plateau], False)):
        net = compiled()
        with pytest.raises(KeyboardInterrupt):
            net.fit(X, Y, callbacks=callbacks, **SETTINGS)
        if told:
            net.save(PATH, training=True)
        else:
            with pytest.warns(CheckpointWarning, match="ends with other bits"):
                net.save(PATH, training=True)


def test_after_an_interrupt_early_stopping_goes_on_from_the_best_weights():
    stopping = ("early_stopping", {"patience": 5, "min_delta": 9.0})
    net = compiled()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, callbacks=[stopping, StopAt(12)], **SETTINGS)
    best = net.weights()
    with pytest.warns(CheckpointWarning, match="ends with other bits"):
        net.save(PATH, training=True)
    again = loaded(PATH)
    again.fit(X, Y, resume=PATH, callbacks=[stopping], **SETTINGS)
    for key, value in best.items():
        assert_bits_equal(value, again.weights()[key])  # no later epoch was better


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        (["reduce_on_plateau"], [], "callbacks must be those of .*, with reduce_on_plateau, got n"),
        (
            [],
            ["reduce_on_plateau"],
            "callbacks must be those of .*, without reduce_on_plateau, got",
        ),
        (
            [("early_stopping", {"patience": 3, "restore_best": False})],
            [("early_stopping", {"patience": 4, "restore_best": False})],
            "early_stopping.patience must be 3, as in .*, got 4; give it as it was, or leave",
        ),
    ],
)
def test_other_callbacks_are_refused(before, now, text):
    stopped(compiled(), 7, PATH, before)
    net = compiled()
    with pytest.raises(ArgumentError, match=f"^fit: {text}"):
        net.fit(X, Y, resume=PATH, callbacks=now, **SETTINGS)
    assert_equal_networks(net, compiled())


# Settings that are not as they were


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"batch_size": 6}, r"batch_size must be 5, as in .*, got 6; give it as it was"),
        ({"seed": 5}, "seed must be 4, as in .*, got 5"),
        ({"shuffle": False}, "shuffle must be True, as in .*, got False"),
        ({"memory_limit": 10**6}, "memory_limit must be None, as in .*, got 1000000"),
        ({"validation_data": None}, r"validation_data must be \[\[.*'shape': .*, got None"),
        ({"validation_data": (X[:7] + 1, Y[:7])}, r"validation_data\[0\].checksum must be"),
        ({"transform": brighter}, "transform must be None, as in .*, got '.*brighter'"),
        ({"class_weight": {1: 2.0}}, r"class_weight must be None, as in .*, got \[1.0, 2.0, 1.0"),
        ({"sample_weight": np.ones(23)}, "sample_weight must be None, as in .*, got .*'shape'"),
    ],
)
def test_another_setting_is_refused(settings, text):
    stopped(compiled(), 3, PATH)
    net = compiled()
    before = net.weights()
    with pytest.raises(ArgumentError, match=f"^fit: {text}.*, or leave resume out to begin anew$"):
        net.fit(X, Y, resume=PATH, **{**SETTINGS, **settings})
    assert_equal_networks(net, compiled())
    for key, value in before.items():
        assert_bits_equal(value, net.weights()[key])


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (
            {"optimizer": "sgd"},
            "optimizer must be 'adam', as in .*, got 'sgd'; compile the network as it was, or",
        ),
        (
            {"optimizer": ("adam", {"learning_rate": 0.5})},
            "optimizer.learning_rate must be 0.001, as in .*, got 0.5; compile the network as it",
        ),
        ({"optimizer": ("adam", {"beta1": 0.5})}, "optimizer.beta1 must be 0.9, as in .*, got 0.5"),
        (
            {"loss": "mean_squared_error"},
            "losses must be 'softmax_cross_entropy', as in .*, got 'mean_squared_error'",
        ),
        (
            {"loss": ("softmax_cross_entropy", {"label_smoothing": 0.1})},
            "losses.label_smoothing must be 0.0, as in .*, got 0.1",
        ),
        ({"metrics": ()}, r"metrics must be \[\['accuracy', \{\}\]\], as in .*, got \[\]"),
    ],
)
def test_a_network_compiled_otherwise_is_refused(how, text):
    stopped(compiled(), 3, PATH)
    net = compiled(**how)
    y = np.eye(3, dtype="float32")[Y] if how.get("loss") == "mean_squared_error" else Y
    settings = {**SETTINGS, "validation_data": (X[:7], y[:7])}
    with pytest.raises(ArgumentError, match=f"^fit: {text}"):
        net.fit(X, y, resume=PATH, **settings)
    assert_equal_networks(net, compiled(**how))


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (X[:22], Y[:22], r"x\.shape must be \[23, 2, 8, 8\], as in .*, got \[22, 2, 8, 8\]"),
        (X + 1, Y, "x.checksum must be"),
        (X.astype("float64"), Y, "x.dtype must be 'float32', as in .*, got 'float64'"),
        (X, (Y + 1) % 3, "y.checksum must be"),
    ],
)
def test_other_data_are_refused(x, y, text):
    stopped(compiled(), 3, PATH)
    with pytest.raises(ArgumentError, match=f"^fit: {text}"):
        compiled().fit(x, y, resume=PATH, **SETTINGS)


def test_another_network_is_refused():
    stopped(compiled(), 3, PATH)
    net = fastconv.Sequential(["Flatten", ("Dense", {"units": 3})], (2, 8, 8), seed=0)
    net.compile("adam", "softmax_cross_entropy", "accuracy")
    with pytest.raises(
        ArgumentError, match="^fit: the network's nodes must be .*got .* returns it"
    ):
        net.fit(X, Y, resume=PATH, **SETTINGS)


def test_what_changes_no_bit_may_differ():
    whole = compiled()
    whole.fit(X, Y, **SETTINGS)
    stopped(compiled(), 3, PATH)
    again = compiled()
    more = {"callbacks": lambda run, epoch, figures: None, "stop_on_nan": False, "verbose": 2}
    again.fit(X, Y, resume=PATH, **{**SETTINGS, **more})
    assert_equal_networks(whole, again)


def test_a_network_alone_is_no_checkpoint():
    compiled().save(PATH)
    with pytest.raises(ArgumentError, match="fit: resume must be of a checkpoint, got .*training="):
        compiled().fit(X, Y, resume=PATH, **SETTINGS)
    remedy = r"resume=path if os\.path\.exists\(path\) else None .*: 'nowhere\.safetensors'"
    with pytest.raises(FileNotFoundError, match=remedy) as raised:
        compiled().fit(X, Y, resume="nowhere.safetensors", **SETTINGS)
    assert raised.value.filename == "nowhere.safetensors"
    net = fastconv.load(PATH)
    with pytest.raises(ArgumentError, match="save: the network must be compiled; call net"):
        net.save(PATH, training=True)


def test_a_metric_without_a_name_must_be_compiled_again():
    def certainty(outputs, targets):
        return outputs.max(axis=1)

    whole, first = (compiled(metrics=[certainty]) for _ in range(2))
    whole.fit(X, Y, **SETTINGS)
    stopped(first, 8, PATH)
    with pytest.raises(ArgumentError, match="must be compiled first; .* the metrics .*certainty, "):
        fastconv.load(PATH).fit(X, Y, resume=PATH, **SETTINGS)
    again = compiled(metrics=[certainty])
    again.fit(X, Y, resume=PATH, **SETTINGS)
    assert_equal_networks(whole, again)


# What Ctrl-C leaves


def test_what_an_interrupt_leaves_is_a_network_and_its_history():
    net = compiled()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, callbacks=StopAt(12), **SETTINGS)
    assert {len(figures) for figures in net.history.history.values()} == {2}
    net.save(PATH)
    assert_bits_equal(fastconv.load(PATH).predict(X), net.predict(X))
    assert net.evaluate(X, Y)["loss"] > 0
    net.fit(X, Y, **SETTINGS)  # it may go on learning, too


def test_a_step_that_was_interrupted_in_the_middle_is_told(monkeypatch):
    net = compiled()
    optimizer, count = net.compiled.optimizer, 0
    apply = type(optimizer).apply

    def interrupted(self, *args, **kwargs):
        nonlocal count
        count += 1
        if count == 20:
            raise KeyboardInterrupt
        apply(self, *args, **kwargs)

    monkeypatch.setattr(type(optimizer), "apply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, **SETTINGS)
    with pytest.warns(CheckpointWarning, match="save: the weights are not those that the last"):
        net.save(PATH, training=True)
    again = loaded(PATH)
    again.fit(X, Y, resume=PATH, **SETTINGS)  # it goes on, if to other bits
    assert again.compiled.epoch == 3


def test_weights_that_were_changed_since_are_told():
    net = compiled()
    net.fit(X, Y, **SETTINGS)
    net.save(PATH, training=True)
    net.set_weights({"dense_1/bias": np.ones(3)})
    with pytest.warns(CheckpointWarning, match="a run that goes on from this checkpoint ends with"):
        net.save(PATH, training=True)
