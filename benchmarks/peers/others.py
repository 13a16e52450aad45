"""Layers of networks to which nothing was fitted: they have other kinds, sizes and shapes.

Most are square as in `suite.shapes`; those that read text and speech have oblong maps or kernels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from suite.shapes import Layer, Pool

__all__ = ["OTHERS", "WIDE_POOLS", "Oblong", "pair"]


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return the pair (for rows, for columns)."""
    return (value, value) if isinstance(value, int) else value


class Oblong(NamedTuple):
    """A convolution of maps (1, C, H, W) with filters (K, C, R, S)."""

    C: int
    H: int
    W: int
    K: int
    R: int
    S: int
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    groups: int = 1

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return 1, self.C, self.H, self.W

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.K, self.C // self.groups, self.R, self.S

    @property
    def options(self) -> dict[str, Any]:
        """The geometry as keyword arguments of `conv2d` and its kin."""
        return {"stride": self.stride, "padding": self.padding, "groups": self.groups}


OTHERS: dict[str, Layer | Oblong] = {
    # GoogLeNet (2014): modules 3a, 4a and 5b
    "goog3a.3x3": Layer(96, 28, 128, 3, 1, 1),
    "goog3a.5x5": Layer(16, 28, 32, 5, 1, 2),
    "goog4a.1x1": Layer(480, 14, 192, 1),
    "goog5b.3x3": Layer(192, 7, 384, 3, 1, 1),
    # YOLO: the tiny one of version 3 on images of 416 by 416 (2018), version 8's smallest on 640 by
    # 640 (2023), and version 2's last, which gives 5 boxes of 85 numbers for each pixel (2016)
    "yolo3.3x3": Layer(16, 208, 32, 3, 1, 1),
    "yolo3.13": Layer(256, 13, 512, 3, 1, 1),
    "yolo8.s2": Layer(64, 80, 128, 3, 2, 1),
    "yolo2.boxes": Layer(1024, 13, 425, 1),
    # CRNN (2015), which reads lines of text, 32 by 100
    "ocr.1": Oblong(1, 32, 100, 64, 3, 3, 1, 1),
    "ocr.4": Oblong(256, 8, 25, 256, 3, 3, 1, 1),
    "ocr.7": Oblong(512, 2, 26, 512, 2, 2),
    # Deep Speech 2 (2015) on two seconds of 161 frequencies; the second layer of wav2vec 2.0
    "speech.1": Oblong(1, 161, 200, 32, 41, 11, 2, (20, 5)),
    "speech.2": Oblong(32, 81, 100, 32, 21, 11, (2, 1), (10, 5)),
    "speech.wave": Oblong(512, 1, 799, 512, 1, 3, (1, 2)),
    # ResNeXt-50, 32 groups (2016)
    "rx2.groups": Layer(128, 56, 128, 3, 1, 1, groups=32),
    "rx5.groups": Layer(1024, 7, 1024, 3, 1, 1, groups=32),
    # MobileNet-v2 (2018)
    "mb2.1x1": Layer(16, 112, 96, 1),
    "mb2.dw2": Layer(96, 112, 96, 3, 2, 1, groups=96),
    "mb2.dw": Layer(144, 56, 144, 3, 1, 1, groups=144),
    "mb2.last": Layer(320, 7, 1280, 1),
}

#: Large windows of stride 1: YOLO's pyramid of pooling, and wider maps.
WIDE_POOLS = {
    "512x13.5x5": Pool(1, 512, 13, 5, 1, 2),
    "512x13.9x9": Pool(1, 512, 13, 9, 1, 4),
    "512x13.13x13": Pool(1, 512, 13, 13, 1, 6),
    "64x56.5x5": Pool(1, 64, 56, 5, 1, 2),
    "64x56.13x13": Pool(1, 64, 56, 13, 1, 6),
}
