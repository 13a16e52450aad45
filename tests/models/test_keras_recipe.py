"""The recipe of docs/weights.md for weights of Keras, held against what Keras computes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import fastconv

PAGE = Path(__file__).parents[2] / "docs" / "weights.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the tests stand without the pages")


def recipe():
    """Return the function of the page."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    (block,) = (text for text in blocks if "def from_keras" in text)
    names: dict = {"np": np}
    exec(block.partition("\n\nnet = ")[0], names)
    return names["from_keras"]


def as_keras(x, kernel, kernel_bias, dense, dense_bias):
    """Return what Keras makes of images (N, H, W, C): its order of axes everywhere."""
    windows = sliding_window_view(x, kernel.shape[:2], axis=(1, 2))  # (N, OH, OW, C, R, S)
    maps = np.maximum(np.einsum("nhwcrs,rsck->nhwk", windows, kernel) + kernel_bias, 0)
    n, rows, columns, filters = maps.shape
    pooled = maps.reshape(n, rows // 2, 2, columns // 2, 2, filters).max((2, 4))
    return pooled.reshape(n, -1) @ dense + dense_bias


def weights(rng):
    """Return what ``model.get_weights()`` of Keras returns."""
    shapes = (3, 3, 2, 6), (6,), (3 * 4 * 6, 5), (5,)
    return [rng.standard_normal(shape) for shape in shapes]


def network():
    layers = [("Conv2D", {"filters": 6, "kernel_size": 3}), "ReLU", ("MaxPool2D", {"pool_size": 2})]
    last = ["Flatten", ("Dense", {"units": 5})]
    return fastconv.Sequential([*layers, *last], input_shape=(2, 8, 10), dtype="float64")


def check(rng, kernel, kernel_bias, dense, dense_bias):
    net = network()
    recipe()(net, kernel, kernel_bias, dense, dense_bias, (3, 4, 6))
    x = rng.standard_normal((4, 8, 10, 2))
    right = as_keras(x, kernel, kernel_bias, dense, dense_bias)
    np.testing.assert_allclose(net(x.transpose(0, 3, 1, 2)), right, rtol=1e-12, atol=1e-12)


def test_the_recipe_gives_what_keras_computes(rng):
    check(rng, *weights(rng))


def test_the_recipe_from_a_file_of_hdf5(rng, tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    names = ["conv2d/vars/0", "conv2d/vars/1", "dense/vars/0", "dense/vars/1"]
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        for name, array in zip(names, weights(rng), strict=True):
            file[f"layers/{name}"] = array
    with h5py.File(tmp_path / "model.weights.h5") as file:
        check(rng, *(file[f"layers/{name}"][:] for name in names))


def test_a_depthwise_kernel_as_the_page_says(rng):
    kernel = rng.standard_normal((3, 3, 4, 2))  # rows, columns, channels, multiplier
    layer = ("Conv2D", {"filters": 8, "kernel_size": 3, "groups": 4, "bias": False})
    net = fastconv.Sequential([layer], input_shape=(4, 6, 6), dtype="float64")
    net.set_weights({"conv2d_1/weight": kernel.transpose(2, 3, 0, 1).reshape(-1, 1, 3, 3)})
    x = rng.standard_normal((2, 6, 6, 4))
    windows = sliding_window_view(x, (3, 3), axis=(1, 2))  # (N, OH, OW, C, R, S)
    right = np.einsum("nhwcrs,rscm->nhwcm", windows, kernel).reshape(2, 4, 4, 8)
    np.testing.assert_allclose(
        net(x.transpose(0, 3, 1, 2)), right.transpose(0, 3, 1, 2), rtol=1e-12
    )
