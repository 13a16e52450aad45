"""Rescaling and Identity in networks: bytes as they are, no warning, nothing that is not needed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastconv
from fastconv.errors import ArgumentTypeError, DataWarning, ShapeError
from fastconv.layers import Rescaling, Spec
from fastconv.testing import assert_bits_equal, check_layer

TAIL = [("Conv2D", {"filters": 2, "kernel_size": 3}), "Flatten", ("Dense", {"units": 3})]


def network(dtype, scale=1 / 255, **more):
    layers = [("Rescaling", {"scale": scale, **more}), *TAIL]
    return fastconv.Sequential(layers, input_shape=(1, 6, 6), dtype=dtype, seed=1)


def test_bytes_are_trained_on_as_they_are_and_pixels_make_no_warning(rng):
    x, y = rng.integers(0, 256, (8, 1, 6, 6)).astype(np.uint8), rng.integers(0, 3, 8)
    histories = []
    for dtype in ("uint8", "float32"):
        net = network(dtype)
        net.compile("adam", "softmax_cross_entropy", "accuracy")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            histories.append(net.fit(x, y, epochs=2, verbose=0).history)
        assert net.plan(8, training=True).peak > 0
    assert histories[0] == histories[1]
    net = network("float32", scale=1.0)
    net.compile("adam", "softmax_cross_entropy")
    with pytest.warns(DataWarning, match="numbers about 0 to 1"):
        net.fit(x, y, epochs=1, verbose=0)


def test_the_network_computes_what_its_part_does_on_scaled_numbers(rng):
    x = rng.integers(0, 256, (4, 1, 6, 6)).astype(np.uint8)
    net = network("uint8")
    bare = fastconv.Sequential(TAIL, input_shape=(1, 6, 6))
    bare.set_weights(net.weights())
    scaled = fastconv.functional.rescale(x, 1 / 255)
    assert_bits_equal(net(x), bare(scaled))
    with pytest.raises(ArgumentTypeError):
        net(scaled)  # an Input of integers takes no floats


def test_it_is_planned_exactly(rng):
    x = rng.integers(0, 256, (50, 3, 40, 40)).astype(np.uint8)
    layers = [("Rescaling", {"scale": [1 / 255, 1 / 128, 1 / 64], "offset": -1.0})]
    net = fastconv.Sequential(layers, input_shape=(3, 40, 40), dtype="uint8")
    with fastconv.memory.track() as used:
        y = net(x)
    assert used.output == y.nbytes == 4 * x.size and used.workspace_peak == 0
    assert net.plan(50).peak >= y.nbytes
    layer = Rescaling([1 / 255, 1 / 128, 1 / 64], -1.0)
    assert_bits_equal(y, fastconv.functional.rescale(x, layer.scale, layer.offset))


def test_every_dtype_keeps_what_layers_promise():
    for dtype in ("uint8", "int8", "int32", "int64", "bool"):
        check_layer("Rescaling", (2, 3, 4), dtype=(dtype,), scale=[0.5, 2.0, -1.0], offset=0.25)
        check_layer("Identity", (2, 3, 4), dtype=(dtype,))
    check_layer("Rescaling", (2, 3, 4, 5), scale=[0.5, 2.0, -1.0], offset=[1.0, 0.0, 2.0])
    check_layer("Rescaling", (5, 3), scale=-0.25)


def test_numbers_must_fit_the_channels():
    layer = Rescaling([1.0, 2.0])
    with pytest.raises(ShapeError, match="Rescaling: scale must be one number, or 3, one for each"):
        layer.infer(Spec((3, 4, 4)))
    assert layer.to_config() == {"scale": [1.0, 2.0], "offset": 0.0}
    assert layer.infer(Spec((2, 4, 4), "float64")).dtype == "float64"


def test_only_usual_scales_say_that_they_normalize():
    assert Rescaling(1 / 255).normalizes and Rescaling(1 / 127.5, -1.0).normalizes
    assert not Rescaling(1.0).normalizes and not Rescaling([1 / 255, 2.0]).normalizes


def test_identity_is_left_out_where_nothing_needs_it(rng):
    x = rng.standard_normal((2, 1, 6, 6)).astype("float32")
    plain = fastconv.Sequential(TAIL, input_shape=(1, 6, 6), seed=1)
    net = fastconv.Sequential(["Identity", *TAIL, "Identity"], input_shape=(1, 6, 6), seed=1)
    net.set_weights(plain.weights())
    assert_bits_equal(net(x), plain(x))
    assert net.plan(2, training=True).peak == plain.plan(2, training=True).peak
    assert_bits_equal(net.for_inference()(x), plain.for_inference()(x))
