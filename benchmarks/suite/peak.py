"""Peak resident memory of the whole process, as the operating system counts it.

It counts what no library counts of itself, but includes the interpreter, NumPy and `setup`:
some 40 MB, and differences below tens of MB drown in it.  So every benchmark has an empty twin,
``peakmem_..._reference``, with the same `setup` and no operation, to be subtracted, and the
cases are large.  For exact bytes see memory.py and models.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from suite import needs, stated
from suite.networks import IMAGES, make
from suite.shapes import ALGORITHMS, DIRECTIONS, LAYERS, normal


class Convolution:
    """VGG's second layer: 115.6 MB unfolded, the input and the output 12.8 MB each."""

    version = "1"
    params = [ALGORITHMS, DIRECTIONS]
    param_names = ["algorithm", "direction"]
    case = LAYERS["vgg1.2"]

    def setup(self, algorithm: str, direction: str) -> None:
        fastconv = needs("conv2d", "conv2d_backward")
        stated(self.case, algorithm, direction)
        arrays: tuple[Any, ...] = normal(self.case.x_shape), normal(self.case.weight_shape, 1)
        self.operation = fastconv.conv2d
        if direction == "backward":
            arrays = normal(self.case.y_shape, 2), *arrays
            self.operation = fastconv.conv2d_backward
        self.arrays = arrays
        self.options = {**self.case.options, "algorithm": algorithm}

    def peakmem_convolution(self, algorithm: str, direction: str) -> None:
        self.operation(*self.arrays, **self.options)

    def peakmem_convolution_reference(self, algorithm: str, direction: str) -> None:
        """Nothing but `setup`."""


class Unfold:
    """im2col and col2im of the same layer; `setup` has made the matrix once already."""

    version = "1"
    case = LAYERS["vgg1.2"]

    def setup(self) -> None:
        self.fastconv = needs("im2col", "col2im")
        self.window = self.case.R, self.case.R, self.case.stride, self.case.padding
        self.x = normal(self.case.x_shape)
        taps = self.case.C * self.case.R**2
        self.col = np.ones((self.case.H**2, taps), np.float32)

    def peakmem_im2col(self) -> None:
        self.fastconv.im2col(self.x, *self.window)

    def peakmem_im2col_reference(self) -> None:
        """Nothing but `setup`."""

    def peakmem_col2im(self) -> None:
        self.fastconv.col2im(self.col, self.x.shape, *self.window)

    def peakmem_col2im_reference(self) -> None:
        """Nothing but `setup`."""


class Network:
    """A step of training, and a prediction, of the book's DeepConvNet on 500 images."""

    version = "1"
    batch = 500

    def setup(self) -> None:
        fastconv = needs("Sequential.train_on_batch", "Sequential.predict")
        self.x = normal((self.batch, *IMAGES))
        self.y = np.arange(self.batch) % 10
        self.net = make(fastconv, "DeepConvNet")
        self.net.compile(optimizer="adam", loss="softmax_cross_entropy")

    def peakmem_train_step(self) -> None:
        self.net.train_on_batch(self.x, self.y)

    def peakmem_train_step_reference(self) -> None:
        """Nothing but `setup`."""

    def peakmem_predict(self) -> None:
        self.net.predict(self.x, batch_size=self.batch)

    def peakmem_predict_reference(self) -> None:
        """Nothing but `setup`."""
