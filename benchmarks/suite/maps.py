"""Time of what makes maps larger or lays them out anew, and of the gradients."""

from __future__ import annotations

from suite import Timing, needs
from suite.shapes import MAPS, UNFOLDS, normal


class Maps(Timing):
    """Twice as large, by both modes, and with a border of two zeros."""

    params = [list(MAPS)]
    param_names = ["maps"]

    def setup(self, maps: str) -> None:
        names = ("upsample2d", "upsample2d_backward", "zero_padding2d", "zero_padding2d_backward")
        self.f = needs(*(f"functional.{name}" for name in names)).functional
        self.x = normal(MAPS[maps])
        self.larger, self.padded = self.f.upsample2d(self.x, 2), self.f.zero_padding2d(self.x, 2)

    def time_nearest(self, maps: str) -> None:
        self.f.upsample2d(self.x, 2)

    def time_nearest_backward(self, maps: str) -> None:
        self.f.upsample2d_backward(self.larger, 2)

    def time_bilinear(self, maps: str) -> None:
        self.f.upsample2d(self.x, 2, "bilinear")

    def time_bilinear_backward(self, maps: str) -> None:
        self.f.upsample2d_backward(self.larger, 2, "bilinear")

    def time_padding(self, maps: str) -> None:
        self.f.zero_padding2d(self.x, 2)

    def time_padding_backward(self, maps: str) -> None:
        self.f.zero_padding2d_backward(self.padded, 2)


class Transposed(Timing):
    """Transposed convolutions that double their maps, as decoders have them."""

    #: Channels, height and width, filters, height and width of a filter, padding.
    params = [[(128, 28, 64, 4, 1), (64, 56, 32, 2, 0), (256, 14, 128, 4, 1)]]
    param_names = ["case"]

    def setup(self, case: tuple[int, int, int, int, int]) -> None:
        names = ("conv2d_transpose", "conv2d_transpose_backward")
        self.f = needs(*(f"functional.{name}" for name in names)).functional
        c, h, k, r, padding = case
        self.x, self.weight = normal((1, c, h, h)), normal((c, k, r, r), 1)
        self.options = {"stride": 2, "padding": padding}
        self.dy = self.f.conv2d_transpose(self.x, self.weight, **self.options)

    def time_conv2d_transpose(self, case: tuple[int, int, int, int, int]) -> None:
        self.f.conv2d_transpose(self.x, self.weight, **self.options)

    def time_conv2d_transpose_backward(self, case: tuple[int, int, int, int, int]) -> None:
        self.f.conv2d_transpose_backward(self.dy, self.x, self.weight, **self.options)


class Windows(Timing):
    """Windows as columns, one for each place, and the sums on the way back."""

    params = [list(UNFOLDS)]
    param_names = ["windows"]

    def setup(self, windows: str) -> None:
        self.f = needs("functional.unfold2d", "functional.fold2d").functional
        case = UNFOLDS[windows]
        self.x, self.kernel = normal(case.x_shape), case.R
        self.options = {"stride": case.stride, "padding": case.padding}
        self.columns = self.f.unfold2d(self.x, self.kernel, **self.options)

    def time_unfold2d(self, windows: str) -> None:
        self.f.unfold2d(self.x, self.kernel, **self.options)

    def time_fold2d(self, windows: str) -> None:
        self.f.fold2d(self.columns, self.x.shape[2:], self.kernel, **self.options)
