"""The reference against loops that anyone can check by eye, and against its own adjoints."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from fastconv import reference

# (H, W), kernel, stride, ((top, bottom), (left, right)), dilation
GEOMETRIES = [
    ((4, 4), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    ((5, 6), (3, 2), (2, 1), ((1, 1), (1, 1)), (1, 1)),
    ((7, 5), (2, 3), (3, 2), ((0, 1), (1, 0)), (2, 1)),
    ((6, 6), (1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    ((3, 8), (3, 3), (1, 3), ((1, 2), (0, 2)), (1, 3)),
    ((2, 2), (4, 4), (1, 1), ((2, 1), (1, 2)), (1, 1)),
    ((1, 9), (1, 4), (1, 2), ((0, 0), (3, 3)), (1, 2)),
]


def windows(size, kernel, stride, padding, dilation, ceil_mode=False):
    """Return, by axis, the cells of each window; those of the padding included."""
    axes = []
    for n, k, step, (before, after), gap in zip(
        size, kernel, stride, padding, dilation, strict=True
    ):
        span = (k - 1) * gap + 1
        outputs = (n + before + after - span) / step + 1
        outputs = math.ceil(outputs) if ceil_mode else math.floor(outputs)
        if ceil_mode and (outputs - 1) * step >= n + before:
            outputs -= 1
        axes.append([[o * step - before + t * gap for t in range(k)] for o in range(outputs)])
    return axes


def inside(size, rows, columns):
    """Yield the cells of one window that the input has, in row-major order."""
    for (r, i), (s, j) in itertools.product(enumerate(rows), enumerate(columns)):
        if 0 <= i < size[0] and 0 <= j < size[1]:
            yield r, s, i, j


def looped_conv2d(x, weight, bias, groups, geometry):
    size, kernel, stride, padding, dilation = geometry
    rows, columns = windows(size, kernel, stride, padding, dilation)
    channels, filters = x.shape[1] // groups, weight.shape[0] // groups
    y = np.zeros((x.shape[0], weight.shape[0], len(rows), len(columns)), x.dtype)
    for n, k, o, p in np.ndindex(y.shape):
        for c in range(channels):
            for r, s, i, j in inside(size, rows[o], columns[p]):
                y[n, k, o, p] += weight[k, c, r, s] * x[n, k // filters * channels + c, i, j]
        y[n, k, o, p] += bias[k]
    return y


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_conv2d_is_the_sum_over_taps(geometry, groups, integers):
    size, kernel, stride, padding, dilation = geometry
    x = integers((2, 4, *size), "int64")
    weight = integers((8, 4 // groups, *kernel), "int64")
    bias = integers((8,), "int64")
    y = reference.conv2d(
        x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    np.testing.assert_array_equal(y, looped_conv2d(x, weight, bias, groups, geometry))
    assert np.count_nonzero(y) > y.size / 2


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_conv2d_backward_is_the_adjoint_in_each_argument(geometry, groups, integers):
    size, kernel, stride, padding, dilation = geometry
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x = integers((2, 4, *size), "int64")
    weight = integers((8, 4 // groups, *kernel), "int64")
    bias = integers((8,), "int64")
    y = reference.conv2d(x, weight, **options)
    dy = integers(y.shape, "int64")
    dx, dweight, dbias = reference.conv2d_backward(dy, x, weight, **options)
    assert (dx.shape, dweight.shape, dbias.shape) == (x.shape, weight.shape, bias.shape)
    # y is linear in each argument, so <dy, y(v)> = <gradient, v> for any v put in its place.
    v, w = integers(x.shape, "int64"), integers(weight.shape, "int64")
    assert np.vdot(dy, reference.conv2d(v, weight, **options)) == np.vdot(dx, v)
    assert np.vdot(dy, reference.conv2d(x, w, **options)) == np.vdot(dweight, w)
    assert np.vdot(dy, np.broadcast_to(bias[:, None, None], y.shape)) == np.vdot(dbias, bias)


def test_conv2d_backward_computes_what_is_needed_alone(integers):
    x, weight = integers((1, 2, 4, 4)), integers((3, 2, 3, 3))
    dy = integers((1, 3, 2, 2))
    full = reference.conv2d_backward(dy, x, weight)
    for place, name in enumerate(("x", "weight", "bias")):
        one = reference.conv2d_backward(dy, x, weight, needs=(name,))
        assert [gradient is None for gradient in one] == [n != place for n in range(3)]
        np.testing.assert_array_equal(one[place], full[place])


def test_relu_is_applied_after_the_bias():
    x = np.array([[[[1.0, -3.0, np.nan]]]])
    y = reference.conv2d(x, np.ones((1, 1, 1, 1)), np.array([1.0]), activation="relu")
    np.testing.assert_array_equal(y, [[[[2.0, 0.0, np.nan]]]])


def test_same_padding_puts_the_odd_cell_after():
    x = np.arange(1.0, 5.0).reshape(1, 1, 1, 4)  # 1 2 3 4
    weight = np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 1, 1, 4)
    # 3 cells of padding: 1 before, 2 after, so that the first window reads 0 1 2 3.
    y = reference.conv2d(x, weight, padding="same")
    assert y.ravel().tolist() == [3210.0, 4321.0, 432.0, 43.0]
    # ONNX's SAME_UPPER for stride 3: 2 outputs over 1 + 4 + 2 = 7 cells
    y = reference.conv2d(x, weight, padding="same", stride=3)
    assert y.ravel().tolist() == [3210.0, 43.0]


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pad", [0, 1, 2])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 3), (5, 4)])
def test_im2col_writes_windows_and_col2im_is_its_adjoint(kernel, pad, stride, integers):
    x = integers((2, 3, 5, 6), "int64")
    rows, columns = windows(x.shape[2:], kernel, (stride,) * 2, ((pad, pad),) * 2, (1, 1))
    expected = np.zeros((2, len(rows), len(columns), 3, *kernel), np.int64)
    for n, o, p, c in np.ndindex(expected.shape[:4]):
        for r, s, i, j in inside(x.shape[2:], rows[o], columns[p]):
            expected[n, o, p, c, r, s] = x[n, c, i, j]
    col = reference.im2col(x, *kernel, stride, pad)
    # (N, OH, OW, C, R, S) -> a row a window
    np.testing.assert_array_equal(col, expected.reshape(2 * len(rows) * len(columns), -1))
    v = integers(col.shape, "int64")
    image = reference.col2im(v, x.shape, *kernel, stride, pad)
    assert image.shape == x.shape
    assert np.vdot(v, col) == np.vdot(image, x)


POOLS = [
    (*geometry, ceil_mode)
    for geometry in [
        ((4, 4), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
        ((5, 6), (3, 2), (2, 1), ((1, 1), (1, 0)), (1, 1)),
        ((7, 8), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1)),
        ((5, 5), (2, 2), (2, 2), ((1, 1), (1, 1)), (1, 1)),  # ceil_mode drops the last window
        ((6, 4), (1, 3), (4, 3), ((0, 0), (1, 2)), (1, 1)),
    ]
    for ceil_mode in (False, True)
]
DILATED = [((7, 9), (3, 2), (2, 3), ((1, 1), (2, 2)), (2, 4), mode) for mode in (False, True)]


@pytest.mark.parametrize("pool", POOLS + DILATED)
def test_max_pool2d_is_the_first_maximum(pool, rng):
    size, kernel, stride, padding, dilation, ceil_mode = pool
    x = rng.integers(-3, 0, (2, 3, *size)).astype(float)  # below 0, and full of ties
    x[rng.random(x.shape) < 0.1] = -np.inf
    x[rng.random(x.shape) < 0.1] = np.nan
    rows, columns = windows(size, kernel, stride, padding, dilation, ceil_mode)
    expected = np.empty((2, 3, len(rows), len(columns)))
    places = np.empty(expected.shape, np.int64)
    for n, c, o, p in np.ndindex(expected.shape):
        cells = [(i, j) for _, _, i, j in inside(size, rows[o], columns[p])]
        values = [x[n, c, i, j] for i, j in cells]
        nans = [place for place, value in enumerate(values) if math.isnan(value)]
        first = nans[0] if nans else values.index(max(values))
        expected[n, c, o, p] = values[first]
        places[n, c, o, p] = cells[first][0] * size[1] + cells[first][1]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    y, indices = reference.max_pool2d(x, kernel, **options, return_indices=True)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, places)
    assert indices.dtype == np.int64

    dy = rng.integers(1, 9, y.shape).astype(float)
    dx = np.zeros((2, 3, size[0] * size[1]))
    for n, c, o, p in np.ndindex(y.shape):
        dx[n, c, places[n, c, o, p]] += dy[n, c, o, p]
    # (N, C, H*W) -> (N, C, H, W)
    np.testing.assert_array_equal(
        reference.max_pool2d_backward(dy, indices, x.shape), dx.reshape(x.shape)
    )


@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("pool", POOLS)
def test_avg_pool2d_is_the_mean_of_each_window(pool, count_include_pad, integers):
    size, kernel, stride, padding, dilation, ceil_mode = pool
    x = integers((2, 3, *size), "float64")
    rows, columns = windows(size, kernel, stride, padding, dilation, ceil_mode)
    (top, bottom), (left, right) = padding
    expected = np.zeros((2, 3, len(rows), len(columns)))
    dx = np.zeros(x.shape)
    dy = integers(expected.shape, "float64") * math.lcm(*range(1, kernel[0] * kernel[1] + 1))
    for n, c, o, p in np.ndindex(expected.shape):
        cells = [(i, j) for _, _, i, j in inside(size, rows[o], columns[p])]
        count = len(cells)
        if count_include_pad:
            stated = [i for i in rows[o] if i < size[0] + bottom and i >= -top]
            count = len(stated) * sum(-left <= j < size[1] + right for j in columns[p])
        expected[n, c, o, p] = sum(x[n, c, i, j] for i, j in cells) / count
        for i, j in cells:
            dx[n, c, i, j] += dy[n, c, o, p] / count
    options = {
        "stride": stride,
        "padding": padding,
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
    }
    np.testing.assert_array_equal(reference.avg_pool2d(x, kernel, **options), expected)
    np.testing.assert_array_equal(reference.avg_pool2d_backward(dy, x.shape, kernel, **options), dx)


def test_dense_is_a_matrix_product_and_its_gradients_the_adjoints(integers):
    x, weight, bias = integers((3, 5), "int64"), integers((4, 5), "int64"), integers((4,), "int64")
    y = reference.dense(x, weight, bias)
    expected = [[sum(x[n] * weight[u]) + bias[u] for u in range(4)] for n in range(3)]
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(
        reference.dense(x, weight, bias, activation="relu"), np.maximum(expected, 0)
    )
    dy = integers(y.shape, "int64")
    dx, dweight, dbias = reference.dense_backward(dy, x, weight)
    v, w = integers(x.shape, "int64"), integers(weight.shape, "int64")
    assert np.vdot(dy, reference.dense(v, weight)) == np.vdot(dx, v)
    assert np.vdot(dy, reference.dense(x, w)) == np.vdot(dweight, w)
    np.testing.assert_array_equal(dbias, [sum(dy[:, u]) for u in range(4)])


@pytest.mark.parametrize("dtype", ["int64", "float32", "float64"])
def test_the_dtype_stays(dtype, integers):
    x, weight = integers((1, 2, 4, 4), dtype), integers((2, 2, 3, 3), dtype)
    y = reference.conv2d(x, weight)
    assert {y.dtype, *(g.dtype for g in reference.conv2d_backward(y, x, weight))} == {x.dtype}
    assert reference.im2col(x, 3, 3).dtype == x.dtype
    assert reference.max_pool2d(x, 2).dtype == x.dtype
    if dtype != "int64":
        assert reference.avg_pool2d(x, 2).dtype == x.dtype
