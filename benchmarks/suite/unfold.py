"""Time of im2col and col2im, and of a plain copy of as many bytes, which is their limit."""

from __future__ import annotations

import numpy as np

from suite import Timing, needs
from suite.shapes import UNFOLDS, normal


class Unfold(Timing):
    """The book's layout, a row of columns for each window."""

    params = [list(UNFOLDS)]
    param_names = ["windows"]

    def setup(self, windows: str) -> None:
        fastconv = needs("im2col", "col2im")
        case = UNFOLDS[windows]
        self.x, self.window = normal(case.x_shape), (case.R, case.R, case.stride, case.padding)
        self.im2col, self.col2im = fastconv.im2col, fastconv.col2im
        self.col = self.im2col(self.x, *self.window)
        self.kept = np.empty_like(self.col)

    def time_im2col(self, windows: str) -> None:
        self.im2col(self.x, *self.window)

    def time_col2im(self, windows: str) -> None:
        self.col2im(self.col, self.x.shape, *self.window)

    def time_copy(self, windows: str) -> None:
        np.copyto(self.kept, self.col)
