"""The command line as its users meet it: what it prints, and how it ends."""

from __future__ import annotations

import gzip
import json
import os
import re
import struct
import subprocess
import sys

import numpy as np
import pytest

import fastconv
from fastconv import models, registry
from fastconv.cli import COMMANDS, main

SMALL = {
    "input_shape": [1, 8, 8],
    "layers": [
        ["Conv2D", {"filters": 4, "kernel_size": 3}],
        "ReLU",
        "Flatten",
        ["Dense", {"units": 10}],
    ],
}


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.json"
    path.write_text(json.dumps(SMALL))
    return str(path)


def run(capsys, *arguments):
    """Return (exit code, standard output, standard error)."""
    code = main(arguments)
    return (code, *capsys.readouterr())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0
    assert out.count(f"fastconv {command}") >= 2  # the usage, and an example
    assert max(map(len, out.splitlines())) <= 100


def test_overview_and_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0 and all(f"    {name}" in out for name in COMMANDS)
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0 and re.match(r"fastconv \d+\.\d+", capsys.readouterr().out)
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2


def test_layers(capsys):
    code, out, _ = run(capsys, "layers")
    assert code == 0 and {"Conv2D", "Dense", "BatchNorm"} <= set(out.split())
    assert run(capsys, "layers", "*POOL2d")[1].split() == [
        "AvgPool2D",
        "GlobalAvgPool2D",
        "GlobalMaxPool2D",
        "MaxPool2D",
    ]


def test_describe(capsys):
    code, out, _ = run(capsys, "describe", "Conv2D")
    assert code == 0 and "kernel_size" in out and "padding" in out


def test_summary_of_json_and_of_a_saved_network(capsys, small, tmp_path):
    code, out, _ = run(capsys, "summary", small)
    assert code == 0 and "conv2d_1" in out and "1,490" in out  # 4*9+4 + 144*10+10
    saved = str(tmp_path / "small.safetensors")
    models.from_config(SMALL).save(saved)
    assert run(capsys, "summary", saved)[1] == out


def test_plan(capsys, small):
    code, out, _ = run(capsys, "plan", small, "--batch", "100", "--training")
    assert code == 0 and "conv2d_1" in out and "peak" in out
    plan = json.loads(run(capsys, "plan", small, "--batch", "3", "--json")[1])
    assert plan["batch_size"] == 3 and plan["peak"] > 0
    assert run(capsys, "plan", small, "--workspace-limit", "0")[0] == 0
    assert run(capsys, "plan", small, "--workspace-limit", "8 MiB")[0] == 0


def test_plan_within_a_limit_is_measured_and_drawn(capsys, small, tmp_path):
    code, out, _ = run(capsys, "plan", small, "--batch", "64", "--memory-limit", "30 kB")
    assert code == 0 and "within 29.3 KiB" in out and " at a time" in out
    code, _, err = run(capsys, "plan", small, "--batch", "64", "--memory-limit", "1 kB")
    assert code == 2
    least = re.fullmatch(r"fastconv plan: memory_limit must be at least (\d+) bytes .*\n", err)[1]
    assert run(capsys, "plan", small, "--batch", "64", "--memory-limit", least)[0] == 0
    code, out, _ = run(capsys, "plan", small, "--batch", "2000", "--training", "--measure")
    share = re.search(r"^measured .*, (\d+\.\d) % of the peak that was planned \(", out, re.M)
    assert code == 0 and 97 < float(share[1]) < 103
    values = json.loads(run(capsys, "plan", small, "--measure", "--json")[1])
    assert values["measured"] > 0 and values["memory_limit"] is None
    refused = run(capsys, "plan", small, "--measure", "--workspace-limit", "0")
    assert refused[0] == 2 and "leave out --workspace-limit" in refused[2]
    pytest.importorskip("matplotlib")
    picture = tmp_path / "plan.png"
    code, out, _ = run(
        capsys, "plan", small, "--training", "--memory-limit", "1 MB", "--png", str(picture)
    )
    assert code == 0 and f"as a picture: {picture}" in out
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_train_within_a_limit(capsys, small):
    code, out, _ = run(capsys, "train", small, "--epochs", "1", "--memory-limit", "2 MB")
    assert code == 0 and "test accuracy" in out
    code, _, err = run(capsys, "train", small, "--epochs", "1", "--memory-limit", "2 kB")
    assert code == 2 and err.startswith("fastconv train: memory_limit must be at least ")


def test_train_on_digits_saves_what_it_trained(capsys, small, tmp_path):
    saved = str(tmp_path / "out.safetensors")
    code, out, _ = run(
        capsys, "train", small, "--epochs", "2", "--learning-rate", "0.01", "--save", saved
    )
    assert code == 0 and "epoch 2/2" in out and f"saved as {saved}" in out
    accuracy = float(re.search(r"^test accuracy: (\d+\.\d) %$", out, re.M)[1])
    assert accuracy > 80
    code, out, _ = run(capsys, "train", saved, "--epochs", "1")
    assert code == 0 and float(re.search(r"test accuracy: (\d+\.\d)", out)[1]) > 80


def test_train_twice_is_the_same(capsys, small):
    outputs = [run(capsys, "train", small, "--epochs", "1", "--seed", "3")[1] for _ in range(2)]
    first, second = (re.sub(r"\(.* s\)", "", out) for out in outputs)
    assert first == second


@pytest.mark.parametrize("kind", ["json", "safetensors"])
def test_the_seed_of_train_decides_every_byte(kind, capsys, tmp_path):
    layers = ["Flatten", ["Dropout", {"rate": 0.5}], ["Dense", {"units": 10}]]
    path = tmp_path / f"net.{kind}"
    config = {"input_shape": [1, 8, 8], "layers": layers}
    path.write_text(json.dumps(config))
    if kind == "safetensors":
        fastconv.from_config(config).save(path)
    found = []
    for number, seed in enumerate((0, 0, 1)):
        out = tmp_path / f"{number}.safetensors"
        options = ["--epochs", "2", "--seed", str(seed), "--save", str(out)]
        assert run(capsys, "train", str(path), *options)[0] == 0
        found.append(out.read_bytes())
    assert found[0] == found[1] != found[2]


def test_train_takes_a_network_that_ends_in_softmax(capsys, tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps({**SMALL, "layers": [*SMALL["layers"], "Softmax"]}))
    assert run(capsys, "train", str(path), "--epochs", "1", "--optimizer", "momentum")[0] == 0


def test_train_on_npz(capsys, small, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 1, 8, 8)), np.arange(40) % 10
    path = str(tmp_path / "data.npz")
    np.savez(path, x=x, y=y)
    assert (
        "30 images to learn from, 10 to test"
        in run(capsys, "train", small, "--npz", path, "--epochs", "1")[1]
    )
    np.savez(path, x=x, y=y, x_test=x[:7], y_test=y[:7])
    assert (
        "40 images to learn from, 7 to test"
        in run(capsys, "train", small, "--npz", path, "--epochs", "1")[1]
    )


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((3, 1, 8, 8))}, "y is missing"),
        ({"x": np.zeros((3, 1, 8, 8)), "y": np.zeros(2, int)}, "as many rows"),
        ({"x": np.array([None]), "y": np.zeros(1, int)}, "plain arrays"),
        ({"x": np.array(1.0), "y": np.zeros(1, int)}, "x as an array of rows"),
        ({"x": np.zeros((3, 1, 8, 8)), "y": np.array(1)}, "y as an array of rows"),
    ],
)
def test_a_wrong_npz_is_an_error(capsys, small, tmp_path, arrays, words):
    path = str(tmp_path / "data.npz")
    np.savez(path, **arrays)
    code, _, err = run(capsys, "train", small, "--npz", path)
    assert code == 2 and words in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["describe", "Conv2d"], "Conv2D"),
        (["layers", "nothing*"], "must match"),
        (["summary", "/no/such.json"], "No such file"),
        (["train", "SMALL", "--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["train", "SMALL", "--optimizer", "adma"], "adam"),
        (["train", "SMALL", "--learning-rate", "-1"], "--learning-rate must be at least 0"),
        (["train", "SMALL", "--save", "/no/such/x.safetensors"], "folder"),
        (["train", "SMALL", "--mnist", "/no"], "train-images"),
        (["train", "SMALL", "--npz", "SMALL"], "plain arrays"),
        (["train", "SMALL", "--save", "out.txt"], "--save must end in .safetensors"),
        (["train", "SMALL", "--mnist", "/no", "--epochs", "0"], "--epochs must be at least 1"),
        (["train", "SMALL", "--mnist", "/no", "--learning-rate", "nan"], "--learning-rate must"),
        (["train", "SMALL", "--mnist", "/no", "--batch-size", "0"], "--batch-size must be"),
        (["train", "SMALL", "--mnist", "/no", "--optimizer", "adma"], "adam"),
        (["plan", "SMALL", "--batch", "0"], "--batch must be at least 1, got 0"),
        (["plan", "SMALL", "--workspace-limit", "lots"], "--workspace-limit must be a number"),
        (["summary", "SMALL", "--import", "not_there"], "--import must name a module"),
        (["describe", "nothing_like_it"], "the command `fastconv layers`, shows all"),
        (["describe", "other.Swish.v1"], "registers it (--import MODULE on the command line), or"),
        (["layers", "linear"], "pattern must match a layer, got 'linear'; did you mean 'Dense'?"),
        (["layers", "xyz"], "got 'xyz'; `fastconv layers` lists all of them"),
        (["plan", "SMALL", "--bacth", "3"], "got '--bacth'; did you mean '--batch'?"),
        (["plan", "SMALL", "--bacth=3"], "got '--bacth'; did you mean '--batch'?"),
        (["layers", "--xyz"], "must be one that the command has, got '--xyz'; it has --help"),
        (["summary", "SMALL", "other.json"], "other.json must be left out, for the command"),
        (["plan", "SMALL", "--png", "plan.svg"], "--png must end in .png, got 'plan.svg'"),
        (["demo", "--epochs", "0"], "epochs"),
        (["demo", "--png", "filters"], "--png must end in .png, got 'filters'"),
        (["demo", "--mnist", "/no"], "train-images"),
    ],
)
def test_a_users_error_is_one_line_and_code_2(capsys, small, arguments, words):
    arguments = [small if word == "SMALL" else word for word in arguments]
    code, _, err = run(capsys, *arguments)
    assert code == 2 and words in err
    assert err.startswith(f"fastconv {arguments[0]}: ") and err.count("\n") == 1
    assert "Traceback" not in err
    assert not re.match(r"[\w ]+: (\w+): \1|[\w ]+: \w*_\w+: ", err)  # no doubled, no Python name


def test_all_problems_of_a_configuration_are_shown(capsys, tmp_path):
    path = tmp_path / "net.json"
    path.write_text('{"input_shape": [1, 8, 8], "layers": ["Conv2d", ["Dense", {"unit": 3}]]}')
    code, _, err = run(capsys, "summary", str(path))
    assert code == 2 and "Conv2D" in err and "units" in err


def test_broken_json_is_an_error(capsys, tmp_path):
    path = tmp_path / "net.json"
    path.write_text('{"input_shape": ')
    code, _, err = run(capsys, "summary", str(path))
    assert code == 2 and err.startswith("fastconv summary: ")


def test_demo_on_the_digits(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "demo")
    assert code == 0, err
    assert float(re.search(r"^test accuracy: (\d+\.\d) %$", out, re.M)[1]) >= 97
    assert re.search(r"^majority class: 10\.2 %$", out, re.M)
    table = re.findall(r"^(\w+) +[\d.]+ ms +([\d,]+) +([\d.]+) +([\d.e+-]+)$", out, re.M)
    found = {name: (int(size.replace(",", "")), float(ratio)) for name, size, ratio, _ in table}
    assert found["direct"] == (0, 0)
    # The second layer unfolds most: 450 images of 8x8 windows of 16 * 3 * 3 float32.
    assert found["im2col"] == (450 * 64 * 144 * 4, 144)
    assert json.loads(re.search(r"^\{.*?\}$", out, re.M | re.S)[0])["layers"][1] == "ReLU"
    assert len(re.findall(r"^epoch ", out, re.M)) == 20
    if "as a picture" in out:
        assert (tmp_path / "fastconv-demo.png").stat().st_size > 3000


def test_demo_on_small_mnist(capsys, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 20)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = rng.integers(0, 60, (count, 12, 12), dtype=np.uint8)
        images[np.arange(count), labels] = 255  # a bright row that says the class
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            path = tmp_path / f"{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(head + array.tobytes()))
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "demo", "--mnist", str(tmp_path), "--epochs", "2")
    assert code == 0, err
    assert "60 digits to learn from, 20 to test on" in out
    assert re.search(r"^test accuracy: \d+\.\d %$", out, re.M)
    assert re.search(r"^majority class: 10\.0 %$", out, re.M)
    for algorithm in ("direct", "im2col"):
        assert re.search(rf"^{algorithm} +\d+\.\d\d ms", out, re.M)
    assert "before" in out and "after" in out and "█" in out


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_as_a_program(encoding, small):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-m", "fastconv", "summary", small],
        capture_output=True,
        env=environment,
        check=True,
    )
    assert b"conv2d_1" in done.stdout and not done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "fastconv", "describe", "Affine"],
        capture_output=True,
        env=environment,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "Dense" in done.stderr and not done.stdout


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m fastconv layers | true",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr


def example(text: str) -> str:
    """The net.json that a text shows, indented."""
    return re.search(r'^ *\{"input_shape".*?\]\}$', text, re.M | re.S)[0]


@pytest.mark.parametrize("command", ["train", "summary"])
def test_the_network_that_help_shows_can_be_trained(command, capsys, tmp_path):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    path = tmp_path / "net.json"
    path.write_text(example(capsys.readouterr().out))
    code, out, err = run(capsys, "train", str(path), "--epochs", "1")
    assert code == 0 and "test accuracy" in out, err


def test_help_names_every_optimizer(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    words = re.findall(r"\w+", capsys.readouterr().out)
    assert set(registry.optimizers.names()) <= set(words)


def test_a_network_of_another_shape_is_refused_before_training(capsys, tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps({**SMALL, "input_shape": [1, 28, 28]}))
    code, out, err = run(capsys, "train", str(path))
    assert code == 2 and not out
    for words in ("input_shape, [1, 28, 28]", "got [1, 8, 8] from the digits", "--mnist DIR"):
        assert words in err
    images = str(tmp_path / "images.npz")
    np.savez(images, x=np.zeros((9, 28, 28)), y=np.zeros(9, int))
    code, _, err = run(capsys, "train", str(path), "--npz", images)
    assert code == 2 and "save x with the shape (N, 1, 28, 28)" in err


def test_a_broken_configuration_is_told_with_its_file(capsys, tmp_path):
    path = tmp_path / "net.json"
    for text, words in (
        ('{"input_shape": ', "Expecting value: line 1"),
        ('["ReLU"]', 'write {"input_shape": [1, 8, 8], "layers": [...]}'),
        ('{"input_shape": [1, 8, 8], "layers": ["Rel"]}', "did you mean 'ReLU'"),
    ):
        path.write_text(text)
        code, _, err = run(capsys, "summary", str(path))
        assert code == 2 and err.startswith(f"fastconv summary: {path}: ") and words in err


MODULE = """
import fastconv

@fastconv.register_layer("mine.Same.v1")
class Same(fastconv.Layer):
    def infer(self, *specs): return specs[0]
    def forward(self, ctx, x): return x.copy()
    def backward(self, ctx, dy): return dy
"""


def test_layers_of_a_module_are_imported_where_that_is_asked_for(capsys, tmp_path, monkeypatch):
    (tmp_path / "my_layers_of_cli.py").write_text(MODULE)
    path = tmp_path / "net.json"
    path.write_text(json.dumps({**SMALL, "layers": ["mine.Same.v1", *SMALL["layers"]]}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    code, _, err = run(capsys, "summary", str(path))
    assert code == 2 and "registers it (--import MODULE on the command line)" in err
    with registry.isolated():
        for command in (["summary"], ["plan"], ["train", "--epochs", "1"]):
            command += [str(path), "--import", "my_layers_of_cli"]
            code, out, err = run(capsys, *command)
            assert code == 0 and out, err
        code, out, _ = run(capsys, "describe", "mine.Same", "--import", "my_layers_of_cli")
        assert code == 0 and "mine.Same.v1" in out
    del sys.modules["my_layers_of_cli"]


def test_instruction_sets_are_named_in_any_case():
    code = "import fastconv; print(fastconv.active_isa())"
    environment = {**os.environ, "FASTCONV_ISA": "BASELINE"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment, text=True, check=True
    )
    assert done.stdout.strip() == "baseline"


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
@pytest.mark.parametrize("command", ["layers", "summary {0}", "train {0} --epochs 1", "--help"])
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_a_closed_output_is_no_error(small, command, closed):
    line = f"{sys.executable} -m fastconv {command.format(small)} {closed}"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_where_to_save_is_checked_before_training(capsys, small, tmp_path):
    (tmp_path / "folder.safetensors").mkdir()
    for name, words in [
        ("net.bin", "must end in .safetensors"),
        ("net", "must end in .safetensors"),
        ("folder.safetensors", "which is a directory"),
        ("nowhere/net.safetensors", "folder of --save must exist"),
    ]:
        code, out, err = run(capsys, "train", small, "--save", str(tmp_path / name))
        assert (code, out) == (2, "") and words in err and err.startswith("fastconv train: ")


def test_a_configuration_with_the_mark_of_windows_editors(capsys, tmp_path):
    path = tmp_path / "bom.json"
    path.write_bytes(json.dumps(SMALL).encode("utf-8-sig"))
    code, out, _ = run(capsys, "summary", str(path))
    assert code == 0 and "conv2d_1" in out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("summry", "summary"),
        ("desribe", "describe"),
        ("Train", "train"),
        ("layer", "layers"),
        ("--mnist=x", None),
        ("xyz", None),
        ("", None),
    ],
)
def test_a_mistyped_command_is_told_the_nearest(capsys, typed, meant):
    if typed.startswith("-"):
        with pytest.raises(SystemExit) as end:
            main([typed])
        assert end.value.code == 2
        return
    code, out, err = run(capsys, typed, "net.json")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.startswith("fastconv: the command must be demo, layers, models, describe, ")
    assert f"got {typed!r}; " in err
    assert (f"did you mean {meant!r}?" if meant else "`fastconv --help` tells") in err


def test_layers_without_a_star_are_those_that_contain_the_word(capsys):
    assert run(capsys, "layers", "conv")[1].split() == run(capsys, "layers", "*conv*")[1].split()
    assert "Conv2D" in run(capsys, "layers", "conv")[1].split()
    assert run(capsys, "layers", "pool")[1] == run(capsys, "layers", "*pool*")[1]
    assert {"AvgPool1D", "GlobalMaxPool2D"} <= set(run(capsys, "layers", "pool")[1].split())
    assert run(capsys, "layers", "flatten?")[0] == 2


def test_images_with_the_channels_last_get_the_advice_of_the_library(capsys, tmp_path):
    net = {**SMALL, "input_shape": [3, 8, 9]}
    path, images = tmp_path / "net.json", tmp_path / "images.npz"
    path.write_text(json.dumps(net))
    x = np.zeros((9, 8, 9, 3), np.float32)
    np.savez(images, x=x, y=np.zeros(9, int))
    code, _, err = run(capsys, "train", str(path), "--npz", str(images))
    advice = "the channels come first here: x.transpose(0, 3, 1, 2)"
    assert code == 2 and err.endswith(f"save x with the shape (N, 3, 8, 9): {advice}\n")
    with pytest.raises(ValueError, match=re.escape(advice)):
        models.from_config(net)(x)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in the file system")
@pytest.mark.parametrize("words", [["train", "--npz"], ["plan", "--png"]])
def test_a_pipe_is_not_waited_for(small, tmp_path, words):
    command, option = words
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    line = [sys.executable, "-m", "fastconv", command, small, option, str(pipe)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and f"{str(pipe)!r}, which is a pipe" in ended.stderr


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        (b"hello", "a file that begins with b'hello'"),
        (b"\x80\x04pickle", "a pickle"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"", "a file that begins with b''"),
    ],
)
def test_an_npz_of_another_kind_is_told_by_its_first_bytes(capsys, small, tmp_path, head, shown):
    path = tmp_path / "data.npz"
    path.write_bytes(head)
    code, _, err = run(capsys, "train", small, "--npz", str(path))
    assert code == 2 and f"must be an .npz of plain arrays, got {shown}; np.savez(" in err
    assert "unsafely" not in err


def damaged_npz(path, kind):
    np.savez_compressed(path, x=np.zeros((400, 1, 8, 8)), y=np.arange(400))
    data = bytearray(path.read_bytes())
    if kind == "one array":
        with open(path, "wb") as file:
            np.save(file, np.zeros(3))
        return
    if kind == "pickle":
        np.savez(path, x=np.array([{}], object), y=np.zeros(1))
        return
    if kind == "method":  # of compression, which nobody knows
        at = data.find(b"PK\x01\x02")
        data[at + 10] = data[8] = 77
    elif kind == "encrypted":
        at = data.find(b"PK\x01\x02")
        data[at + 8] |= 1
        data[6] |= 1
    elif kind == "data":
        data[60:90] = bytes(30)
    elif kind == "header":
        head = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (9"
        data = bytearray()
        import zipfile

        with zipfile.ZipFile(path, "w") as archive:
            for name in ("x", "y"):
                text = head + b"0" * 15 + b",), }"
                archive.writestr(f"{name}.npy", text.ljust(127) + b"\n")
        return
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["one array", "pickle", "method", "encrypted", "data", "header"])
def test_a_damaged_npz_is_an_error_of_ours(capsys, small, tmp_path, kind):
    path = tmp_path / "images.npz"
    damaged_npz(path, kind)
    code, _, err = run(capsys, "train", small, "--npz", str(path))
    assert code == 2 and err.count("\n") == 1
    assert err.startswith(f"fastconv train: {path} must be an .npz of "), err


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "raise GeneratorExit", "def f(:"])
def test_a_module_that_cannot_be_imported_is_one_line(capsys, small, tmp_path, monkeypatch, source):
    (tmp_path / "broken_module_of_cli.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    code, _, err = run(capsys, "summary", small, "--import", "broken_module_of_cli")
    assert code == 2 and err.count("\n") == 1
    assert "--import must name a module that can be imported, got broken_module_of_cli, " in err


def test_an_endless_file_is_no_configuration(capsys):
    code, _, err = run(capsys, "summary", "/dev/zero")
    assert code == 2 and "got '/dev/zero', which is a device" in err


@pytest.mark.skipif(os.name == "nt", reason="HOME is of POSIX")
def test_the_folder_of_the_user_is_meant_where_the_shell_leaves_it(
    capsys, small, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "mine.npz", x=np.zeros((20, 1, 8, 8)), y=np.arange(20) % 10)
    words = ["train", "~/small.json", "--npz=~/mine.npz", "--save=~/out.safetensors"]
    code, out, err = run(capsys, *words, "--epochs", "1")
    assert code == 0, err
    assert f"saved as {tmp_path}/out.safetensors" in out
    assert run(capsys, "summary", "~/out.safetensors")[0] == 0
    code, _, err = run(capsys, "train", small, "--mnist=~/digits")
    assert code == 2 and f"got '{tmp_path}/digits' without it" in err
    pytest.importorskip("matplotlib")
    assert run(capsys, "plan", small, "--png=~/plan.png")[0] == 0
    assert (tmp_path / "plan.png").is_file() and not (tmp_path / "~").exists()


@pytest.mark.skipif(os.name == "nt", reason="HOME is of POSIX")
def test_without_a_home_nothing_is_written_to_a_folder_of_that_name(
    capsys, small, tmp_path, monkeypatch
):
    def unknown(number):
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.delenv("HOME")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~").mkdir()
    for words in (["train", small, "--save=~/a.safetensors"], ["plan", small, "--png=~/a.png"]):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 2
        assert "it must not begin with ~ where the variable HOME" in capsys.readouterr().err
    assert not list((tmp_path / "~").iterdir())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Expecting value"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        (b"PK\x03\x04" + bytes(99), "a ZIP archive"),
        (b"\x80\x04\x95" + bytes(99), "a pickle"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "a picture"),
        (b"\x08\x08\x12\x07pytorch" + bytes(99), "an ONNX model"),
    ],
    ids=["empty", "hdf5", "zip", "pickle", "png", "onnx"],
)
@pytest.mark.parametrize("command", ["summary", "plan", "train"])
@pytest.mark.parametrize("name", ["net.json", "net.safetensors", "net"])
def test_files_of_other_kinds_are_told_in_one_line(capsys, tmp_path, command, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    if not content and name == "net.safetensors":
        words = "at least 8 bytes"
    code, out, err = run(capsys, command, str(path))
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith(f"fastconv {command}: ") and words in err and name in err
    assert "utf-8" not in err and "load: " not in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["plan", "DigitsNet", "--html"], "--html must have a value behind it; write --html FILE"),
        (["plan", "DigitsNet", "--html", "--json"], "--html must have a value behind it"),
        (["plan", "--batch", "--training", "DigitsNet"], "write --batch N: images"),
        (["summary", "DigitsNet", "--classes"], "--classes must have a value behind it"),
    ],
)
def test_an_option_without_its_value_says_what_to_write(words, told, capsys):
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.startswith(f"fastconv: {told}") or told in err


def test_a_value_may_begin_with_a_dash(capsys):
    code, _, err = run(capsys, "plan", "DigitsNet", "--batch", "-3")
    assert code == 2 and "--batch must be at least 1, got -3" in err
    code, _, err = run(capsys, "plan", "--", "--html")  # behind two dashes nothing is an option
    assert code == 2 and "No such file or directory: --html" in err
