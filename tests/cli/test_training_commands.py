"""`fastconv train`, `evaluate` and `predict` as their users meet them."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import data
from fastconv.cli import main
from fastconv.cli.values import typed_choice, typed_rate

LINEAR = {"input_shape": [1, 8, 8], "layers": ["Flatten", ["Dense", {"units": 10}]]}


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(LINEAR))
    return str(path)


def run(capsys, *arguments):
    """Return (exit code, standard output, standard error)."""
    code = main(arguments)
    return (code, *capsys.readouterr())


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("adam", "adam"),
        (" adam ", "adam"),
        ("adamw:weight_decay=0.01", ("adamw", {"weight_decay": 0.01})),
        ("a:b=1,c=text,d=true,e=null", ("a", {"b": 1, "c": "text", "d": True, "e": None})),
        ("a:b=[1, 2],c=x", ("a", {"b": [1, 2], "c": "x"})),
        ("csv_log:path=a,b.csv", ("csv_log", {"path": "a,b.csv"})),
        ("csv_log:path=c:/x=y.csv", ("csv_log", {"path": "c:/x=y.csv"})),
    ],
)
def test_choices_are_names_with_settings(text, choice):
    assert typed_choice(text) == choice


@pytest.mark.parametrize("text", ["", ":", "a:", ":b=1", "a:b", "a:=1", "a:b=1,b=2", "a:1b=2"])
def test_choices_that_are_none(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must"):
        typed_choice(text)


def test_a_rate_is_a_number_or_a_schedule():
    assert typed_rate("1e-3") == 1e-3
    assert typed_rate("cosine:steps=9") == ("cosine", {"steps": 9})


def test_training_takes_choices_with_settings(capsys, net, tmp_path):
    log, out = str(tmp_path / "log.csv"), str(tmp_path / "out.safetensors")
    code, said, err = run(
        capsys,
        *("train", net, "--epochs", "2", "--optimizer", "adamw:weight_decay=0.01,clip_norm=1"),
        *("--learning-rate", "cosine:steps=20", "--callback", f"csv_log:path={log}"),
        *("--loss", "softmax_cross_entropy:label_smoothing=0.1", "--metric", "top_k:k=3"),
        *("--transform", "shift:pixels=1", "--transform", "noise:scale=0.1"),
        *("--class-weight", "balanced", "--save", out),
    )
    assert code == 0, err
    assert "test top" in said and f"saved as {out}" in said
    head, *rows = Path(log).read_text("utf-8").splitlines()
    assert {"epoch", "learning_rate", "val_loss"} <= set(head.split(",")) and len(rows) == 2

    x, y = data.digits()
    rows, _ = data.stratified_split(y, seed=0)
    twin = fastconv.from_config(LINEAR, seed=0)
    twin.compile(
        (
            "adamw",
            {"weight_decay": 0.01, "clip_norm": 1, "learning_rate": ("cosine", {"steps": 20})},
        ),
        ("softmax_cross_entropy", {"label_smoothing": 0.1}),
        [("top_k", {"k": 3})],
    )
    change = data.compose(data.shift(1), data.noise(0.1))
    twin.fit(
        x[rows], y[rows], epochs=2, verbose=0, transform=change, class_weight="balanced", seed=0
    )
    for name, weight in fastconv.load(out).weights().items():
        np.testing.assert_array_equal(weight, twin.weights()[name])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--optimizer", "adm"], "did you mean 'adam'"),
        (["--optimizer", "adam:beta=1"], "beta is unknown"),
        (["--learning-rate", "cosin:steps=3"], "did you mean 'cosine'"),
        (["--loss", "mse"], "mean_squared_error"),
        (["--metric", "accurracy"], "did you mean 'accuracy'"),
        (["--callback", "early_stop"], "did you mean 'early_stopping'"),
        (["--transform", "shft:pixels=1"], "did you mean 'shift'"),
        (["--transform", "shift:pixel=1"], "did you mean 'pixels'"),
        (["--checkpoint", "run.npz"], "must end in .safetensors"),
        (["--resume", "missing.safetensors"], "missing.safetensors"),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_what_is_mistyped_is_told(capsys, net, words, says):
    code, _, err = run(capsys, "train", net, "--epochs", "1", *words)
    assert code == 2 and says in err and "Traceback" not in err


def test_a_run_goes_on_to_the_bits_of_one_that_never_stopped(capsys, net, tmp_path):
    saved, part, whole = (str(tmp_path / f"{n}.safetensors") for n in ("run", "part", "whole"))
    train = ("train", net, "--callback", "early_stopping:patience=9", "--optimizer", "momentum")
    assert run(capsys, *train, "--epochs", "2", "--checkpoint", saved)[0] == 0
    code, _, err = run(capsys, *train, "--epochs", "4", "--resume", saved, "--save", part)
    assert code == 0, err
    assert run(capsys, *train, "--epochs", "4", "--save", whole)[0] == 0
    weights = fastconv.load(whole).weights()
    for name, weight in fastconv.load(part).weights().items():
        np.testing.assert_array_equal(weight, weights[name])
    code, _, err = run(capsys, "train", net, "--epochs", "4", "--resume", saved, "--seed", "1")
    assert code == 2 and "seed" in err


TARGETS = {
    "values": (lambda x, y: x[:, 0, :2, 0] / 2, "mean_squared_error", range(30, 40)),
    "labels": (lambda x, y: np.stack([y > 4, y < 7], 1), "sigmoid_cross_entropy", range(30, 40)),
    "one-hot": (lambda x, y: np.eye(2)[y % 2], "softmax_cross_entropy", None),
}


@pytest.mark.parametrize(("make", "loss", "held"), TARGETS.values(), ids=list(TARGETS))
def test_targets_of_any_shape_are_split_and_learned(
    capsys, tmp_path, monkeypatch, make, loss, held
):
    """A quarter is held out: of classes a share of each, else the last rows."""
    monkeypatch.chdir(tmp_path)
    x, y = (part[:40] for part in data.digits())
    two = {"input_shape": [1, 8, 8], "layers": ["Flatten", ["Dense", {"units": 2}]]}
    (tmp_path / "two.json").write_text(json.dumps(two))
    targets = make(x, y)
    np.savez("mine.npz", x=x, y=targets)
    choose = ("two.json", "--data", "mine.npz", "--loss", loss)
    code, said, err = run(capsys, "train", *choose, "--epochs", "2", "--save", "out.safetensors")
    assert code == 0, err
    rows = held or data.stratified_split(y % 2, seed=0)[1]
    assert f"{40 - len(rows)} images to learn from, {len(rows)} to test on" in said
    learned = np.setdiff1d(np.arange(40), rows)
    twin = fastconv.from_config(two, seed=0)
    twin.compile("adam", loss)
    twin.fit(x[learned], targets[learned], epochs=2, verbose=0, seed=0)
    for name, weight in fastconv.load("out.safetensors").weights().items():
        np.testing.assert_array_equal(weight, twin.weights()[name])


def test_numbers_of_which_none_comes_twice_are_no_classes(capsys, net, tmp_path):
    x, _ = data.digits()
    np.savez(tmp_path / "mine.npz", x=x[:9], y=np.linspace(0, 1, 9))
    code, _, err = run(capsys, "train", net, "--data", str(tmp_path / "mine.npz"))
    assert code == 2 and "at least two rows of one class" in err and "y[:, None]" in err


def test_evaluating_takes_the_rows_that_were_held_out(capsys, net, tmp_path):
    out = str(tmp_path / "out.safetensors")
    said = run(capsys, "train", net, "--epochs", "3", "--seed", "5", "--save", out)[1]
    share = float(said.split("test accuracy: ")[1].split(" %")[0])
    code, said, _ = run(capsys, "evaluate", out, "--seed", "5", "--confusion")
    assert code == 0 and "450 images" in said
    assert abs(100 * float(said.split("accuracy: ")[1].split()[0]) - share) < 0.1
    lines = said[said.index("true") :].splitlines()[1:]
    matrix = np.array([[int(n) for n in line.split()[1:]] for line in lines])
    assert matrix.shape == (10, 10) and matrix.sum() == 450
    assert round(100 * np.trace(matrix) / 450, 1) == share


def test_predicting_prints_classes_or_saves_outputs(capsys, net, tmp_path):
    x = data.digits()[0][:5]
    np.savez(tmp_path / "x.npz", x=x)
    trained = fastconv.from_config(LINEAR, seed=3)
    trained.save(tmp_path / "net.safetensors")
    words = ("predict", str(tmp_path / "net.safetensors"), "--npz", str(tmp_path / "x.npz"))
    code, said, _ = run(capsys, *words)
    y = trained.predict(x)
    assert code == 0
    assert [line.split()[1] for line in said.splitlines()] == [str(n) for n in y.argmax(1)]
    out = tmp_path / "y.npz"
    assert run(capsys, *words, "--save", str(out))[0] == 0
    np.testing.assert_array_equal(np.load(out)["y"], y)
    code, said, _ = run(capsys, *words, "--numbers")
    first = [float(n) for n in said.splitlines()[0].partition(": ")[2].split(", ")[:-1]]
    np.testing.assert_allclose(first, y[0, : len(first)], rtol=1e-5)
    assert run(capsys, *words, "--save", str(tmp_path / "y.txt"))[0] == 2


def test_pictures_by_class(capsys, tmp_path):
    image = pytest.importorskip("PIL.Image")
    x, y = data.digits()
    for row in range(60):
        folder = tmp_path / "pictures" / str(y[row])
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.round(255 * x[row, 0]).astype(np.uint8)
        image.fromarray(pixels).resize((16, 16), image.Resampling.NEAREST).save(
            folder / f"{row}.png"
        )
    net, out = tmp_path / "net.json", str(tmp_path / "out.safetensors")
    net.write_text(json.dumps(LINEAR))
    pictures = str(tmp_path / "pictures")
    words = ("train", str(net), "--data", pictures, "--learning-rate", "0.02", "--save", out)
    code, said, err = run(capsys, *words)
    assert code == 0, err
    code, said, _ = run(capsys, "evaluate", out, "--data", pictures)
    assert code == 0 and "60 images" in said
    assert float(said.split("accuracy: ")[1].split()[0]) > 0.5


def test_answers_name_the_pictures(capsys, tmp_path):
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "pictures"
    x = data.digits()[0][:4]
    names = ["a.png", "b/c.PNG", "b/d.png", "é.png"]
    for name, pixels in zip(names, x, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(np.round(255 * pixels[0]).astype(np.uint8)).save(folder / name, "PNG")
    (folder / "Thumbs.db").write_text("no picture")
    (folder / ".hidden.png").write_text("no picture")
    trained = fastconv.from_config(LINEAR, seed=3)
    net = str(tmp_path / "net.safetensors")
    trained.save(net)
    words = ("predict", net, "--data", str(folder))
    code, said, err = run(capsys, *words)
    assert code == 0, err
    y = trained.predict(data.Images([folder / name for name in names], grey=True))
    paths = [str(folder / name) for name in names]
    for line, path, answer in zip(said.splitlines(), paths, y.argmax(1), strict=True):
        assert line.startswith(f"{path}: {answer} (")
    code, said, _ = run(capsys, *words, "--numbers")
    assert [line.partition(": ")[0] for line in said.splitlines()] == paths
    out = str(tmp_path / "y.npz")
    assert run(capsys, *words, "--save", out)[0] == 0
    with np.load(out, allow_pickle=False) as saved:
        np.testing.assert_array_equal(saved["y"], y)
        assert saved["paths"].tolist() == paths
    (tmp_path / "none").mkdir()
    code, said, err = run(capsys, "predict", net, "--data", str(tmp_path / "none"))
    assert code == 2 and "none must have images in it; known are .bmp, " in err


@pytest.mark.skipif(sys.platform == "win32", reason="no file can have such a name")
def test_an_answer_is_one_line_whatever_the_picture_is_called(capsys, tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "pictures").mkdir()
    image.new("L", (8, 8)).save(tmp_path / "pictures" / "a\nb.png")
    net = str(tmp_path / "net.safetensors")
    fastconv.from_config(LINEAR, seed=3).save(net)
    code, said, err = run(capsys, "predict", net, "--data", str(tmp_path / "pictures"))
    assert code == 0, err
    assert len(said.splitlines()) == 1 and "a\\nb.png: " in said


@pytest.mark.parametrize("units", [(3, 2), (3, 3)])
def test_several_outputs_are_saved_apart(capsys, tmp_path, units):
    x = fastconv.Input((1, 8, 8))
    flat = fastconv.layers.Flatten()(x)
    net = fastconv.Model(x, tuple(fastconv.layers.Dense(count)(flat) for count in units))
    net.save(tmp_path / "net.safetensors")
    images = np.random.default_rng(0).random((5, 1, 8, 8), np.float32)
    np.savez(tmp_path / "x.npz", x=images)
    words = ("--npz", str(tmp_path / "x.npz"), "--save", str(tmp_path / "y.npz"))
    code, said, err = run(capsys, "predict", str(tmp_path / "net.safetensors"), *words)
    assert code == 0, err
    with np.load(tmp_path / "y.npz") as saved:
        assert sorted(saved.files) == ["y_dense_1", "y_dense_2"]
        for name, output in zip(("y_dense_1", "y_dense_2"), net.predict(images), strict=True):
            np.testing.assert_array_equal(saved[name], output)


def test_a_folder_called_digits_is_no_word(capsys, net, tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "digits").mkdir()
    image.new("L", (8, 8)).save(tmp_path / "digits" / "a.png")
    monkeypatch.chdir(tmp_path)
    for words in (("--data", "./digits"), ("--data", "digits/"), ("--data", "digits/a.png")):
        code, said, err = run(capsys, "predict", net, *words)
        assert code == 0 and len(said.splitlines()) == 1, err
        assert said.startswith(f"digits{os.sep}a.png: ")
    assert run(capsys, "predict", net, "--npz", "digits")[0] == 2
    code, said, err = run(capsys, "predict", net, "--data", "digits")
    assert code == 0 and len(said.splitlines()) > 1000
    assert f"these are the digits that come with fastconv; .{os.sep}digits is what lies here" in err


def test_answers_of_random_weights_are_said_to_be(capsys, net, tmp_path):
    saved = str(tmp_path / "net.safetensors")
    fastconv.from_config(LINEAR, seed=3).save(saved)
    for command in ("predict", "evaluate"):
        assert (
            "net.json has no weights: those of the network are random"
            in run(capsys, command, net)[2]
        )
        assert run(capsys, command, saved)[2] == ""


@pytest.mark.skipif(os.name == "nt", reason="its folders have no such permission")
def test_a_folder_that_may_not_be_written_to_is_refused_at_once(capsys, net, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    for words in (("train", net, "--save"), ("predict", net, "--save")):
        out = str(tmp_path / ("out.safetensors" if words[0] == "train" else "out.npz"))
        code, said, err = run(capsys, *words, out)
        assert code == 2 and said == ""
        assert "the folder of --save must be one that you may write to" in err


def test_lines_without_labels_can_be_answered(capsys, net, tmp_path):
    pixels = np.round(255 * data.digits()[0][:3].reshape(3, -1))
    np.savetxt(tmp_path / "x.csv", pixels, fmt="%d", delimiter=",")
    np.savetxt(tmp_path / "xy.csv", np.column_stack([[1, 2, 3], pixels]), fmt="%d", delimiter=",")
    saved = str(tmp_path / "net.safetensors")
    fastconv.from_config(LINEAR, seed=3).save(saved)
    answers = [
        run(capsys, "predict", saved, "--data", str(tmp_path / name))[1]
        for name in ("x.csv", "xy.csv")
    ]
    assert answers[0] == answers[1] and len(answers[0].splitlines()) == 3
    assert run(capsys, "evaluate", saved, "--data", str(tmp_path / "x.csv"))[0] == 2


def test_lines_of_pixels(capsys, net, tmp_path):
    x, y = data.digits()
    rows = np.column_stack([y[:200], np.round(255 * x[:200]).reshape(200, -1)])
    np.savetxt(tmp_path / "digits.csv", rows, fmt="%d", delimiter=",")
    words = ("train", net, "--data", str(tmp_path / "digits.csv"), "--epochs", "1")
    code, said, err = run(capsys, *words)
    assert code == 0, err
    assert "test accuracy" in said


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is sent otherwise")
def test_what_is_learned_before_ctrl_c_is_saved(net, tmp_path):
    out = tmp_path / "out.safetensors"
    words = ("train", net, "--epochs", "1000000", "--save", str(out))
    program = subprocess.Popen(
        [sys.executable, "-m", "fastconv", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        # shells make what runs in the background deaf to Ctrl-C, and all that it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert program.stdout is not None
        for line in program.stdout:
            if " 2/1000000" in line:
                break
        program.send_signal(signal.SIGINT)
        said, err = program.communicate(timeout=120)
    finally:
        program.kill()
    assert program.returncode == 130 and "stopped" in err and "Traceback" not in err
    start = fastconv.from_config(LINEAR, seed=0).weights()["dense_1/weight"]
    assert np.isfinite(fastconv.load(out).weights()["dense_1/weight"]).all()
    assert not np.array_equal(fastconv.load(out).weights()["dense_1/weight"], start)
