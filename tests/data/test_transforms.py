"""Transforms of batches, with the exact results of their random numbers."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

from fastconv.data import compose, crop, flip, noise, normalise, shift
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError

TRANSFORMS = {
    "shift": shift((1, 2)),
    "flip": flip(vertical=True),
    "crop": crop(4, padding=1),
    "noise": noise(0.5),
    "normalise": normalise([1, 2, 3], 2),
    "compose": compose(shift(1), noise(0.5)),
}


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def images():
    return np.arange(1, 1 + 7 * 3 * 5 * 6, dtype=np.float32).reshape(7, 3, 5, 6)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_all_write_to_nothing_and_follow_from_the_generator_alone(name, images):
    transform, x, y = TRANSFORMS[name], images.copy(), np.arange(7)
    x.flags.writeable = False
    first = transform(rng(3), x, y)
    assert isinstance(first, tuple) and first[1] is y
    for other in (copy.deepcopy(transform), pickle.loads(pickle.dumps(transform)), transform):
        found, labels = other(rng(3), x, y)
        np.testing.assert_array_equal(found, first[0])
        assert found.dtype == x.dtype and not np.shares_memory(found, x)
        assert repr(other) == repr(transform) and other.to_config() == transform.to_config()
    if name != "normalise":
        assert not np.array_equal(transform(rng(4), x, y)[0], first[0])
    assert json.loads(json.dumps(transform.to_config()))[0] == name
    assert eval(repr(transform)).to_config() == transform.to_config()


def moved(image, down, right, fill=0):
    """Move an image pixel by pixel."""
    out = np.full_like(image, fill)
    height, width = image.shape[-2:]
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                out[..., i, j] = image[..., i - down, j - right]
    return out


@pytest.mark.parametrize("pixels", [0, 1, (2, 0), (0, 3), (5, 6), 9])
@pytest.mark.parametrize("fill", [0, 7])
def test_shift(images, pixels, fill):
    vertical, horizontal = pixels if isinstance(pixels, tuple) else (pixels, pixels)
    draws = rng(8)
    down = vertical - draws.integers(0, 2 * vertical + 1, 7)
    right = horizontal - draws.integers(0, 2 * horizontal + 1, 7)
    for x in (images, images.astype(np.uint8), images[:, 0]):
        found = shift(pixels, fill=fill)(rng(8), x)[0]
        expected = [moved(*each, fill) for each in zip(x, down, right, strict=True)]
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == x.dtype


def test_every_shift_comes_as_often():
    x = np.zeros((20_000, 1, 5, 5), np.uint8)
    x[:, :, 2, 2] = 1
    found = shift((1, 2))(rng(), x)[0]
    counts = found.sum(axis=(0, 1))
    assert counts[1:4].min() > 0.85 * 20_000 / 15 and counts[[0, 4]].sum() == 0
    assert counts.sum() == 20_000


@pytest.mark.parametrize(
    ("size", "padding"), [(3, 0), ((5, 6), 0), ((2, 4), (1, 0)), (7, 2), (1, 1)]
)
def test_crop(images, size, padding):
    height, width = size if isinstance(size, tuple) else (size, size)
    around = padding if isinstance(padding, tuple) else (padding, padding)
    wide = np.pad(images, ((0, 0), (0, 0), (around[0],) * 2, (around[1],) * 2), constant_values=9)
    draws = rng(2)
    top = draws.integers(0, wide.shape[2] - height + 1, 7)
    left = draws.integers(0, wide.shape[3] - width + 1, 7)
    found = crop(size, padding=padding, fill=9)(rng(2), images)[0]
    expected = [
        image[:, i : i + height, j : j + width] for image, i, j in zip(wide, top, left, strict=True)
    ]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_flip(images, share):
    draws = rng(5)
    sideways, upside = draws.random(7) < share, draws.random(7) < share
    expected = images.copy()
    expected[sideways] = expected[sideways][..., ::-1]
    np.testing.assert_array_equal(flip(share=share)(rng(5), images)[0], expected)
    expected[upside] = expected[upside][..., ::-1, :]
    np.testing.assert_array_equal(flip(vertical=True, share=share)(rng(5), images)[0], expected)


@pytest.mark.parametrize("make", [lambda **s: shift(2, **s), lambda **s: crop(3, **s), flip])
def test_answers_per_pixel_move_with_the_image(make, images):
    labels = images[:, 0].astype(np.int64)
    found, moved_labels = make(targets=True)(rng(1), images, labels)
    np.testing.assert_array_equal(found[:, 0], moved_labels)
    assert moved_labels.dtype == np.int64
    with pytest.raises(ShapeError, match="y must be 7 images of 5 by 6 pixels, as x is"):
        make(targets=True)(rng(1), images, labels[:, :4])
    with pytest.raises(ShapeError, match=r"y must be images \(N, ..., H, W\), got shape \(7,\)"):
        make(targets=True)(rng(1), images, np.arange(7))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise(images, dtype):
    x = images.astype(dtype)
    found = noise(0.25)(rng(6), x)[0]
    expected = x + rng(6).standard_normal(x.shape, dtype) * dtype(0.25)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(noise(0)(rng(), x)[0], x)
    with pytest.raises(ArgumentTypeError, match="x must be float32 or float64.*normalise"):
        noise(1)(rng(), x.astype(np.uint8))


def test_normalise(images):
    pixels = np.arange(6, dtype=np.uint8).reshape(1, 3, 2)
    found = normalise([0, 2, 4], [1, 2, 1])(rng(), pixels)[0]
    assert found.dtype == np.float32 and found.tolist() == [[[0, 1], [0, 0.5], [0, 1]]]
    assert normalise(1, 2)(rng(), pixels.astype(np.float64))[0].dtype == np.float64
    with pytest.raises(ShapeError, match="mean must have one number for each channel of x, 3, got"):
        normalise([1, 2], 1)(rng(), images)


def test_what_one_of_several_draws_changes_nothing_for_the_others(images):
    def takes(rng, x, y):
        rng.random(1000)
        return x, y

    def takes_nothing(rng, x, y):
        return x, y

    found = [compose(each, noise(1))(rng(), images)[0] for each in (takes, takes_nothing)]
    np.testing.assert_array_equal(*found)
    zeros = np.zeros((4, 500))
    one, two = (compose(*[noise(1)] * n)(rng(), zeros)[0] for n in (1, 2))
    assert abs(np.corrcoef(one.ravel(), (two - one).ravel())[0, 1]) < 0.1  # not the same numbers
    assert compose()(rng(), 3, 5) == (3, 5)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: shift(-1), ArgumentError, "shift: pixels must be at least 0, got -1"),
        (lambda: shift(1.5), ArgumentTypeError, "shift: pixels must be an integer"),
        (lambda: shift(1, fill=np.inf), ArgumentError, "shift: fill must be finite"),
        (lambda: shift(1, targets=1), ArgumentTypeError, "targets must be True or False"),
        (lambda: crop(0), ArgumentError, "crop: size must be at least 1"),
        (lambda: crop(2, padding=-1), ArgumentError, "crop: padding must be at least 0"),
        (lambda: flip(share=1.1), ArgumentError, "flip: share must be 0 to 1, got 1.1"),
        (lambda: flip(horizontal=False), ArgumentError, "horizontal or vertical must be True"),
        (lambda: noise(-1), ArgumentError, "noise: scale must be at least 0 and finite, got -1"),
        (lambda: normalise(0, 0), ArgumentError, "normalise: std must be above 0, got 0"),
        (lambda: normalise(np.nan), ArgumentError, "normalise: mean must be finite, got nan"),
        (lambda: normalise([[1]]), ShapeError, r"mean must be a number, or one for each channel"),
        (lambda: compose(shift(1), 3), ArgumentTypeError, r"transforms\[1\] must be a fun"),
        (lambda: shift(1)(0, np.zeros((1, 2, 2))), ArgumentTypeError, "shift: rng must be a gener"),
        (lambda: shift(1)(rng(), np.zeros((1, 2))), ShapeError, r"must be images \(N, ..., H, W\)"),
        (lambda: flip()(rng(), (np.zeros((1, 2)),)), ArgumentTypeError, "x must be one array, g"),
        (lambda: crop(9)(rng(), np.zeros((1, 2, 8))), ShapeError, "images of at least 9 by 9 pix"),
        (
            lambda: shift(1, fill=0.5)(rng(), np.zeros((1, 2, 2), np.uint8)),
            ArgumentTypeError,
            "fill must be a number that uint8 has, got 0.5",
        ),
        (
            lambda: shift(1, fill=300)(rng(), np.zeros((1, 2, 2), np.uint8)),
            ArgumentTypeError,
            "fill must be a number that uint8 has, got 300",
        ),
        (
            lambda: compose(lambda r, x, y: x)(rng(), 1, 2),
            ArgumentTypeError,
            r"must return \(x, y\)",
        ),
    ],
)
def test_what_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
