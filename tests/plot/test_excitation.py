"""Inputs that excite a layer: gradient ascent goes up, is repeated, and finds what is known."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fastconv
from fastconv import plot
from fastconv.errors import ArgumentError, ArgumentTypeError

pytest.importorskip("matplotlib")


def images(figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def means(axes) -> list[float]:
    """The mean activation before and after, as the title has them."""
    return [float(text) for text in re.findall(r"-?[\d.]+(?:e[+-]?\d+)?", axes.get_title())[1:]]


def test_the_best_input_of_a_linear_unit_is_found():
    """White where its weight is above 0, black where it is below."""
    net = fastconv.Sequential(["Flatten", ("Dense", {"units": 2})], (1, 2, 3), seed=0)
    weight = np.array([[1, -1], [-2, 2], [3, -3], [1, -1], [-1, 1], [2, -2]], np.float32)
    net["dense_1"].set_params(weight=weight.T.copy())
    found = images(plot.activation_maximization(net, "dense_1", steps=200))
    for unit, image in enumerate(found):
        np.testing.assert_array_equal(image, (weight[:, unit] > 0).reshape(2, 3))


@pytest.mark.parametrize("layer", ["conv1", "fc2"])
def test_every_channel_is_excited_more_and_the_title_says_how_much(layer):
    net = fastconv.create_model("SimpleConvNet", weights="digits")
    figure = plot.activation_maximization(net, layer, [0, 4, 7], steps=20)
    assert len(figure.axes) == 3
    for channel, axes, image in zip((0, 4, 7), figure.axes, images(figure), strict=True):
        before, after = means(axes)
        assert after > before
        value = net.intermediate(image[None, None], layer)[0, channel].mean()
        assert after == pytest.approx(value, rel=0.06)
        assert 0 <= image.min() and image.max() <= 1


def test_a_seed_gives_the_same_bits_and_another_seed_another_picture():
    net = fastconv.create_model("SimpleConvNet", weights="digits")
    one, two, other = (
        images(plot.activation_maximization(net, "conv1", [1], steps=3, seed=seed))[0]
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_the_network_stays_as_it_is():
    net = fastconv.create_model("SimpleConvNet", weights="digits")
    before = {name: weight.copy() for name, weight in net.weights().items()}
    plot.activation_maximization(net, "fc1", 0, steps=2)
    for name, weight in net.weights().items():
        np.testing.assert_array_equal(weight, before[name])


def test_where_nothing_changes_the_channel_the_image_stays():
    """A rectifier that lets nothing through has no gradient."""
    conv = ("Conv2D", {"filters": 1, "kernel_size": 3})
    net = fastconv.Sequential([conv, "ReLU"], (3, 5, 5), seed=0)
    net["conv2d_1"].set_params(weight=-np.ones((1, 3, 3, 3), np.float32))
    one, more = (
        images(plot.activation_maximization(net, "relu_1", steps=steps))[0] for steps in (1, 9)
    )
    assert one.shape == (5, 5, 3)  # three channels are colours
    np.testing.assert_array_equal(one, more)
    assert abs(one - 0.5).max() <= 0.05


def test_wrong_layers_channels_and_networks_are_told():
    net = fastconv.create_model("SimpleConvNet", weights="digits")
    with pytest.raises(ArgumentError, match=r"channels must be at most 29, got 30"):
        plot.activation_maximization(net, "conv1", 30)
    with pytest.raises(ArgumentError, match="layer must be a layer that gives floats"):
        plot.activation_maximization(net, "x")
    with pytest.raises(ArgumentTypeError, match="must be a network that can learn"):
        plot.activation_maximization(net.for_inference(), "conv1")
