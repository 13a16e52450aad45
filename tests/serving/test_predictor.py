"""A Predictor: what it takes and gives, what a pickle of it holds, how often it loads."""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from networks import branches, random_like, small

import fastconv
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    FormatError,
    MemoryLimitError,
    ShapeError,
)
from fastconv.serving import loaded
from fastconv.testing import assert_bits_equal


@pytest.fixture
def path(tmp_path) -> Path:
    small().save(tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


@pytest.fixture
def loads(monkeypatch) -> list[object]:
    """What is loaded during a test; nothing that other tests have loaded is kept."""
    found: list[object] = []

    def load(source, **more):
        found.append(source)
        return fastconv.load(source, **more)

    monkeypatch.setattr(loaded, "load", load)
    loaded._networks.clear()
    loaded._digests.clear()
    return found


@pytest.fixture
def x(rng):
    return random_like(small(), rng, 7)


def again(predictor):
    return pickle.loads(pickle.dumps(predictor))


# What it computes.


def test_it_has_the_bits_of_the_network(path, x):
    expected = fastconv.load(path).predict(x)
    for source in (path, str(path), path.read_bytes(), memoryview(path.read_bytes()), small()):
        assert_bits_equal(again(fastconv.Predictor(source))(x), expected)


def test_bytes_that_lie_apart_are_bytes(path, x):
    content = path.read_bytes()
    apart = memoryview(bytes(byte for pair in zip(content, content, strict=True) for byte in pair))
    assert fastconv.load(apart[::2]).count_params() == small().count_params()
    assert_bits_equal(fastconv.Predictor(apart[::2])(x), fastconv.Predictor(path)(x))


def test_a_network_is_taken_as_it_is_now(x):
    net = small()
    expected = net.predict(x)
    predictor = fastconv.Predictor(net)
    net.set_weights({key: value + 1 for key, value in net.weights().items()})
    assert_bits_equal(predictor(x), expected)
    assert np.abs(net.predict(x) - expected).max() > 0.1


def test_for_inference_it_has_the_bits_of_the_frozen_network(path, x):
    frozen = fastconv.load(path, for_inference=True)
    assert_bits_equal(again(fastconv.Predictor(path, for_inference=True))(x), frozen.predict(x))
    with pytest.raises(ArgumentTypeError, match=r"for_inference=True\)"):
        fastconv.Predictor(frozen)


def test_a_limit_is_kept_by_every_call(path, x):
    least = 0
    with pytest.raises(MemoryLimitError) as caught:
        fastconv.Predictor(path, 1)(x)
    least = caught.value.least
    strict = fastconv.load(path).predict(x, memory_limit=least)
    assert_bits_equal(again(fastconv.Predictor(path, least))(x), strict)
    with pytest.raises(MemoryLimitError):
        again(fastconv.Predictor(path, least - 1))(x)


def test_the_rows_at_a_time_are_obeyed(path, x, monkeypatch):
    sizes = []
    run = fastconv.Model.predict_batch

    def counted(self, xs, program=None):
        sizes.append(len(xs[0]))
        return run(self, xs, program)

    monkeypatch.setattr(fastconv.Model, "predict_batch", counted)
    expected = fastconv.load(path).predict(x)
    sizes.clear()
    assert_bits_equal(again(fastconv.Predictor(path, batch_size=3))(x), expected)
    assert sizes == [3, 3, 1]


def test_no_rows_are_right(path, x):
    predictor = fastconv.Predictor(path)
    for rows in (x[:0], [], np.empty(0), np.empty(0, object), x[:0].reshape(0, 128)):
        found = predictor(rows)
        assert (found.shape, found.dtype) == ((0, 3), np.float32)
    found = predictor({"x": np.empty(0, object), "id": np.arange(0)})
    assert found["prediction"].shape == (0, 3) and found["id"].shape == (0,)


def test_rows_of_one_axis_are_folded(path, x):
    predictor = fastconv.Predictor(path)
    expected = predictor(x)
    flat = x.reshape(len(x), -1)
    objects = np.empty(len(x), object)
    objects[:] = list(flat)
    for rows in (flat, list(flat), flat.tolist(), objects, list(x)):
        assert_bits_equal(predictor(rows), expected)


@pytest.mark.parametrize("shape", [(7, 2, 8, 7), (7, 127), (7, 8, 8, 2), (2, 8, 8)])
def test_rows_of_another_size_are_refused(path, shape):
    with pytest.raises(ShapeError):
        fastconv.Predictor(path)(np.zeros(shape, np.float32))


def test_rows_that_are_no_numbers_or_uneven_are_told_by_their_place(path, x):
    predictor = fastconv.Predictor(path)
    rows = [*x[:3], None, *x[3:]]
    with pytest.raises(ArgumentTypeError, match="row 3 of x must be made of numbers, got None"):
        predictor(rows)
    with pytest.raises(ShapeError, match=r"row 7 of x must have the shape of the rows before"):
        predictor([*x, x[0, :1]])
    with pytest.raises(ArgumentTypeError, match="row 0 of x"):
        predictor([[1, [2, 3]], [4, 5, 6]])


@pytest.mark.parametrize("kind", [iter, set, lambda rows: (row for row in rows)])
def test_iterables_without_an_order_or_an_end_are_refused(path, kind):
    """A network's `predict` takes them as batches; a table of them has no rows."""
    rule = r"Predictor: x must be an array \(N, ...\), got \w+, an iterable; call it with one batch"
    for rows in (kind([1, 2]), {"x": kind([1, 2])}):
        with pytest.raises(ArgumentTypeError, match=rule):
            fastconv.Predictor(path)(rows)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_matrix_is_an_array_of_rows(path, x):
    flat = x.reshape(len(x), -1)
    assert_bits_equal(fastconv.Predictor(path)(np.matrix(flat)), fastconv.Predictor(path)(x))


# Several inputs and outputs.


def test_several_inputs_and_outputs(rng):
    net = branches()
    a, b = random_like(net, rng, 4)
    expected = net.predict((a, b))
    predictor = again(fastconv.Predictor(net))
    for found in (predictor(a, b), predictor((a, b))):
        assert [type(each) for each in found] == [np.ndarray] * 2
        for one, other in zip(found, expected, strict=True):
            assert_bits_equal(one, other)
    with pytest.raises(ArgumentTypeError, match="one array for each input: a, b, got 1"):
        predictor(a)
    assert list(predictor.inputs) == ["a", "b"]
    assert list(predictor.outputs) == ["head", "multiply_1"]


# Tables.


def test_a_table_keeps_what_is_no_input(path, x):
    predictor = fastconv.Predictor(path, columns="image")
    numbers = np.arange(7)
    found = again(predictor)({"number": numbers, "image": x})
    assert list(found) == ["number", "prediction"]
    assert found["number"] is numbers
    assert_bits_equal(found["prediction"], fastconv.load(path).predict(x))


def test_which_column_is_the_input(path, x):
    name = next(iter(fastconv.Predictor(path).inputs))
    predictor = fastconv.Predictor(path)
    assert list(predictor({name: x, "image": x})) == ["image", "prediction"]
    assert list(predictor({"image": x})) == ["prediction"]
    with pytest.raises(ArgumentError, match=r"columns must say which column is the input x.*colum"):
        predictor({"image": x, "label": x})
    with pytest.raises(ArgumentError, match="got 'imag'; did you mean 'image'"):
        fastconv.Predictor(path, columns="imag")({"image": x})
    with pytest.raises(ArgumentError, match="a column for each input"):
        fastconv.Predictor(path, columns=["image", "label"])({"image": x, "label": x})


def test_a_column_for_each_number_is_told_how_to_become_one(path, x):
    size = x[0].size
    wide = {str(number): column for number, column in enumerate(x.reshape(len(x), size).T)}
    for columns in (None, list(wide)):
        with pytest.raises(ArgumentError, match=rf"its {size} columns make one array: predictor"):
            fastconv.Predictor(path, columns=columns)(wide)


def test_what_the_columns_of_outputs_are_called(rng):
    net = branches()
    a, b = random_like(net, rng, 4)
    expected = net.predict((a, b))
    found = fastconv.Predictor(net, columns=["l", "r"])({"r": b, "l": a, "z": a})
    assert list(found) == ["z", "head", "multiply_1"]
    assert_bits_equal(found["head"], expected[0])
    found = fastconv.Predictor(net, results=["one", "two"])({"a": a, "b": b})
    assert list(found) == ["one", "two"]
    assert_bits_equal(found["two"], expected[1])
    for results in ("one", ["one", "one"], ["one", "two", "three"]):
        with pytest.raises(ArgumentError, match="results must be different names for 2 outputs"):
            fastconv.Predictor(net, results=results)({"a": a, "b": b})


def test_a_column_is_not_written_over(path, x):
    with pytest.raises(ArgumentError, match=r"got 'prediction'; Predictor\(source, results="):
        fastconv.Predictor(path, columns="image")({"image": x, "prediction": x})
    predictor = fastconv.Predictor(path, columns="image", results="image")
    assert_bits_equal(predictor({"image": x})["image"], predictor(x))


def test_columns_have_a_row_for_each_of_the_inputs(path, x):
    predictor = fastconv.Predictor(path)
    with pytest.raises(ShapeError, match="'id' must have as many rows as the column 'x', 7"):
        predictor({"x": x, "id": np.arange(5)})
    with pytest.raises(ShapeError, match="got 8"):
        predictor({"x": x, "id": list(range(8))})
    found = predictor({"x": x, "camera": "north", "gain": 2.0})
    assert found["camera"] == "north" and found["gain"] == 2.0


def test_one_number_for_each_row_is_a_column_of_numbers(rng):
    net = fastconv.Sequential(["Flatten", ("Dense", {"units": 1})], (1, 2, 2), seed=0)
    x = random_like(net, rng, 5)
    predictor = fastconv.Predictor(net)
    assert predictor(x).shape == (5, 1)
    assert_bits_equal(predictor({"x": x})["prediction"], net.predict(x)[:, 0])


# Pickles.


def test_a_pickle_of_a_path_is_a_few_bytes(path):
    found = pickle.dumps(fastconv.Predictor(path, "20 MB", columns="image"))
    assert len(found) < 300 + len(str(path))
    assert len(pickle.dumps(fastconv.Predictor(path)(np.zeros((1, 2, 8, 8))))) > 0
    predictor = fastconv.Predictor(path)
    predictor(np.zeros((1, 2, 8, 8)))  # what has been loaded stays here
    assert len(pickle.dumps(predictor)) < 300 + len(str(path))


def test_a_pickle_of_bytes_is_the_file(path):
    content = path.read_bytes()
    assert len(content) < len(pickle.dumps(fastconv.Predictor(content))) < len(content) + 500


def test_a_relative_path_is_completed(path, x, monkeypatch, tmp_path):
    monkeypatch.chdir(path.parent)
    predictor = fastconv.Predictor(path.name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert again(predictor)(x).shape == (7, 3)
    assert repr(predictor) == f"<Predictor of {str(path)!r}>"
    assert re.fullmatch(r"<Predictor of [\d,]+ bytes>", repr(fastconv.Predictor(b"x")))


# Loading.


def test_a_process_loads_once(path, x, loads):
    for _ in range(3):
        again(fastconv.Predictor(path))(x)
    again(fastconv.Predictor(path, "1 GB", columns="a"))(x)
    shutil.copy(path, path.parent / "copy.safetensors")
    again(fastconv.Predictor(path.parent / "copy.safetensors"))(x)
    again(fastconv.Predictor(path.read_bytes()))(x)
    assert len(loads) == 1
    again(fastconv.Predictor(path, for_inference=True))(x)
    assert len(loads) == 2


def test_threads_that_come_at_once_load_once(path, x, loads):
    expected = fastconv.load(path).predict(x)
    barrier = threading.Barrier(8)

    def run(_):
        predictor = again(fastconv.Predictor(path))
        barrier.wait()
        return predictor(x)

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(run, range(8)):
            assert_bits_equal(found, expected)
    assert len(loads) == 1


def test_a_file_in_the_place_of_another_is_another(path, x, loads):
    predictor = fastconv.Predictor(path)
    before = predictor(x)
    small(seed=1).save(path)
    assert_bits_equal(predictor(x), before)  # of which this Predictor has the network
    after = again(predictor)(x)
    assert_bits_equal(after, small(seed=1).predict(x))
    assert len(loads) == 2


def test_a_file_that_is_written_over_is_another_whatever_its_time_says(path, x):
    before = path.stat()
    fastconv.Predictor(path)(x)
    content = small(seed=1).to_bytes()
    assert len(content) == before.st_size
    with open(path, "r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert_bits_equal(fastconv.Predictor(path)(x), small(seed=1).predict(x))


def test_a_process_keeps_few_networks(x, loads):
    for seed in range(loaded.MOST_KEPT + 3):
        fastconv.Predictor(small(seed=seed))(x)
    assert len(loaded._networks) == loaded.MOST_KEPT


# What can go wrong.


def test_nothing_is_read_where_it_is_made(tmp_path, loads):
    assert pickle.dumps(fastconv.Predictor(tmp_path / "none.safetensors"))
    assert not loads


def test_a_file_that_is_missing_is_told_with_the_machine(tmp_path, x):
    path = tmp_path / "none.safetensors"
    with pytest.raises(ArgumentError) as caught:
        fastconv.Predictor(path)(x)
    text = str(caught.value)
    assert f"{str(path)!r}: no such file or directory on {socket.gethostname()}" in text
    assert f"process {os.getpid()}" in text and "read_bytes()" in caught.value.remedy
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), ArgumentError)
    with pytest.raises(ArgumentError, match="a directory"):
        fastconv.Predictor(tmp_path)(x)


def test_an_error_is_not_kept(path, x):
    predictor = fastconv.Predictor(path)
    path.rename(path.parent / "away")
    with pytest.raises(ArgumentError, match="no such file"):
        predictor(x)
    (path.parent / "away").rename(path)
    assert predictor(x).shape == (7, 3)


@pytest.mark.parametrize("content", [b"", b"x" * 100, pickle.dumps([1])])
def test_what_is_no_network_is_refused(content, tmp_path, x):
    (tmp_path / "net.safetensors").write_bytes(content)
    with pytest.raises(FormatError, match="net.safetensors"):
        fastconv.Predictor(tmp_path / "net.safetensors")(x)
    with pytest.raises(FormatError, match="in the bytes given"):
        fastconv.Predictor(content)(x)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"source": None}, "source"),
        ({"source": io.BytesIO()}, "source"),
        ({"memory_limit": "20 XB"}, "memory_limit"),
        ({"batch_size": 0}, "batch_size"),
        ({"columns": 3}, "columns"),
        ({"columns": [3]}, "columns"),
        ({"columns": []}, "columns"),
        ({"columns": {"a", "b"}}, "columns"),
        ({"results": {"a": "b"}}, "results"),
        ({"results": ()}, "results"),
        ({"for_inference": 1}, "for_inference"),
    ],
)
def test_arguments_are_checked_where_it_is_made(wrong, name):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=f"Predictor: {name} must"):
        fastconv.Predictor(**{"source": "net.safetensors", **wrong})


def test_an_estimator_is_told_what_to_give():
    estimator = SimpleNamespace(net_=None)
    with pytest.raises(ArgumentTypeError, match=r"a network, got .*; Predictor\(estimator.net_\)"):
        fastconv.Predictor(estimator)


def test_a_network_with_its_rows_elsewhere_is_refused(x):
    i = fastconv.Input((4,), batch_axis=1)
    with pytest.raises(ArgumentError, match=r"rows on axis 0, got one of Spec\(shape=\(4,\)"):
        fastconv.Predictor(fastconv.Model(i, i))(np.zeros((4, 2)))


# Threads.


def test_calls_that_come_at_once_share_the_threads(path, x, monkeypatch):
    seen = []
    barrier = threading.Barrier(2)
    run = fastconv.Model.predict_batch

    def counted(self, xs, program=None):
        barrier.wait(30)  # both are in their calls now
        seen.append(fastconv.get_num_threads())
        barrier.wait(30)
        return run(self, xs, program)

    fastconv.set_num_threads(4)
    try:
        predictor = fastconv.Predictor(path)
        predictor.inputs  # noqa: B018  # loads it
        monkeypatch.setattr(fastconv.Model, "predict_batch", counted)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(predictor, [x, x]))
    finally:
        fastconv.set_num_threads(None)
    assert seen == [2, 2]


def test_a_table_of_another_library_is_refused_with_what_to_do(path):
    table = SimpleNamespace(column_names=["image"], to_pandas=lambda: None)
    with pytest.raises(ArgumentTypeError, match=r"a table must be a mapping .*x\.to_pandas\(\)\)$"):
        fastconv.Predictor(path)(table)


def test_a_limit_too_small_says_of_which_call(path, x):
    with pytest.raises(MemoryLimitError, match="outputs of 7 rows, .*; give fewer rows in a call"):
        fastconv.Predictor(path, memory_limit=1000)(x)
    least = []
    for rows in (7, 1):
        with pytest.raises(MemoryLimitError) as caught:
            fastconv.Predictor(path, memory_limit=1000)(x[:rows])
        least.append(caught.value.least)
    assert least[1] < least[0]


@pytest.mark.parametrize("given, said", [((), "0 arrays"), ((1, 2), "2 arrays")])
def test_as_many_arrays_as_inputs(path, given, said):
    rule = "Predictor: a call must have one array for each input: x, got "
    with pytest.raises(ArgumentTypeError, match=f"{rule}{said}$"):
        fastconv.Predictor(path)(*given)
