"""Filters made by hand find what they are made for, in squares and in a photograph."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import plot
from fastconv.errors import ArgumentError, ShapeError

pytest.importorskip("matplotlib")


def responses(figure) -> dict[str, np.ndarray]:
    found = {a.get_title(): np.asarray(a.images[0].get_array()) for a in figure.axes if a.images}
    return {title: array for title, array in found.items() if title}


def stripes(direction: str) -> np.ndarray:
    row, column = np.mgrid[:12, :12]
    along = {
        "horizontal edges": row,
        "vertical edges": column,
        "diagonal edges": row + column,
        "antidiagonal edges": row - column,
    }[direction]
    return (along // 4 % 2).astype(float)


@pytest.mark.parametrize(
    "direction", ["horizontal edges", "vertical edges", "diagonal edges", "antidiagonal edges"]
)
def test_each_direction_is_found_best_by_its_own_filter(direction):
    found = responses(plot.filter_responses(stripes(direction)))
    sums = {name: found[name].sum() for name in plot.EXAMPLE_FILTERS if name.endswith("edges")}
    assert max(sums, key=sums.__getitem__) == direction


def test_blobs_are_found_and_even_ground_is_not():
    image = np.full((15, 15), 0.5)
    image[7, 7] = 1.0
    found = responses(plot.filter_responses(image))["blobs"]
    assert found.shape == (11, 11) and np.unravel_index(found.argmax(), found.shape) == (5, 5)
    assert found[0, 0] == 0 and all(np.sum(kernel) == 0 for kernel in plot.EXAMPLE_FILTERS.values())


def test_a_response_is_the_absolute_value_of_the_sum_of_products(rng):
    image, kernel = rng.normal(size=(6, 7)), rng.normal(size=(2, 3))
    figure = plot.filter_responses(image, {"mine": kernel})
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    expected = np.abs((windows * kernel).sum(axis=(2, 3)))
    np.testing.assert_allclose(responses(figure)["mine"], expected, rtol=1e-12)
    written = [float(text.get_text()) for axes in figure.axes for text in axes.texts]
    np.testing.assert_allclose(written, kernel.ravel(), rtol=1e-4)


def test_colours_become_grey_wherever_their_axis_is():
    image = np.zeros((4, 5, 3), np.uint8)
    image[..., 0], image[1:3, 2, 1] = 100, 200
    grey = image @ np.array([0.299, 0.587, 0.114])
    for given in (image, image.transpose(2, 0, 1), grey, grey[None], grey[..., None]):
        shown = plot.filter_responses(given, {"a": [[1.0]]}).axes[0].images[0].get_array()
        np.testing.assert_allclose(np.asarray(shown), grey)


def test_a_photograph():
    image = pytest.importorskip("sklearn.datasets").load_sample_image("china.jpg")
    figure = plot.filter_responses(image)
    found = responses(figure)
    assert list(found) == ["the image, 427 \N{MULTIPLICATION SIGN} 640", *plot.EXAMPLE_FILTERS]
    assert found["horizontal edges"].shape == (425, 638)
    sky = (slice(0, 40), slice(500, 600))  # where there is nothing
    for name in plot.EXAMPLE_FILTERS:
        assert found[name][sky].mean() < 0.1 * found[name].mean()


def test_wrong_images_and_filters_are_told():
    with pytest.raises(ShapeError, match=r"image must have shape \(H, W\)"):
        plot.filter_responses(np.zeros((2, 3, 4, 5)))
    with pytest.raises(ShapeError, match=r"filters\['a'\] must be no larger than the image"):
        plot.filter_responses(np.zeros((2, 3)), {"a": np.ones((3, 3))})
    with pytest.raises(ArgumentError, match="image must be finite"):
        plot.filter_responses(np.full((5, 5), np.nan))
