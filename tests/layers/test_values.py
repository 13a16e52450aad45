"""Values of single layers, where `check_layer` has nothing to compare with."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import memory
from fastconv.layers import Context, Spec
from fastconv.testing import assert_bits_equal, assert_close

F = [[1, 0, 2], [0, 2, 0], [1, 1, -1]]
X = [[1, 2, 3, 4], [4, 3, 2, 1], [0, 1, 2, 3], [3, 2, 1, 2]]


def make(name, shape, dtype="float32", **config):
    layer = fastconv.create_layer(name, **config)
    layer.ensure_built(0, Spec(shape, dtype))
    return layer


def training(layer, count=1, key=(0, 0, 0)):
    return Context(
        True, needs=[True] * count, needs_params=frozenset(layer.parameters), rng_key=key
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [[12, 14], [14, 10]]),
        ({"padding": 1}, [[3, 9, 10, 11], [11, 12, 14, 10], [7, 14, 10, 11], [8, 8, 9, 6]]),
        ({"padding": 1, "stride": 2}, [[3, 10], [7, 10]]),
        ({"padding": 1, "stride": 3}, [[3, 11], [8, 6]]),
    ],
)
@pytest.mark.parametrize("algorithm", ["auto", "direct", "im2col", "im2col_tiled"])
def test_the_lecture_s_convolution(settings, expected, algorithm):
    layer = make("Conv2D", (1, 4, 4), filters=1, kernel_size=3, algorithm=algorithm, **settings)
    layer.set_params(weight=np.reshape(F, (1, 1, 3, 3)), bias=[0])
    x = np.array(X, "float32").reshape(1, 1, 4, 4)
    assert layer.forward(Context(), x)[0, 0].tolist() == expected


def test_the_lecture_s_pooling():
    x = np.array(X, "float32").reshape(1, 1, 4, 4)
    for name, expected in (("MaxPool2D", [[4, 4], [3, 3]]), ("AvgPool2D", [[2.5, 2.5], [1.5, 2]])):
        assert make(name, (1, 4, 4), pool_size=2).forward(Context(), x)[0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("name", "shape", "config", "count"),
    [
        ("Conv2D", (16, 9, 9), {"filters": 32, "kernel_size": 3}, 4640),
        ("Conv2D", (32, 10, 10), {"filters": 64, "kernel_size": 3}, 18496),
        ("Conv2D", (32, 10, 10), {"filters": 16, "kernel_size": 1}, 528),
        ("Conv2D", (1, 28, 28), {"filters": 128, "kernel_size": 3}, 1280),
        ("Conv2D", (1, 28, 28), {"filters": 128, "kernel_size": 4}, 2176),
        ("Dense", (21632,), {"units": 10}, 216330),
        ("MaxPool2D", (128, 26, 26), {"pool_size": 2}, 0),
    ],
)
def test_parameters_of_the_sources(name, shape, config, count):
    layer = make(name, shape, **config)
    assert sum(p.size for p in layer.parameters.values()) == count


def test_batch_norm_normalises_and_keeps_running_statistics(rng):
    x = (3 + 2 * rng.standard_normal((8, 3, 5, 5))).astype("float32")
    layer = make("BatchNorm", x.shape[1:], momentum=0.75)
    ctx = training(layer)
    y = layer.forward(ctx, x)
    assert_close(y.mean(axis=(0, 2, 3)) + 1, np.ones(3, "float32"))
    assert_close(y.std(axis=(0, 2, 3)), np.ones(3, "float32"), factor=10)
    assert not layer.state["running_mean"].any(), "statistics take effect after the step"
    assert_close(ctx.new_state["running_mean"], 0.25 * x.mean(axis=(0, 2, 3), dtype="float64"))
    variance = x.astype("float64").var(axis=(0, 2, 3))
    assert_close(ctx.new_state["running_var"], 0.75 + 0.25 * variance)
    for name, value in ctx.new_state.items():
        layer.states[name].assign(value)
    y = layer.forward(Context(), x)
    mean, var = (layer.state[name][:, None, None] for name in ("running_mean", "running_var"))
    assert_close(y, (x - mean) / np.sqrt(var + 1e-5))


def test_batch_norm_of_an_empty_batch_keeps_its_statistics():
    layer = make("BatchNorm", (3, 2, 2))
    ctx = training(layer)
    layer.forward(ctx, np.empty((0, 3, 2, 2), "float32"))
    assert not ctx.new_state


def test_batch_norm_far_from_zero_keeps_its_digits(rng):
    x = rng.standard_normal((64, 2, 16, 16)) + 1000.0
    layer, exact = (make("BatchNorm", (2, 16, 16), dtype) for dtype in ("float32", "float64"))
    rounded = x.astype("float32")
    y = layer.forward(training(layer), rounded)
    assert np.abs(y - exact.forward(training(exact), rounded.astype("float64"))).max() < 2e-3


def test_dropout_drops_its_share_and_keeps_the_mean():
    x = np.ones((100, 1000), "float32")
    layer = make("Dropout", (1000,), rate=0.3)
    y = layer.forward(training(layer), x)
    assert abs((y == 0).mean() - 0.3) < 0.01
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert layer.forward(Context(), x) is x


def test_dropout_is_drawn_from_the_key_alone():
    x = np.ones((4, 100), "float32")
    layer = make("Dropout", (100,), rate=0.5)
    y = layer.forward(training(layer, key=(1, 2, 3)), x)
    assert_bits_equal(layer.forward(training(layer, key=(1, 2, 3)), x), y)
    for key in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert (layer.forward(training(layer, key=key), x) != y).any()


def test_dropout_makes_a_dropped_infinity_zero():
    layer = make("Dropout", (1000,), rate=0.5)
    y = layer.forward(training(layer), np.full((1, 1000), np.inf, "float32"))
    assert set(np.unique(y)) == {0.0, np.inf}


def test_softmax_is_over_channels_and_large_scores_are_right():
    y = make("Softmax", (2,)).forward(Context(), np.array([[1e30, 1e30], [0, -1e30]], "float32"))
    assert y.tolist() == [[0.5, 0.5], [1.0, 0.0]]
    y = make("Softmax", (3, 2, 2)).forward(Context(), np.zeros((1, 3, 2, 2), "float32"))
    assert_close(y, np.full((1, 3, 2, 2), 1 / 3, "float32"))


def test_relu_passes_nan():
    y = make("ReLU", (4,)).forward(Context(), np.array([[-1, 0, 2, np.nan]], "float32"))
    np.testing.assert_array_equal(y, np.array([[0, 0, 2, np.nan]], "float32"))


def test_max_pool_gives_the_gradient_to_the_first_maximum():
    layer = make("MaxPool2D", (1, 2, 2), pool_size=2)
    ctx = training(layer)
    layer.forward(ctx, np.ones((1, 1, 2, 2), "float32"))
    dx = layer.backward(ctx, np.full((1, 1, 1, 1), 5, "float32"))
    assert dx.tolist() == [[[[5, 0], [0, 0]]]]


@pytest.mark.parametrize(("pool", "dtype"), [(16, np.uint8), (17, np.int32)])
def test_max_pool_keeps_a_byte_up_to_256_taps(pool, dtype):
    layer = make("MaxPool2D", (1, 20, 20), pool_size=pool)
    ctx = training(layer)
    layer.forward(ctx, np.zeros((1, 1, 20, 20), "float32"))
    assert ctx.saved[0].dtype == dtype


def test_multiply_has_the_right_gradient_where_an_input_is_zero():
    layer = fastconv.create_layer("Multiply")
    ctx = training(layer, 3)
    xs = [np.array([[v]], "float32") for v in (0, 3, 4)]
    layer.forward(ctx, *xs)
    assert [dx.item() for dx in layer.backward(ctx, np.ones((1, 1), "float32"))] == [12, 0, 0]


def test_only_what_is_asked_is_computed():
    layer = make("Conv2D", (1, 4, 4), filters=2, kernel_size=3)
    x = np.ones((1, 1, 4, 4), "float32")
    ctx = Context(True, needs=[False], needs_params={"bias"})
    y = layer.forward(ctx, x)
    assert layer.backward(ctx, np.ones_like(y)) is None
    assert set(ctx.grads) == {"bias"} and ctx.grads["bias"].tolist() == [4, 4]
    for name in ("Add", "Multiply", "Concatenate"):
        ctx = Context(True, needs=[True, False])
        merge = fastconv.create_layer(name)
        y = merge.forward(ctx, x, x)
        first, second = merge.backward(ctx, np.ones_like(y))
        assert first.shape == x.shape and second is None


def test_the_limit_of_the_call_is_kept():
    layer = make("Conv2D", (8, 12, 12), filters=4, kernel_size=3, algorithm="im2col")
    x = np.ones((2, 8, 12, 12), "float32")
    needed = layer.costs(2, Spec((8, 12, 12))).workspace
    assert needed == 2 * 10 * 10 * 8 * 9 * 4
    with memory.track() as used:
        layer.forward(Context(workspace_limit=needed), x)
    assert used.workspace_peak == needed
    with pytest.raises(fastconv.errors.MemoryLimitError, match=str(needed)):
        layer.forward(Context(workspace_limit=needed - 1), x)
    net = fastconv.Sequential([layer], (8, 12, 12))
    with pytest.raises(fastconv.errors.MemoryLimitError, match=str(needed)):
        net.plan(2, workspace_limit=needed - 1)
    auto = make("Conv2D", (8, 12, 12), filters=4, kernel_size=3)
    assert auto.costs(2, Spec((8, 12, 12)), workspace_limit=0).workspace == 0
    with memory.track() as used:
        auto.forward(Context(workspace_limit=0), x)
    assert used.workspace_peak == 0


def test_packed_bytes_are_what_costs_say():
    for name, shape, config in (
        ("Conv2D", (8, 6, 6), {"filters": 40, "kernel_size": 3}),
        ("Dense", (50,), {"units": 40}),
    ):
        layer = make(name, shape, **config)
        layer.forward(Context(), np.ones((1, *shape), "float32"))
        assert layer.parameters["weight"].packed_nbytes == layer.costs(1, Spec(shape)).packed > 0
