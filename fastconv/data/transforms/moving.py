"""Images moved, cut out and mirrored: each its own way, by random numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastconv.arguments import as_bool, as_pair, as_real
from fastconv.data.transforms.transform import Array, Pair, Transform, as_images, filled
from fastconv.errors import ArgumentError, ShapeError

__all__ = ["crop", "flip", "shift"]


def shift(pixels: int | tuple[int, int], *, fill: float = 0, targets: bool = False) -> Transform:
    """Return a transform that moves each image by some pixels, up or down and left or right.

    Parameters
    ----------
    pixels : int or (vertical, horizontal)
        The most that an image moves; every number from minus that to that is as likely.
    fill : float
        What comes in at the border.
    targets : bool
        Whether y, images (N, ..., H, W) of the same H and W, moves with x: for an answer per pixel.

    Returns
    -------
    Transform
        It takes x (N, ..., H, W) of any dtype, and makes an array of the same shape and dtype.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1, 5).reshape(1, 1, 2, 2)
    >>> shift(1)(np.random.default_rng(0), x)[0].tolist()  # one up, none to the side
    [[[[3, 4], [0, 0]]]]
    """
    vertical, horizontal = as_pair("shift", "pixels", pixels, 0)
    fill = _fill("shift", fill)
    targets = as_bool("shift", "targets", targets)
    settings = {"pixels": (vertical, horizontal), "fill": fill, "targets": targets}
    apply = partial(_cropped, "shift", None, (vertical, horizontal), fill, targets)
    return Transform("shift", settings, apply, keeps_y=not targets)


def crop(
    size: int | tuple[int, int],
    *,
    padding: int | tuple[int, int] = 0,
    fill: float = 0,
    targets: bool = False,
) -> Transform:
    """Return a transform that cuts a part of `size` out of each image, at any place.

    Parameters
    ----------
    size : int or (H, W)
        Of the part: of the images that the network takes, where ``fit`` cuts it out of larger
        ones. Rows for validation are not cut. With `padding` it may be the size of x.
    padding : int or (vertical, horizontal)
        How many pixels are put around the image before.
    fill : float
        What these pixels are.
    targets : bool
        Whether the same part of y, images of the same H and W, is cut out.

    Returns
    -------
    Transform
        It takes x (N, ..., H, W) of any dtype.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros((100, 3, 40, 40), np.float32)
    >>> crop(32)(np.random.default_rng(0), x)[0].shape
    (100, 3, 32, 32)
    """
    height, width = as_pair("crop", "size", size, 1)
    around = as_pair("crop", "padding", padding, 0)
    fill = _fill("crop", fill)
    targets = as_bool("crop", "targets", targets)
    settings = {"size": (height, width), "padding": around, "fill": fill, "targets": targets}
    apply = partial(_cropped, "crop", (height, width), around, fill, targets)
    return Transform("crop", settings, apply, keeps_y=not targets)


def flip(
    *, horizontal: bool = True, vertical: bool = False, share: float = 0.5, targets: bool = False
) -> Transform:
    """Return a transform that mirrors some of the images.

    Parameters
    ----------
    horizontal, vertical : bool
        Whether left and right, and top and bottom, may change places; each for itself.
    share : float
        The chance that an image is mirrored, 0 to 1.
    targets : bool
        Whether y, images (N, ..., H, W), is mirrored with x.

    Returns
    -------
    Transform
        It takes x (N, ..., H, W) of any dtype, and makes an array of the same shape and dtype.

    Examples
    --------
    >>> import numpy as np
    >>> flip(share=1)(np.random.default_rng(0), np.array([[[1, 2], [3, 4]]]))[0].tolist()
    [[[2, 1], [4, 3]]]
    """
    horizontal = as_bool("flip", "horizontal", horizontal)
    vertical = as_bool("flip", "vertical", vertical)
    share = as_real("flip", "share", share, "0 to 1", 0.0, np.nextafter(1.0, 2.0))
    targets = as_bool("flip", "targets", targets)
    if not (horizontal or vertical):
        raise ArgumentError("flip", "horizontal or vertical", "must be True", False)
    settings = {"horizontal": horizontal, "vertical": vertical, "share": share, "targets": targets}
    apply = partial(_flipped, horizontal, vertical, share, targets)
    return Transform("flip", settings, apply, keeps_y=not targets)


def _fill(operation: str, fill: Any) -> float:
    number = as_real(operation, "fill", fill, "finite", -np.finfo(np.float64).max, np.inf)
    return int(number) if number == int(number) else number


def _cropped(
    operation: str,
    size: tuple[int, int] | None,
    padding: tuple[int, int],
    fill: float,
    targets: bool,
    rng: np.random.Generator,
    x: Any,
    y: Any,
) -> Pair:
    x = as_images(operation, "x", x)
    height, width = size or x.shape[-2:]
    axes = zip(x.shape[-2:], padding, (height, width), strict=True)
    spare = [have + 2 * around - want for have, around, want in axes]
    if min(spare) < 0:
        rule = f"must hold images of at least {height} by {width} pixels, padding included"
        raise ShapeError(operation, "x", rule, x.shape, shown=f"shape {x.shape}")
    # one after the other, so that one direction's numbers do not depend on the other's
    corners = np.stack([rng.integers(0, each + 1, len(x)) for each in spare], axis=1) - padding
    if targets:
        y = _window(operation, _like(operation, y, x), corners, (height, width), fill)
    return _window(operation, x, corners, (height, width), fill), y


def _window(
    operation: str, images: Array, corners: Array, size: tuple[int, int], fill: float
) -> Array:
    """Return the part of each image that begins at its corner, which may be outside."""
    out = filled(operation, (*images.shape[:-2], *size), images.dtype, fill)
    have = images.shape[-2:]
    for image, part, corner in zip(images, out, corners.tolist(), strict=True):
        # of each axis what is inside, in the image and in the part
        first = [min(max(c, 0), n) for c, n in zip(corner, have, strict=True)]
        last = [min(max(c + s, 0), n) for c, s, n in zip(corner, size, have, strict=True)]
        inside = (..., *map(slice, first, last))
        to = [f - c for f, c in zip(first, corner, strict=True)]
        end = [to_ + b - a for to_, a, b in zip(to, first, last, strict=True)]
        if first[0] < last[0] and first[1] < last[1]:
            part[(..., *map(slice, to, end))] = image[inside]
    return out


def _flipped(
    horizontal: bool,
    vertical: bool,
    share: float,
    targets: bool,
    rng: np.random.Generator,
    x: Any,
    y: Any,
) -> Pair:
    x = as_images("flip", "x", x).copy()
    y = _like("flip", y, x).copy() if targets else y
    for axis, wanted in ((-1, horizontal), (-2, vertical)):
        if wanted:
            chosen = rng.random(len(x)) < share
            for images in (x, y) if targets else (x,):
                images[chosen] = np.flip(images[chosen], axis)
    return x, y


def _like(operation: str, y: Any, x: Array) -> Array:
    """Return y as images that lie on those of x."""
    images = as_images(operation, "y", y)
    if images.shape[-2:] != x.shape[-2:] or len(images) != len(x):
        rule = f"must be {len(x)} images of {x.shape[-2]} by {x.shape[-1]} pixels, as x is"
        raise ShapeError(operation, "y", rule, images.shape, shown=f"shape {images.shape}")
    return images
