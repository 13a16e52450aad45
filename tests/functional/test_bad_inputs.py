"""Inputs that broke other libraries: each a row, and what fastconv does with it.

From published advisories and issues of TensorFlow, PyTorch, ONNX Runtime, XNNPACK, Keras and
NumPy. An error names the operation, the parameter, the rule and the value, and the next call
is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import fastconv
from fastconv import functional, memory, reference
from fastconv.errors import FastconvError
from fastconv.testing import assert_bits_equal

X = np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8)
W = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3)
DY = np.ones((1, 1, 6, 6), np.float32)
INDICES = np.zeros((1, 1, 4, 4), np.int64)
HUGE = 1250999896764  # squared it passes 2**64


@pytest.fixture(autouse=True)
def the_next_call_is_right():
    yield
    assert_bits_equal(fastconv.conv2d(X, W, algorithm="im2col"), reference.conv2d(X, W))
    assert_bits_equal(fastconv.conv2d(X, W, algorithm="direct"), reference.conv2d(X, W))
    with memory.track() as used:
        fastconv.conv2d(X, W, algorithm="im2col")
    assert used.workspace_peak == 36 * 9 * 4  # nothing of the failed call is still held


def f32(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def conv(**options: object) -> Callable:
    return lambda: fastconv.conv2d(X, W, **options)


def back(**options: object) -> Callable:
    return lambda: fastconv.conv2d_backward(DY, X, W, **options)


def pool(**options: object) -> Callable:
    return lambda: fastconv.max_pool2d(X, **{"pool_size": 2, **options})


def mean(**options: object) -> Callable:
    return lambda: fastconv.avg_pool2d(X, **{"pool_size": 2, **options})


def costs(**options: object) -> Callable:
    return lambda: fastconv.conv2d_costs((1, 1, 8, 8), (1, 1, 3, 3), **options)


def prepare(**options: object) -> Callable:
    return lambda: fastconv.prepare_conv2d(W, **options)


# what is called, the error, and what its text must hold
VALUES = [
    *[
        (call(**{name: value}), ValueError, f"{operation}: {name} .*at least {least}.*got {value}")
        for name, value, least in [
            ("stride", 0, 1),
            ("stride", -1, 1),
            ("dilation", 0, 1),
            ("dilation", -1, 1),
            ("padding", -1, 0),
        ]
        for call, operation in [
            (conv, "conv2d"),
            (back, "conv2d_backward"),
            (pool, "max_pool2d"),
            (mean, "avg_pool2d"),
            (costs, "conv2d_costs"),
            (prepare, "prepare_conv2d"),
        ]
        if not (call is mean and name == "dilation")
    ],
    (conv(stride=(0, 1)), ValueError, "conv2d: stride .*at least 1.*got 0"),
    (conv(padding=((0, -1), (0, 0))), ValueError, "conv2d: padding .*at least 0.*got -1"),
    (conv(padding="full"), ValueError, "conv2d: padding .*'same'.*'full'"),
    (conv(groups=0), ValueError, "conv2d: groups .*at least 1.*got 0"),
    (conv(groups=-1), ValueError, "conv2d: groups .*at least 1.*got -1"),
    (pool(pool_size=0), ValueError, "max_pool2d: pool_size .*at least 1.*got 0"),
    (pool(pool_size=-1), ValueError, "max_pool2d: pool_size .*at least 1.*got -1"),
    (mean(pool_size=0), ValueError, "avg_pool2d: pool_size .*at least 1.*got 0"),
    (conv(activation="gelu"), ValueError, "conv2d: activation .*'gelu'"),
    (conv(algorithm="winnograd"), ValueError, "conv2d: algorithm .*'winnograd'"),
    (conv(precision="sloppy"), ValueError, "conv2d: precision .*'sloppy'"),
    (costs(direction="sideways"), ValueError, "conv2d_costs: direction .*'sideways'"),
    (back(needs=("x", "w")), ValueError, "conv2d_backward: needs .*'w'"),
    (lambda: fastconv.set_num_threads(0), ValueError, "set_num_threads: .*at least 1.*got 0"),
    (lambda: fastconv.im2col(X, 3, 3, 0), ValueError, "im2col: stride .*at least 1"),
    (lambda: fastconv.im2col(X, 3, 3, 1, -1), ValueError, "im2col: pad.*at least 0"),
    (lambda: fastconv.im2col(X, 0, 3), ValueError, "im2col: .*at least 1.*got 0"),
]
LENGTHS = [
    (call(**{name: value}), ValueError, f"{operation}: {name} .*got")
    for call, operation in [(conv, "conv2d"), (pool, "max_pool2d"), (mean, "avg_pool2d")]
    for name, value in [("stride", []), ("stride", (1, 1, 1)), ("padding", [])]
]
EITHER = "must be an integer or a tuple of two"
PADDING = "must be an integer, a pair, two pairs, 'same' or 'valid'"
TYPES = [
    (call(**{name: value}), TypeError, f"{operation}: {name} {EITHER}, got {value!r}")
    for call, operation in [(conv, "conv2d"), (pool, "max_pool2d"), (back, "conv2d_backward")]
    for name, value in [("stride", 1.5), ("stride", True), ("stride", "2"), ("dilation", None)]
] + [
    (conv(stride=None), TypeError, f"conv2d: stride {EITHER}, got None"),
    (conv(stride=np.bool_(True)), TypeError, f"conv2d: stride {EITHER}"),
    (conv(stride=np.array([1, 2])), TypeError, f"conv2d: stride {EITHER}, got array.*ndarray"),
    (conv(groups=1.0), TypeError, "conv2d: groups must be an integer, got 1.0"),
    (conv(stride=(1, 1.5)), TypeError, rf"conv2d: stride {EITHER}, got 1.5 \(float\)"),
    (conv(padding=1.0), TypeError, f"conv2d: padding {PADDING}, got 1.0"),
    (conv(padding=(1, 1.5)), TypeError, f"conv2d: padding {PADDING}, got 1.5"),
    (conv(padding=((1, 1), 2)), TypeError, rf"conv2d: padding {PADDING}, got \(\(1, 1\), 2\)"),
    (conv(padding=(1, 1, 1)), ValueError, f"conv2d: padding {PADDING}, got 3: "),
    (
        lambda: fastconv.functional.zero_padding2d(X, 1.5),
        TypeError,
        ".* an integer, a pair or two pairs, got",
    ),
    (conv(workspace_limit=1.5), TypeError, "conv2d: .* number of bytes, such as 8388608.*got 1.5"),
    (
        lambda: fastconv.layers.Conv1D(4, 3, padding=(1, 1.5)),
        TypeError,
        "Conv1D: padding must be an integer, a pair, 'same' or 'valid', got 1.5",
    ),
    (pool(pool_size=True), TypeError, f"max_pool2d: pool_size {EITHER}, got True"),
    (pool(pool_size=None), TypeError, f"max_pool2d: pool_size {EITHER}, got None"),
    (lambda: fastconv.im2col(X, 3.0, 3), TypeError, "im2col: .*must be an integer, got 3.0"),
    (pool(ceil_mode=1.5), TypeError, "max_pool2d: ceil_mode .*got 1.5"),
    *[
        (back(needs=needs), TypeError, "conv2d_backward: needs must be a sequence of .*got")
        for needs in (None, 3, [["x"]], (None,))
    ],
    (conv(activation=np.array(["relu", "relu"])), TypeError, "conv2d: activation .*got ndarray"),
    (lambda: functional.dense(X[0, 0], X[0, 0], activation=1), TypeError, "dense: .*got int"),
    (costs(dtype=None), TypeError, "conv2d_costs: dtype must be float32 or float64, got None"),
]
# NumPy would make NaN, 1.0 or a number of these; a mask would be lost.
LISTS = [
    (lambda item=item: fastconv.conv2d([[[[1.0, item]]]], [[[[1.0]]]]), TypeError, text)
    for item, text in [
        (None, "conv2d: x must be an array of numbers, got a list that holds NoneType"),
        ("1", "conv2d: x .*holds str"),
        (True, "conv2d: x .*holds bool"),
        (np.True_, "conv2d: x .*holds bool"),
        (np.float16(1), "conv2d: x .*holds float16"),
        (1j, "conv2d: x must be an array of numbers, got"),
        (10**400, "conv2d: x must be an array of numbers, got"),
        (np.timedelta64(1), "conv2d: x must be an array of numbers, got"),
    ]
] + [
    (lambda row=row: fastconv.conv2d([[row]], [[[[1.0]]]]), TypeError, f"conv2d: x .*{text}")
    for row, text in [
        ([np.ma.array([1.0, 2.0], mask=[1, 0])], "a masked one"),
        ([np.array([True])], "a list that holds bool"),
        (np.ma.array([1.0, 2.0]), "a masked one"),
    ]
]
SIZES = [
    (conv(workspace_limit="\N{ARABIC-INDIC DIGIT THREE} MiB"), ValueError, "conv2d: workspace_"),
    (conv(stride=10**40), ValueError, "conv2d: stride .*at most 2147483647"),
    (conv(padding=2**62), ValueError, "conv2d: padding .*at most 2147483647, got 46116860184"),
    (conv(dilation=10**5000), ValueError, "conv2d: dilation .*at most .*digits"),
    (pool(pool_size=2**62), ValueError, "max_pool2d: pool_size .*at most 2147483647"),
    (pool(pool_size=(65536, 65536)), ValueError, "max_pool2d: .*65536x65536.*8x8"),
    (pool(pool_size=HUGE, dilation=HUGE), ValueError, "max_pool2d: pool_size .*at most"),
    (lambda: fastconv.im2col(X, 65536, 65536), ValueError, "im2col: .*65536x65536.*8x8"),
    (lambda: fastconv.im2col(X, 2**62, 1), ValueError, "im2col: .*at most 2147483647"),
    (
        lambda: fastconv.conv2d(X, np.broadcast_to(np.float32(0), (1, 1, 65536, 65536))),
        ValueError,
        "conv2d: .*65536x65536.*8x8",
    ),
    (
        lambda: fastconv.conv2d_costs((1, 1, 8, 8), (1, 1, 2**62, 3)),
        ValueError,
        "conv2d_costs: weight.*at most 2147483647",
    ),
]
LAST = r"must be \(5, 1, 28, 28\); the channels come first here: x.transpose\(0, 3, 1, 2\)"
SHAPES = [
    (lambda: fastconv.conv2d(X, f32(1, 1, 9, 3)), ValueError, "conv2d: .*9x3.*8x8"),
    (lambda: fastconv.conv2d(X, f32(1, 1, 0, 3)), ValueError, r"conv2d: weight .*\(1, 1, 0, 3\)"),
    (lambda: fastconv.conv2d(f32(1, 0, 8, 8), W), ValueError, r"conv2d: x .*\(1, 0, 8, 8\)"),
    (lambda: fastconv.conv2d(f32(1, 1, 0, 8), W), ValueError, r"conv2d: x .*\(1, 1, 0, 8\)"),
    (lambda: fastconv.conv2d(f32(1, 1, 8, 0), W), ValueError, r"conv2d: x .*\(1, 1, 8, 0\)"),
    (lambda: fastconv.conv2d(X, f32(1, 1, 1, 3, 3)), ValueError, "conv2d: weight .*4 dim"),
    (lambda: fastconv.conv2d(X, f32(3, 3)), ValueError, "conv2d: weight .*4 dim"),
    (lambda: fastconv.conv2d(X, W, f32(2)), ValueError, r"conv2d: bias .*1.*\(2,\)"),
    (lambda: fastconv.conv2d(X, W, f32(1, 1)), ValueError, r"conv2d: bias .*\(1, 1\)"),
    (lambda: fastconv.conv2d(X, f32(1, 2, 3, 3)), ValueError, "conv2d: .*1 channel.* 2"),
    (
        lambda: fastconv.conv2d(f32(1, 6, 8, 8), f32(4, 2, 3, 3), groups=4),
        ValueError,
        "conv2d: groups .*6.*4",
    ),
    (
        lambda: fastconv.conv2d(f32(1, 6, 8, 8), f32(4, 2, 3, 3), groups=3),
        ValueError,
        "conv2d: groups .*6.*4.*got 3",
    ),
    (  # a weight for all channels; that the map is as wide as channels times groups is chance
        lambda: fastconv.conv2d(f32(1, 4, 8, 8), f32(6, 4, 3, 3), groups=2),
        ValueError,
        r"conv2d: weight .*4 x 2 groups in .*; a group sees 2 of them: \(6, 2, 3, 3\)$",
    ),
    (
        lambda: fastconv.conv2d(f32(5, 28, 28), f32(1, 1, 3, 3)),
        ValueError,
        r"conv2d: x .*\(5, 28, 28\).*reshape\(5, 1, 28, 28\)",
    ),
    (
        lambda: fastconv.conv2d(f32(28, 27), f32(1, 1, 3, 3)),
        ValueError,
        r"conv2d: x .*\(28, 27\); for one image of one channel use reshape\(1, 1, 28, 27\)",
    ),
    (
        lambda: fastconv.conv2d(f32(5, 28, 28, 1), f32(1, 1, 3, 3)),
        ValueError,
        r"conv2d: .*transpose\(0, 3, 1, 2\)",
    ),
    *[
        (lambda call=call: call(f32(5, 28, 28, 1)), ValueError, f"{name}: .*{LAST}")
        for name, call in (
            ("max_pool2d", lambda x: fastconv.max_pool2d(x, 2)),
            ("avg_pool2d", lambda x: fastconv.avg_pool2d(x, 2)),
            ("im2col", lambda x: fastconv.im2col(x, 3, 3)),
            ("conv2d", lambda x: fastconv.conv2d(x, f32(1, 28, 3, 3))),
        )
    ],
    (lambda: fastconv.conv2d_backward(f32(1, 1, 5, 6), X, W), ValueError, "conv2d_backward: dy"),
    (lambda: fastconv.conv2d_backward(f32(1, 2, 6, 6), X, W), ValueError, "conv2d_backward: dy"),
    (lambda: fastconv.conv2d_backward(f32(0), X, W), ValueError, "conv2d_backward: dy"),
    (lambda: fastconv.conv2d_backward(f32(0, 1, 6, 6), X, W), ValueError, "conv2d_backward: dy"),
    (lambda: fastconv.conv2d_backward(f32(0), f32(0), f32(0)), ValueError, "conv2d_backward: "),
    (lambda: fastconv.max_pool2d(f32(8, 8), 2), ValueError, "max_pool2d: x"),
    (lambda: fastconv.max_pool2d(f32(1, 1, 0, 8), 2), ValueError, "max_pool2d: x"),
    (lambda: fastconv.avg_pool2d(f32(1, 1, 3, 3), 4), ValueError, "avg_pool2d: .*4x4.*3x3"),
    (lambda: fastconv.im2col(f32(8, 8), 3, 3), ValueError, "im2col: input_data"),
    (lambda: fastconv.im2col(X, 9, 9), ValueError, "im2col: .*9x9.*8x8"),
    (lambda: fastconv.col2im(f32(36, 8), X.shape, 3, 3), ValueError, "col2im: col"),
    (lambda: fastconv.col2im(f32(35, 9), X.shape, 3, 3), ValueError, "col2im: col"),
    (lambda: fastconv.col2im(f32(36 * 9), X.shape, 3, 3), ValueError, "col2im: col"),
    (lambda: fastconv.col2im(f32(9, 36), X.shape, 3, 3), ValueError, "col2im: col"),
    (lambda: fastconv.col2im(f32(36, 9), (1, 8, 8), 3, 3), ValueError, "col2im: input_shape"),
    (lambda: fastconv.col2im(f32(36, 9), (1, 1, -8, -8), 3, 3), ValueError, "col2im: input_shape"),
    # (-4) * (-3) windows would be as many as 4 * 3
    (lambda: fastconv.col2im(f32(12, 9), (1, 1, -2, -1), 3, 3), ValueError, "col2im: input_shape"),
    (lambda: fastconv.col2im(f32(36, 9), (-1, -1, 8, 8), 3, 3), ValueError, "col2im: input_shape"),
    (
        lambda: fastconv.avg_pool2d_backward(f32(1, 1, 3, 4), X.shape, 2),
        ValueError,
        "avg_pool2d_backward: dy",
    ),
    (
        lambda: fastconv.avg_pool2d_backward(f32(1, 1, 4, 4), (1, 1, -8, -8), 2),
        ValueError,
        "avg_pool2d_backward: input_shape",
    ),
    (
        lambda: fastconv.max_pool2d_backward(f32(1, 1, 4, 5), INDICES, X.shape),
        ValueError,
        "max_pool2d_backward: ",
    ),
    (
        lambda: fastconv.max_pool2d_backward(f32(2, 1, 4, 4), np.repeat(INDICES, 2, 0), X.shape),
        ValueError,
        "max_pool2d_backward: ",
    ),
    (
        lambda: fastconv.max_pool2d_backward(f32(1, 1, 4, 4), INDICES, (1, 1, -8, -8)),
        ValueError,
        "max_pool2d_backward: input_shape",
    ),
    (pool(stride=5, padding=9), ValueError, "max_pool2d: .*padding"),  # windows of padding alone
    (mean(stride=5, padding=9), ValueError, "avg_pool2d: .*padding"),
    (mean(padding=(2, 0), count_include_pad=True), ValueError, "avg_pool2d: .*padding"),
    (pool(padding=((0, 0), (0, 4))), ValueError, "max_pool2d: .*padding"),
    # the two taps of a dilated window lie before and after the only cell
    (
        lambda: fastconv.max_pool2d(f32(1, 1, 1, 1), 2, dilation=2, padding=1),
        ValueError,
        "max_pool2d: .*padding",
    ),
]
DTYPES = [
    (lambda dtype=dtype: fastconv.conv2d(X.astype(dtype), W), TypeError, "conv2d: x .*float32")
    for dtype in ("float16", "longdouble", "complex64", "bool", "object", "U3")
] + [
    (lambda: fastconv.conv2d(X.astype("M8[s]"), W), TypeError, "conv2d: x .*float32"),
    (lambda: fastconv.conv2d(np.zeros(4, "f4,i4"), W), TypeError, "conv2d: x .*float32"),
    (lambda: fastconv.conv2d(np.ma.masked_array(X), W), TypeError, "conv2d: x .*[Mm]asked"),
    (lambda: fastconv.conv2d(None, W), TypeError, "conv2d: x "),
    (lambda: fastconv.conv2d("x", W), TypeError, "conv2d: x "),
    (lambda: fastconv.conv2d(X, None), TypeError, "conv2d: weight "),
    (lambda: fastconv.conv2d(X, W.astype(float)), TypeError, "conv2d: weight .*32.*64.*cast"),
    (lambda: fastconv.conv2d(X, W, np.zeros(1)), TypeError, "conv2d: .*bias.*float"),
    (lambda: fastconv.conv2d_backward(DY.astype(float), X, W), TypeError, "conv2d_backward: "),
    (lambda: fastconv.max_pool2d(X.astype(bool), 2), TypeError, "max_pool2d: x "),
    (lambda: fastconv.avg_pool2d(np.ma.masked_array(X), 2), TypeError, "avg_pool2d: x "),
    (lambda: fastconv.im2col(X.astype("f2"), 3, 3), TypeError, "im2col: input_data "),
    (lambda: fastconv.col2im(np.ones((36, 9), "f2"), X.shape, 3, 3), TypeError, "col2im: col "),
    (lambda: fastconv.prepare_conv2d(W.astype(int)), TypeError, "prepare_conv2d: weight "),
    (costs(dtype="int8"), TypeError, "conv2d_costs: dtype "),
    (
        lambda: fastconv.max_pool2d_backward(f32(1, 1, 4, 4), INDICES.astype("f4"), X.shape),
        (TypeError, ValueError),
        "max_pool2d_backward: indices",
    ),
    (
        lambda: fastconv.max_pool2d_backward(f32(1, 1, 4, 4), INDICES.astype("i4"), X.shape),
        (TypeError, ValueError),
        "max_pool2d_backward: indices",
    ),
]
# What is 0 or infinite in the dtype of the arrays.
ROUNDED = [
    (
        lambda: functional.batch_norm(X, f32(1), f32(1), 1e-60),
        ValueError,
        "batch_norm: epsilon must not round to 0 in float32, got 1e-60; take",
    ),
    (
        lambda: functional.batch_norm(X, f32(1), f32(1), 1e60),
        ValueError,
        "batch_norm: epsilon must not round to inf in float32",
    ),
    *[
        (
            lambda scale=scale: functional.dropout(X, X > 0, scale),
            ValueError,
            "dropout: scale must not round to (0|inf) in float32",
        )
        for scale in (1e-60, 1e60)
    ],
]
LINE = f32(65)
SQUARE = f32(8, 8)
OUTS = [
    (lambda: fastconv.conv2d(X, W, out=f32(1, 1, 6, 7)), ValueError, "conv2d: out "),
    (lambda: fastconv.conv2d(X, W, out=np.zeros((1, 1, 6, 6))), ValueError, "conv2d: out "),
    (lambda: fastconv.conv2d(X, W, out=f32(1, 1, 6, 12)[..., ::2]), ValueError, "conv2d: out "),
    (lambda: fastconv.conv2d(X, W, out=np.broadcast_to(f32(1), DY.shape)), ValueError, "conv2d: o"),
    (lambda: fastconv.conv2d(X, W, out=DY.astype(">f4")), ValueError, "conv2d: out "),
    (lambda: fastconv.conv2d(X, W, out=[[[[0.0]]]]), (TypeError, ValueError), "conv2d: out "),
    (lambda: fastconv.conv2d(X, f32(1, 1, 1, 1), out=X), ValueError, "conv2d: out .*overlap"),
    (lambda: fastconv.max_pool2d(X, 1, out=X), ValueError, "max_pool2d: out .*overlap"),
    (lambda: fastconv.avg_pool2d(X, 1, out=X), ValueError, "avg_pool2d: out .*overlap"),
    (
        lambda: fastconv.conv2d(X, f32(1, 1, 1, 1), LINE[:1], out=LINE[:64].reshape(X.shape)),
        ValueError,
        "conv2d: out .*overlap",
    ),
    *[
        (lambda given=given: functional.dense(*given, out=SQUARE), ValueError, "dense: out .*over")
        for given in ([SQUARE, X[0, 0]], [X[0, 0], SQUARE], [X[0, 0], X[0, 0], SQUARE[3]])
    ],
    *[
        (lambda call=call, out=out: call(SQUARE, out), ValueError, f"{name}: out ")
        for name, call in (
            ("relu", lambda x, out: functional.relu(x, out=out)),
            ("relu_backward", lambda x, out: functional.relu_backward(x, f32(8, 8), out=out)),
            ("dropout", lambda x, out: functional.dropout(x, np.ones((8, 8), bool), 2.0, out=out)),
        )
        for out in (f32(8, 7), f32(8, 8, 1), f32(7, 8), np.zeros((8, 8)), SQUARE.T, SQUARE[::-1])
    ],
    (lambda: fastconv.avg_pool2d(X, 2, out=f32(1, 1, 4, 5)), ValueError, "avg_pool2d: out "),
]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    VALUES + LENGTHS + TYPES + LISTS + SIZES + SHAPES + DTYPES + ROUNDED + OUTS,
)
def test_is_refused(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, FastconvError), type(caught.value)
    assert re.match(text, str(caught.value)), str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_read_only_out_is_refused_and_untouched():
    out = np.full(DY.shape, 7, np.float32)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="conv2d: out .*writeable"):
        fastconv.conv2d(X, W, out=out)
    assert (out == 7).all()


@pytest.mark.parametrize("part", ["x", "weight", "bias"])
def test_an_out_that_overlaps_an_argument_is_refused(part):
    whole = np.arange(200, dtype=np.float32)
    given = {"x": X.copy(), "weight": W.copy(), "bias": f32(1)}
    size = given[part].size
    given[part] = whole[10 : 10 + size].reshape(given[part].shape)
    out = whole[9 + size : 9 + size + 36].reshape(DY.shape)  # one element in common
    before = whole.copy()
    with pytest.raises(ValueError, match="conv2d: out .*overlap"):
        fastconv.conv2d(**given, out=out)
    assert_bits_equal(whole, before)


@pytest.mark.parametrize("bad", [-1, -(2**63), 64, 2**32, 2**62])
@pytest.mark.parametrize("place", [0, 15])
def test_an_index_out_of_the_map_is_refused(place, bad):
    indices = INDICES.copy()
    indices.flat[place] = bad
    with pytest.raises(ValueError, match=rf"max_pool2d_backward: indices .*{bad}"):
        fastconv.max_pool2d_backward(f32(1, 1, 4, 4), indices, X.shape)


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


VAST = np.broadcast_to(np.float32(0), (1, 1, 2**20, 2**20))


@pytest.mark.parametrize(
    "call",
    [
        lambda: fastconv.im2col(VAST, 3, 3),
        lambda: fastconv.conv2d(VAST, W),
        lambda: fastconv.conv2d(VAST, W, algorithm="im2col"),
        lambda: fastconv.max_pool2d(VAST, 2),
        lambda: fastconv.avg_pool2d(VAST, 2, stride=1),
        lambda: fastconv.conv2d(X, W, padding=10**9),
        lambda: fastconv.im2col(X, 3, 3, 1, 10**9),
        lambda: fastconv.conv2d_backward(
            np.broadcast_to(np.float32(0), VAST.shape), VAST, W, padding=1
        ),
        lambda: fastconv.col2im(
            np.broadcast_to(np.float32(0), ((2**20 - 2) ** 2, 9)), VAST.shape, 3, 3
        ),
        lambda: fastconv.prepare_conv2d(np.broadcast_to(np.float32(0), (2**20, 2**20, 3, 3))),
    ],
)
def test_the_impossible_takes_no_memory(call):
    before = resident()
    with pytest.raises((FastconvError, MemoryError)) as caught:
        call()
    assert str(caught.value)
    assert resident() - before < 16 * 2**20


def test_costs_of_the_impossible_are_exact():
    """Nothing is allocated, so the bytes may be as large as they are."""
    x_shape, weight_shape = (2**31 - 1, 1000, 10**6, 10**6), (1000, 1000, 1, 1)
    costs = fastconv.conv2d_costs(x_shape, weight_shape)
    assert costs["im2col"].workspace == (2**31 - 1) * 10**12 * 1000 * 4
    assert costs["direct"].output == (2**31 - 1) * 10**12 * 1000 * 4
    assert costs["direct"].multiply_adds == (2**31 - 1) * 10**12 * 1000 * 1000


def test_what_looks_wrong_and_is_right():
    assert fastconv.conv2d(np.zeros((0, 1, 8, 8), np.float32), W).shape == (0, 1, 6, 6)
    assert_bits_equal(fastconv.conv2d(X, X), np.sum(X * X).reshape(1, 1, 1, 1))
    assert_bits_equal(fastconv.conv2d(X, W, stride=np.int8(2)), reference.conv2d(X, W, stride=2))
    assert_bits_equal(fastconv.max_pool2d(X, 1, dilation=2**31 - 1), X)
    assert_bits_equal(fastconv.conv2d(X, W, stride=2**31 - 1), reference.conv2d(X, W)[..., :1, :1])
    assert_bits_equal(
        fastconv.conv2d(X, f32(1, 1, 1, 1), dilation=2**31 - 1, stride=3), X[..., ::3, ::3].copy()
    )
    padded = fastconv.max_pool2d(X, 3, stride=2, padding=2)  # more than half of the window
    assert_bits_equal(padded, reference.max_pool2d(X, 3, stride=2, padding=2))


@pytest.mark.slow
def test_an_output_of_more_than_2_to_the_31_elements():
    side = 2**16
    image = np.broadcast_to(np.arange(side, dtype=np.float32), (1, 1, 32769, side))
    y = fastconv.conv2d(image, np.full((1, 1, 1, 1), 2, np.float32))
    assert y.size > 2**31
    assert y[0, 0, -1, -1] == 2 * (side - 1)
    assert y[0, 0, -1, 1] == y[0, 0, 0, 1] == 2


@pytest.mark.parametrize("padding", [(1, 2, 3, 4), ((1, 2),), (1,)])
def test_padding_of_no_pair_is_told_what_pairs_are(padding):
    x, weight = np.ones((1, 2, 8, 8), np.float32), np.ones((3, 2, 3, 3), np.float32)
    with pytest.raises(fastconv.ArgumentError, match="two pairs are") as caught:
        fastconv.conv2d(x, weight, padding=padding)
    assert caught.value.remedy == "two pairs are ((top, bottom), (left, right))"


def test_the_advice_for_packed_weights_of_another_dtype_works():
    x, packed = np.ones((1, 2, 8, 8)), fastconv.prepare_conv2d(np.ones((3, 2, 3, 3), np.float32))
    with pytest.raises(fastconv.ArgumentTypeError) as caught:
        fastconv.conv2d(x, packed)
    advice = caught.value.remedy.partition("for example ")[2]
    assert fastconv.conv2d(eval(advice, {"np": np, "x": x}), packed).dtype == np.float32
