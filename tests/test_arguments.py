"""Checks of arguments, each written once."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv.arguments import (
    as_path,
    as_plain_array,
    as_real,
    as_text,
    check_exact,
    check_rounding,
)
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError

SELF = []  # type: ignore[var-annotated]
SELF.append(SELF)


class Hostile:
    def __array__(self, *args, **kwargs):
        raise RuntimeError("not now")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "f: x must be an array of real numbers, got NoneType"),
        ("abc", "got str"),
        ((i for i in range(3)), "got generator"),
        ({"a": 1}, "got dict"),
        ([[1, 2], [3]], "equally long"),
        (SELF, "f: x must be an array of real numbers"),
        ([1, None], "a list that holds NoneType"),
        ([1, "2"], "a list that holds str"),
        ([[1.0], [np.timedelta64(1)]], "f: x must be an array of real numbers"),
        (np.zeros(3, complex), "got ndarray of complex128"),
        (np.zeros(3, object), "got ndarray of object"),
        (np.zeros(3, "m8[s]"), "got ndarray of timedelta64"),
        (np.zeros(3, "f4,i4"), "f: x must be an array of real numbers"),
        (np.ma.zeros(3), "f: x must be a plain array, got a masked one; use .filled"),
        ([[np.ma.zeros(3)]], "f: x must hold plain arrays, got a masked one; use .filled"),
        (Hostile(), "f: x must be an array of real numbers"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_plain_array_is_refused(value, text):
    with pytest.raises(ArgumentTypeError, match=text) as caught:
        as_plain_array("f", "x", value)
    assert (caught.value.operation, caught.value.parameter) == ("f", "x")


def test_kinds_are_those_asked_for():
    for value in ([True, 1.0], np.array([True]), [np.array([True])]):
        assert as_plain_array("f", "x", value).dtype in (bool, np.float64)
        with pytest.raises(ArgumentTypeError, match="bool"):
            as_plain_array("f", "x", value, (np.integer, np.floating))
    assert as_plain_array("f", "y", np.array(["a", "b"]), None).tolist() == ["a", "b"]


def test_arrays_are_not_copied_and_subclasses_lose_their_class():
    x = np.arange(3.0)
    assert as_plain_array("f", "x", x) is x
    own = x.view(type("Own", (np.ndarray,), {}))
    plain = as_plain_array("f", "x", own)
    assert type(plain) is np.ndarray and np.shares_memory(plain, x)


def test_shape_and_dtype_are_those_asked_for():
    cast = as_plain_array("f", "x", [1, 2], shape=(2,), dtype=np.dtype("float32"))
    assert cast.dtype == np.float32
    with pytest.raises(ShapeError, match=r"x must have shape \(3,\), got \(2,\)"):
        as_plain_array("f", "x", [1, 2], shape=(3,))
    with pytest.raises(ArgumentTypeError, match="must fit float32, got values up to 1e"):
        as_plain_array("f", "x", [1.0, -1e300], dtype=np.dtype("float32"))
    assert np.isinf(as_plain_array("f", "x", [np.inf], dtype=np.dtype("float32"))).all()


@pytest.mark.parametrize(
    ("value", "dtype", "wrong"),
    [
        ([2**24, -(2**24), 2**24 + 2, 2**31], "float32", None),
        ([0, 2**24 + 1], "float32", 2**24 + 1),
        ([-(2**24) - 1], "float32", -(2**24) - 1),
        ([2**53, 2**62, -(2**63)], "float64", None),
        ([2**53 + 1], "float64", 2**53 + 1),
        ([2**63 - 1], "float64", 2**63 - 1),
        (np.array([2**63, 2**64 - 2**11], np.uint64), "float64", None),
        (np.array([2**64 - 1], np.uint64), "float64", 2**64 - 1),
        (np.arange(2**18) * 2, "float32", None),
        (np.append(np.zeros(2**18, int), 2**24 + 1), "float32", 2**24 + 1),
        (np.array([], int), "float32", None),
    ],
)
def test_integers_are_exact_in_a_float(value, dtype, wrong):
    array = np.asarray(value)
    if wrong is None:
        check_exact("f", "x", array, np.dtype(dtype))
        return
    with pytest.raises(ArgumentError, match=f"x must hold integers that {dtype} has") as caught:
        check_exact("f", "x", array, np.dtype(dtype))
    assert caught.value.value == wrong


@pytest.mark.parametrize(
    "value",
    [None, True, np.True_, np.array(True), "1", b"1", bytearray(b"1"), 1j, [1.0], np.array("1")],
)
def test_what_is_no_real_number_is_refused(value):
    with pytest.raises(ArgumentTypeError, match="f: x must be a number"):
        as_real("f", "x", value, "finite", -np.inf, np.inf)


@pytest.mark.parametrize("value", [float("nan"), 10**400, -(10**400), 1.0, -0.1])
def test_a_real_number_lies_between_its_bounds(value):
    with pytest.raises(ArgumentError, match="f: x must be at least 0 and below 1"):
        as_real("f", "x", value, "at least 0 and below 1", 0.0, 1.0)


def test_a_number_that_a_dtype_rounds_to_nothing_is_refused():
    check_rounding("f", "x", 1e-40, "float32")
    check_rounding("f", "x", 0.0, "float32")
    check_rounding("f", "x", 1e-60, "float64")
    with pytest.raises(ArgumentError, match="x must not round to 0 in float32, got 1e-60; take"):
        check_rounding("f", "x", 1e-60, "float32")
    with pytest.raises(ArgumentError, match="x must not round to inf in float32, got 1e"):
        check_rounding("f", "x", 1e60, "float32")


def test_a_text_is_a_text():
    assert as_text("f", "x", "abc") == "abc"
    with pytest.raises(ArgumentTypeError, match="f: x must be a text, got 3; give a name"):
        as_text("f", "x", 3, "give a name")


@pytest.mark.skipif(os.name == "nt", reason="HOME is of POSIX")
def test_what_is_in_an_archive_is_no_path_and_the_error_names_the_way(tmp_path):
    with zipfile.ZipFile(tmp_path / "acme.zip", "w") as archive:
        archive.writestr("acme/net.safetensors", b"")
    inside = zipfile.Path(tmp_path / "acme.zip") / "acme" / "net.safetensors"
    with pytest.raises(ArgumentTypeError, match="got Path; importlib.resources.as_file"):
        fastconv.load(inside)


def test_a_path_may_begin_with_the_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("load", "path", "~/nets/a.json") == tmp_path / "nets" / "a.json"
    assert as_path("load", "path", Path("~") / "a.json") == tmp_path / "a.json"
    assert as_path("load", "path", "~") == tmp_path
    assert as_path("load", "path", "a~/~/b") == Path("a~/~/b")
    assert as_path("load", "path", "~nobody-of-this-name/b") == Path("~nobody-of-this-name/b")
    net = fastconv.Sequential(["Flatten", ("Dense", {"units": 2})], (1, 2, 2), seed=0)
    net.save("~/net.safetensors")
    net.save_weights("~/weights.safetensors")
    assert len(net.load_weights("~/weights.safetensors")) == 2
    assert fastconv.load(Path("~/net.safetensors")).count_params() == 10
    assert {path.name for path in tmp_path.iterdir()} == {"net.safetensors", "weights.safetensors"}
    with pytest.raises(ArgumentError, match=f"got '{tmp_path}/mnist' without it"):
        fastconv.data.mnist("~/mnist")
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        fastconv.data.idx.read_idx("~/images")
