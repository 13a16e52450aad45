"""What a call says it will take, what it took, and the formula: the same bytes."""

from __future__ import annotations

import gc
import os
import tracemalloc

import numpy as np
import pytest

import fastconv
from fastconv import memory

# x (N, C, H, W), weight (K, C/groups, R, S), and the other options
CASES = {
    "book": ((10, 1, 28, 28), (30, 1, 5, 5), {}),
    "padded": ((2, 16, 14, 14), (32, 16, 3, 3), {"padding": 1}),
    "strided": ((1, 3, 55, 55), (20, 3, 7, 7), {"stride": 2, "padding": 3}),
    "1x1": ((2, 24, 10, 10), (40, 24, 1, 1), {}),
    "groups": ((2, 12, 9, 9), (18, 4, 3, 3), {"groups": 3}),
    "depthwise": ((2, 17, 12, 12), (17, 1, 3, 3), {"groups": 17, "padding": 1}),
    "dilated": ((1, 5, 15, 15), (7, 5, 3, 3), {"dilation": 3, "padding": "same"}),
}
# Bytes that im2col unfolds, N OH OW C R S numbers, worked out by hand, in float32 and float64.
UNFOLDED = {
    "book": (576_000, 1_152_000),  # 10 images x 24 x 24 windows x 25 taps
    "padded": (225_792, 451_584),  # 2 x 14 x 14 x 144
    "strided": (460_992, 921_984),  # 28 x 28 x 147
    "1x1": (19_200, 38_400),  # 2 x 10 x 10 x 24
    "groups": (42_336, 84_672),  # 2 x 7 x 7 x 108
    "depthwise": (176_256, 352_512),  # 2 x 12 x 12 x 153
    "dilated": (40_500, 81_000),  # 15 x 15 x 45
}
# A slab of at most half a MiB where that is not all: images, or rows of one, shared out evenly.
SLABS = {
    ("book", "float32"): 288_000,  # 9 of 10 images would fit: two times 5
    ("book", "float64"): 460_800,  # 4 of 10 fit: 4, 4 and 2
    ("strided", "float64"): 460_992,  # 15 of 28 rows fit: two times 14
}
DTYPES = ("float32", "float64")


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


@pytest.mark.parametrize("algorithm", ["direct", "im2col", "im2col_tiled"])
@pytest.mark.parametrize("name", CASES)
def test_costs_track_and_formula_agree(name, dtype, algorithm, normal):
    x_shape, weight_shape, options = CASES[name]
    x, weight = normal(x_shape, dtype), normal(weight_shape, dtype)
    with memory.track() as used:
        y = fastconv.conv2d(x, weight, algorithm=algorithm, **options)
    costs = fastconv.conv2d_costs(x_shape, weight_shape, dtype=dtype, **options)[algorithm]
    expected = UNFOLDED[name][DTYPES.index(dtype)] if algorithm != "direct" else 0
    if algorithm == "im2col_tiled":
        expected = SLABS.get((name, dtype), expected)
    assert used.workspace_peak == costs.workspace == expected
    assert used.output == costs.output == y.nbytes
    assert used.packed == costs.packed
    assert used.copies == 0
    taps = weight_shape[1] * weight_shape[2] * weight_shape[3]
    assert costs.multiply_adds == y.size * taps


@pytest.mark.parametrize("algorithm", ["direct", "im2col", "im2col_tiled"])
def test_costs_of_the_backward_pass_are_what_it_takes(case, dtype, algorithm, normal):
    x_shape, weight_shape, options = case
    x, weight = normal(x_shape, dtype), normal(weight_shape, dtype)
    dy = normal(fastconv.conv2d(x, weight, **options).shape, dtype)
    with memory.track() as used:
        fastconv.conv2d_backward(dy, x, weight, algorithm=algorithm, **options)
    costs = fastconv.conv2d_costs(
        x_shape, weight_shape, dtype=dtype, direction="backward", **options
    )[algorithm]
    assert used.workspace_peak == costs.workspace
    assert used.packed == costs.packed
    assert used.copies == 0
    if algorithm == "direct":  # at most 16 partial sums of the gradient of the weights
        assert used.workspace_peak <= 16 * max(costs.packed, 2 * weight.nbytes)


def test_costs_do_not_depend_on_the_threads(case):
    x_shape, weight_shape, options = case
    costs = [
        fastconv.conv2d_costs(x_shape, weight_shape, threads=threads, **options)
        for threads in (1, 2, 64)
    ]
    for name in ("direct", "im2col", "im2col_tiled"):
        assert len({one[name].workspace for one in costs}) == 1


def test_costs_name_the_choice_and_why(case):
    x_shape, weight_shape, options = case
    costs = fastconv.conv2d_costs(x_shape, weight_shape, **options)
    assert costs.choice in costs
    assert {"direct", "im2col", "im2col_tiled"} <= set(costs)
    assert isinstance(costs.why, str) and costs.why
    assert fastconv.conv2d_costs(x_shape, weight_shape, workspace_limit=0, **options).choice == (
        "direct"
    )


def test_auto_takes_what_the_costs_choose(case, normal):
    x_shape, weight_shape, options = case
    costs = fastconv.conv2d_costs(x_shape, weight_shape, **options)
    with memory.track() as used:
        fastconv.conv2d(normal(x_shape), normal(weight_shape), **options)
    assert used.workspace_peak == costs[costs.choice].workspace


def test_a_limit_is_kept_or_refused(normal):
    x, weight = normal((2, 16, 14, 14)), normal((32, 16, 3, 3))
    needed = fastconv.conv2d_costs(x.shape, weight.shape)["im2col"].workspace
    with memory.track() as used:
        y = fastconv.conv2d(x, weight, algorithm="im2col", workspace_limit=needed)
    assert used.workspace_peak == needed
    with pytest.raises(ValueError, match=f"conv2d: workspace_limit .*{needed}") as error:
        fastconv.conv2d(x, weight, algorithm="im2col", workspace_limit=needed - 1)
    assert isinstance(error.value, fastconv.errors.MemoryLimitError)
    assert (error.value.least, error.value.value) == (needed, needed - 1)
    for limit, nbytes in ((0, 0), ("0 B", 0), (needed - 1, needed - 1), ("1 KiB", 1024)):
        with memory.track() as used:
            again = fastconv.conv2d(x, weight, workspace_limit=limit, precision="strict")
        assert used.workspace_peak <= nbytes
        np.testing.assert_array_equal(again, y)


def test_slabs_fill_the_limit(normal):
    """Rows of OW C R S elements: as many as the limit holds, cut evenly; or none, and an error."""
    x, weight = normal((3, 16, 12, 14)), normal((32, 16, 3, 3))
    row = 14 * 16 * 9 * 4  # bytes
    options = {"padding": 1, "algorithm": "im2col_tiled"}
    right = fastconv.conv2d(x, weight, padding=1, algorithm="direct")
    for limit, workspace in (
        (row, row),
        (2 * row - 1, row),
        (5 * row, 4 * row),
        (6 * row + 5, 6 * row),
        (12 * row, 12 * row),
        (23 * row, 12 * row),
        (24 * row, 24 * row),
        (35 * row, 24 * row),
        (36 * row, 36 * row),
        (10**9, 36 * row),
    ):
        with memory.track() as used:
            y = fastconv.conv2d(x, weight, workspace_limit=limit, **options)
        assert used.workspace_peak == workspace <= limit
        assert y.tobytes() == right.tobytes()
        costs = fastconv.conv2d_costs(x.shape, weight.shape, padding=1, workspace_limit=limit)
        assert costs["im2col_tiled"].workspace == workspace
    with pytest.raises(fastconv.MemoryLimitError, match=f"at least {row} bytes .*'direct'"):
        fastconv.conv2d(x, weight, workspace_limit=row - 1, **options)


def test_backward_limits_are_kept_to_the_byte(normal):
    x, weight = normal((4, 16, 14, 14)), normal((32, 16, 3, 3))
    dy = normal((4, 32, 14, 14))
    shapes = {"x_shape": x.shape, "weight_shape": weight.shape, "padding": 1}
    free = fastconv.conv2d_costs(**shapes, direction="backward")
    assert 0 < free["direct"].least < free["im2col_tiled"].least < free["im2col"].least
    right = fastconv.conv2d_backward(dy, x, weight, padding=1, precision="strict")
    for name in ("direct", "im2col_tiled", "im2col", "auto"):
        least = free["direct" if name == "auto" else name].least
        given = {"padding": 1, "algorithm": name, "precision": "strict"}
        words = f"at least {least} bytes with algorithm '{name}'"
        with pytest.raises(fastconv.MemoryLimitError, match=words):
            fastconv.conv2d_backward(dy, x, weight, workspace_limit=least - 1, **given)
        for limit in (least, 2 * least):
            table = fastconv.conv2d_costs(**shapes, direction="backward", workspace_limit=limit)
            with memory.track() as used:
                found = fastconv.conv2d_backward(dy, x, weight, workspace_limit=limit, **given)
            assert used.workspace_peak <= limit
            if name != "auto":
                assert used.workspace_peak == table[name].workspace
            assert all(a.tobytes() == b.tobytes() for a, b in zip(found, right, strict=True))


def test_a_limit_below_the_partial_sums_names_the_least(normal):
    x, weight, dy = normal((2, 16, 9, 9)), normal((32, 16, 3, 3)), normal((2, 32, 7, 7))
    least = fastconv.conv2d_costs(x.shape, weight.shape, direction="backward")["direct"].least
    words = f"at least {least} bytes .*, for the partial sums of the gradient of the weights"
    with pytest.raises(fastconv.MemoryLimitError, match=words):
        fastconv.conv2d_backward(dy, x, weight, workspace_limit=0)
    dx, _, _ = fastconv.conv2d_backward(dy, x, weight, needs="x", workspace_limit=0)
    assert dx.shape == x.shape


def test_an_empty_batch_takes_nothing(normal):
    x, weight, dy = normal((0, 16, 9, 9)), normal((32, 16, 3, 3)), normal((0, 32, 7, 7))
    for name in ("direct", "im2col", "im2col_tiled", "winograd"):
        for direction in ("forward", "backward"):
            cost = fastconv.conv2d_costs(x.shape, weight.shape, direction=direction)[name]
            assert (cost.workspace, cost.packed) == (0, 0)
        with memory.track() as used:
            assert fastconv.conv2d(x, weight, algorithm=name, workspace_limit=0).shape == dy.shape
            fastconv.conv2d_backward(dy, x, weight, algorithm=name, workspace_limit=0)
        assert (used.workspace_peak, used.packed) == (0, 0)


@pytest.mark.parametrize("limit", [-1, "8 parsecs", "", 1.5, True, "-1 MiB", "nan MiB"])
def test_a_limit_that_is_none_is_refused(limit, normal):
    with pytest.raises((ValueError, TypeError), match="conv2d: workspace_limit"):
        fastconv.conv2d(normal((1, 1, 8, 8)), normal((1, 1, 3, 3)), workspace_limit=limit)


def test_what_was_prepared_takes_nothing(normal):
    x, weight = normal((2, 16, 14, 14)), normal((32, 16, 3, 3))
    packed = fastconv.prepare_conv2d(weight, padding=1)
    costs = fastconv.conv2d_costs(x.shape, weight.shape, padding=1)
    assert packed.nbytes == costs["direct"].packed
    out = np.empty((2, 32, 14, 14), np.float32)
    with memory.track() as used:
        fastconv.conv2d(x, packed, padding=1, algorithm="direct", out=out)
    assert (used.workspace_peak, used.packed, used.copies, used.output) == (0, 0, 0, 0)


def test_copies_of_odd_layouts_are_counted(normal):
    x, weight = normal((2, 4, 9, 10)), normal((5, 4, 3, 3))
    with memory.track() as used:
        fastconv.conv2d(np.asfortranarray(x), weight, algorithm="direct")
    assert used.copies == x.nbytes
    with memory.track() as used:
        fastconv.conv2d(x.astype(">f4"), weight, algorithm="direct")
    assert used.copies == x.nbytes
    assert used.workspace_peak == 0


def test_counts_nest(normal):
    x, weight = normal((2, 4, 9, 10)), normal((5, 4, 3, 3))
    with memory.track() as outer:
        fastconv.conv2d(x, weight, algorithm="im2col")
        with memory.track() as inner:
            fastconv.conv2d(x[:1], weight, algorithm="im2col")
    assert inner.workspace_peak == outer.workspace_peak // 2 > 0
    assert outer.output == 3 * inner.output
    fastconv.conv2d(x, weight, algorithm="im2col")
    assert inner.workspace_peak == outer.workspace_peak // 2  # closed: it counts no more


def test_an_error_gives_everything_back(normal):
    x, weight = normal((2, 4, 9, 10)), normal((5, 4, 3, 3))
    out = np.empty((2, 5, 7, 9), np.float32)  # one too wide
    with memory.track() as used, pytest.raises(ValueError):
        fastconv.conv2d(x, weight, algorithm="im2col", out=out)
    assert used.output == 0
    y = fastconv.conv2d(x, weight, algorithm="im2col")
    np.testing.assert_array_equal(y, fastconv.conv2d(x, weight, algorithm="direct"))


def resident() -> int:
    """Return the resident bytes of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
def test_nothing_is_leaked_over_many_shapes():
    def some():
        rng = np.random.default_rng(3)  # the same shapes again: plans of them may be kept
        for _ in range(300):
            channels, size = (int(n) for n in rng.integers([1, 8], [16, 40]))
            x = np.ones((1, channels, size, size), np.float32)
            weight = np.ones((8, channels, 3, 3), np.float32)
            y = fastconv.conv2d(x, weight, algorithm=str(rng.choice(["direct", "im2col"])))
            fastconv.conv2d_backward(y, x, weight)
            _, indices = fastconv.max_pool2d(x, 2, return_indices=True)
            assert indices.size

    some()
    gc.collect()
    tracemalloc.start()
    before, held = resident(), tracemalloc.get_traced_memory()[0]
    some()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - held
    tracemalloc.stop()
    assert grown < 64 * 1024
    assert resident() - before < 8 * 2**20


def test_results_outlive_the_arena(normal):
    """What users get is never arena memory."""
    x, weight = normal((2, 4, 9, 10)), normal((5, 4, 3, 3))
    y = fastconv.conv2d(x, weight, algorithm="im2col")
    kept = y.copy()
    for _ in range(5):
        fastconv.conv2d(normal((2, 4, 9, 10)), weight, algorithm="im2col")
        fastconv.im2col(normal((2, 4, 9, 10)), 3, 3)
    np.testing.assert_array_equal(y, kept)


def test_no_hidden_memory_in_direct(normal):
    """The growth of the process's largest size, which no malloc escapes, is output and packs."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pytest.skip("needs /proc/self/clear_refs")
    x, weight = normal((1, 64, 224, 224)), normal((64, 64, 3, 3))
    packed = fastconv.prepare_conv2d(weight, padding=1)
    out = np.ones((1, 64, 224, 224), np.float32)  # resident, as zeros would not be

    def high_water() -> int:
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = high_water()
    fastconv.conv2d(x, packed, padding=1, algorithm="direct", out=out)
    assert high_water() - before < 2**20  # im2col would take 115 MB


@pytest.mark.parametrize("needs", [("bias",), ("x",), ("x", "bias")])
def test_gradients_that_are_not_asked_for_take_nothing(needs):
    x, weight = np.ones((8, 16, 28, 28), np.float32), np.ones((32, 8, 1, 1), np.float32)
    options = {"stride": 2, "groups": 2}
    dy = np.ones((8, 32, 14, 14), np.float32)
    costs = fastconv.conv2d_costs(x.shape, weight.shape, direction="input", **options)
    with fastconv.memory.track() as used:
        fastconv.conv2d_backward(dy, x, weight, needs=needs, **options)
    assert used.workspace_peak == (costs[costs.choice].workspace if "x" in needs else 0)


@pytest.mark.parametrize("algorithm", ["auto", "im2col", "winograd"])
def test_the_gradient_of_the_bias_alone_keeps_any_limit(algorithm):
    x, weight = np.ones((2, 16, 9, 9), np.float32), np.ones((16, 16, 3, 3), np.float32)
    given = {"padding": 1, "algorithm": algorithm, "workspace_limit": 0, "needs": "bias"}
    for backward in (fastconv.conv2d_backward, fastconv.functional.conv2d_transpose_backward):
        with memory.track() as used:
            dbias = backward(x, x, weight, **given)[2]
        assert used.workspace_peak == 0 and dbias.tolist() == [162] * 16


def test_a_transposed_gradient_of_weights_alone_needs_no_more(integers):
    """That of the input, which is a forward pass, would have tiles."""
    x, weight = integers((2, 8, 9, 9)), integers((8, 8, 5, 5))
    dy, given = integers((2, 8, 9, 9)), {"padding": 2, "algorithm": "winograd"}
    least = fastconv.conv2d_costs(x.shape, weight.shape, padding=2, direction="weight")[
        "winograd"
    ].least
    backward = fastconv.functional.conv2d_transpose_backward
    found = backward(dy, x, weight, workspace_limit=least, needs="weight", **given)[1]
    np.testing.assert_array_equal(found, backward(dy, x, weight, **given)[1])
    with pytest.raises(fastconv.MemoryLimitError):
        backward(dy, x, weight, workspace_limit=least, **given)


@pytest.mark.parametrize("precision", ["standard", "fast"])
@pytest.mark.parametrize("algorithm", ["auto", "direct", "im2col", "im2col_tiled", "winograd"])
@pytest.mark.parametrize(
    ("x_shape", "weight_shape"),
    [
        ((3, 1, 1, 27), (33, 1, 5, 5)),  # the gradient of the input of 5x5 has tiles with "fast"
        ((2, 3, 20, 20), (40, 3, 5, 5)),
        ((2, 24, 20, 20), (40, 24, 3, 3)),
        ((2, 3, 28, 28), (16, 3, 7, 7)),
    ],
)
def test_the_gradient_of_weights_alone_takes_what_is_stated(
    x_shape, weight_shape, algorithm, precision, normal
):
    options = {"padding": weight_shape[2] // 2, "precision": precision}
    costs = fastconv.conv2d_costs(x_shape, weight_shape, direction="weight", **options)
    if algorithm != "auto" and algorithm not in costs:
        pytest.skip("7x7 has no tiles")
    cost = costs[costs.choice if algorithm == "auto" else algorithm]
    x, weight = normal(x_shape, "float32"), normal(weight_shape, "float32")
    dy = normal((x_shape[0], weight_shape[0], *x_shape[2:]), "float32")
    for limit in (None, cost.least):
        given = {**options, "algorithm": algorithm, "workspace_limit": limit}
        with memory.track() as used:
            _, dweight, _ = fastconv.conv2d_backward(dy, x, weight, needs="weight", **given)
        if limit is None:
            assert used.workspace_peak == cost.workspace
        else:
            assert used.workspace_peak <= limit
        assert used.packed == 0
        right = fastconv.conv2d_backward(dy, x, weight, **{**options, "algorithm": "direct"})[1]
        assert np.abs(dweight - right).max() < 1e-5 * np.abs(right).max()
