"""Sums that are written out: the lecture's, those of random maps, and what is refused."""

from __future__ import annotations

import math
import re
import sys
from fractions import Fraction

import numpy as np
import pytest

import fastconv
from fastconv import explain
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError

X = [[1, 2, 3, 4], [4, 3, 2, 1], [0, 1, 2, 3], [3, 2, 1, 2]]
F = [[1, 0, 2], [0, 2, 0], [1, 1, -1]]


def evaluated(step: str) -> tuple[Fraction, Fraction]:
    """Return what the text of a step adds up to, and the result that it states."""
    written, result = re.fullmatch(r"y\[\d+,\d+\] = (.*) = (\S+)", step).groups()
    if written.startswith("max("):
        return max(map(Fraction, written[4:-1].split(", "))), Fraction(result)
    average = re.fullmatch(r"\((.*)\)/(\d+)", written)
    terms, count = average.groups() if average else (written, 1)
    factors = ([Fraction(f.strip("()")) for f in term.split("x")] for term in terms.split("+"))
    return sum(map(math.prod, factors)) / int(count), Fraction(result)


def test_the_first_sum_of_the_lecture():
    explained = explain.conv2d(X, F)
    assert explained.steps[0] == "y[0,0] = 1x1+2x0+3x2+4x0+3x2+2x0+0x1+1x1+2x(-1) = 12"
    assert explained.result.tolist() == [[12, 14], [14, 10]]
    assert str(explained).startswith("conv2d: x 4x4, weight 3x3, stride 1, padding 0 -> 2x2\n")
    assert str(explained).endswith("\n\ny\n12 14\n14 10")


@pytest.mark.parametrize(
    ("stride", "expected"),
    [
        (1, [[3, 9, 10, 11], [11, 12, 14, 10], [7, 14, 10, 11], [8, 8, 9, 6]]),
        (2, [[3, 10], [7, 10]]),
        (3, [[3, 11], [8, 6]]),
    ],
)
@pytest.mark.parametrize("dtype", [int, np.uint8, np.float32, np.float64])
def test_padding_and_stride_of_the_lecture(stride, expected, dtype):
    f = np.array(F, np.int8 if dtype is np.uint8 else dtype)
    explained = explain.conv2d(np.array(X, dtype), f, stride=stride, padding=1)
    assert explained.result.tolist() == expected
    assert explained.steps[0] == "y[0,0] = 0x1+0x0+0x2+0x0+1x2+2x0+0x1+4x1+3x(-1) = 3"
    assert [evaluated(step) for step in explained.steps] == [
        (value, value) for row in expected for value in row
    ]
    assert explained.padded.shape == (6, 6)


def test_pooling_of_the_lecture():
    largest = explain.pool2d(X, 2)
    assert largest.result.tolist() == [[4, 4], [3, 3]]
    assert largest.steps[0] == "y[0,0] = max(1, 2, 4, 3) = 4"
    average = explain.pool2d(X, 2, kind="average")
    assert average.result.tolist() == [[2.5, 2.5], [1.5, 2.0]]
    assert average.steps[2] == "y[1,0] = (0+1+3+2)/4 = 1.5"
    for explained in (largest, average):
        assert all(a == b for a, b in map(evaluated, explained.steps))


def test_the_maximum_may_move_inside_its_window():
    moved = [[1, 2, 4, 3], [4, 3, 1, 2], *X[2:]]  # 4 has moved inside its window
    assert explain.pool2d(moved, 2).result.tolist() == explain.pool2d(X, 2).result.tolist()
    across = [[1, 2, 0, 0], [0, 4, 0, 0]]
    assert explain.pool2d(across, 2).result.tolist() == [[4, 0]]
    assert explain.pool2d(np.roll(across, 1, axis=1), 2).result.tolist() == [[1, 4]]


def test_im2col_has_the_windows_in_its_rows():
    explained = explain.im2col(X, 3, 3)
    assert explained.result.tolist() == [
        [1, 2, 3, 4, 3, 2, 0, 1, 2],
        [2, 3, 4, 3, 2, 1, 1, 2, 3],
        [4, 3, 2, 0, 1, 2, 3, 2, 1],
        [3, 2, 1, 1, 2, 3, 2, 1, 2],
    ]
    assert (explained.result @ np.ravel(F)).tolist() == [12, 14, 14, 10]
    assert [step.split() for step in explained.steps] == [
        [str(row), place, rows, columns, "|", *(str(int(v)) for v in explained.result[row])]
        for row, (place, rows, columns) in enumerate(
            [
                ("[0,0]", "0-2", "0-2"),
                ("[0,1]", "0-2", "1-3"),
                ("[1,0]", "1-3", "0-2"),
                ("[1,1]", "1-3", "1-3"),
            ]
        )
    ]


def test_im2col_of_one_channel_of_the_document():
    """Of three channels (9, 75), of ten images (90, 75); of one map a third of the columns."""
    explained = explain.im2col(np.zeros((7, 7)), 5, 5)
    assert explained.result.shape == (9, 25)
    assert explained.text.endswith("49 elements became 225, 4.59 times as many")
    assert 6750 / 1470 == 225 / 49


def test_the_output_size_of_the_quiz():
    assert explain.conv2d(np.ones((25, 25)), np.ones((5, 5)), stride=2).result.shape == (11, 11)


@pytest.mark.parametrize("dtype", ["i2", "f4", "f8"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": (2, 1), "padding": ((1, 0), (2, 1))},
        {"padding": "same", "dilation": 2, "bias": -3},
    ],
)
def test_what_is_written_is_what_the_functions_compute(dtype, options):
    rng = np.random.default_rng(0)
    x, w = rng.integers(-9, 9, (7, 9)).astype(dtype), rng.integers(-9, 9, (3, 2)).astype(dtype)
    explained = explain.conv2d(x, w, **options)
    given = {key: value for key, value in options.items() if key != "bias"}
    y = fastconv.conv2d(x[None, None], w[None, None], **given)[0, 0] + options.get("bias", 0)
    assert explained.result.dtype == (np.float32 if dtype == "f4" else np.float64)
    np.testing.assert_array_equal(explained.result, y)
    assert [evaluated(step) for step in explained.steps] == [(v, v) for v in y.ravel().tolist()]

    given.pop("dilation", None)
    for kind, pool in (("max", fastconv.max_pool2d), ("average", fastconv.avg_pool2d)):
        # no window of the smaller padding lies outside the map
        padding = given.get("padding") if given.get("padding") == "same" else ((1, 0), (1, 1))
        strides = {"stride": given.get("stride"), "padding": padding}
        pooled = explain.pool2d(x, (3, 2), kind=kind, **strides)
        np.testing.assert_array_equal(pooled.result, pool(x[None, None], (3, 2), **strides)[0, 0])
        for total, stated in map(evaluated, pooled.steps):
            assert float(stated) == pytest.approx(float(total), rel=1e-5, abs=1e-5)

    col = explain.im2col(x, 3, 2, options.get("stride", 1), (2, 1))
    expected = fastconv.im2col(x[None, None], 3, 2, options.get("stride", 1), (2, 1))
    np.testing.assert_array_equal(col.result, expected)


def test_fractions_are_shortened_and_minus_zero_is_zero():
    explained = explain.conv2d([[1 / 3, -0.0]], [[0.25]])
    assert explained.steps == ("y[0,0] = 0.333333x0.25 = 0.0833333", "y[0,1] = 0x0.25 = 0")


@pytest.mark.parametrize(
    ("function", "name", "call"),
    [
        (fastconv.functional.conv2d, "conv2d", lambda: explain.conv2d(X, F)),
        (fastconv.functional.max_pool2d, "max_pool2d", lambda: explain.pool2d(X, 2)),
        (fastconv.functional.im2col, "im2col", lambda: explain.im2col(X, 3, 3)),
    ],
)
def test_a_sum_that_differs_from_the_result_is_an_error(monkeypatch, function, name, call):
    def wrong(*args, **kwargs):
        y = function(*args, **kwargs)
        y.ravel()[-1] += 1e-12
        return y

    monkeypatch.setattr(fastconv.functional, name, wrong)
    with pytest.raises(AssertionError, match="please report"):
        call()


def test_an_explanation_shows_itself():
    explained = explain.pool2d([[1, 2]], 1)
    assert repr(explained) == str(explained) == explained.text
    assert explained._repr_html_() == (
        "<pre>pool2d: max of 1x1, x 1x2, stride 1, padding 0 -&gt; 1x2\n\nx\n1 2\n\n"
        "y[0,0] = max(1) = 1\ny[0,1] = max(2) = 2\n\ny\n1 2</pre>"
    )


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: explain.conv2d(np.zeros((33, 4)), F), ShapeError, "x must be at most 32x32"),
        (lambda: explain.conv2d(X, F, padding=15), ShapeError, "padding must leave the map"),
        (lambda: explain.im2col(X, 3, 3, 1, 15), ShapeError, "im2col: pad must leave the map"),
        (lambda: explain.conv2d(np.ones((20, 20)), F), ShapeError, "at most 144 elements"),
        (lambda: explain.pool2d(np.ones((9, 9)), 8), ShapeError, "window must have at most 49"),
        (lambda: explain.conv2d(np.ones((1, 1, 4, 4)), F), ShapeError, r"such as x\[0, 0\]"),
        (lambda: explain.conv2d(X, np.ones((3, 5))), ShapeError, "as large as the window, 3x5"),
        (lambda: explain.conv2d([[np.nan]], [[1]]), ArgumentError, "x must hold finite numbers"),
        (lambda: explain.conv2d([[1]], [[10**15]]), ArgumentError, "weight must hold finite"),
        (lambda: explain.conv2d([[1]], [[1]], "a"), ArgumentTypeError, "bias must be a number"),
        (lambda: explain.pool2d(X, 2, kind="mean"), ArgumentError, "'max' or 'average'"),
        (lambda: explain.pool2d(X, 2, padding=2), ArgumentError, "in every window"),
        (lambda: explain.im2col(X, 0, 2), ArgumentError, "filter_h must be at least 1"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_it_is_imported_when_it_is_named():
    assert fastconv.explain is sys.modules["fastconv.explain"]
    assert "explain" in dir(fastconv)
