"""Rows that are read as they are needed, and iterables of batches."""

from __future__ import annotations

import collections
import threading
import time

import numpy as np
import pytest

import fastconv
from fastconv.batches import Rows, ahead, is_mapped
from fastconv.errors import ArgumentError, ArgumentTypeError, MemoryLimitError, ShapeError


class ByNumber:
    """Gives a row for an int, and nothing else; it remembers for which."""

    def __init__(self, array):
        self.array, self.asked = array, []

    def __len__(self):
        return len(self.array)

    def __getitem__(self, row):
        assert type(row) is int
        self.asked.append(row)
        return self.array[row]


class ByNumbers:
    """Gives rows for ascending numbers, as a data set of HDF5 does."""

    def __init__(self, array):
        self.array, self.asked = array, []
        self.shape, self.dtype = array.shape, array.dtype

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        assert isinstance(rows, np.ndarray) and rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()
        self.asked.append(rows.tolist())
        return self.array[rows]


@pytest.fixture
def net():
    layers = [("Conv2D", {"filters": 3, "kernel_size": 3}), "ReLU", "Flatten"]
    return fastconv.Sequential([*layers, ("Dense", {"units": 4})], (2, 5, 5), seed=0)


KINDS = [ByNumber, ByNumbers]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [[0], [6, 2, 4], [2, 3], []])
def test_rows_are_those_of_the_array(kind, rows, normal):
    array = normal((7, 2, 3))
    read = Rows("fit", "x", kind(array))
    assert read.shape == (7, 2, 3) and read.dtype == np.float32 and len(read) == 7
    assert (read.ndim, read.itemsize, read.row_bytes, read.nbytes) == (3, 4, 24, 0)
    np.testing.assert_array_equal(read[np.array(rows, np.int64)], array[rows])
    np.testing.assert_array_equal(read[2:5], array[2:5])
    np.testing.assert_array_equal(read[:100], array)


def test_scalars_are_rows(normal):
    read = Rows("fit", "y", ByNumber(list(range(5))))
    assert read.shape == (5,) and read.dtype == np.int64
    assert read[np.array([4, 1])].tolist() == [4, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("count", [1, 7, 21, 22])
def test_predict_reads_rows_when_it_needs_them(net, kind, dtype, count, integers):
    array = np.abs(integers((count, 2, 5, 5), dtype))
    given = kind(array)
    np.testing.assert_array_equal(net.predict(given, 7), net.predict(array, 7))
    by_batch = [list(range(i, min(i + 7, count))) for i in range(0, count, 7)]
    if kind is ByNumbers:
        assert given.asked == [[0], *by_batch]  # the first row tries shape and dtype
    else:
        assert given.asked == [0, 0, *range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_counts_what_is_read(net, kind, integers):
    array = np.abs(integers((40, 2, 5, 5), "uint8"))
    free = net.predict(array, 8)
    with pytest.raises(MemoryLimitError) as plain:
        net.predict(array, 8, memory_limit=1)
    with pytest.raises(MemoryLimitError) as read:
        net.predict(kind(array), 8, memory_limit=1)
    assert read.value.least == plain.value.least + 2 * 5 * 5
    before = threading.active_count()
    found = net.predict(kind(array), 8, memory_limit=read.value.least)
    assert threading.active_count() == before
    np.testing.assert_allclose(found, free, rtol=1e-5)


def test_an_interrupted_predict_leaves_no_thread(net, normal):
    class Broken(ByNumber):
        def __getitem__(self, row):
            if row == 25:
                raise OSError("the disk is gone")
            return super().__getitem__(row)

    before = threading.active_count()
    with pytest.raises(OSError, match="the disk is gone") as caught:
        net.predict(Broken(normal((40, 2, 5, 5))), 10)
    assert threading.active_count() == before and caught.value


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        ([], ShapeError, "x must hold at least one row, got none"),
        ([np.zeros((2, 5, 5)), np.zeros((2, 5, 4))], ShapeError, r"of one shape, \(2, 5, 5\), got"),
        (
            [np.zeros((2, 5, 5)), np.zeros((2, 5, 5), "f4")],
            ArgumentTypeError,
            "of one dtype, float64, got float32 in row 1",
        ),
        ([np.zeros((5, 5))] * 3, ShapeError, r"x must have shape \(N, 2, 5, 5\), got \(3, 5, 5\)"),
        ([None, None], ArgumentTypeError, r"x\[0\] must be"),
    ],
)
def test_rows_that_are_refused(net, rows, error, text):
    with pytest.raises(error, match=text):
        net.predict(ByNumber(rows))


def test_an_object_that_says_a_wrong_shape(net, normal):
    given = ByNumbers(normal((4, 2, 5, 5)))
    given.shape = (5, 2, 5, 5)
    with pytest.raises(ShapeError, match="x.shape must begin with its length, 4"):
        net.predict(given)
    given.shape, given.array = (4, 2, 5, 5), normal((4, 2, 5, 6))
    with pytest.raises(ShapeError, match="must give rows of one shape"):
        net.predict(given)


def test_what_is_in_memory_is_no_object_to_read(net, normal):
    array = normal((4, 2, 5, 5))

    class Shared:  # as tensors and other libraries' arrays
        __array_interface__ = array.__array_interface__

        def __len__(self):
            return 4

        def __getitem__(self, row):
            raise AssertionError

    expected = net.predict(array)
    for given in (Shared(), memoryview(array), array.tolist()):
        np.testing.assert_array_equal(net.predict(given), expected)
    assert isinstance(fastconv.batches.as_array("fit", "y", range(3)), np.ndarray)


def test_several_inputs_of_several_kinds(normal):
    a, b = fastconv.Input((3,)), fastconv.Input((3,))
    net = fastconv.Model((a, b), fastconv.create_layer("Add")(a, b))
    x = normal((9, 3)), normal((9, 3))
    expected = net.predict(x)
    np.testing.assert_array_equal(net.predict((ByNumber(x[0]), x[1]), 4), expected)
    np.testing.assert_array_equal(net.predict((x[0], ByNumbers(x[1])), 4), expected)
    with pytest.raises(ShapeError, match="equally many rows"):
        net.predict((ByNumber(x[0][:8]), x[1]))


def test_a_mapped_file_is_known(tmp_path, normal):
    array = normal((6, 4))
    np.save(tmp_path / "x.npy", array)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for given in (mapped, mapped[2:], np.asarray(mapped), np.asarray(mapped)[::2]):
        assert is_mapped(given)
    for given in (array, mapped[[0, 1]], np.array(mapped), [1]):
        assert not is_mapped(given)


# Iterables of batches


@pytest.mark.parametrize("answers", [False, True])
def test_predict_joins_the_batches_of_an_iterable(net, answers, normal):
    x = normal((21, 2, 5, 5))
    parts = [x[:8], x[8:9], x[9:]]
    batches = ((part, None) if answers else part for part in parts)
    np.testing.assert_array_equal(net.predict(batches), net.predict(x))
    with pytest.raises(ShapeError, match="must give at least one batch"):
        net.predict(iter([]))
    with pytest.raises(ArgumentError, match="memory_limit must be None"):
        net.predict(iter(parts), memory_limit="1 GB")
    with pytest.raises(ShapeError, match="Model: x must have shape"):
        net.predict(iter([x, x[0]]))


def test_batches_of_several_inputs(normal):
    a, b = fastconv.Input((3,), name="a"), fastconv.Input((3,), name="b")
    net = fastconv.Model((a, b), fastconv.create_layer("Add")(a, b))
    x = normal((4, 3)), normal((4, 3))
    expected = net.predict(x)
    for item in (x, (x, None), {"a": x[0], "b": x[1]}, ({"a": x[0], "b": x[1]}, None, None)):
        found = net.predict(iter([item, item]))
        np.testing.assert_array_equal(found, np.concatenate([expected, expected]))


# The thread


def test_the_thread_makes_one_thing_ahead_and_no_more():
    log = []

    def make():
        for number in range(5):
            log.append(f"make {number}")
            yield number

    for number in ahead(make):
        deadline = time.monotonic() + 10
        while f"make {min(number + 1, 4)}" not in log and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)
        assert log[-1] == f"make {min(number + 1, 4)}"
    assert len(log) == 5


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_an_error_is_raised_when_its_turn_comes(error):
    def make():
        yield 1
        raise error

    before, found = threading.active_count(), []
    with pytest.raises(type(error)) as caught:
        for thing in ahead(make):
            found.append(thing)
    assert found == [1] and caught.value is error
    assert threading.active_count() == before


def test_the_thread_ends_with_who_leaves():
    ended = collections.deque()

    def make():
        try:
            while True:
                yield 1
        finally:
            ended.append(threading.current_thread())

    before = threading.active_count()
    things = ahead(make)
    next(things)
    assert threading.active_count() == before + 1
    things.close()
    assert threading.active_count() == before
    assert [thread is threading.current_thread() for thread in ended] == [False]
    ahead(make).close()  # never begun
    assert threading.active_count() == before


def test_a_batch_of_many_rows_is_not_read_to_its_end(normal):
    class Slow(ByNumber):
        def __getitem__(self, row):
            time.sleep(0.01)
            return super().__getitem__(row)

    given = Slow(normal((10_000, 2)))
    rows = Rows("fit", "x", given)
    things = ahead(lambda: (rows[part] for part in (slice(1), slice(None))))
    next(things)
    things.close()
    assert len(given.asked) < 1000


def test_the_thread_has_the_error_state_of_the_caller():
    def make():
        yield np.geterr()

    with np.errstate(all="raise"):
        assert set(next(ahead(make)).values()) == {"raise"}
    assert next(ahead(make)) == np.geterr()
