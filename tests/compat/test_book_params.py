"""The reader of params.pkl: it takes what the book writes, and nothing can run."""

from __future__ import annotations

import os
import pickle
import struct

import numpy as np
import pytest

from fastconv.compat import deep_learning_from_scratch as book
from fastconv.compat.deep_learning_from_scratch import files
from fastconv.compat.deep_learning_from_scratch.pickled import Unreadable, read_arrays
from fastconv.errors import ArgumentError, FormatError, ShapeError

PARAMS = {
    "W1": np.arange(6.0).reshape(2, 3),
    "F": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(3, 2)),
    "big": np.arange(3, dtype=">i4"),
    "empty": np.zeros((0, 2)),
    "flag": np.array([True, False]),
    "scalar": np.array(2.5),
}


def net():
    return book.TwoLayerNet(4, 3, 2)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_pickle_writes_of_arrays_is_read(protocol):
    content = pickle.dumps({**PARAMS, "again": PARAMS["W1"]}, protocol)
    found = read_arrays(content)
    assert list(found) == [*PARAMS, "again"]
    for key, value in PARAMS.items():
        assert found[key].dtype == value.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[key], value)


def test_what_older_and_newer_numpy_writes_is_read():
    content = pickle.dumps({"W1": PARAMS["W1"]}, 3)
    new, old = b"numpy._core.multiarray", b"numpy.core.multiarray"
    for module in (new, old):
        renamed = content.replace(new, module).replace(old, module)
        np.testing.assert_array_equal(read_arrays(renamed)["W1"], PARAMS["W1"])


def test_params_go_to_a_file_and_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = net(), net()
    arrays = dict(second.params)
    first.save_params()
    assert pickle.loads((tmp_path / "params.pkl").read_bytes()).keys() == first.params.keys()
    second.load_params()
    for key, value in first.params.items():
        np.testing.assert_array_equal(second.params[key], value)
        assert second.params[key] is arrays[key]  # the layers have them too
    x = np.random.rand(3, 4)
    assert (first.predict(x) == second.predict(x)).all()


class Runs:
    def __reduce__(self):
        return os.mkdir, ("ran",)


class Sets:
    def __init__(self):
        self.a = 1


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "value",
    [
        {"W1": Runs()},
        {"W1": Sets()},
        {"W1": [np.ones(2)]},
        {"W1": {"W": np.ones(2)}},
        {"W1": 3.5},
        {1: np.ones(2)},
        {"W1": np.array([None])},
        {"W1": np.array(["a"])},
        {"W1": np.ones(2, complex)},
        {"W1": np.ones(2, [("a", "f4")])},
        {"W1": np.float64(3)},
        [np.ones(2)],
        np.ones(2),
        "W1",
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_refused_and_nothing_runs(value, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "params.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    with pytest.raises(FormatError, match="must be a pickled dict of arrays and nothing else"):
        net().load_params()
    assert not (tmp_path / "ran").exists()


def test_a_label_is_not_called_by_another_name():
    """What a text says is no function, and neither is a name of NumPy that no array needs."""
    for module, name in (("numpy", "load"), ("builtins", "eval"), ("os", "system")):
        content = f"\x80\x02c{module}\n{name}\nX\x01\x00\x00\x00a\x85R.".encode("latin1")
        with pytest.raises(Unreadable, match=f"'{module}.{name}', which no array needs"):
            read_arrays(content)
    with pytest.raises(Unreadable, match="a call of something other"):
        read_arrays(b"\x80\x02X\x0b\x00\x00\x00numpy.dtypeX\x02\x00\x00\x00f8\x85R.")


WHOLE = pickle.dumps(PARAMS, 4)


def test_cut_and_changed_files_are_told():
    """At every byte; nothing but Unreadable is raised."""
    for end in range(len(WHOLE)):
        with pytest.raises(Unreadable):
            read_arrays(WHOLE[:end])
    rng = np.random.default_rng(0)
    for protocol in (2, 4, 5):
        whole = pickle.dumps(PARAMS, protocol)
        for _ in range(2000):
            content = bytearray(whole)
            content[rng.integers(len(content))] = rng.integers(256)
            try:
                read_arrays(bytes(content))
            except Unreadable:
                pass


def test_large_claims_take_no_memory():
    claim = struct.pack("<Q", 2**40)
    for instruction in (b"\x8e", b"\x8d", b"\x96"):
        with pytest.raises(Unreadable):
            read_arrays(b"\x80\x05" + instruction + claim + b"abc.")
    with pytest.raises(Unreadable, match="more than"):
        read_arrays(b"\x80\x02" + b"N" * 500_000 + b".")
    put = b"\x80\x04}r" + struct.pack("<I", 2**32 - 1) + b"."
    assert read_arrays(put) == {}


def test_shapes_must_be_the_network_s(tmp_path):
    other = book.TwoLayerNet(4, 3, 3)
    path = tmp_path / "p.pkl"
    other.save_params(path)
    own = net()
    before = {key: value.copy() for key, value in own.params.items()}
    with pytest.raises(ShapeError, match=r"W2 must have shape \(3, 2\), got shape \(3, 3\)"):
        own.load_params(path)
    files.write_params(path, {"W1": np.ones((4, 3))})
    with pytest.raises(ShapeError, match=r"b1 must have shape \(3,\), got none"):
        own.load_params(path)
    assert all((own.params[key] == before[key]).all() for key in before)


def test_wrong_files(tmp_path, monkeypatch):
    with pytest.raises(OSError):
        net().load_params(tmp_path / "none.pkl")
    with pytest.raises(ArgumentError, match="a directory"):
        net().load_params(tmp_path)
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    net().save_params(tmp_path / "a.pkl")
    with pytest.raises(FormatError, match="at most 10 bytes"):
        net().load_params(tmp_path / "a.pkl")
