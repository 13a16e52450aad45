"""Series and DataFrames of pandas, as Spark gives them."""

from __future__ import annotations

import numpy as np
import pytest
from networks import branches, random_like, small

import fastconv
from fastconv.errors import ArgumentTypeError
from fastconv.testing import assert_bits_equal

pandas = pytest.importorskip("pandas")


@pytest.fixture
def x(rng):
    return random_like(small(), rng, 5)


def cells(array):
    """Rows as Spark has them: arrays of one axis."""
    return list(array.reshape(len(array), -1))


def test_a_series_of_arrays_gives_a_series_of_arrays(x):
    given = pandas.Series(cells(x), index=[3, 1, 4, 1, 5])
    found = fastconv.Predictor(small())(given)
    assert list(found.index) == [3, 1, 4, 1, 5]
    assert_bits_equal(np.stack(found.to_numpy()), small().predict(x))


def test_a_series_of_numbers_gives_one_of_numbers():
    net = fastconv.Sequential([("Dense", {"units": 1})], (1,), seed=0)
    found = fastconv.Predictor(net)(pandas.Series([1.0, 2.0]))
    assert found.dtype == np.float32
    assert_bits_equal(found.to_numpy(), net.predict([[1.0], [2.0]])[:, 0])


def test_a_series_without_rows():
    found = fastconv.Predictor(small())(pandas.Series([], dtype=object))
    assert len(found) == 0


def test_series_for_several_inputs_give_a_table(rng):
    net = branches()
    a, b = random_like(net, rng, 3)
    expected = net.predict((a, b))
    given = [pandas.Series(cells(each), index=[2, 3, 5]) for each in (a, b)]
    found = fastconv.Predictor(net)(*given)
    assert list(found.columns) == ["head", "multiply_1"] and list(found.index) == [2, 3, 5]
    assert_bits_equal(np.stack(found["head"].to_numpy()), expected[0])
    assert_bits_equal(np.stack(found["multiply_1"].to_numpy()), expected[1].reshape(3, -1))


def test_a_frame_gives_a_frame_without_the_input(x):
    given = pandas.DataFrame({"number": range(5), "image": cells(x)}, index=[5, 4, 3, 2, 1])
    found = fastconv.Predictor(small(), columns="image")(given)
    assert list(found.columns) == ["number", "prediction"] and list(found.index) == [5, 4, 3, 2, 1]
    assert list(given.columns) == ["number", "image"]
    assert_bits_equal(np.stack(found["prediction"].to_numpy()), small().predict(x))
    assert len(fastconv.Predictor(small(), columns="image")(given[:0])) == 0


def test_a_row_that_is_missing_is_told(x):
    rows = cells(x)
    rows[2] = None
    with pytest.raises(ArgumentTypeError, match="row 2 of x must be made of numbers"):
        fastconv.Predictor(small())(pandas.Series(rows))
