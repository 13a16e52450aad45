"""Pictures of filters and of feature maps have the numbers of the network, where they say so."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import plot
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.plot.mosaic import columns_for, scaled, tiled

pytest.importorskip("matplotlib")


def tile(picture: np.ndarray, number: int, columns: int, shape: tuple[int, int]) -> np.ndarray:
    """Return one of the small images of a picture, as it is drawn."""
    gap = max(1, round(max(shape) / 12)) if max(shape) > 1 else 0
    top, left = (at * (size + gap) for at, size in zip(divmod(number, columns), shape, strict=True))
    return picture[top : top + shape[0], left : left + shape[1]]


def drawn(axes) -> np.ndarray:
    return np.ma.filled(axes.images[0].get_array(), np.nan)


def test_tiles_stand_where_their_numbers_are():
    images = np.arange(7 * 6, dtype=float).reshape(7, 2, 3)
    whole = tiled(images, 3, gap=2)
    assert whole.shape == (3 * 2 + 2 * 2, 3 * 3 + 2 * 2)
    np.testing.assert_array_equal(whole[4:6, 5:8], images[4])  # row 1, column 1
    assert np.isnan(whole).sum() == whole.size - images.size


def test_a_scale_goes_from_the_least_to_the_largest_and_is_grey_without_contrast():
    images = np.array([[[1.0, 3.0]], [[5.0, 5.0]], [[-1e308, 1e308]]])
    assert scaled(images).tolist() == [[[0.0, 1.0]], [[0.5, 0.5]], [[0.0, 1.0]]]
    assert scaled(images[:2], 1.0, 5.0).tolist() == [[[0.0, 0.5]], [[1.0, 1.0]]]


@pytest.fixture
def net():
    return fastconv.create_model("SimpleConvNet", weights="digits")


def test_filters_before_and_after_side_by_side(net, rng):
    after = net["conv1"].params["weight"]
    before = rng.normal(size=after.shape)
    left, right = plot.filters(net, before).axes
    assert [left.get_title(), right.get_title()] == ["before", "after"]
    columns = columns_for(len(after), 32)
    for axes, weight in ((left, before), (right, after)):
        for number, image in enumerate(scaled(weight.astype(float).mean(axis=1))):
            np.testing.assert_allclose(tile(drawn(axes), number, columns, (5, 5)), image)
    ticks = [text.get_text() for text in right.get_yticklabels()]
    assert ticks == [str(first) for first in range(0, len(after), columns)]


def test_a_network_a_layer_and_an_array_are_the_same_filters(net):
    given = (net, net["conv1"], net["conv1"].params["weight"])
    first, *others = [drawn(plot.filters(one).axes[0]) for one in given]
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_filters_of_three_channels_have_colours():
    weight = np.zeros((1, 3, 1, 2))
    weight[0, 0, 0, 1], weight[0, 2, 0, 0] = 1.0, 1.0  # blue on the left, red on the right
    assert drawn(plot.filters(weight).axes[0]).tolist() == [[[0, 0, 1], [1, 0, 0]]]


def test_filters_of_one_pixel_are_a_matrix(rng):
    weight = rng.normal(size=(5, 7, 1, 1))
    axes = plot.filters(weight).axes[0]
    expected = (weight[:, :, 0, 0] - weight.min()) / np.ptp(weight)
    np.testing.assert_allclose(drawn(axes), expected)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("channel", "filter")
    assert len(plot.filters(weight, -weight).axes) == 2


def test_filters_of_signals_are_lines():
    net = fastconv.Sequential([("Conv1D", {"filters": 2, "kernel_size": 5})], (1, 9), seed=0)
    assert drawn(plot.filters(net).axes[0]).shape == (1, 11)


def test_a_named_layer_is_drawn_of_both_networks():
    first = fastconv.create_model("DigitsNet", seed=0)
    second = fastconv.create_model("DigitsNet", seed=1)
    left, right = plot.filters(second, first, layer="conv2d_2").axes
    assert not np.array_equal(drawn(left), drawn(right), equal_nan=True)
    alone = plot.filters(first["conv2d_2"]).axes[0]
    np.testing.assert_array_equal(drawn(left), drawn(alone))


def test_what_has_no_filters_is_told(net):
    with pytest.raises(ArgumentTypeError, match="net must have filters"):
        plot.filters(net["relu1"])
    with pytest.raises(ArgumentError, match="net must have a layer of filters"):
        plot.filters(fastconv.Sequential(["Flatten"], (1, 2, 2)))
    with pytest.raises(ShapeError, match=r"before must have filters of shape \(30, 1, 5, 5\)"):
        plot.filters(net, np.ones((1, 1, 3, 3)))


def test_feature_maps_are_those_that_intermediate_gives(net):
    x, _ = fastconv.data.digits()
    figure = plot.feature_maps(net, x[3], ["conv1", "fc2"], channels=6)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title().split(":")[0] for axes in panels] == ["input", "conv1", "fc2"]
    maps, scores = net.intermediate(x[3:4], ["conv1", "fc2"])
    shown = scaled(maps[0, :6].astype(float), maps[0, :6].min(), maps[0, :6].max())
    for number, image in enumerate(shown):
        found = tile(drawn(panels[1]), number, columns_for(6, 32), (4, 4))
        np.testing.assert_allclose(found, image)
    assert panels[1].get_xlabel() == "channels 0 to 5 of 30"
    assert drawn(panels[2])[0, 0] == pytest.approx(
        (scores[0, 0] - scores[0, :6].min()) / np.ptp(scores[0, :6])
    )
    bars = [axes for axes in figure.axes if not axes.get_title()]
    assert [text.get_text() for text in bars[1].get_yticklabels()] == [
        f"{float(maps[0, :6].min()):.3g}",
        f"{float(maps[0, :6].max()):.3g}",
    ]


def test_without_names_layers_are_drawn_after_their_activations(net):
    figure = plot.feature_maps(net, np.zeros((8, 8)))
    names = [axes.get_title().split(":")[0] for axes in figure.axes if axes.get_title()]
    assert names == ["input", "relu1", "pool1"]


def test_of_many_layers_some_are_drawn_and_the_last_is_one_of_them():
    net = fastconv.create_model("UNet", input_shape=(1, 32, 32), seed=0)
    figure = plot.feature_maps(net, np.zeros((1, 32, 32)), channels=1)
    names = [axes.get_title().split(":")[0] for axes in figure.axes if axes.get_title()]
    assert len(names) == 12 and names[-1] == "classes"


def test_a_wrong_image_or_layer_is_told(net):
    with pytest.raises(ShapeError, match=r"image must have the shape \(1, 8, 8\)"):
        plot.feature_maps(net, np.zeros((3, 8, 8)))
    with pytest.raises(ArgumentError, match="there are conv1"):
        plot.feature_maps(net, np.zeros((1, 8, 8)), ["conv9"])
