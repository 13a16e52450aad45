"""The command `fastconv plot`: every picture is written, and what is wrong is told in one line."""

from __future__ import annotations

import argparse
import re

import numpy as np
import pytest

import fastconv
from fastconv import plot
from fastconv.cli import main
from fastconv.cli.logs import read_log
from fastconv.cli.plot import PICTURES, add_arguments

pytest.importorskip("matplotlib")


def run(capsys, *arguments):
    """Return (exit code, standard output, standard error)."""
    code = main(["plot", *map(str, arguments)])
    return (code, *capsys.readouterr())


@pytest.fixture
def saved(tmp_path):
    """A network that was trained, its log, and itself before that."""
    net = fastconv.create_model("DigitsNet", seed=0)
    net.save(tmp_path / "before.safetensors")
    net.compile("adam", "softmax_cross_entropy", ["accuracy"])
    x, y = fastconv.data.digits()
    log = ("csv_log", {"path": str(tmp_path / "log.csv")})
    net.fit(x[:300], y[:300], epochs=2, verbose=0, callbacks=[log])
    net.save(tmp_path / "net.safetensors")
    np.savez(tmp_path / "mine.npz", x=x[:50], y=y[:50])
    return tmp_path


#: By word, what follows the network.
OPTIONS = {
    "graph": [],
    "filters": ["--layer", "conv2d_2"],
    "feature-maps": ["--row", 3, "--channels", 2],
    "activation-maximization": ["--layer", "conv2d_1", "--channels", "[0,2]", "--steps", 2],
    "confusion-matrix": [],
    "misclassified": ["--data", "mine.npz"],
    "memory": ["--batch", 3, "--training"],
    "algorithms": ["--batch", 3],
    "time-against-memory": ["--layer", "conv2d_2"],
    "history": [],
    "filter-responses": [],
}


def test_every_picture_has_its_options():
    assert OPTIONS.keys() == PICTURES.keys()


@pytest.mark.parametrize("what", PICTURES)
def test_a_picture_is_written(what, saved, capsys, monkeypatch):
    monkeypatch.chdir(saved)
    file = {"history": "log.csv", "filter-responses": "photograph.png"}.get(what, "net.safetensors")
    if what == "filter-responses":
        pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
        pytest.importorskip("PIL.Image").fromarray(pixels).save(file)
    code, out, err = run(capsys, what, file, *OPTIONS[what], "--output", "picture.png")
    assert (code, err) == (0, "")
    assert out == "as a picture: picture.png\n"
    assert (saved / "picture.png").read_bytes().startswith(b"\x89PNG")


def given(monkeypatch, name):
    """Let a function of plot keep what it is called with; return where."""
    calls = []
    right = getattr(plot, name)

    def spy(*args, **options):
        calls.append((args, options))
        return right(*args, **options)

    monkeypatch.setattr(plot, name, spy)
    return calls


def test_options_reach_the_pictures(saved, capsys, monkeypatch):
    monkeypatch.chdir(saved)
    calls = given(monkeypatch, "memory")
    run(capsys, "memory", "net.safetensors", "--batch", 3, "--training", "--output", "a.png")
    assert calls[0][1] == {"batch_size": 3, "training": True}
    calls = given(monkeypatch, "time_against_memory")
    run(capsys, "time-against-memory", "net.safetensors", "--batch", 2, "--output", "a.png")
    net = fastconv.load("net.safetensors")
    weight = net["conv2d_1"].params["weight"].shape
    assert calls[0][1]["x_shape"] == (2, 1, 8, 8) and calls[0][1]["weight_shape"] == weight
    calls = given(monkeypatch, "confusion_matrix")
    run(capsys, "confusion-matrix", "net.safetensors", "--output", "a.png")
    x, y = fastconv.data.digits()
    _, test = fastconv.data.stratified_split(y, 0.25, 0)
    np.testing.assert_array_equal(calls[0][0][0], y[test])  # as evaluate has them
    calls = given(monkeypatch, "filters")
    words = ["--before", "before.safetensors", "--layer", "conv2d_2"]
    run(capsys, "filters", "net.safetensors", *words, "--output", "a.png")
    before = calls[0][0][1]["conv2d_2"].params["weight"]
    np.testing.assert_array_equal(
        before, fastconv.create_model("DigitsNet", seed=0)["conv2d_2"].params["weight"]
    )


def test_a_log_is_read_as_the_history_that_it_is(saved):
    history = read_log("plot", str(saved / "log.csv"))
    assert list(history.history) == ["loss", "accuracy"]
    lines = (saved / "log.csv").read_text().splitlines()
    assert [float(line.split(",")[2]) for line in lines[1:]] == history.history["loss"]
    assert history.learning_rate == [0.001, 0.001]


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"epoch,loss\n1,one\n", b"epoch\n1,2,3\n", b"\xff\xfe", b"\0"]
)
def test_what_is_no_log_is_told(content, tmp_path, capsys):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    code, _, err = run(capsys, "history", path, "--output", tmp_path / "a.png")
    assert code == 2 and err.count("\n") == 1
    assert err.startswith(f"fastconv plot: {path} must be a table of epochs")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["grafh", "DigitsNet"], "WHAT must be .* did you mean 'graph'?"),
        (["graph", "DigitsNett"], "did you mean 'DigitsNet'"),
        (["graph", "no.json"], "No such file or directory: no.json"),
        (["filters", "DigitsNet", "--layer", "conv9"], "name must be of a layer, got 'conv9'"),
        (["feature-maps", "DigitsNet", "--row", "9999"], "--row must be at most 1796, got 9999"),
        (["feature-maps", "DigitsNet", "--channels", "[1"], "--channels"),
        (["activation-maximization", "DigitsNet"], "--layer must be given, got none"),
        (["memory", "DigitsNet", "--batch", "0"], "--batch must be at least 1, got 0"),
        (["time-against-memory", "DigitsNet", "--layer", "dense_1"], "must be a convolution"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(words, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *words, "--output", "a.png")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.startswith("fastconv plot: ") and re.search(told, err)
    assert not list(tmp_path.iterdir())


def test_a_picture_is_a_png_in_a_folder_that_exists(tmp_path, capsys):
    for path, told in (
        (tmp_path / "a.svg", "--output must end in .png"),
        (tmp_path / "no" / "a.png", "the folder of --output must exist"),
    ):
        code, _, err = run(capsys, "graph", "DigitsNet", "--output", path)
        assert code == 2 and told in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["history", "log.csv", "--batch", "1"], "--batch must be left out for history; it takes "),
        (["history", "log.csv", "--row", "0"], "--row must be left out for history; it takes "),
        (["history", "log.csv", "--import", "json"], "--import must be left out for history"),
        (["filter-responses", "a.png", "--layer", "conv1"], "it takes FILE and --output alone"),
        (["graph", "DigitsNet", "--training"], "--training must be left out for graph"),
        (["memory", "DigitsNet", "--data", "digits"], "it takes --batch, --classes, --import, "),
    ],
)
def test_no_option_is_passed_over(words, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *words, "--output", "a.png")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.startswith("fastconv plot: ") and told in err


def test_every_option_belongs_to_a_picture():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = {action.dest for action in parser._actions if action.option_strings}
    taken = frozenset().union(*(picture.takes for picture in PICTURES.values()))
    assert options == taken | {"help", "output"}
