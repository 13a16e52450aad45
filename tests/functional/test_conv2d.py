"""conv2d and conv2d_backward against the reference, exactly, on integer-valued data."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import memory, reference
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
ALGORITHMS = ["direct", "im2col", "im2col_tiled", "auto"]
# One more and one less than the lanes and tiles of every instruction set (4 to 16 lanes).
FILTERS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 64, 65]
WIDTHS = [*range(1, 20), 27, 28, 29, 42, 43, 56]
# x (N, C, H, W), K, kernel, and the other options
CASES = {
    "1x1": ((2, 5, 6, 7), 9, (1, 1), {}),
    "1x1 stride 2": ((2, 5, 7, 7), 9, (1, 1), {"stride": 2}),
    "3x3": ((2, 4, 9, 8), 6, (3, 3), {}),
    "3x3 padded": ((2, 4, 9, 8), 6, (3, 3), {"padding": 1}),
    "same": ((2, 3, 10, 7), 5, (4, 2), {"padding": "same", "stride": 2}),
    "valid": ((2, 3, 10, 7), 5, (4, 2), {"padding": "valid"}),
    "asymmetric": ((1, 3, 8, 9), 5, (3, 4), {"padding": ((2, 0), (1, 3))}),
    "stride above kernel": ((2, 3, 12, 13), 4, (2, 3), {"stride": (5, 4), "padding": (1, 0)}),
    "dilated": ((2, 3, 12, 14), 4, (3, 3), {"dilation": (2, 3), "padding": (2, 3)}),
    "dilated and strided": ((1, 3, 15, 14), 4, (3, 2), {"dilation": 3, "stride": 2, "padding": 4}),
    "groups": ((2, 6, 7, 8), 9, (3, 3), {"groups": 3, "padding": 1}),
    "depthwise": ((2, 17, 9, 11), 17, (3, 3), {"groups": 17, "padding": 1}),
    "depthwise stride 2": ((2, 16, 9, 11), 16, (3, 3), {"groups": 16, "padding": 1, "stride": 2}),
    "depth multiplier": ((1, 5, 8, 8), 15, (3, 3), {"groups": 5}),
    "first layer": ((2, 3, 23, 23), 34, (7, 7), {"stride": 2, "padding": 3}),
    "book": ((3, 1, 28, 28), 30, (5, 5), {}),
    "7x7 map": ((2, 40, 7, 7), 33, (3, 3), {"padding": 1}),
    "as large as the input": ((2, 3, 5, 6), 7, (5, 6), {}),
    "padding above kernel": ((1, 2, 3, 3), 3, (2, 2), {"padding": 5}),
    "one row": ((2, 3, 1, 40), 8, (1, 9), {"padding": (0, 4)}),
    "one column": ((2, 3, 40, 1), 8, (9, 1), {"padding": (4, 0)}),
    "empty batch": ((0, 3, 5, 5), 4, (3, 3), {"padding": 1}),
}


def check(x, weight, bias, integers, algorithm, options):
    """Hold forward and backward against the reference, bit for bit."""
    y = fastconv.conv2d(x, weight, bias, algorithm=algorithm, **options)
    right = reference.conv2d(x, weight, bias, **options)
    costs = fastconv.conv2d_costs(x.shape, weight.shape, dtype=x.dtype, **options)
    chosen = costs[costs.choice if algorithm == "auto" else algorithm]
    if chosen.tile and chosen.tile + weight.shape[2] - 1 > 4:
        # tiles of four inputs a side are exact, larger ones round
        np.testing.assert_allclose(y, right, rtol=0, atol=2e-6 * np.abs(right).max())
    else:
        assert_bits_equal(y, right)
    assert np.count_nonzero(right) >= y.size / 2
    dy = integers(y.shape, x.dtype.name)
    gradients = fastconv.conv2d_backward(dy, x, weight, algorithm=algorithm, **options)
    expected = reference.conv2d_backward(dy, x, weight, **options)
    for gradient, right in zip(gradients, expected, strict=True):
        assert_bits_equal(gradient, right)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_equals_the_reference(case, dtype, algorithm, integers):
    shape, filters, kernel, options = CASES[case]
    x = integers(shape, dtype)
    weight = integers((filters, shape[1] // options.get("groups", 1), *kernel), dtype)
    check(x, weight, integers((filters,), dtype), integers, algorithm, options)


@pytest.mark.parametrize("algorithm", ["direct", "im2col", "im2col_tiled"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("filters", FILTERS)
def test_every_tail_of_filters(filters, dtype, algorithm, integers):
    x, weight = integers((1, 3, 6, 9), dtype), integers((filters, 3, 3, 3), dtype)
    check(x, weight, integers((filters,), dtype), integers, algorithm, {"padding": 1})


@pytest.mark.parametrize("algorithm", ["direct", "im2col", "im2col_tiled"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", FILTERS)
def test_every_tail_of_channels(channels, dtype, algorithm, integers):
    x, weight = integers((2, channels, 5, 6), dtype), integers((5, channels, 2, 3), dtype)
    check(x, weight, integers((5,), dtype), integers, algorithm, {"padding": 1})


@pytest.mark.parametrize("algorithm", ["direct", "im2col", "im2col_tiled"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_tail_of_the_width(width, dtype, algorithm, integers):
    for options in ({"padding": 1}, {"padding": 1, "stride": 2}, {"padding": 2, "dilation": 2}):
        x, weight = integers((1, 2, 4, width), dtype), integers((18, 2, 3, 3), dtype)
        check(x, weight, integers((18,), dtype), integers, algorithm, options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_tail_of_the_width_of_depthwise(width, dtype, integers):
    for stride in (1, 2):
        x, weight = integers((2, 5, 6, width), dtype), integers((5, 1, 3, 3), dtype)
        options = {"padding": 1, "groups": 5, "stride": stride}
        check(x, weight, integers((5,), dtype), integers, "direct", options)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_more_taps_than_one_block_of_a_sum(algorithm, integers):
    x, weight = integers((1, 300, 5, 5)), integers((20, 300, 5, 5))
    check(x, weight, integers((20,)), integers, algorithm, {"padding": 2})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("groups", [1, 2])
def test_more_filters_than_one_block_of_a_sum(groups, algorithm, integers):
    """The gradient of the input adds up filters."""
    x, weight = integers((1, 6, 4, 5)), integers((1100, 6 // groups, 2, 2))
    check(x, weight, integers((1100,)), integers, algorithm, {"groups": groups})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("with_bias", [False, True])
def test_relu_is_fused_to_the_same_bits(algorithm, with_bias, integers):
    x, weight = integers((2, 3, 8, 9)), integers((20, 3, 3, 3))
    x[0, 0, 4, 4] = np.nan
    bias = integers((20,)) if with_bias else None
    y = fastconv.conv2d(x, weight, bias, padding=1, algorithm=algorithm)
    fused = fastconv.conv2d(x, weight, bias, padding=1, activation="relu", algorithm=algorithm)
    assert_bits_equal(fused, np.where(y < 0, np.float32(0), y))
    assert np.isnan(fused).sum() == 9 * 20
    assert 0.2 < np.mean(fused == 0) < 0.8


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_out_is_filled_and_returned(algorithm, integers):
    x, weight = integers((2, 3, 8, 9)), integers((20, 3, 3, 3))
    out = np.full((2, 20, 6, 7), np.nan, np.float32)
    assert fastconv.conv2d(x, weight, algorithm=algorithm, out=out) is out
    assert_bits_equal(out, reference.conv2d(x, weight))


def test_out_may_be_a_part_of_a_larger_array(integers):
    """A branch may write its channels of one image where Concatenate wants them."""
    x, weight = integers((1, 3, 8, 9)), integers((20, 3, 3, 3))
    whole = np.full((1, 30, 6, 7), 7, np.float32)
    fastconv.conv2d(x, weight, out=whole[:, 5:25])
    assert_bits_equal(whole[:, 5:25].copy(), reference.conv2d(x, weight))
    assert (whole[:, :5] == 7).all() and (whole[:, 25:] == 7).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_prepared_weight_gives_the_same_bits(dtype, algorithm, normal):
    x, weight = normal((2, 6, 9, 9), dtype), normal((20, 3, 3, 3), dtype)
    bias = normal((20,), dtype)
    options = {"stride": 2, "padding": 1, "groups": 2}
    packed = fastconv.prepare_conv2d(weight, **options, algorithm=algorithm)
    assert packed.shape == weight.shape
    assert packed.dtype == weight.dtype
    assert packed.nbytes >= 0
    with memory.track() as used:
        y = fastconv.conv2d(x, packed, bias, **options, algorithm=algorithm)
    assert used.packed == 0
    assert_bits_equal(y, fastconv.conv2d(x, weight, bias, **options, algorithm=algorithm))


def test_a_prepared_weight_keeps_its_values_when_the_array_changes(normal):
    x, weight = normal((1, 3, 8, 8)), normal((8, 3, 3, 3))
    packed = fastconv.prepare_conv2d(weight)
    before = fastconv.conv2d(x, weight)
    weight[:] = 0
    assert_bits_equal(fastconv.conv2d(x, packed), before)


@pytest.mark.parametrize("needs", [(), ("x",), ("weight",), ("bias",), ("x", "bias"), ["weight"]])
def test_needs_chooses_the_gradients(needs, integers):
    x, weight, dy = integers((2, 3, 6, 6)), integers((4, 3, 3, 3)), integers((2, 4, 4, 4))
    full = fastconv.conv2d_backward(dy, x, weight)
    some = fastconv.conv2d_backward(dy, x, weight, needs=needs)
    for name, gradient, right in zip(("x", "weight", "bias"), some, full, strict=True):
        if name in needs:
            assert_bits_equal(gradient, right)
        else:
            assert gradient is None


def test_gradients_of_an_empty_batch_are_zeros():
    x, weight = np.zeros((0, 1, 8, 8), np.float32), np.ones((2, 1, 3, 3), np.float32)
    dx, dweight, dbias = fastconv.conv2d_backward(np.zeros((0, 2, 6, 6), np.float32), x, weight)
    assert dx.shape == (0, 1, 8, 8)
    assert_bits_equal(dweight, np.zeros((2, 1, 3, 3), np.float32))
    assert_bits_equal(dbias, np.zeros(2, np.float32))


@pytest.mark.parametrize("case", ["3x3 padded", "dilated and strided", "groups", "asymmetric"])
def test_gradients_agree_with_differences(case, normal):
    """In float64, central differences of <dy, y> along a random direction of each argument."""
    shape, filters, kernel, options = CASES[case]
    x = normal(shape, "float64")
    weight = normal((filters, shape[1] // options.get("groups", 1), *kernel), "float64")
    bias = normal((filters,), "float64")
    dy = normal(fastconv.conv2d(x, weight, bias, **options).shape, "float64")
    gradients = fastconv.conv2d_backward(dy, x, weight, **options)
    arguments = (x, weight, bias)
    for place, gradient in enumerate(gradients):
        step = normal(gradient.shape, "float64") * 1e-3
        up, down = list(arguments), list(arguments)
        up[place], down[place] = arguments[place] + step, arguments[place] - step
        change = fastconv.conv2d(*up, **options) - fastconv.conv2d(*down, **options)
        np.testing.assert_allclose(np.vdot(dy, change), 2 * np.vdot(gradient, step), rtol=1e-8)


@pytest.mark.parametrize("draw", ["standard_normal", "random"])
@pytest.mark.parametrize("shape", [(1, 512, 9, 9), (1, 64, 16, 16)])
def test_error_is_at_most_twice_that_of_numpy(shape, draw, rng):
    """On all-positive data as well, where one long chain of float32 additions drifts."""
    weight = getattr(rng, draw)((64, shape[1], 3, 3), dtype=np.float32)
    x = getattr(rng, draw)(shape, dtype=np.float32)
    exact = reference.conv2d(x.astype(float), weight.astype(float))
    scale = reference.conv2d(np.abs(x).astype(float), np.abs(weight).astype(float))
    matrix = reference.im2col(x, 3, 3) @ weight.reshape(64, -1).T  # K a row of C*R*S
    N, K, OH, OW = exact.shape
    product = matrix.reshape(N, OH, OW, K).transpose(0, 3, 1, 2)  # (N*OH*OW, K) -> NCHW

    def error(y):
        return np.max(np.abs(y - exact) / scale) * 2**24

    # Never asked to be nearer than 4 units of rounding: BLAS may add in a luckier order.
    limit = max(2 * error(product), 4)
    for algorithm in ("direct", "im2col", "im2col_tiled"):
        assert error(fastconv.conv2d(x, weight, algorithm=algorithm)) <= limit


@pytest.mark.parametrize("algorithm", ["direct", "im2col", "im2col_tiled"])
def test_sums_over_the_batch_stay_accurate(algorithm, rng):
    x = rng.random((20, 2, 24, 24), dtype=np.float32)
    dy = rng.random((20, 3, 24, 24), dtype=np.float32)
    weight = np.ones((3, 2, 3, 3), np.float32)
    _, dweight, dbias = fastconv.conv2d_backward(dy, x, weight, padding=1, algorithm=algorithm)
    _, exact, exact_bias = reference.conv2d_backward(
        dy.astype(float), x.astype(float), weight.astype(float), padding=1
    )
    assert np.max(np.abs(dweight - exact) / exact) < 40 * 2.0**-24
    assert np.max(np.abs(dbias - exact_bias) / exact_bias) < 40 * 2.0**-24


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_reaches_its_windows_alone(value, algorithm, integers):
    x, weight = integers((2, 3, 7, 9)), integers((20, 3, 3, 3))
    right = reference.conv2d(x, weight, padding=1)
    for i, j in [(0, 0), (3, 4), (6, 8), (0, 8)]:  # corners are next to the padding
        broken = x.copy()
        broken[1, 1, i, j] = value
        y = fastconv.conv2d(broken, weight, padding=1, algorithm=algorithm)
        sees = np.zeros(y.shape, bool)
        sees[1, :, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2] = True
        np.testing.assert_array_equal(y[~sees], right[~sees])
        with np.errstate(invalid="ignore"):
            expected = reference.conv2d(broken, weight, padding=1)
        np.testing.assert_array_equal(y[sees], expected[sees])
        assert not np.isfinite(y[sees]).any()


@pytest.mark.parametrize("algorithm", ["direct", "im2col", "im2col_tiled"])
def test_zero_times_infinity_is_nan(algorithm):
    x, weight = np.zeros((1, 1, 4, 4), np.float32), np.zeros((2, 1, 3, 3), np.float32)
    x[0, 0, 0, 0] = np.inf
    y = fastconv.conv2d(x, weight, algorithm=algorithm)
    np.testing.assert_array_equal(np.isnan(y[0, 0]), [[True, False], [False, False]])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_nan_in_the_weight_stays_in_its_filter(algorithm, integers):
    x, weight = integers((2, 3, 7, 9)), integers((20, 3, 3, 3))
    right = fastconv.conv2d(x, weight, algorithm=algorithm)
    weight[7, 1, 2, 0] = np.nan
    y = fastconv.conv2d(x, weight, algorithm=algorithm)
    assert np.isnan(y[:, 7]).all()
    others = np.arange(20) != 7
    assert_bits_equal(y[:, others], right[:, others])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("prepare", [False, True])
@pytest.mark.parametrize("filters", [2, 20])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_nan_comes_from_the_padding(value, filters, prepare, algorithm, integers):
    """A tap that falls in the padding is no product, so infinity times 0 is never formed."""
    x, weight = integers((2, 3, 7, 9)), integers((filters, 3, 3, 3))
    weight[1, 1, 0, 0] = value
    right = reference.conv2d(x, weight, padding=1)
    assert np.isfinite(right[:, 1, 0]).all() and not np.isfinite(right[:, 1, 1:, 1:]).any()
    given = fastconv.prepare_conv2d(weight, padding=1) if prepare else weight
    y = fastconv.conv2d(x, given, padding=1, algorithm=algorithm)
    np.testing.assert_array_equal(y, right)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("filters", [2, 20])
@pytest.mark.parametrize("broken", ["dy", "x", "weight"])
def test_gradients_see_what_is_not_finite_where_they_should(broken, filters, algorithm, integers):
    given = {
        "dy": integers((2, filters, 7, 9)),
        "x": integers((2, 3, 7, 9)),
        "weight": integers((filters, 3, 3, 3)),
    }
    given[broken][1, 1, 0, 0] = np.inf  # dy and x: next to the padding
    gradients = fastconv.conv2d_backward(**given, padding=1, algorithm=algorithm)
    expected = reference.conv2d_backward(**given, padding=1)
    for gradient, right in zip(gradients, expected, strict=True):
        np.testing.assert_array_equal(gradient, right)


@pytest.mark.parametrize("algorithm", ["direct", "im2col", "im2col_tiled"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_numbers_are_kept(dtype, algorithm):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.full((1, 1, 5, 20), tiny, dtype)
    y = fastconv.conv2d(x, np.ones((3, 1, 2, 2), dtype), algorithm=algorithm)
    assert_bits_equal(y, np.full((1, 3, 4, 19), 4 * tiny, dtype))
    # The mode of the floating-point unit is as before: nothing is flushed to zero.
    assert np.full(20, tiny, dtype).sum() == 20 * tiny


def test_lists_are_right():
    y = fastconv.conv2d([[[[1.0, 2.0], [3.0, 4.0]]]], [[[[1.0, 1.0], [1.0, 1.0]]]])
    assert_bits_equal(y, np.array([[[[10.0]]]]))


def test_whole_numbers_of_numpy_are_right(integers):
    x, weight = integers((1, 1, 8, 8)), integers((1, 1, 3, 3))
    y = fastconv.conv2d(x, weight, stride=np.int8(2), padding=(np.uint64(1), 0))
    assert_bits_equal(y, reference.conv2d(x, weight, stride=2, padding=(1, 0)))


def test_a_subclass_gives_a_plain_array(integers):
    class Image(np.ndarray):
        pass

    x, weight = integers((1, 1, 8, 8)), integers((1, 1, 3, 3))
    y = fastconv.conv2d(x.view(Image), weight.view(Image))
    assert type(y) is np.ndarray
    assert_bits_equal(y, reference.conv2d(x, weight))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nothing_is_written_into_the_arguments(algorithm, normal):
    x, weight, bias = normal((2, 3, 8, 8)), normal((4, 3, 3, 3)), normal((4,))
    dy = normal((2, 4, 8, 8))
    before = [array.copy() for array in (x, weight, bias, dy)]
    for array in (x, weight, bias, dy):
        array.flags.writeable = False
    fastconv.conv2d(x, weight, bias, padding=1, activation="relu", algorithm=algorithm)
    fastconv.conv2d_backward(dy, x, weight, padding=1, algorithm=algorithm)
    for array, right in zip((x, weight, bias, dy), before, strict=True):
        assert_bits_equal(array, right)
