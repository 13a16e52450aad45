"""Rows by their numbers: values, sums of gradients, whose bits, and what is out of range."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import functional, memory, reference
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.functional.embedding import embedding_workspace
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
INTEGERS = ["int64", "int32", "uint8"]
#: Entries, units, and the shape of the indices.
CASES = [
    (1, 1, (3,)),
    (5, 1, (70,)),
    (100, 33, (4, 50)),
    (3, 300, (200,)),
    (200, 16, ()),
    (9, 7, (2, 3, 4)),
    (250, 64, (1,)),
    (4, 1100, (150,)),  # more than is summed together
]


@pytest.fixture
def threads():
    """Set the number of threads; the test's end takes it back."""
    yield fastconv.set_num_threads
    fastconv.set_num_threads(None)


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("entries", "units", "shape"), CASES)
def test_rows_and_their_sums(entries, units, shape, dtype, kind, integers, rng):
    numbers = rng.integers(0, entries, shape).astype(kind)
    weight, dy = integers((entries, units), dtype), integers((*shape, units), dtype)
    y = functional.embedding(numbers, weight)
    assert_bits_equal(y, reference.embedding(numbers, weight))
    dweight = functional.embedding_backward(dy, numbers, entries)
    assert_bits_equal(dweight, reference.embedding_backward(dy, numbers, entries))


@pytest.mark.parametrize("dtype", DTYPES)
def test_layout_and_threads_change_no_bit(dtype, normal, rng, threads):
    numbers = rng.integers(0, 40, (100, 50))
    numbers[numbers < 20] = 3  # one row far more often than others
    weight, dy = normal((40, 133), dtype), normal((100, 50, 133), dtype)
    threads(1)
    y = functional.embedding(numbers, weight)
    dweight = functional.embedding_backward(dy, numbers, 40)
    for number in (1, 2, 3):
        threads(number)
        for kind in INTEGERS:
            odd = np.asfortranarray(numbers.astype(kind))
            assert_bits_equal(functional.embedding(odd, np.asfortranarray(weight)), y)
            found = functional.embedding_backward(np.asfortranarray(dy), odd, 40)
            assert_bits_equal(found, dweight)
    swapped = numbers.astype(">i8")
    assert_bits_equal(functional.embedding(swapped, weight), y)


def test_the_sum_of_a_row_that_comes_often_keeps_its_digits():
    dy = np.full((3_000_000, 2), 0.1, np.float32)
    dweight = functional.embedding_backward(dy, np.zeros(3_000_000, np.uint8), 2)
    np.testing.assert_allclose(dweight[0], 3_000_000 * float(np.float32(0.1)), rtol=1e-6)
    assert not dweight[1].any()


def test_what_is_not_finite_stays_in_its_row(normal):
    numbers, dy = np.array([0, 1, 2, 1, 0]), normal((5, 19))
    right = functional.embedding_backward(dy, numbers, 4)
    dy[1, 3], dy[2, 4] = np.nan, np.inf
    found = functional.embedding_backward(dy, numbers, 4)
    assert np.isnan(found[1, 3]) and found[2, 4] == np.inf
    found[1, 3], found[2, 4] = right[1, 3], right[2, 4]
    assert_bits_equal(found, right)


def test_workspace_is_what_is_stated(normal):
    numbers, dy = np.arange(50) % 9, normal((50, 7))
    with memory.track() as used:
        functional.embedding_backward(dy, numbers, 20)
    assert (used.workspace_peak, used.copies) == (embedding_workspace(50, 20), 0)
    with memory.track() as used:
        functional.embedding(numbers, dy)
    assert (used.workspace_peak, used.copies, used.output) == (0, 0, dy.nbytes)


@pytest.mark.parametrize("wrong", [-1, 5, 2**40, -(2**63)])
def test_an_index_out_of_range_is_named_with_its_place(wrong):
    numbers, weight = np.zeros((3, 4), np.int64), np.ones((5, 2))
    numbers[2, 1] = wrong
    for name, call in (
        ("embedding", lambda: functional.embedding(numbers, weight)),
        (
            "embedding_backward",
            lambda: functional.embedding_backward(np.ones((3, 4, 2)), numbers, 5),
        ),
    ):
        match = rf"^{name}: indices must be from 0 to 4, got {wrong} at \(2, 1\)"
        with pytest.raises(ArgumentError, match=match):
            call()


def test_a_network_names_an_index_out_of_range():
    net = fastconv.Sequential([("Embedding", {"entries": 5, "units": 2})], (3,), "int64")
    assert net([[0, 4, 2]]).shape == (1, 3, 2)
    with pytest.raises(ArgumentError, match=r"indices must be from 0 to 4, got 5 at \(0, 1\)"):
        net([[0, 5, 2]])


def test_empty_arrays():
    weight = np.ones((4, 3))
    assert functional.embedding(np.zeros((0, 2), int), weight).shape == (0, 2, 3)
    dweight = functional.embedding_backward(np.zeros((0, 3)), np.zeros(0, int), 4)
    assert dweight.shape == (4, 3) and not dweight.any()


def test_what_does_not_fit_is_refused():
    f, weight = functional, np.ones((4, 3))
    for indices in (np.zeros(2), np.zeros(2, np.int8), np.zeros(2, bool), [0.5], None):
        with pytest.raises(ArgumentTypeError, match="embedding: indices must be an array of int64"):
            f.embedding(indices, weight)
    with pytest.raises(ShapeError, match=r"embedding: weight must have 2 dimensions"):
        f.embedding(np.zeros(2, int), np.ones(4))
    with pytest.raises(ArgumentTypeError, match="embedding: weight must be an array of float32"):
        f.embedding(np.zeros(2, int), np.ones((4, 3), int))
    with pytest.raises(ShapeError, match=r"dy must have the shape of the indices, \(2,\), and one"):
        f.embedding_backward(np.ones((3, 3)), np.zeros(2, int), 4)
    with pytest.raises(ArgumentError, match="embedding_backward: entries must be at least 1"):
        f.embedding_backward(np.ones((2, 3)), np.zeros(2, int), 0)
