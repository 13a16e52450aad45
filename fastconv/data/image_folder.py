"""Folders of images by class, which are read when they are needed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastconv.arguments import as_bool, as_int, as_list, as_pair, as_path
from fastconv.errors import ArgumentError, FormatError, MissingExtraError, ShapeError, describe

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SUFFIXES", "ImageFolder", "Images", "image_folder", "image_paths"]

Array = np.ndarray[Any, Any]

SUFFIXES = frozenset(".bmp .gif .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split())


class Images:
    """Image files as rows: item i is read from its file each time that it is asked for.

    Parameters
    ----------
    paths : sequence of path
    size : int or (H, W), optional
        What every image is scaled to. Without it, all must have the size of the first.
    grey : bool
        Whether images have one channel, of grey values, instead of three of red, green and blue.

    Notes
    -----
    An item is a float32 (1 or 3, H, W) from 0 to 1. Pillow decodes and scales the images, the
    latter with its bilinear filter. 16 bits in a channel are rounded to 8. Pixels are taken as they
    lie in the file: what a camera notes of its position turns nothing, and transparency is dropped.
    """

    def __init__(
        self, paths: Sequence[str | PathLike[str]], *, size: Any = None, grey: bool = False
    ) -> None:
        listed = as_list("Images", "paths", paths, "must be a list of paths", most=10**8)
        self.paths = tuple([as_path("Images", "path", path) for path in listed])
        self.grey = as_bool("Images", "grey", grey)
        self.size = None if size is None else as_pair("Images", "size", size, 1)
        self._opens = _pillow("Images")
        self._expected = self.size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Array:
        """Return image number `row`, (channels, H, W).

        Raises
        ------
        FormatError
            If the file is no image that Pillow reads.
        ShapeError
            If it has another size than the first one. Both errors name the file.
        """
        path = self.paths[as_int("Images", "row", row, -len(self), len(self) - 1)]
        if self._expected is None and path != self.paths[0]:
            self._expected = self._read(self.paths[0]).shape[:2]
        pixels = self._read(path)
        height, width = self._expected or pixels.shape[:2]
        if pixels.shape[:2] != (height, width):
            raise ShapeError(
                "Images",
                str(path),
                f"must have the size of the first image, {height} by {width} pixels",
                pixels.shape[:2],
                "size=(H, W) scales all images to one size",
            )
        out = np.ascontiguousarray(pixels.reshape(height, width, -1).transpose(2, 0, 1), np.float32)
        out /= np.float32(255)
        return out

    def __iter__(self) -> Iterator[Array]:
        return (self[row] for row in range(len(self)))

    def _read(self, path: Path) -> Array:
        """Return the pixels as uint8, (H, W) or (H, W, 3)."""
        from PIL import Image

        try:
            with self._opens(path) as image:
                image = _of_8_bits(path, image).convert("L" if self.grey else "RGB")
                if self.size is not None:
                    image = image.resize(self.size[::-1], Image.Resampling.BILINEAR)
                return np.asarray(image)
        except OSError as error:
            if error.errno is not None:  # of the system: it is not there, or may not be read
                raise
            raise _refused(path, error) from error
        except (FormatError, MemoryError):
            raise
        except Exception as error:  # whatever Pillow raises for a damaged file, or too large a one
            raise _refused(path, error) from error


def _of_8_bits(path: Path, image: Any) -> Any:
    """Return the image with numbers from 0 to 255, since Pillow's `convert` cuts off all above."""
    if image.mode == "I" and image.format == "PNG" or image.mode.startswith("I;16"):
        from PIL import Image

        numbers = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((numbers * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("I", "F"):
        rule = "must have 8 or 16 bits in a channel"
        remedy = "save it so; nothing says which of its numbers is white"
        shown = "32, whole numbers" if image.mode == "I" else "32, floats"
        raise FormatError("Images", str(path), rule, remedy=remedy, shown=shown)
    return image


def _refused(path: Path, error: Exception) -> FormatError:
    return FormatError(
        "Images", str(path), "must be an image that Pillow reads", remedy=describe(error)
    )


def _pillow(operation: str) -> Any:
    """Return Pillow's function that opens an image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError.of(operation, "Pillow", "images") from error
    return Image.open


class ImageFolder(NamedTuple):
    """What `image_folder` gives.

    Attributes
    ----------
    x : Images
        The images, of which each is read when it is needed.
    y : ndarray (N,) of int64
        The class of each: its place in `names`.
    names : list of str
        The classes, in sorted order.
    """

    x: Images
    y: Array
    names: list[str]


def image_folder(
    folder: str | PathLike[str], *, size: Any = None, grey: bool = False
) -> ImageFolder:
    """Return the images of a folder that has one folder for each class.

    Parameters
    ----------
    folder : path
        Such as ``pets`` with ``pets/cat/001.jpg`` and ``pets/dog/a.png``. Images in folders
        within a class are of that class. Files that are no images by their names, and everything
        whose name begins with a dot, are left out.
    size : int or (H, W), optional
        What every image is scaled to. Without it, all must have the size of the first.
    grey : bool
        Whether images have one channel instead of three.

    Returns
    -------
    ImageFolder
        (x, y, names), classes in sorted order, and images of a class in the order of their paths.
        `fit`, `evaluate` and `predict` read the images of a batch when they need them.

    Raises
    ------
    ArgumentError
        If there is no folder of a class, or one without images.
    OSError
        If a folder cannot be read, or a link leads nowhere.
    MissingExtraError
        If Pillow is not installed.
    """
    found = as_path("image_folder", "folder", folder, "folder")
    if not found.is_dir():
        shown = f"{str(found)!r}"
        raise ArgumentError("image_folder", "folder", "must be a folder", str(found), shown=shown)
    classes = sorted(
        each
        for each in found.iterdir()
        if not each.name.startswith(".") and stat.S_ISDIR(each.stat().st_mode)
    )
    if not classes:
        rule = "must have a folder for each class"
        raise ArgumentError("image_folder", "folder", rule, str(found))
    paths: list[Path] = []
    counts = []
    for each in classes:
        own = image_paths(each, found)
        if not own:
            rule = "must have images in the folder of every class"
            shown = f"none in {str(each)!r}"
            raise ArgumentError("image_folder", "folder", rule, str(each), shown=shown)
        paths += own
        counts.append(len(own))
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), counts)
    return ImageFolder(Images(paths, size=size, grey=grey), labels, [each.name for each in classes])


def image_paths(folder: Path, *around: Path) -> list[Path]:
    """Return the images of a folder, and of folders within, in the order of their paths.

    A file is an image by its suffix.  Names that begin with a dot are left out.  Links are
    followed, but for those that lead to a folder that they are in, or to one `around` it.

    Raises
    ------
    OSError
        If a folder cannot be read, or a link leads nowhere: a class is not to lose its images.
    """
    return sorted(_images_within(folder, tuple([above.stat() for above in around])))


def _images_within(folder: Path, around: tuple[os.stat_result, ...]) -> Iterator[Path]:
    here = folder.stat()
    if any(os.path.samestat(here, other) for other in around):
        return
    for path in folder.iterdir():
        image = path.suffix.lower() in SUFFIXES
        if path.name.startswith(".") or not (image or path.is_dir() or path.is_symlink()):
            continue
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            yield from _images_within(path, (*around, here))
        elif image and stat.S_ISREG(mode):
            yield path
