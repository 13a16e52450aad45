"""Files that are no networks of ours: other formats, and what is no file at all."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from networks import small

import fastconv
from fastconv.cli import main
from fastconv.errors import ArgumentError, ConfigError, FormatError
from fastconv.testing import assert_bits_equal


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 100)
    return content.getvalue()


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


REST = bytes(range(256)) * 4
FILES = {
    "HDF5": (b"\x89HDF\r\n\x1a\n" + REST, "an HDF5 file", "h5py"),
    "Keras": (zipped("metadata.json", "config.json"), "a model of Keras", "set_weights"),
    "PyTorch": (zipped("archive/data.pkl", "archive/version"), "a file of PyTorch", "load_weights"),
    "old PyTorch": (
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
        "a file of PyTorch",
        "load_weights",
    ),
    "npz": (npz(a=np.ones(3)), "an .npz archive of NumPy", "set_weights"),
    "npy": (npy(np.ones(3)), "an .npy array of NumPy", "numpy.load"),
    "ZIP": (zipped("readme.txt"), "a ZIP archive", "unpack"),
    "empty ZIP": (zipped(), "a ZIP archive", "unpack"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x031.9:\xc2\x01" + REST, "an ONNX model", "onnx"),
    "ONNX of Keras": (b"\x08\x08\x12\x05tf2on:\xc2\x01" + REST, "an ONNX model", "onnx"),
    "TFLite": (b"\x1c\x00\x00\x00TFL3" + REST, "a TensorFlow Lite model", "TensorFlow"),
    "pickle": (pickle.dumps({"w": [1.0] * 99}), "a pickle", "pickle"),
    "old pickle": (pickle.dumps({"w": [1.0] * 99}, 2), "a pickle", "pickle"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + REST, "a picture", "pixels"),
    "JPEG": (b"\xff\xd8\xff\xe0" + REST, "a picture", "pixels"),
    "gzip": (gzip.compress(REST), "a compressed file", "decompress"),
    "xz": (b"\xfd7zXZ\x00" + REST, "a compressed file", "decompress"),
    "LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:12",
        "a pointer of Git LFS",
        "pull",
    ),
    "HTML": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a page of HTML", "download"),
    "GGUF": (b"GGUF\x03\x00\x00\x00" + REST, "a GGUF file", "safetensors"),
    "JSON": (b'{"input_shape": [4], "layers": ["ReLU"]}', "JSON text", "from_config"),
    "JSON of Windows": (b'\xef\xbb\xbf[{"a": 1}]' + b" " * 99, "JSON text", "from_config"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_other_formats_are_told(name, tmp_path, capsys):
    content, what, remedy = FILES[name]
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    net = small()
    for operation, read in (("load", fastconv.load), ("load_weights", net.load_weights)):
        if operation == "load_weights" and what == "a file of PyTorch":
            continue  # it reads them: see test_torch_files.py
        with pytest.raises(FormatError) as caught:
            read(path)
        text = str(caught.value)
        assert text.startswith(f"{operation}: the file must be a safetensors file, got {what} in ")
        assert remedy in caught.value.remedy and caught.value.value == what
    if what == "JSON text":
        return
    for suffix in (".safetensors", ".h5", ".json"):  # the name does not matter
        path = path.rename(path.with_suffix(suffix))
        for command in ("summary", "plan", "train"):
            assert main([command, str(path)]) == 2
            assert f"must be a safetensors file, got {what}" in capsys.readouterr().err


def test_a_network_is_read_by_the_command_line_whatever_its_file_is_called(tmp_path, capsys):
    net = small()
    net.save(tmp_path / "net.st")
    (tmp_path / "net.safetensors").write_text('{"input_shape": [4], "layers": ["ReLU"]}')
    assert main(["summary", str(tmp_path / "net.st")]) == 0
    assert "conv2d_1" in capsys.readouterr().out
    assert main(["summary", str(tmp_path / "net.safetensors")]) == 0
    assert "relu_1" in capsys.readouterr().out


def test_no_network_of_ours_is_taken_for_something_else(tmp_path):
    """The first byte of a file is the length of its header, and may be that of any format."""
    from safetensors.numpy import save

    for padding in range(256):
        content = save({"w": np.ones(1, "float32")}, {"note": "x" * (8 * padding)})
        (tmp_path / "w.safetensors").write_bytes(content)
        net = fastconv.Sequential([("Dense", {"units": 1, "bias": False})], (1,))
        with pytest.raises(ConfigError, match="must have shape"):
            net.load_weights(tmp_path / "w.safetensors", mapping={"w": "dense_1/weight"})


@pytest.mark.parametrize("suffix", [".h5", ".keras", ".onnx", ".pt", ".pth", ".pkl", ".npz", ".H5"])
def test_suffixes_of_other_formats_are_refused_by_save(suffix, tmp_path):
    net, path = small(), tmp_path / f"net{suffix}"
    for operation, write in (("save", net.save), ("save_weights", net.save_weights)):
        with pytest.raises(ArgumentError) as caught:
            write(path)
        text = f"{operation}: path must not end in {suffix.lower()}, which is another format, got "
        assert str(caught.value).startswith(text)
        assert "write 'net.safetensors'" in caught.value.remedy
    assert not any(tmp_path.iterdir())


def test_the_calls_that_the_remedies_name(tmp_path):
    net, other = small(seed=1), small(seed=2)
    np.savez(tmp_path / "net.npz", **net.weights())
    other.set_weights(dict(np.load(tmp_path / "net.npz")))
    for key, value in net.weights().items():
        assert_bits_equal(other.weights()[key], value)
    with open(tmp_path / "net.pkl", "wb") as file:
        pickle.dump(net, file)
    with open(tmp_path / "net.pkl", "rb") as file:
        assert pickle.load(file).weights().keys() == net.weights().keys()


@pytest.mark.skipif(os.name == "nt", reason="pipes, sockets and devices of POSIX")
@pytest.mark.parametrize("kind", ["a pipe", "a directory", "a device", "a socket"])
def test_what_is_no_file_is_refused_at_once(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = Path("/dev/zero") if kind == "a device" else Path("net.safetensors")
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a directory":
        path.mkdir()
    elif kind == "a socket":
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(path))
        bound.close()
    net = small()
    for operation, read in (("load", fastconv.load), ("load_weights", net.load_weights)):
        text = f"{operation}: path must be of a file, got .*{kind}"
        with pytest.raises(ArgumentError, match=text):
            read(path)
    assert main(["summary", str(path)]) == 2
    assert f"which is {kind}" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match=f"save: path must be of a file, or free, got .*{kind}"):
        net.save(path)


def test_a_pipe_is_refused_without_waiting_for_its_other_end(tmp_path, environment):
    """In a process of its own, which is ended where it waits."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no pipes with names")
    os.mkfifo(tmp_path / "pipe")
    code = "import sys, fastconv\ntry: fastconv.load(sys.argv[1])\n"
    code += "except ValueError: print('refused')"
    command = [sys.executable, "-c", code, str(tmp_path / "pipe")]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert run.stdout == "refused\n", run.stderr
