"""One documented order of summation: equal bits however the work is laid out or shared.

On random finite data, where another order would give other bits, as the first test shows.
"""

from __future__ import annotations

import platform

import numpy as np
import pytest

import fastconv
from fastconv import functional, kernels
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
# x (N, C, H, W), K, kernel, and the other options
CASES = {
    "1x1": ((3, 40, 9, 9), 34, (1, 1), {}),
    "1x1 stride 2": ((3, 40, 9, 9), 34, (1, 1), {"stride": 2}),
    "3x3": ((3, 20, 10, 17), 35, (3, 3), {"padding": 1}),
    "3x3 stride 2": ((3, 20, 11, 17), 35, (3, 3), {"padding": 1, "stride": 2}),
    "dilated": ((2, 9, 14, 15), 17, (3, 2), {"padding": ((3, 2), (0, 4)), "dilation": (2, 3)}),
    "groups": ((3, 12, 9, 10), 18, (3, 3), {"padding": 1, "groups": 3}),
    "depthwise": ((3, 19, 13, 20), 19, (3, 3), {"padding": 1, "groups": 19}),
    "first": ((2, 3, 37, 37), 33, (7, 7), {"padding": 3, "stride": 2}),
    "long sums": ((2, 150, 7, 7), 20, (3, 3), {"padding": 1}),
    "one channel": ((2, 1, 13, 37), 30, (5, 5), {"padding": ((2, 0), (1, 3))}),
    "half a panel": ((2, 8, 20, 21), 7, (3, 3), {"padding": 1, "dilation": (1, 2)}),
    "half a panel, many taps": ((1, 3, 70, 40), 16, (11, 11), {"padding": 2, "stride": (4, 3)}),
    "few filters": ((2, 64, 9, 9), 3, (3, 3), {"padding": 1}),
}
FEW = ["3x3", "depthwise", "1x1", "first"]


@pytest.fixture(params=CASES)
def case(request):
    return request.param


@pytest.fixture
def arrays(normal):
    """Make (dy, x, weight, bias, options) of a case."""

    def make(name, dtype):
        shape, filters, kernel, options = CASES[name]
        x, bias = normal(shape, dtype), normal((filters,), dtype)
        weight = normal((filters, shape[1] // options.get("groups", 1), *kernel), dtype)
        dy = normal(fastconv.conv2d(x, weight, **options).shape, dtype)
        return dy, x, weight, bias, options

    return make


def run(dy, x, weight, bias, options, algorithm="direct"):
    """Return y, dx, dweight and dbias."""
    y = fastconv.conv2d(x, weight, bias, algorithm=algorithm, **options)
    return (y, *fastconv.conv2d_backward(dy, x, weight, algorithm=algorithm, **options))


def assert_all_equal(results, expected):
    for result, right in zip(results, expected, strict=True):
        assert_bits_equal(result, right)


def test_the_data_would_show_another_order(arrays):
    """A test of the tests: the reference adds in its own order and differs in the last bits."""
    dy, x, weight, bias, options = arrays("3x3", "float32")
    other = fastconv.conv2d(x[:, ::-1], weight[:, ::-1], bias, **options)
    y = fastconv.conv2d(x, weight, bias, **options)
    assert not np.array_equal(y, other)
    np.testing.assert_allclose(y, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_direct_and_im2col(case, dtype, arrays):
    given = arrays(case, dtype)
    direct = run(*given, "direct")
    assert_all_equal(run(*given, "im2col"), direct)
    assert_all_equal(run(*given, "im2col_tiled"), direct)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_size_of_slab(case, dtype, arrays):
    """From one output row, or one block of the gradient's sums, to the whole batch."""
    dy, x, weight, bias, options = arrays(case, dtype)
    right = run(dy, x, weight, bias, options)
    slabs = set()
    for backward in (False, True):
        given = {**options, "dtype": dtype, "direction": "backward" if backward else "forward"}
        costs = fastconv.conv2d_costs(x.shape, weight.shape, **given)
        least, most = costs["im2col_tiled"].least, costs["im2col"].workspace
        for limit in np.linspace(least, most, 7).astype(int).tolist():
            cost = fastconv.conv2d_costs(x.shape, weight.shape, workspace_limit=limit, **given)
            slabs.add(cost["im2col_tiled"].slab)
            chosen = {**options, "algorithm": "im2col_tiled", "workspace_limit": limit}
            if backward:
                assert_all_equal(fastconv.conv2d_backward(dy, x, weight, **chosen), right[1:])
            else:
                assert_bits_equal(fastconv.conv2d(x, weight, bias, **chosen), right[0])
    assert len(slabs) > 2, "the limits do not tell slabs apart"


@pytest.mark.parametrize("dtype", DTYPES)
def test_strict_auto_is_one_of_them(case, dtype, arrays):
    dy, x, weight, bias, options = arrays(case, dtype)
    y = fastconv.conv2d(x, weight, bias, precision="strict", **options)
    assert_bits_equal(y, fastconv.conv2d(x, weight, bias, algorithm="direct", **options))


@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_split(case, dtype, arrays):
    """Each image for itself; the gradients that sum over the batch are another matter."""
    dy, x, weight, bias, options = arrays(case, dtype)
    for algorithm in ("direct", "im2col", "im2col_tiled"):
        y, dx, _, _ = run(dy, x, weight, bias, options, algorithm)
        for n in range(len(x)):
            one = run(dy[n : n + 1], x[n : n + 1], weight, bias, options, algorithm)
            assert_bits_equal(one[0][0], y[n])
            assert_bits_equal(one[1][0], dx[n])


@pytest.fixture
def restored_threads():
    before = fastconv.get_num_threads()
    yield
    fastconv.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_thread_counts(case, dtype, arrays, restored_threads):
    given = arrays(case, dtype)
    fastconv.set_num_threads(1)
    expected = {name: run(*given, name) for name in ("direct", "im2col", "im2col_tiled")}
    for threads in (2, 3, 7, 64):
        fastconv.set_num_threads(threads)
        assert fastconv.get_num_threads() == threads
        for algorithm, right in expected.items():
            assert_all_equal(run(*given, algorithm), right)


def test_thread_counts_on_work_worth_sharing(normal, restored_threads):
    """Large enough that no threshold keeps it on one thread."""
    x, weight, bias = normal((6, 48, 40, 40)), normal((64, 48, 3, 3)), normal((64,))
    dy = normal((6, 64, 40, 40))
    fastconv.set_num_threads(1)
    right = run(dy, x, weight, bias, {"padding": 1})
    pooled = functional.max_pool2d_argmax(x, 3, stride=2, padding=1)
    mean = fastconv.avg_pool2d(x, 2)
    col = fastconv.im2col(x, 3, 3, 1, 1)
    image = fastconv.col2im(col, x.shape, 3, 3, 1, 1)
    for threads in (2, 5, 64):
        fastconv.set_num_threads(threads)
        assert_all_equal(run(dy, x, weight, bias, {"padding": 1}), right)
        assert_all_equal(functional.max_pool2d_argmax(x, 3, stride=2, padding=1), pooled)
        assert_bits_equal(fastconv.avg_pool2d(x, 2), mean)
        assert_bits_equal(fastconv.im2col(x, 3, 3, 1, 1), col)
        assert_bits_equal(fastconv.col2im(col, x.shape, 3, 3, 1, 1), image)


#: So small that their items are cut for the threads that share them.
SHARED = {
    "one item of rows": ((1, 20, 14, 14), 64, (3, 3), {"padding": 1}),
    "four items of rows": ((1, 12, 28, 28), 40, (5, 5), {"padding": 2}),
    "rectangles": ((1, 90, 9, 15), 70, (1, 1), {}),
    "points": ((1, 100, 28, 28), 48, (1, 1), {}),
    "points of two blocks": ((1, 600, 20, 20), 40, (1, 1), {}),
    "flat": ((1, 40, 7, 7), 72, (3, 3), {"padding": 1}),
    "flat with strides": ((2, 30, 15, 15), 40, (3, 3), {"padding": 1, "stride": 2}),
    "strips": ((1, 20, 56, 56), 40, (1, 1), {}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SHARED)
def test_thread_counts_on_few_items(name, dtype, normal, monkeypatch, restored_threads):
    shape, filters, kernel, options = SHARED[name]
    x, weight = normal(shape, dtype), normal((filters, shape[1], *kernel), dtype)
    dy, bias = normal(fastconv.conv2d(x, weight, **options).shape, dtype), normal((filters,), dtype)
    fastconv.set_num_threads(1)
    right = run(dy, x, weight, bias, options)
    monkeypatch.setattr("fastconv.threads.SMALL_WORK", 0)
    for threads in (2, 3, 5, 16, 64):
        fastconv.set_num_threads(threads)
        assert_all_equal(run(dy, x, weight, bias, options), right)


def at_offset(array, offset):
    """Return a copy of `array` that starts `offset` bytes after a multiple of 64."""
    memory = np.empty(array.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


LAYOUTS = {
    "reversed": lambda a: a[..., ::-1].copy()[..., ::-1],
    "reversed batch": lambda a: a[::-1].copy()[::-1],
    "Fortran": np.asfortranarray,
    "channels last": lambda a: (
        np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1) if a.ndim > 1 else a
    ),
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "part": lambda a: np.pad(a, 1)[(slice(1, -1),) * a.ndim],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FEW)
def test_layouts(name, dtype, layout, arrays):
    dy, x, weight, bias, options = arrays(name, dtype)
    odd = [LAYOUTS[layout](array) for array in (dy, x, weight, bias)]
    before = [array.tobytes() for array in odd]
    for algorithm in ("direct", "im2col", "im2col_tiled"):
        expected = run(dy, x, weight, bias, options, algorithm)
        results = run(*odd, options, algorithm)
        assert_all_equal(results, expected)
        assert all(r.flags.c_contiguous and r.dtype.isnative for r in results)
    assert [array.tobytes() for array in odd] == before


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts_of_pooling_and_unfolding(dtype, layout, normal):
    x = normal((2, 5, 9, 19), dtype)
    odd = LAYOUTS[layout](x)
    y, indices = fastconv.max_pool2d(x, 3, stride=2, padding=1, return_indices=True)
    assert_all_equal(
        fastconv.max_pool2d(odd, 3, stride=2, padding=1, return_indices=True), (y, indices)
    )
    assert_bits_equal(fastconv.avg_pool2d(odd, 3, stride=1), fastconv.avg_pool2d(x, 3, stride=1))
    col = fastconv.im2col(x, 3, 2, 1, 1)
    assert_bits_equal(fastconv.im2col(odd, 3, 2, 1, 1), col)
    assert_bits_equal(
        fastconv.col2im(LAYOUTS[layout](col), x.shape, 3, 2, 1, 1),
        fastconv.col2im(col, x.shape, 3, 2, 1, 1),
    )
    dy = LAYOUTS[layout](y)
    assert_bits_equal(
        fastconv.max_pool2d_backward(dy, indices, x.shape),
        fastconv.max_pool2d_backward(y, indices, x.shape),
    )
    assert_bits_equal(
        fastconv.avg_pool2d_backward(dy, x.shape, 3, stride=2, padding=1),
        fastconv.avg_pool2d_backward(y, x.shape, 3, stride=2, padding=1),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FEW)
def test_every_byte_offset(name, dtype, arrays):
    """1 to 63 bytes after a cache line: most are no multiple of the itemsize either."""
    given = arrays(name, dtype)
    expected = run(*given)
    for offset in range(1, 64):
        dy, x, weight, bias = (at_offset(array, offset) for array in given[:4])
        assert_all_equal(run(dy, x, weight, bias, given[4]), expected)


def test_every_byte_offset_of_pooling_and_unfolding(normal):
    x = normal((2, 3, 8, 35))
    y, col = fastconv.max_pool2d(x, 2), fastconv.im2col(x, 3, 3)
    mean, image = fastconv.avg_pool2d(x, 2), fastconv.col2im(col, x.shape, 3, 3)
    for offset in range(1, 64):
        moved = at_offset(x, offset)
        assert_bits_equal(fastconv.max_pool2d(moved, 2), y)
        assert_bits_equal(fastconv.avg_pool2d(moved, 2), mean)
        assert_bits_equal(fastconv.im2col(moved, 3, 3), col)
        assert_bits_equal(fastconv.col2im(at_offset(col, offset), x.shape, 3, 3), image)


def test_broadcast_input(normal):
    row = normal((1, 1, 1, 12))
    x = np.broadcast_to(row, (2, 3, 9, 12))
    weight = normal((20, 3, 3, 3))
    for algorithm in ("direct", "im2col", "im2col_tiled"):
        assert_bits_equal(
            fastconv.conv2d(x, weight, padding=1, algorithm=algorithm),
            fastconv.conv2d(x.copy(), weight, padding=1, algorithm=algorithm),
        )


def test_absurd_strides_on_axes_of_length_one(normal):
    x, weight = normal((1, 1, 9, 12)), normal((20, 1, 3, 3))
    odd = np.lib.stride_tricks.as_strided(x, strides=(-(2**40), 3, *x.strides[2:]))
    assert_bits_equal(fastconv.conv2d(odd, weight), fastconv.conv2d(x, weight))
    column = normal((1, 4, 1, 1))
    odd = np.lib.stride_tricks.as_strided(column, strides=(7, 4, 2**50, -1))
    weight = normal((20, 4, 1, 1))
    assert_bits_equal(fastconv.conv2d(odd, weight), fastconv.conv2d(column, weight))


def test_memory_mapped_input(tmp_path, normal):
    x, weight = normal((2, 3, 9, 12)), normal((20, 3, 3, 3))
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    y = fastconv.conv2d(mapped, weight)
    assert type(y) is np.ndarray
    assert_bits_equal(y, fastconv.conv2d(x, weight))


def test_the_same_call_twice(case, arrays):
    given = arrays(case, "float32")
    assert_all_equal(run(*given), run(*given))


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_batch_norm_are_fused_where_the_target_can(dtype, tail):
    """Left to the compiler some were and some were not, and bits changed with what is near them."""
    lanes, least = kernels.lanes(np.dtype(dtype)) // 2, np.finfo(dtype).eps
    near = dtype(2) ** -15 if dtype is np.float32 else dtype(2) ** -30
    x = np.zeros((1, 1, 1, lanes + 1 if tail else 2 * lanes), dtype)
    dy = x.copy()
    # two products for the same lane: the second is just below half of the last bit of the first
    x[..., 0], dy[..., 0] = 1 + least, 1
    x[..., lanes], dy[..., lanes] = 1 + near, least / 2 * (1 - near)
    mean, inverse = np.zeros(1), np.ones(1)
    _, dweight, _ = functional.batch_norm_backward(dy, x, np.ones(1, dtype), mean, inverse, True)
    # the baseline of aarch64 has such instructions, that of x86-64 has not
    fused = fastconv.active_isa() != "baseline" or platform.machine() == "aarch64"
    assert dweight[0] == (1 + least if fused else 1 + 2 * least)
