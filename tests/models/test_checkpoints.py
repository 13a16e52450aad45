"""The files of checkpoints: what is in them, what is kept of older ones, and damaged ones."""

from __future__ import annotations

import copy
import errno
import gc
import hashlib
import json
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest
from networks import small, traced
from stopped import SETTINGS, Late, X, Y, assert_equal_networks, changed, compiled, loaded, stopped

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, CheckpointWarning, FormatError
from fastconv.models import saving
from fastconv.models.saving import rotation, sealing
from fastconv.testing import assert_bits_equal

PATH = "run.safetensors"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(keep: int = 2, times: int = 1) -> fastconv.Model:
    net = compiled()
    for _ in range(times):
        net.fit(X, Y, **{**SETTINGS, "epochs": 1})
        net.save(PATH, training=True, keep=keep)
    return net


def epochs_in(path: str) -> int:
    with saving.WeightFile("load", path) as file:
        return json.loads(file.metadata[saving.TRAINING])["epoch"]


# What is in them


def test_load_leaves_the_training_alone():
    net = written()
    for again in (fastconv.load(PATH), fastconv.load(PATH, seed=3)):
        assert again.compiled is None and again.history is None
        assert again.to_config() == net.to_config()
        for key, value in net.weights().items():
            assert_bits_equal(value, again.weights()[key])
    y = fastconv.load(PATH, for_inference=True)(X)
    assert_bits_equal(y, net.for_inference()(X))
    other = small(seed=9)
    assert other.load_weights(PATH) == list(net.weights())
    assert_bits_equal(other(X), net(X))


def test_other_tools_read_it():
    from safetensors import safe_open

    net = written()
    with safe_open(PATH, "np") as file:
        names, metadata = set(file.keys()), file.metadata()
        for key, value in net.weights().items():
            assert_bits_equal(file.get_tensor(key), value)
        m = file.get_tensor("/training/optimizer/m/dense_1/weight")
    assert_bits_equal(m, net.compiled.optimizer.state()["m/dense_1/weight"])
    assert set(metadata) == {"fastconv", "fastconv.training"}
    assert {name for name in names if not name.startswith("/training/")} == set(net.weights())
    state = json.loads(metadata["fastconv.training"])
    assert state["format"] == "fastconv-training/1"
    assert (state["step"], state["epoch"], state["seed"]) == (5, 1, 0)
    assert state["fit"]["settings"]["batch_size"] == 5
    assert state["compiled"]["losses"] == [["softmax_cross_entropy", {"label_smoothing": 0.0}]]


def test_no_layer_can_have_the_names_of_the_training():
    for name in ("/training", "/", ""):
        with pytest.raises((ArgumentError, ArgumentTypeError), match="name must be"):
            fastconv.create_layer("Dense", units=1, name=name)(fastconv.Input((2,)))
    layer = ("Dense", {"units": 3, "name": "training"})
    net = fastconv.Sequential(["Flatten", layer], (2, 8, 8), seed=0)
    net.compile("adam", "softmax_cross_entropy", "accuracy")
    stopped(net, 3, PATH)
    again = loaded(PATH)
    again.fit(X, Y, resume=PATH, **SETTINGS)
    net.fit(X, Y, resume=PATH, **SETTINGS)
    assert_equal_networks(net, again)


def test_a_network_with_frozen_weights():
    net = compiled()
    net.freeze("conv*")
    net.fit(X, Y, **{**SETTINGS, "epochs": 1})
    net.save(PATH, training=True)
    again = fastconv.load(PATH)
    assert set(again.trainable_parameters()) == set(net.trainable_parameters())
    assert "conv2d_1/weight" not in again.trainable_parameters()


def test_copies_and_pickles_leave_the_run_behind():
    net = compiled()
    net.fit(X, Y, callbacks=[lambda run, epoch, figures: None], **SETTINGS)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert other.compiled.course is None and net.compiled.course is not None
        assert other.compiled.chosen == net.compiled.chosen
        other.save(PATH, training=True)  # the optimizer, without a place in the data
        again = loaded(PATH)
        for one, more in ((other, {}), (again, {"resume": PATH})):
            one.fit(X, Y, **SETTINGS, **more)
        assert_equal_networks(other, again)


def test_a_run_that_went_on_holds_no_arrays_of_the_file():
    stopped(compiled(), 3, PATH)
    net, seen = compiled(), []

    def look(run, epoch, figures):
        gc.collect()
        seen.append([one for one in gc.get_objects() if isinstance(one, saving.checkpoints.Saved)])

    net.fit(X, Y, callbacks=look, resume=PATH, **SETTINGS)
    assert seen == [[]] * 3


def test_a_class_and_an_own_callback_of_others_are_kept():
    class Counts(fastconv.training.Callback):
        odd = [np.inf, -np.inf, None, "é"]

        def on_fit_begin(self, run):
            self.seen, self.sums = 0, np.zeros(2)

        def on_batch_end(self, run, batch, figures):
            self.seen += 1
            self.sums += [1, figures["loss"]]

        def state(self):
            return {
                "seen": self.seen,
                "sums": self.sums.copy(),
                "odd": [np.inf, -np.inf, None, "é"],
            }

        def restore(self, state):
            assert state["odd"] == [np.inf, -np.inf, None, "é"]
            self.seen, self.sums = state["seen"], state["sums"]

    whole, first, again = Counts(), Counts(), Counts()
    compiled().fit(X, Y, callbacks=whole, **SETTINGS)
    stopped(compiled(), 8, PATH, [first])
    loaded(PATH).fit(X, Y, resume=PATH, callbacks=again, **SETTINGS)
    assert (first.seen, again.seen, whole.seen) == (8, 15, 15)
    assert_bits_equal(again.sums, whole.sums)


def test_a_state_that_cannot_be_written_is_refused():
    class Odd(fastconv.training.Callback):
        def state(self):
            return {"deep": {"list": [1, object()]}}

    net = compiled()
    net.fit(X, Y, callbacks=Odd(), **SETTINGS)
    place = "/training/fit/callbacks/0/state/deep/list/1"
    with pytest.raises(ArgumentTypeError, match=f"save: {place} must be made of numbers, texts"):
        net.save(PATH, training=True)
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (5, r"Odd: state\(\) must be a mapping of names to values, got int"),
        ({"a/b": np.ones(1), "a": {"b": np.ones(1)}}, "save: .*/a/b must be the place of one"),
    ],
)
def test_a_state_that_could_not_be_read_again_is_refused(state, words):
    class Odd(fastconv.training.Callback):
        def state(self):
            return state

    net = compiled()
    net.fit(X, Y, callbacks=Odd(), **SETTINGS)
    with pytest.raises(ArgumentTypeError, match=words):
        net.save(PATH, training=True)
    assert os.listdir() == []


def test_writing_one_copies_no_array():
    layers = ["Flatten", ("Dense", {"units": 1000}), ("Dense", {"units": 3})]
    net = fastconv.Sequential(layers, (2, 40, 40), seed=0)  # 13 MB of weights
    net.compile("adam", "softmax_cross_entropy")
    x = np.ones((2, 2, 40, 40), "float32")
    net.fit(x, [0, 1], epochs=1, verbose=0)
    taken = traced(lambda: net.save(PATH, training=True))
    assert os.path.getsize(PATH) > 38e6 and taken < 2e6
    assert (
        traced(lambda: net.save(PATH, training=True)) < 4e6
    )  # reads the one before, piece by piece


# Which are kept


def test_as_many_are_kept_as_are_asked_for():
    written(times=4, keep=3)
    assert sorted(os.listdir()) == [PATH, f"{PATH}.1", f"{PATH}.2"]
    assert [epochs_in(name) for name in (PATH, f"{PATH}.1", f"{PATH}.2")] == [4, 3, 2]
    for name in (PATH, f"{PATH}.1"):
        assert loaded(name).fit(X, Y, resume=name, **SETTINGS).history["loss"]
    with pytest.raises(ArgumentError, match="save: keep must be at least 1, got 0"):
        compiled().save(PATH, training=True, keep=0)


def test_two_are_kept_unless_something_else_is_said():
    net = written(times=3)
    assert sorted(os.listdir()) == [PATH, f"{PATH}.1"]
    assert [epochs_in(name) for name in (PATH, f"{PATH}.1")] == [3, 2]
    net.save(PATH, training=True, keep=1)
    assert [epochs_in(name) for name in (PATH, f"{PATH}.1")] == [3, 2]
    net.save(PATH)  # of a network alone none is kept
    net.save(PATH, training=True)
    assert [epochs_in(name) for name in (PATH, f"{PATH}.1")] == [3, 2]


def test_a_damaged_one_is_not_kept():
    net = written(times=2)
    damage(PATH, -50)
    net.save(PATH, training=True)
    assert [epochs_in(name) for name in (PATH, f"{PATH}.1")] == [2, 1]


def test_the_callback_keeps_two():
    net = compiled()
    net.fit(X, Y, callbacks=[("checkpoint", {"path": PATH, "every": 2})], **SETTINGS)
    assert sorted(os.listdir()) == [PATH, f"{PATH}.1"]
    again = compiled()
    again.fit(X, Y, resume=f"{PATH}.1", **SETTINGS)
    assert_equal_networks(net, again)


@pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")
def test_links_and_modes_stay(tmp_path):
    (tmp_path / "far").mkdir()
    real = tmp_path / "far" / PATH
    os.symlink(real, PATH)
    net = written()
    real.chmod(0o640)
    net.save(PATH, training=True)
    assert Path(PATH).is_symlink()
    for name in (real, f"{real}.1"):
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o640
    damage(real, -50)
    with pytest.warns(CheckpointWarning, match=r"\.1, the checkpoint before, serves"):
        compiled().fit(X, Y, resume=PATH, **SETTINGS)


def test_without_links_of_the_system_they_are_kept_too(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", refuse)
    written(times=3)
    assert [epochs_in(name) for name in (PATH, f"{PATH}.1")] == [3, 2]


def test_at_every_moment_there_is_a_whole_one(monkeypatch):
    """Also in the middle of the renaming: each call of the system is the last one once."""
    net = written(times=2, keep=3)
    before = {name: epochs_in(name) for name in os.listdir()}
    calls = ("replace", "link", "unlink", "fsync")
    originals = {name: getattr(os, name) for name in calls}
    for last in range(20):
        count = 0

        def stop(name, last=last):
            def call(*args, **kwargs):
                nonlocal count
                count += 1
                if count > last:
                    raise KeyboardInterrupt
                return originals[name](*args, **kwargs)

            return call

        for name in calls:
            monkeypatch.setattr(os, name, stop(name))
        try:
            net.save(PATH, training=True, keep=3)
            done = True
        except KeyboardInterrupt:
            done = False
        for name in calls:
            monkeypatch.setattr(os, name, originals[name])
        assert epochs_in(PATH) == 2
        found = [epochs_in(name) for name in os.listdir() if name.startswith(PATH)]
        assert max(found) == 2 and (1 in found or last > 3), "the older ones are there too"
        if done:
            break
    assert done and last > 4 and before[PATH] == 2


# Damaged ones


def damage(path: str | Path, at: int) -> None:
    """Change one byte."""
    content = bytearray(Path(path).read_bytes())
    content[at] ^= 1
    Path(path).write_bytes(content)


def test_every_changed_byte_is_found():
    written()
    content = Path(PATH).read_bytes()
    header = int.from_bytes(content[:8], "little")
    places = [*range(8), *range(8, header, 97), *range(8 + header, len(content), 151), -1]
    for at in places:
        damage(PATH, at)
        net = small()
        for read in (fastconv.load, net.load_weights):
            with pytest.raises(FormatError):
                read(PATH)
        Path(PATH).write_bytes(content)
    assert fastconv.load(PATH)


def test_one_that_is_cut_off_anywhere_is_found():
    written()
    content = Path(PATH).read_bytes()
    for size in (*range(0, len(content), 331), len(content) - 1):
        Path(PATH).write_bytes(content[:size])
        with pytest.raises(FormatError, match="^load: "):
            fastconv.load(PATH)


@pytest.mark.parametrize("how", ["changed", "cut off", "empty", "missing", "of another format"])
def test_the_one_before_serves_for_a_damaged_one_and_that_is_said(how):
    whole = compiled()
    whole.fit(X, Y, **SETTINGS)
    net = compiled()
    net.fit(X, Y, callbacks=[("checkpoint", {"path": PATH, "every": 4})], **SETTINGS)
    if how == "changed":
        damage(PATH, 3000)
    elif how == "missing":
        os.unlink(PATH)
    else:
        size = {"cut off": 5000, "empty": 0, "of another format": 0}[how]
        content = b"\x89HDF\r\n\x1a\n" + bytes(99) if "format" in how else Path(PATH).read_bytes()
        Path(PATH).write_bytes(content[: size or None] if how != "empty" else b"")
    again = compiled()
    text = rf"fit: .*{PATH}\.1, the checkpoint before, serves; the newest cannot: .*{PATH}"
    with pytest.warns(CheckpointWarning, match=text) as caught:
        again.fit(X, Y, resume=PATH, **SETTINGS)
    assert caught[0].filename == __file__
    assert_equal_networks(whole, again)


def test_if_all_are_damaged_the_error_is_of_the_newest():
    net = written(times=2)
    damage(PATH, -40)
    with pytest.raises(FormatError, match=rf"its content; {PATH}\.1 is the one before"):
        fastconv.load(PATH)
    damage(f"{PATH}.1", -40)
    again = compiled()
    before = again.weights()
    text = rf"fit: {PATH}: the checkpoint is damaged, its checksum does not fit its content"
    with pytest.raises(FormatError, match=text):
        again.fit(X, Y, resume=PATH, **SETTINGS)
    for key, value in before.items():
        assert_bits_equal(value, again.weights()[key])
    assert net.compiled.epoch == 2 and again.compiled.epoch == 0


def test_older_ones_are_found_by_their_numbers(tmp_path):
    for name in ("a.1", "a.12", "a.2", "a.x", "a.1.2", "a.0", "b.1", "a"):
        (tmp_path / name).touch()
    assert [Path(p).name for p in rotation.older(str(tmp_path / "a"))] == ["a.1", "a.2", "a.12"]
    assert rotation.older("a") == ["a.1", "a.2", "a.12"]
    assert rotation.older("nowhere/a") == []


# Hostile ones


def put(*keys):
    """A change of the parsed text: the last of `keys` is the value, the others lead to it."""

    def change(state, arrays):
        *path, last, value = keys
        for key in path:
            state = state[key]
        if value is KeyError:
            del state[last]
        else:
            state[last] = value

    return change


def array(name, value):
    def change(state, arrays):
        arrays[f"/training/{name}"] = value

    return change


HUGE = 10**18
BEST = "fit/callbacks/0/state/weights"
HOSTILE = {
    "no JSON": lambda state, arrays: "{",
    "a list": lambda state, arrays: "[]",
    "a number": lambda state, arrays: "3",
    "deep": lambda state, arrays: "[" * 100_000,
    "nested": lambda state, arrays: "[" * 40 + "]" * 40,
    "doubled keys": lambda state, arrays: '{"seed": 1, "seed": 2}',
    "a huge integer": lambda state, arrays: '{"seed": ' + "9" * 5000 + "}",
    "NaN": lambda state, arrays: '{"seed": NaN}',
    "no format": put("format", KeyError),
    "another format": put("format", "fastconv-training/2"),
    "a format that is a list": put("format", ["fastconv-training/1"]),
    "an unknown key": put("extra", 1),
    "a seed that is a text": put("seed", "0"),
    "a seed that is true": put("seed", True),
    "a negative seed": put("seed", -1),
    "a seed beyond 64 bits": put("seed", 2**63),
    "a step with a fraction": put("step", 1.0),
    "a step that is null": put("step", None),
    "no optimizer": put("optimizer", KeyError),
    "an optimizer that is a list": put("optimizer", []),
    "an optimizer without slots": put("optimizer", "m/dense_1/bias", KeyError),
    "an optimizer's slot that is a number": put("optimizer", "m/dense_1/bias", 3),
    "an optimizer's slot of others": put("optimizer", "m/acme/bias", 3),
    "a rate that is a text": put("optimizer", "learning_rate", "fast"),
    "a negative rate": put("optimizer", "learning_rate", -1.0),
    "a rate that is NaN": put("optimizer", "learning_rate", {"$float": "nan"}),
    "a schedule of a module": put("optimizer", "schedule", ["os.system", {"command": "true"}]),
    "a schedule that is a number": put("optimizer", "schedule", 3),
    "negative steps": put("optimizer", "step", -HUGE),
    "an unknown special": put("optimizer", "x", {"$import": "os"}),
    "a special float": put("optimizer", "x", {"$float": "1e9"}),
    "an array that is not there": put("optimizer", "x", {"$array": "/training/nowhere"}),
    "an array of the network": put("optimizer", "x", {"$array": "dense_1/bias"}),
    "an array that is no name": put("optimizer", "x", {"$array": 3}),
    "an array twice": put("seed", {"$array": "/training/optimizer/m/dense_1/bias"}),
    "an array that nothing names": array("other", np.ones(3)),
    "a slot of another shape": array("optimizer/m/dense_1/bias", np.ones(4, "float32")),
    "a slot of another dtype": array("optimizer/m/dense_1/bias", np.ones(3)),
    "a slot of integers": array("optimizer/m/dense_1/bias", np.ones(3, "int32")),
    "steps that are an array": array("optimizer/steps/dense_1/bias", np.ones(2, "int64")),
    "steps that are negative": array("optimizer/steps/dense_1/bias", np.array(-1)),
    "steps of floats": array("optimizer/steps/dense_1/bias", np.array(1.5)),
    "compiled as a text": put("compiled", "adam"),
    "no losses": put("compiled", "losses", KeyError),
    "losses that are names": put("compiled", "losses", ["softmax_cross_entropy"]),
    "an optimizer that is a name": put("compiled", "optimizer", "adam"),
    "metrics that are not nested": put("compiled", "metrics", [["accuracy", {}]]),
    "a fit that is a list": put("fit", []),
    "a fit without a place": put("fit", {}),
    "a negative epoch": put("fit", "epoch", -1),
    "a batch behind the end": put("fit", "batch", HUGE),
    "an epoch before the beginning": put("epoch", 0),
    "a stop that is 1": put("fit", "stop", 1),
    "totals that are a list": put("fit", "totals", []),
    "totals of texts": put("fit", "totals", "loss", ["a", "b"]),
    "totals of three": put("fit", "totals", "loss", [1.0, 2.0, 3.0]),
    "totals of an unknown metric": put("fit", "totals", "zero", {"$array": "/training/zero"}),
    "history that is a list": put("fit", "history", []),
    "history of texts": put("fit", "history", "history/loss", "good"),
    "history of two axes": array("fit/history/history/loss", np.ones((2, 2))),
    "history of integers": array("fit/history/history/loss", np.ones(2, "int64")),
    "callbacks that are a dict": put("fit", "callbacks", {}),
    "callbacks that are names": put("fit", "callbacks", ["early_stopping"]),
    "a callback without state": put("fit", "callbacks", 1, "state", KeyError),
    "a callback's state that is a list": put("fit", "callbacks", 1, "state", []),
    "a callback's state without keys": put("fit", "callbacks", 1, "state", {}),
    "a callback's state of texts": put("fit", "callbacks", 1, "state", "since", "x"),
    "settings that are a list": put("fit", "settings", []),
    "best weights of another shape": array(
        "fit/callbacks/1/state/weights/dense_1/bias", np.ones(4)
    ),
    "best weights of others": put("fit", "callbacks", 0, "state", "weights/acme", 3),
    "partial counts of another shape": array("fit/totals/f1", np.ones((2, 2, 2))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_ones_are_one_error_and_change_nothing(name, monkeypatch):
    callbacks = ["early_stopping", "reduce_on_plateau", Late(8)]
    net = compiled(metrics=["accuracy", "f1"])
    saver = ("checkpoint", {"path": PATH, "every": 8, "keep": 1})
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, callbacks=[saver, *callbacks], **SETTINGS)
    if name == "totals of an unknown metric":
        changed(PATH, array("zero", np.zeros(3)))
    changed(PATH, HOSTILE[name])
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("something was run"))
    for compile in (True, False):
        net = fastconv.load(PATH)  # the network itself is whole
        if compile:
            net.compile("adam", "softmax_cross_entropy", ["accuracy", "f1"])
            net.train_on_batch(X, Y)
        before = net.weights()
        state = net.compiled.optimizer.state() if compile else {}
        with pytest.raises(FormatError, match="^fit: ") as caught:
            net.fit(X, Y, resume=PATH, callbacks=callbacks[:2], **SETTINGS)
        assert PATH in str(caught.value) and len(str(caught.value)) < 1000
        for key, value in before.items():
            assert_bits_equal(value, net.weights()[key])
        if compile:
            assert net.compiled.step == 1
            for key, value in net.compiled.optimizer.state().items():
                assert np.array_equal(value, state[key])


def test_a_hostile_header_is_refused():
    stopped(compiled(), 3, PATH)
    with saving.WeightFile("load", PATH) as file:
        metadata, seal = dict(file.metadata), sealing.SEAL
    target = saving.target_of("save", PATH)
    arrays = compiled().weights()
    for more in (
        {},
        {seal: np.zeros(32, "uint8")},
        {seal: np.zeros(31, "uint8")},
        {seal: np.ones(8)},
    ):
        saving.write_weights(target, {**arrays, **more}, metadata)
        for read in (fastconv.load, small().load_weights):
            with pytest.raises(FormatError, match="the checkpoint is damaged"):
                read(PATH)
    # a network alone may not have such names
    saving.write_weights(
        target, {**arrays, "/training/x": np.ones(3)}, {"fastconv": metadata["fastconv"]}
    )
    with pytest.raises(FormatError, match="/training/x belongs to no layer"):
        fastconv.load(PATH)


def test_dtypes_that_numpy_lacks_are_refused():
    stopped(compiled(), 3, PATH)
    changed(PATH, array("optimizer/m/dense_1/bias", np.ones(3, "float16")))
    with pytest.raises(FormatError, match=r"must fit a weight of the network, got \(3,\) float16"):
        compiled().fit(X, Y, resume=PATH, **SETTINGS)
    content = Path(PATH).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["/training/optimizer/m/dense_1/bias"]["dtype"] = "BF16"
    text, body = json.dumps(header).encode(), content[8 + length : -sealing.SIZE]
    whole = len(text).to_bytes(8, "little") + text + body
    Path(PATH).write_bytes(whole + hashlib.sha256(whole).digest())
    with pytest.raises(FormatError, match="must be of a dtype that NumPy has, got BF16"):
        compiled().fit(X, Y, resume=PATH, **SETTINGS)


def test_arrays_of_every_dtype_come_back():
    class Keeps(fastconv.training.Callback):
        dtypes = "float64 float32 float16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool"
        arrays = {name: np.arange(5).astype(name) for name in dtypes.split()}
        empty = np.zeros((0, 3), "float32")

        def state(self):
            turned = np.arange(6.0).reshape(2, 3).T
            return {**self.arrays, "empty": self.empty, "turned": turned, "one": np.array(7)}

        def restore(self, state):
            for name, value in {**self.state()}.items():
                assert_bits_equal(np.ascontiguousarray(state[name]).reshape(value.shape), value)
                assert state[name].dtype == value.dtype and state[name].flags.writeable

    stopped(compiled(), 8, PATH, [Keeps()])
    loaded(PATH).fit(X, Y, resume=PATH, callbacks=Keeps(), **SETTINGS)
