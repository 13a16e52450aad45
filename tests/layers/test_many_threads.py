"""One layer in many threads at once: inference gives the bits of one thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastconv
from fastconv.layers import Context, Spec
from fastconv.testing import assert_bits_equal


@pytest.mark.parametrize(
    ("name", "config", "shape"),
    [
        ("Conv2D", {"filters": 24, "kernel_size": 3, "activation": "relu"}, (8, 12, 12)),
        ("Conv2D", {"filters": 8, "kernel_size": 3, "algorithm": "im2col"}, (4, 9, 9)),
        ("Conv2D", {"filters": 8, "kernel_size": 3, "algorithm": "im2col_tiled"}, (4, 9, 9)),
        ("Dense", {"units": 40}, (200,)),
        ("MaxPool2D", {"pool_size": 2}, (8, 12, 12)),
        ("AvgPool2D", {"pool_size": 3, "stride": 1, "padding": "same"}, (8, 12, 12)),
        ("BatchNorm", {}, (8, 12, 12)),
        ("Softmax", {}, (10,)),
    ],
)
def test_sixty_four_threads_through_one_layer(name, config, shape, rng):
    layer = fastconv.create_layer(name, **config)
    layer.ensure_built(0, Spec(shape))
    xs = [rng.standard_normal((2, *shape)).astype("float32") for _ in range(8)]
    serial = [layer.forward(Context(), x) for x in xs]
    layer = fastconv.create_layer(name, **config)  # nothing is packed yet
    layer.ensure_built(0, Spec(shape))
    with ThreadPoolExecutor(64) as pool:
        calls = [pool.submit(layer.forward, Context(), xs[i % 8]) for i in range(256)]
        for i, call in enumerate(calls):
            assert_bits_equal(call.result(timeout=60), serial[i % 8])


def test_threads_train_a_shared_layer_without_touching_each_other(rng):
    layer = fastconv.create_layer("Conv2D", filters=4, kernel_size=3)
    layer.ensure_built(0, Spec((2, 6, 6)))
    xs = [rng.standard_normal((2, 2, 6, 6)).astype("float32") for _ in range(16)]

    def gradients(x: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        ctx = Context(True, needs=[True], needs_params={"weight", "bias"})
        y = layer.forward(ctx, x)
        return layer.backward(ctx, np.ones_like(y)), ctx.grads

    serial = [gradients(x) for x in xs]
    with ThreadPoolExecutor(16) as pool:
        for (dx, grads), (expected, others) in zip(pool.map(gradients, xs), serial, strict=True):
            assert_bits_equal(dx, expected)
            for key, gradient in grads.items():
                assert_bits_equal(gradient, others[key])
