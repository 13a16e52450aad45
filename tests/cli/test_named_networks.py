"""Networks by name with settings of their own, and what is said of numbers that are not finite."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

import fastconv
from fastconv.cli import _parsers, main
from fastconv.cli.networks import typed_shape

LINEAR = {"input_shape": [1, 8, 8], "layers": ["Flatten", ["Dense", {"units": 10}]]}
#: The commands that take FILE.
COMMANDS = [
    name
    for name, parser in _parsers()[1].items()
    if any(action.dest == "file" for action in parser._actions)
]


def run(capsys, *arguments):
    """Return (exit code, standard output, standard error)."""
    code = main(arguments)
    return (code, *capsys.readouterr())


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(LINEAR))
    return str(path)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_the_settings_of_a_name(command, net, tmp_path, capsys):
    assert {"summary", "plan", "train", "evaluate", "predict", "plot"} <= set(COMMANDS)
    words = (command,)
    if command == "plot":
        words = (command, "graph", "--output", str(tmp_path / "graph.png"))
    for option, value, said in (
        ("--classes", "3", "got 3 for"),
        ("--input-shape", "1,8,8", r"got (1, 8, 8) for"),
    ):
        code, _, err = run(capsys, *words, net, option, value)
        assert code == 2 and f"{option} must come with a network by name, {said}" in err
    code, _, err = run(capsys, *words, "LeNet5", "--classes", "0")
    assert code == 2 and "LeNet5: classes must be at least 1, got 0" in err


def test_a_network_by_name_has_the_settings_that_are_typed(capsys):
    code, said, _ = run(capsys, "summary", "LeNet5", "--classes", "3", "--input-shape", "1,20,24")
    wanted = fastconv.create_model("LeNet5", classes=3, input_shape=(1, 20, 24)).summary()
    assert code == 0 and said.strip() == wanted.strip()
    code, said, err = run(
        capsys, "train", "SimpleConvNet", "--input-shape", "1x8x8", "--epochs", "1"
    )
    assert code == 0 and "test accuracy" in said


def test_shapes_as_they_are_typed():
    assert (
        typed_shape("3,64,64") == typed_shape("3x64x64") == typed_shape("3, 64, 64") == (3, 64, 64)
    )
    assert typed_shape("7") == (7,)
    for text in ("", "3,", "a", "3,6.5,1", "3;4", "1_0"):
        with pytest.raises(argparse.ArgumentTypeError, match="must be numbers such as 3,64,64"):
            typed_shape(text)


@pytest.fixture
def with_nan(tmp_path):
    """Images of which one has a NaN, as what is learned from and as what is tested on."""
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 1, 8, 8), np.float32), np.arange(20) % 10
    bad = x.copy()
    bad[3, 0, 2, 2] = np.nan
    paths = {}
    for name, given in {
        "all": {"x": bad, "y": y},
        "test": {"x": x, "y": y, "x_test": bad, "y_test": y},
        "none": {"x": x, "y": y},
    }.items():
        paths[name] = str(tmp_path / f"{name}.npz")
        np.savez(paths[name], **given)
    return paths


def test_figures_that_are_not_finite_are_no_success(net, with_nan, tmp_path, capsys):
    code, said, err = run(capsys, "evaluate", net, "--data", with_nan["all"], "--confusion")
    assert code == 1 and "loss: nan" in said and "true" not in said
    assert "\nfastconv evaluate: loss must be finite, got nan; numbers in the data" in err
    assert run(capsys, "evaluate", net, "--data", with_nan["none"], "--confusion")[0] == 0

    saved = tmp_path / "net.safetensors"
    words = ("train", net, "--epochs", "1", "--save", str(saved), "--data")
    code, said, err = run(capsys, *words, with_nan["test"])
    assert code == 1 and "fastconv train: loss must be finite, got nan" in err
    assert np.isfinite(fastconv.load(saved).weights()["dense_1/weight"]).all()
    code, _, err = run(capsys, *words, with_nan["all"])
    assert code == 1 and "x must be finite, got nan in row" in err
    assert run(capsys, *words, with_nan["none"])[0] == 0


@pytest.mark.parametrize("more", [(), ("--numbers",), ("--save", "OUT")])
def test_outputs_that_are_not_finite_are_no_success(more, net, with_nan, tmp_path, capsys):
    words = [str(tmp_path / "out.npz") if word == "OUT" else word for word in more]
    code, said, err = run(capsys, "predict", net, "--data", with_nan["all"], *words)
    assert code == 1 and ("saved as" in said if words[:1] == ["--save"] else "\n19: " in said)
    told = "the outputs must be finite, got nan for image 3; it is so for 1 of 20 images"
    random = f"{net} has no weights: those of the network are random"
    assert err == f"fastconv predict: {random}\nfastconv predict: {told}\n"
    assert run(capsys, "predict", net, "--data", with_nan["none"], *words)[0] == 0


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (
            np.array([3]),
            "must have at least two rows of one class, to hold some out, got 1 row of 1",
        ),
        (
            np.arange(4),
            "of one class, to hold some out, got 4 rows of 4 classes; an .npz may bring",
        ),
        (
            np.ones((1, 10)),
            "two rows, to hold some out, got 1 row; an .npz may bring images to tes",
        ),
        (np.array([0.5]), "got 1 row; values have an axis of their own: save y[:, None]"),
    ],
)
def test_too_few_rows_to_hold_some_out(y, words, net, tmp_path, capsys):
    path = tmp_path / "few.npz"
    np.savez(path, x=np.zeros((len(y), 1, 8, 8), np.float32), y=y)
    code, _, err = run(capsys, "train", net, "--data", str(path))
    assert code == 2 and words in err
