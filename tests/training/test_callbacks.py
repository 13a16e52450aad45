"""Every callback in a real fit: what it does, and what a run that goes on needs of it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.arguments.paths import ELSEWHERE
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError
from fastconv.testing import assert_bits_equal
from fastconv.training import (
    Callback,
    CSVLog,
    EarlyStopping,
    History,
    LearningRateSchedule,
    ModelCheckpoint,
    ReduceOnPlateau,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 1, 6, 6)).astype("float32")
Y = np.arange(24) % 3
BATCH = 4  # six batches an epoch
FIT = {"batch_size": BATCH, "verbose": 0, "validation_data": (X[:9], Y[:9])}


def network(optimizer=("adam", {"learning_rate": 0.01}), seed=0):
    """One with BatchNorm and dropout, so with statistics and random numbers."""
    net = fastconv.Sequential(
        [
            ("Conv2D", {"filters": 2, "kernel_size": 3}),
            "BatchNorm",
            "ReLU",
            "Flatten",
            ("Dropout", {"rate": 0.2}),
            ("Dense", {"units": 3}),
        ],
        input_shape=(1, 6, 6),
        seed=seed,
    )
    net.compile(optimizer, "softmax_cross_entropy", "accuracy")
    return net


def same_weights(one, two):
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert_bits_equal(two[key], value)


class Figures(Callback):
    """Puts figures of its own in place of those that come, epoch by epoch."""

    def __init__(self, **figures):
        self.figures = figures

    def on_epoch_end(self, run, epoch, figures):
        figures.update({name: values[epoch] for name, values in self.figures.items()})


def fitted(callbacks, epochs=8, **settings):
    net = network()
    history = net.fit(X, Y, epochs=epochs, callbacks=callbacks, **{**FIT, **settings})
    return net, history


# What a run that goes on needs


class Kept:
    """All that a checkpoint holds, taken after an epoch."""

    def __init__(self, net, callbacks):
        compiled = net.compiled
        self.weights, self.place = net.weights(), (compiled.step, compiled.epoch)
        self.optimizer = through_json(compiled.optimizer.state())
        self.callbacks = [through_json(callback.state()) for callback in callbacks]


def through_json(state):
    """Return a state as a file gives it back: JSON values and arrays."""
    plain = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
    arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
    return {**json.loads(json.dumps(plain, allow_nan=False)), **arrays}


class Keeping(Callback):
    runs_last = True

    def __init__(self, after, callbacks):
        self.after, self.callbacks = after, callbacks

    def on_epoch_end(self, run, epoch, figures):
        if epoch == self.after:
            self.kept = Kept(run.model, self.callbacks)


class GoingOn(Callback):
    """A callback of the run that goes on: it begins, takes its state, and counts on."""

    def __init__(self, callback, state, first):
        self.callback, self.state_then, self.first = callback, state, first
        self.runs_last = callback.runs_last

    def on_fit_begin(self, run):
        self.callback.on_fit_begin(run)
        self.callback.restore(self.state_then)

    def on_epoch_begin(self, run, epoch):
        self.callback.on_epoch_begin(run, epoch + self.first)

    def on_batch_end(self, run, batch, figures):
        self.callback.on_batch_end(run, batch, figures)

    def on_epoch_end(self, run, epoch, figures):
        self.callback.on_epoch_end(run, epoch + self.first, figures)

    def on_fit_end(self, run):
        self.callback.on_fit_end(run)


class Saved:
    """Stands for ``net.save``: writes down when it was called, and with what."""

    def __init__(self, net):
        self.calls, self.net = [], net
        net.save = self

    def __call__(self, path, *, training=False, keep=2):
        assert training
        self.calls.append((path, keep, self.net.compiled.step))


CASES = {
    "early_stopping": {"patience": 4, "min_delta": 10.0},
    "checkpoint": {"path": "run.safetensors", "every": 4},
    "checkpoint of the best": {"path": "run.safetensors", "monitor": "val_loss"},
    "csv_log": {"path": "log.csv"},
    "reduce_on_plateau": {"patience": 2, "min_delta": 10.0, "factor": 0.5},
    "learning_rate_schedule": {"schedule": ("cosine", {"steps": 40, "warm_up": 10})},
    "history": {},
    "progress_bar": {},
    "epoch_lines": {},
}


def test_every_name_has_a_case():
    assert {case.split(" ")[0] for case in CASES} == set(registry.callbacks.names())


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_goes_on_ends_in_the_same_bits(case, tmp_path, monkeypatch):
    """The state is taken after three epochs, and given to objects that know nothing."""
    monkeypatch.chdir(tmp_path)
    name, settings = case.split(" ")[0], CASES[case]
    whole = registry.resolve(registry.callbacks, (name, settings), "test")
    keeping = Keeping(2, [whole])
    net = network()
    saved = Saved(net)
    first = net.fit(X, Y, epochs=8, callbacks=[whole, keeping], **FIT)
    log = (tmp_path / "log.csv").read_text() if name == "csv_log" else ""

    kept, again = keeping.kept, registry.resolve(registry.callbacks, (name, settings), "test")
    if name == "csv_log":
        (tmp_path / "log.csv").write_text("epoch,what a kill left")
    twin = network(seed=5)
    saved_again = Saved(twin)
    twin.seed = net.seed
    twin.set_weights(kept.weights)
    twin.compiled.step, twin.compiled.epoch = kept.place
    twin.compiled.optimizer.restore(kept.optimizer)
    going = GoingOn(again, kept.callbacks[0], 3)
    second = twin.fit(X, Y, epochs=5, callbacks=[going], **FIT)

    same_weights(net.weights(), twin.weights())
    assert first.history["loss"][3:] == second.history["loss"]
    assert first.learning_rate[3:] == second.learning_rate
    later = [call for call in saved.calls if call[2] > 18]
    assert saved_again.calls == later and bool(later) == (name == "checkpoint")
    if name == "csv_log":
        assert (tmp_path / "log.csv").read_text() == log != ""
    if name == "history":
        assert whole.history == again.history == first.history
        assert whole.learning_rate == again.learning_rate
    assert through_json(again.state()).keys() == through_json(whole.state()).keys()
    for key, value in whole.state().items():
        np.testing.assert_array_equal(again.state()[key], value)


def test_states_that_are_not_theirs_are_refused():
    for made in (
        EarlyStopping(),
        ReduceOnPlateau(),
        CSVLog("a.csv"),
        ModelCheckpoint("a.safetensors"),
    ):
        for wrong in ({}, {"best": "x", "since": 1.5, "rows": [1], "batches": None}):
            with pytest.raises(ArgumentError, match="state must hold"):
                made.restore(wrong)
    with pytest.raises(ArgumentError, match="state must be empty.*got 'best' in it"):
        LearningRateSchedule("constant").restore({"best": 1})
    with pytest.raises(ArgumentTypeError, match="state must be a mapping"):
        History().restore([1])


# early_stopping


def test_training_stops_and_the_best_weights_come_back():
    seen = []

    def see(run, epoch, figures):
        seen.append(run.model.weights())

    values = [3.0, 2.0, 2.5, 1.0, 1.5, float("nan"), 0.5]
    stopping = EarlyStopping(patience=2)
    net, history = fitted([see, Figures(val_loss=values), stopping], epochs=7)
    assert len(history.history["loss"]) == 6 and (stopping.best, stopping.best_epoch) == (1.0, 3)
    same_weights(seen[3], net.weights())
    assert not np.array_equal(seen[5]["dense_1/weight"], seen[3]["dense_1/weight"])
    assert {"batch_norm_1/running_mean", "batch_norm_1/running_var"} <= seen[3].keys()
    assert net.compiled.step == 36  # the optimizer does not go back

    seen.clear()
    net, history = fitted(
        [see, Figures(val_loss=values), EarlyStopping(2, restore_best=False)], epochs=7
    )
    same_weights(seen[5], net.weights())
    net, _ = fitted([see, Figures(val_loss=values), EarlyStopping(patience=9)], epochs=7)
    same_weights(seen[-1], net.weights())  # the last epoch is the best
    net, _ = fitted([see, Figures(val_loss=values), EarlyStopping(patience=9)], epochs=6)
    same_weights(seen[-3], net.weights())  # also where it never stopped


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_best_weights_come_back_after_an_interrupt(error):
    """In the middle of an epoch, by which weights and statistics have moved on."""
    seen = []

    class Broken(Callback):
        def on_batch_end(self, run, batch, figures):
            if len(seen) == 4 and batch == 3:
                raise error

        def on_epoch_end(self, run, epoch, figures):
            seen.append(run.model.weights())

    net = network()
    stopping = EarlyStopping(patience=9)
    figures = Figures(val_loss=[4.0, 1.0, 2.0, 3.0])
    with pytest.raises(error):
        net.fit(X, Y, epochs=9, callbacks=[figures, stopping, Broken()], **FIT)
    same_weights(seen[1], net.weights())
    assert len(net.history.history["loss"]) == 4
    assert np.isfinite(net.predict(X)).all()  # a network to be used


def test_an_interrupt_before_the_first_epoch_ends_leaves_the_weights():
    net, found = network(), []

    class Broken(Callback):
        def on_batch_end(self, run, batch, figures):
            if batch == 2:
                found.append(run.model.weights())
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, callbacks=[EarlyStopping(), Broken()], **FIT)
    same_weights(found[0], net.weights())


@pytest.mark.parametrize(
    ("name", "values", "best"),
    [
        ("val_loss", [3, 1, 2], 1),
        ("loss", [3, 1, 2], 1),
        ("dense_1_loss", [3, 1, 2], 1),
        ("val_mean_absolute_error_2", [3, 1, 2], 1),
        ("val_accuracy", [0.5, 0.4, 0.9], 2),
        ("accuracy_2", [0.5, 0.4, 0.9], 2),
        ("val_f1", [0.5, 0.9, 0.4], 1),
        ("val_top_k", [0.5, 0.9, 0.4], 1),
        ("val_auc", [0.5, 0.5, 0.4], 0),
        ("val_loss", [float("nan"), float("inf"), 7], 2),
        ("val_accuracy", [float("inf"), float("nan"), -7], 2),
    ],
)
def test_which_way_is_better_is_known_by_name(name, values, best):
    stopping = EarlyStopping(patience=9, monitor=name)
    fitted([Figures(**{name: values}), stopping], epochs=3)
    assert stopping.best_epoch == best and stopping.best == values[best]


def test_which_way_is_better_may_be_said():
    with pytest.raises(ArgumentError, match="mode must be 'min' or 'max' for a figure called 'wo"):
        EarlyStopping(monitor="wow")
    for mode, best in (("min", 1), ("max", 2)):
        stopping = EarlyStopping(patience=9, monitor="wow", mode=mode)
        fitted([Figures(wow=[2.0, 1.0, 3.0]), stopping], epochs=3)
        assert stopping.best_epoch == best
    delta = EarlyStopping(patience=9, monitor="wow", mode="max", min_delta=2.0)
    fitted([Figures(wow=[2.0, 3.0, 3.5]), delta], epochs=3)
    assert delta.best_epoch == 0


@pytest.mark.parametrize(
    "made",
    [
        lambda name: EarlyStopping(monitor=name),
        lambda name: ReduceOnPlateau(monitor=name),
        lambda name: ModelCheckpoint("x.safetensors", monitor=name),
    ],
)
def test_a_figure_that_is_not_there(made):
    net = network()
    words = r"must be a figure of this run \('loss', 'accuracy', 'val_loss', 'val_accuracy'\), got"
    with pytest.raises(ArgumentError, match=words + " 'val_auc'"):
        net.fit(X, Y, epochs=9, callbacks=made("val_auc"), **FIT)
    assert net.compiled.step == 0
    with pytest.raises(ArgumentError, match=words.replace(r"\), got", r", 'mine'\), got")):
        others = [Figures(mine=[1.0]), made("val_auc")]
        net.fit(X, Y, epochs=9, callbacks=others, **FIT)
    assert net.compiled.step == 6  # at the end of the first epoch, for others may add figures
    net = network()
    with pytest.raises(ArgumentError, match="got 'val_accuracy_2'; did you mean 'val_accuracy'?"):
        net.fit(X, Y, epochs=9, callbacks=made("val_accuracy_2"), **FIT)
    net = network()
    words = "figure of validation where there is none, got 'val_loss'; give fit validation_data"
    with pytest.raises(ArgumentError, match=words):
        net.fit(X, Y, callbacks=made("val_loss"), **{**FIT, "validation_data": None})
    assert net.compiled.step == 0


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceOnPlateau, ModelCheckpoint])
def test_the_figure_that_another_library_calls_so(kind):
    path = {"path": "x.safetensors"} if kind is ModelCheckpoint else {}
    for name, meant in (
        ("val_acc", "val_accuracy"),
        ("acc", "accuracy"),
        ("val_f1_score", "val_f1"),
        ("val_accurcy", "val_accuracy"),
        ("head_acc", "head_accuracy"),
    ):
        told = f"mode must be 'min' or 'max' .* {name!r}.*; did you mean monitor={meant!r}?"
        with pytest.raises(ArgumentError, match=told):
            kind(**path, monitor=name)
    net = network()
    for name in ("val_acc", "val_categorical_accuracy"):
        watching = kind(**path, monitor=name, mode="max")
        with pytest.raises(ArgumentError, match=f"got {name!r}; did you mean 'val_accuracy'?"):
            net.fit(X, Y, callbacks=watching, **FIT)
    assert net.compiled.step == 0


def test_the_figures_of_several_outputs_are_known_before_they_come():
    given = fastconv.Input((4,))
    heads = [fastconv.create_layer("Dense", units=3, name=name)(given) for name in ("a", "b")]
    net = fastconv.Model(given, tuple(heads))
    net.compile("sgd", "softmax_cross_entropy", ["accuracy", "accuracy"])
    seen = []

    class Looks(Callback):
        def on_fit_begin(self, run):
            seen.append(run.figures)

    x, y = np.zeros((6, 4), np.float32), (np.arange(6) % 3,) * 2
    net.fit(x, y, epochs=1, verbose=0, validation_data=(x, y), callbacks=Looks())
    stopping = EarlyStopping(monitor="val_b_accuracy_2")
    net.fit(x, y, epochs=1, verbose=0, validation_data=(x, y), callbacks=stopping)
    assert seen == [None] and stopping.best is not None
    names = (*net.compiled.figure_names, *(f"val_{name}" for name in net.compiled.figure_names))
    assert names == tuple(net.history.history)


# reduce_on_plateau, learning_rate_schedule


def test_the_rate_falls_on_a_plateau():
    values = [3.0, 2.0, 2.0, 2.5, 1.0, 1.0, 1.0, 1.0]
    net, history = fitted([Figures(val_loss=values), ReduceOnPlateau(0.5, patience=2)])
    assert history.learning_rate == [0.01] * 4 + [0.005] * 3 + [0.0025]
    assert net.compiled.optimizer.learning_rate == 0.0025


def test_a_schedule_is_not_reduced():
    for callbacks in (
        [LearningRateSchedule("constant"), ReduceOnPlateau()],
        [ReduceOnPlateau(patience=1, min_delta=9.0), LearningRateSchedule("constant")],
    ):
        with pytest.raises(ArgumentError, match="learning_rate must be a number.*ConstantRate"):
            fitted(callbacks)


def test_a_schedule_as_a_callback_is_the_optimizers_own():
    schedule = ("cosine", {"steps": 40, "warm_up": 10})
    by_callback, one = fitted([LearningRateSchedule(schedule)])
    settings = {"learning_rate": ("cosine", {**schedule[1], "learning_rate": 0.01})}
    net = network(("adam", settings))
    two = net.fit(X, Y, epochs=8, **FIT)
    same_weights(by_callback.weights(), net.weights())
    assert one.learning_rate == two.learning_rate and one.learning_rate[-1] == 0.0
    assert one.learning_rate[0] == pytest.approx(0.006)


# files


def test_the_log_has_every_figure_with_all_its_digits(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("what was there before")
    net, history = fitted([CSVLog(path)], epochs=3)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "learning_rate", *history.history]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for name, column in history.history.items():
        assert [float(row[name]) for row in rows] == column


def test_a_figure_that_comes_later_gets_a_column(tmp_path):
    class Late(Callback):
        def on_epoch_end(self, run, epoch, figures):
            if epoch == 1:
                figures["late"] = float("nan")

    fitted([Late(), CSVLog(tmp_path / "log.csv")], epochs=3)
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["late"] for row in rows] == ["", "nan", ""]


@pytest.mark.parametrize(
    ("settings", "at"),
    [
        ({}, [6, 12, 18, 24]),
        ({"every": 4}, [4, 8, 12, 16, 20, 24]),
        ({"every": 100}, []),
        ({"monitor": "val_loss"}, [6, 18]),
        ({"monitor": "val_loss", "mode": "max"}, [6, 12]),
    ],
)
def test_checkpoints_are_written_when_they_are_due(settings, at):
    net = network()
    saved = Saved(net)
    figures = Figures(val_loss=[2.0, 3.0, 1.0, float("nan")])
    checkpoint = ("checkpoint", {"path": "run.safetensors", "keep": 3, **settings})
    net.fit(X, Y, epochs=4, callbacks=[checkpoint, figures], **FIT)
    assert saved.calls == [("run.safetensors", 3, step) for step in at]


def test_checkpoints_hold_what_all_others_did_with_the_epoch():
    """Wherever they stand in the list."""
    stopping, found = EarlyStopping(monitor="loss"), []
    net = network()
    net.save = lambda path, **settings: found.append(stopping.best_epoch)
    net.fit(X, Y, epochs=3, callbacks=[ModelCheckpoint("x.safetensors"), stopping], **FIT)
    assert found == [0, 1, 2]


# settings and spellings


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("EarlyStopping", ConfigError, "did you mean 'early_stopping'"),
        ("ModelCheckpoint", ConfigError, "did you mean 'checkpoint'"),
        ("CSVLogger", ConfigError, "did you mean 'csv_log'"),
        ("ReduceLROnPlateau", ConfigError, "did you mean 'reduce_on_plateau'"),
        ("LearningRateScheduler", ConfigError, "did you mean 'learning_rate_schedule'"),
        (("early_stopping", {"restore_best_weights": True}), ConfigError, "mean 'restore_best'"),
        (("checkpoint", {"filepath": "a"}), ConfigError, "did you mean 'path'"),
        ("checkpoint", ConfigError, "path is missing"),
        (("early_stopping", {"patience": -1}), ArgumentError, "patience must be at least 0"),
        (("early_stopping", {"min_delta": -1}), ArgumentError, "min_delta must be at least 0"),
        (("early_stopping", {"mode": "auto"}), ArgumentError, "mode must be 'min', 'max' or None"),
        (("early_stopping", {"monitor": None}), ArgumentTypeError, "monitor must be a text"),
        (("early_stopping", {"restore_best": 1}), ArgumentTypeError, "must be True or False"),
        (("reduce_on_plateau", {"factor": 1.0}), ArgumentError, "factor must be above 0 and bel"),
        (("reduce_on_plateau", {"patience": 0}), ArgumentError, "patience must be at least 1"),
        (("checkpoint", {"path": "a", "every": "batch"}), ArgumentError, "every must be 'epoch' o"),
        (("checkpoint", {"path": "a", "every": 0}), ArgumentError, "every must be at least 1"),
        (("checkpoint", {"path": "a", "keep": 0}), ArgumentError, "keep must be at least 1"),
        (("checkpoint", {"path": ""}), ArgumentError, "path must be the path of a file"),
        (
            ("checkpoint", {"path": "some/a.PTH"}),
            ArgumentError,
            r"checkpoint: path must not end in \.pth, which .*; write 'a.safetensors'$",
        ),
        *[
            (("checkpoint", {"path": f"a{suffix}"}), ArgumentError, f"must not end in {suffix}")
            for suffix in ELSEWHERE
        ],
        (
            ("checkpoint", {"path": "a", "every": 3, "monitor": "loss"}),
            ArgumentError,
            "must be 'epoch' where a figure is monitored",
        ),
        (("checkpoint", {"path": "no/such/a"}), ArgumentError, "in a folder that exists"),
        (("checkpoint", {"path": "a", "mode": "best"}), ArgumentError, "mode must be 'min', 'max'"),
        (("checkpoint", {"path": "a", "mode": "max"}), ArgumentError, "where no figure is monito"),
        (("csv_log", {"path": 3}), ArgumentTypeError, "path must be the path of a file"),
        (("csv_log", {"path": "no/such/folder.csv"}), ArgumentError, "in a folder that exists"),
        (("learning_rate_schedule", {"schedule": 0.1}), ArgumentTypeError, "must be a schedule"),
        (("learning_rate_schedule", {"schedule": "cos"}), ConfigError, "must be a registered name"),
    ],
)
def test_wrong_settings_are_refused_before_training(spec, error, words):
    net = network()
    with pytest.raises(error, match=words):
        net.fit(X, Y, callbacks=[spec], **FIT)
    assert net.compiled.step == 0


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        ("SGD", "did you mean 'sgd'"),
        ("Adam", "did you mean 'adam'"),
        ("AdamW", "did you mean 'adamw'"),
        (("sgd", {"lr": 0.1}), "did you mean 'learning_rate'"),
        (("sgd", {"momentum": 0.9}), "take the optimizer 'momentum'"),
        (("momentum", {"nesterov": True}), "take the optimizer 'nesterov'"),
        (("adam", {"decay": 0.1}), "did you mean 'weight_decay'"),
        (("adam", {"clipnorm": 0.1}), "did you mean 'clip_norm'"),
    ],
)
def test_spellings_of_optimizers(optimizer, words):
    with pytest.raises(ConfigError, match=words):
        network(optimizer)


# what is printed


def test_lines_show_the_rate_where_it_changes(capsys):
    fitted([], epochs=1, verbose=2)
    assert "learning_rate" not in capsys.readouterr().out
    fitted([LearningRateSchedule(("step", {"steps": 6}))], epochs=2, verbose=2)
    first, second = capsys.readouterr().out.splitlines()
    assert "learning_rate 0.01  (" in first and "learning_rate 0.001  (" in second
    plateau = [Figures(val_loss=[1.0, 1.0, 1.0]), ReduceOnPlateau(patience=1)]
    fitted(plateau, epochs=3, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert ["learning_rate" in line for line in lines] == [False, False, True]
