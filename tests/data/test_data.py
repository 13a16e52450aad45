from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest

from fastconv import data
from fastconv.errors import ArgumentError, ArgumentTypeError, FormatError, ShapeError


def idx(array, code=0x08):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


def test_digits():
    x, y = data.digits()
    assert x.shape == (1797, 1, 8, 8) and x.dtype == np.float32
    assert y.shape == (1797,) and y.dtype == np.int64
    assert x.min() == 0 and x.max() == 1 and (x * 16 == np.round(x * 16)).all()
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert float(x.sum()) == 561718 / 16  # the sum of scikit-learn's copy
    x[:] = 0
    assert data.digits()[0].any()


def test_the_digits_have_their_licence_beside_them():
    text = resources.files("fastconv.data").joinpath("LICENSE.txt").read_text()
    assert "CC BY 4.0" in text and "archive.ics.uci.edu" in text and "Alpaydin" in text


def test_split_keeps_every_share():
    _, y = data.digits()
    train, test = data.stratified_split(y, 0.25, seed=3)
    assert sorted([*train, *test]) == list(range(1797))
    assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all()
    np.testing.assert_allclose(np.bincount(y[test]), np.bincount(y) / 4, atol=0.5)
    np.testing.assert_array_equal(test, data.stratified_split(y, 0.25, seed=3)[1])
    assert not np.array_equal(test, data.stratified_split(y, 0.25, seed=4)[1])


def test_split_of_rare_classes_and_names():
    train, test = data.stratified_split(["a", "b", "b", "c", "c", "c"], 0.1)
    assert sorted(np.array(["a", "b", "b", "c", "c", "c"])[test]) == ["b", "c"] and 0 in train
    assert [len(part) for part in data.stratified_split([])] == [0, 0]


def test_split_refuses():
    for fraction in (0, 1, -0.5, float("nan")):
        with pytest.raises(ArgumentError, match="above 0 and below 1"):
            data.stratified_split([0, 1], fraction)
    with pytest.raises(ArgumentTypeError):
        data.stratified_split([0, 1], "0.5")
    with pytest.raises(ShapeError):
        data.stratified_split([[0, 1]])


@pytest.mark.parametrize(
    ("dtype", "code"), [("u1", 8), ("i1", 9), (">i2", 11), (">i4", 12), (">f4", 13), (">f8", 14)]
)
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3, 4)])
def test_idx_of_every_type(tmp_path, dtype, code, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    (tmp_path / "a").write_bytes(idx(array, code))
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(array, code)))
    for name in ("a", "a.gz"):
        found = data.read_idx(tmp_path / name)
        assert found.dtype == array.dtype.newbyteorder("=") and found.dtype.isnative
        np.testing.assert_array_equal(found, array)


WHOLE = idx(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    "content",
    [
        *(WHOLE[:length] for length in range(len(WHOLE))),
        WHOLE + b"\0",
        b"\1" + WHOLE[1:],
        b"\0\0\x0a\2" + WHOLE[4:],
        b"\0\0\x08\0",
        b"\0\0\x08\xff" + bytes(255 * 4),
        b"\0\0\x08\3" + b"\xff" * 12,  # says 2**96 bytes
        b"\0\0\x08\3" + b"\0\0\0\0" + b"\xff" * 8,  # an empty array of absurd sizes
        b"<html>404</html>",
    ],
)
def test_a_damaged_idx_is_refused(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    for name in ("a", "a.gz"):
        with pytest.raises(FormatError, match=f"read_idx: .*{name} must"):
            data.read_idx(tmp_path / name)


def test_damaged_gzip_is_refused(tmp_path):
    packed = gzip.compress(idx(np.arange(200, dtype=np.uint8)))
    for name, content in (
        ("cut.gz", packed[:-9]),
        ("no.gz", WHOLE),
        ("bits.gz", packed[:20] + b"\xff\xff" + packed[22:]),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match="gzip"):
            data.read_idx(tmp_path / name)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for part, count, suffix in (("train", 20, ""), ("t10k", 10, ".gz")):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            content = idx(array)
            path = tmp_path / f"{part}-{name}{suffix}"
            path.write_bytes(gzip.compress(content) if suffix else content)
    return tmp_path


def test_mnist(folder):
    (x, y), (x_test, y_test) = data.mnist(folder)
    assert x.shape == (20, 1, 28, 28) and x.dtype == np.float32 and x.max() <= 1
    assert x_test.shape == (10, 1, 28, 28) and y_test.tolist() == list(range(10))
    assert y.dtype == np.int64
    raw = data.read_idx(folder / "train-images-idx3-ubyte")
    np.testing.assert_array_equal(np.round(x[:, 0] * 255), raw)
    (folder / "train-images-idx3-ubyte").rename(folder / "train-images.idx3-ubyte")
    np.testing.assert_array_equal(data.mnist(folder)[0][0], x)


def test_mnist_refuses(folder):
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    labels.write_bytes(idx(np.zeros(19, np.uint8)))
    with pytest.raises(FormatError, match="one label per image, 20, got 19"):
        data.mnist(folder)
    labels.write_bytes(images.read_bytes())
    with pytest.raises(FormatError, match="an array of uint8 with 1 dimensions"):
        data.mnist(folder)
    labels.unlink()
    with pytest.raises(ArgumentError, match="train-labels-idx1-ubyte"):
        data.mnist(folder)
    with pytest.raises(ArgumentError, match="folder must hold"):
        data.mnist(folder / "none")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in the file system")
@pytest.mark.parametrize("name", ["pipe", "pipe.gz"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    code = f"from fastconv.data import read_idx; read_idx({str(tmp_path / name)!r})"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "read_idx: path must be of a file" in ended.stderr and "a pipe" in ended.stderr
