"""Networks and weights are read from bytes and from files that are open, as from paths."""

from __future__ import annotations

import gzip
import io
import pickle

import numpy as np
import pytest
from networks import branches, small
from torch_writer import of_state

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, FormatError
from fastconv.testing import assert_bits_equal


@pytest.fixture
def path(tmp_path):
    small().save(tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


class Download(io.RawIOBase):
    """A file without places, of which nothing can be read twice."""

    def __init__(self, content: bytes):
        self._left = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self._left.readinto(buffer)


def sources(content: bytes) -> dict[str, object]:
    begun = io.BytesIO(content)
    begun.seek(100)
    return {
        "bytes": content,
        "bytearray": bytearray(content),
        "memoryview": memoryview(content),
        "BytesIO": io.BytesIO(content),
        "a file that was read before": begun,
        "buffered": io.BufferedReader(io.BytesIO(content)),
        "a download": Download(content),
        "gzip": gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(content))),
    }


SOURCES = list(sources(b""))


def same(one, other) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert_bits_equal(value, other[key])


def test_to_bytes_is_what_save_writes(path):
    assert small().to_bytes() == path.read_bytes()
    net = branches()
    net.freeze("head")
    again = fastconv.load(net.to_bytes())
    assert again.to_bytes() == net.to_bytes() != branches().to_bytes()


@pytest.mark.parametrize("name", SOURCES)
def test_a_network_is_loaded(name, path, rng):
    content, x = path.read_bytes(), rng.standard_normal((3, 2, 8, 8)).astype(np.float32)
    net = fastconv.load(sources(content)[name])
    assert net.to_config() == small().to_config()
    same(net.weights(), small().weights())
    frozen = fastconv.load(sources(content)[name], for_inference=True)
    assert_bits_equal(frozen(x), fastconv.load(path, for_inference=True)(x))


@pytest.mark.parametrize("name", SOURCES)
def test_weights_are_loaded(name, path):
    net = small(seed=1)
    net.load_weights(sources(path.read_bytes())[name])
    same(net.weights(), small().weights())


def test_weights_of_pytorch_are_loaded():
    net = fastconv.Sequential([("Dense", {"units": 3})], (4,), seed=0)
    arrays = {"0.weight": np.ones((3, 4), "f4"), "0.bias": np.zeros(3, "f4")}
    content = of_state(arrays)
    for source in (content, Download(content)):
        mapping = {"0.weight": "dense_1/weight", "0.bias": "dense_1/bias"}
        assert net.load_weights(source, mapping=mapping) == ["dense_1/weight", "dense_1/bias"]


def test_a_file_that_was_given_stays_open(path):
    with open(path, "rb") as file:
        fastconv.load(file)
        fastconv.load(file)
        small().load_weights(file)
        assert not file.closed
    with io.BytesIO(b"x" * 100) as file:
        with pytest.raises(FormatError):
            fastconv.load(file)
        assert not file.closed


@pytest.mark.parametrize("use", [fastconv.load, small().load_weights], ids=["load", "load_weights"])
def test_errors_name_what_was_given(use, path, tmp_path):
    with pytest.raises(FormatError, match="a pickle in the bytes given"):
        use(pickle.dumps([1] * 100))
    with open(tmp_path / "a.bin", "w+b") as file:
        file.write(b"x" * 100)
        with pytest.raises(FormatError, match=r"a\.bin"):
            use(file)
    with pytest.raises(FormatError, match="in the open file"):
        use(io.BytesIO(b"x"))
    with open(path, encoding="latin-1") as text:
        with pytest.raises(ArgumentTypeError, match=r"binary mode, got TextIOWrapper; open\(path"):
            use(text)
    with open(tmp_path / "b.bin", "wb") as file:
        with pytest.raises(ArgumentError, match="open to be read, got BufferedWriter"):
            use(file)
    with pytest.raises(ArgumentError, match="open to be read, got BufferedReader: .*closed"):
        with open(path, "rb") as file:
            pass
        use(file)
    with pytest.raises(ArgumentTypeError, match="must be the path of a file"):
        use(b"net.safetensors")  # the name of one, and not its content


def test_what_is_cut_off_anywhere_is_refused(path):
    content = path.read_bytes()
    for end in (*range(0, 200, 7), len(content) // 2, len(content) - 1):
        with pytest.raises(FormatError):
            fastconv.load(content[:end])
    with pytest.raises(FormatError):
        fastconv.load(content + b"x")


def test_a_checkpoint_that_was_changed_looks_for_none_before_it(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    net = small()
    net.compile("sgd", "softmax_cross_entropy")
    net.fit(rng.standard_normal((4, 2, 8, 8)), np.arange(4) % 3, epochs=1, verbose=0)
    net.save("the bytes given", training=True)
    net.save("the bytes given", training=True)  # a file of the name that errors have
    content = bytearray((tmp_path / "the bytes given").read_bytes())
    fastconv.load(bytes(content))
    content[-100] ^= 1
    with pytest.raises(
        FormatError, match="load: the bytes given: the checkpoint is damaged.*content$"
    ):
        fastconv.load(bytes(content))


def test_a_file_that_is_cut_off_or_too_long_is_told_so(tmp_path):
    content = small().to_bytes()
    path = tmp_path / "net.safetensors"
    path.write_bytes(content[:-1])
    with pytest.raises(FormatError, match="; the file is cut off, 1 bytes are missing$"):
        fastconv.load(path)
    with pytest.raises(FormatError, match="load: the bytes given: header: .* 20 bytes are missing"):
        fastconv.load(content[:-20])
    with pytest.raises(FormatError, match="; 3 bytes are too many$"):
        fastconv.load(content + b"abc")
