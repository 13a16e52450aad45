"""The named cases of the suite.  Append only: a name keeps its meaning for ever.

Results in asv's history are filed under these names.  A case that turns out to be wrong or of
no interest stays; a better one gets a new name and goes to the end of its table.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

#: The algorithms of `conv2d` in the order in which they came; what a layer or a commit does not
#: have is skipped.  ``auto`` is whichever of them the commit chooses.  Append only.
ALGORITHMS = ["direct", "im2col", "winograd", "im2col_tiled", "auto"]
DIRECTIONS = ["forward", "backward"]


class Layer(NamedTuple):
    """A convolution of square maps (N, C, H, H) with filters (K, C/groups, R, R)."""

    C: int
    H: int
    K: int
    R: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    N: int = 1

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.N, self.C, self.H, self.H

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.K, self.C // self.groups, self.R, self.R

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        # computed here, not by the library, so that a case means the same on every commit
        side = (self.H + 2 * self.padding - self.R) // self.stride + 1
        return self.N, self.K, side, side

    @property
    def nbytes(self) -> int:
        """Bytes of input, weights and output in float32."""
        return 4 * sum(map(prod, (self.x_shape, self.weight_shape, self.y_shape)))

    @property
    def options(self) -> dict[str, int]:
        """The geometry as keyword arguments of `conv2d` and its kin."""
        return {"stride": self.stride, "padding": self.padding, "groups": self.groups}


#: Layers of well-known networks: AlexNet, VGG-16, ResNet-50, MobileNet-v1, and of small ones.
#: "alex1" is like AlexNet's first layer, not equal to it: the paper's has 96 filters and no
#: padding, which gives maps of 55x55; the later one has 64 filters and 224 pixels. Here 227 pixels
#: with those filters and padding give 56x56.
#: Its results are filed under the name, so it stays; `WHOLE_NETWORKS` has the paper's.
NETWORKS = {
    "alex1": Layer(3, 227, 64, 11, 4, 2),
    "alex2": Layer(64, 27, 192, 5, 1, 2),
    "vgg1.1": Layer(3, 224, 64, 3, 1, 1),
    "vgg1.2": Layer(64, 224, 64, 3, 1, 1),
    "vgg3.2": Layer(256, 56, 256, 3, 1, 1),
    "vgg5": Layer(512, 14, 512, 3, 1, 1),
    "rn.conv1": Layer(3, 224, 64, 7, 2, 3),
    "rn2.3x3": Layer(64, 56, 64, 3, 1, 1),
    "rn2.1x1": Layer(64, 56, 256, 1),
    "rn3.3x3": Layer(128, 28, 128, 3, 1, 1),
    "rn3.s2": Layer(128, 56, 128, 3, 2, 1),
    "rn4.1x1": Layer(1024, 14, 256, 1),
    "rn5.3x3": Layer(512, 7, 512, 3, 1, 1),
    "rn5.1x1": Layer(512, 7, 2048, 1),
    "mb.dw1": Layer(32, 112, 32, 3, 1, 1, groups=32),
    "mb.dw2": Layer(64, 112, 64, 3, 2, 1, groups=64),
    "mb.dw7": Layer(1024, 7, 1024, 3, 1, 1, groups=1024),
    "book": Layer(1, 28, 30, 5, N=100),
    "deep": Layer(16, 28, 32, 3, 1, 1, N=100),
    "cifar": Layer(32, 32, 64, 3, 1, 1, N=32),
}

#: cv1 to cv12 of Cho and Brand, "MEC: Memory-efficient Convolution" (2017), table 2.
MEC = {
    "mec.cv1": Layer(3, 227, 96, 11, 4),
    "mec.cv2": Layer(3, 231, 96, 11, 4),
    "mec.cv3": Layer(3, 227, 64, 7, 2),
    "mec.cv4": Layer(64, 224, 64, 7, 2),
    "mec.cv5": Layer(96, 24, 256, 5),
    "mec.cv6": Layer(256, 12, 512, 3),
    "mec.cv7": Layer(3, 224, 64, 3),
    "mec.cv8": Layer(64, 112, 128, 3),
    "mec.cv9": Layer(64, 56, 64, 3),
    "mec.cv10": Layer(128, 28, 128, 3),
    "mec.cv11": Layer(256, 14, 256, 3),
    "mec.cv12": Layer(512, 7, 512, 3),
}

LAYERS = NETWORKS | MEC

#: Depthwise convolutions by window: those of MobileNet-v2, EfficientNet, ConvNeXt and RepLKNet.
DEPTHWISE = {
    "3x3": Layer(144, 56, 144, 3, 1, 1, groups=144),
    "5x5": Layer(240, 28, 240, 5, 1, 2, groups=240),
    "7x7": Layer(96, 56, 96, 7, 1, 3, groups=96),
    "31x31": Layer(64, 56, 64, 31, 1, 15, groups=64),
}


class Pool(NamedTuple):
    """Windows (R, R) over square maps (N, C, H, H)."""

    N: int
    C: int
    H: int
    R: int
    stride: int
    padding: int = 0

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.N, self.C, self.H, self.H

    @property
    def options(self) -> dict[str, int]:
        """The window as keyword arguments of the pooling functions."""
        return {"stride": self.stride, "padding": self.padding}


POOLS = {
    "64x112.2x2": Pool(1, 64, 112, 2, 2),
    "64x112.3x3": Pool(1, 64, 112, 3, 2, 1),
    "book": Pool(100, 30, 24, 2, 2),
    "512x28.2x2": Pool(1, 512, 28, 2, 2),
}

#: Windows to unfold, their columns the book's.
UNFOLDS = {
    "64x56.3x3": Pool(1, 64, 56, 3, 1, 1),
    "book": Pool(100, 1, 28, 5, 1),
    "3x224.7x7": Pool(1, 3, 224, 7, 2, 3),
    "deep": Pool(100, 16, 28, 3, 1, 1),
    "64x56.1x1": Pool(1, 64, 56, 1, 1),
}

#: Maps (N, C, H, H) for what works element by element or channel by channel.
MAPS = {"64x112": (1, 64, 112, 112), "book": (100, 30, 24, 24), "deep": (100, 16, 28, 28)}

#: Dense layers: samples, features, units.
DENSE = {
    "book": (100, 4320, 100),
    "scores": (100, 100, 10),
    "alex.fc6": (1, 9216, 4096),
    "rn.fc": (1, 2048, 1000),
}


@lru_cache(maxsize=8)  # asv calls setup before every sample
def normal(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Return Gaussian float32 numbers, the same on every machine and commit."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _same(*rows: tuple[int, int, int]) -> list[Layer]:
    """3x3 layers of stride 1 with a border of zeros: (C, H, K) each."""
    return [Layer(c, h, k, 3, 1, 1) for c, h, k in rows]


def _depthwise(*rows: tuple[int, int, int]) -> list[Layer]:
    """3x3 layers with a filter for each channel: (C, H, stride) each."""
    return [Layer(c, h, c, 3, stride, 1, groups=c) for c, h, stride in rows]


def _pointwise(*rows: tuple[int, int, int]) -> list[Layer]:
    return [Layer(c, h, k, 1) for c, h, k in rows]


#: Every convolution of six networks, each shape once.
WHOLE_NETWORKS = {
    "ResNet-50": [
        Layer(3, 224, 64, 7, 2, 3),
        *_pointwise((64, 56, 256), (64, 56, 64)),
        Layer(64, 56, 64, 3, 1, 1),
        *_pointwise((256, 56, 64)),
        Layer(256, 56, 512, 1, 2),
        *_pointwise((256, 56, 128)),
        Layer(128, 56, 128, 3, 2, 1),
        Layer(128, 28, 128, 3, 1, 1),
        *_pointwise((128, 28, 512), (512, 28, 128)),
        Layer(512, 28, 1024, 1, 2),
        *_pointwise((512, 28, 256)),
        Layer(256, 28, 256, 3, 2, 1),
        Layer(256, 14, 256, 3, 1, 1),
        *_pointwise((256, 14, 1024), (1024, 14, 256)),
        Layer(1024, 14, 2048, 1, 2),
        *_pointwise((1024, 14, 512)),
        Layer(512, 14, 512, 3, 2, 1),
        Layer(512, 7, 512, 3, 1, 1),
        *_pointwise((512, 7, 2048), (2048, 7, 512)),
    ],
    "VGG-16": _same(
        (3, 224, 64),
        (64, 224, 64),
        (64, 112, 128),
        (128, 112, 128),
        (128, 56, 256),
        (256, 56, 256),
        (256, 28, 512),
        (512, 28, 512),
        (512, 14, 512),
    ),
    "AlexNet": [
        Layer(3, 227, 96, 11, 4),
        Layer(96, 27, 256, 5, 1, 2, groups=2),
        Layer(256, 13, 384, 3, 1, 1),
        Layer(384, 13, 384, 3, 1, 1, groups=2),
        Layer(384, 13, 256, 3, 1, 1, groups=2),
    ],
    "MobileNet-v1": [
        Layer(3, 224, 32, 3, 2, 1),
        *_depthwise(
            (32, 112, 1),
            (64, 112, 2),
            (128, 56, 1),
            (128, 56, 2),
            (256, 28, 1),
            (256, 28, 2),
            (512, 14, 1),
            (512, 14, 2),
            (1024, 7, 1),
        ),
        *_pointwise(
            (32, 112, 64),
            (64, 56, 128),
            (128, 56, 128),
            (128, 28, 256),
            (256, 28, 256),
            (256, 14, 512),
            (512, 14, 512),
            (512, 7, 1024),
            (1024, 7, 1024),
        ),
    ],
    # as they are trained, in batches
    "DeepConvNet": [
        layer._replace(N=100)
        for layer in (
            *_same((1, 28, 16), (16, 28, 16), (16, 14, 32)),
            Layer(32, 14, 32, 3, 1, 2),
            *_same((32, 8, 64), (64, 8, 64)),
        )
    ],
    "ResNet-20": [
        layer._replace(N=32)
        for layer in (
            *_same((3, 32, 16), (16, 32, 16)),
            Layer(16, 32, 32, 3, 2, 1),
            *_same((32, 16, 32)),
            Layer(32, 16, 64, 3, 2, 1),
            *_same((64, 8, 64)),
        )
    ],
}
