"""Time of a convolution and of its three gradients, by layer and algorithm."""

from __future__ import annotations

from suite import Timing, needs, stated
from suite.shapes import ALGORITHMS, DEPTHWISE, LAYERS, normal


class Convolution(Timing):
    """One call on plain arrays, which packs the weights itself; float32."""

    params = [list(LAYERS), ALGORITHMS]
    param_names = ["layer", "algorithm"]

    def setup(self, layer: str, algorithm: str) -> None:
        fastconv = needs("conv2d", "conv2d_backward")
        case = LAYERS[layer]
        stated(case, algorithm)
        self.x = normal(case.x_shape)
        self.weight = normal(case.weight_shape, 1)
        self.dy = normal(case.y_shape, 2)
        self.options = {**case.options, "algorithm": algorithm}
        self.forward, self.backward = fastconv.conv2d, fastconv.conv2d_backward

    def time_forward(self, layer: str, algorithm: str) -> None:
        self.forward(self.x, self.weight, **self.options)

    def time_backward(self, layer: str, algorithm: str) -> None:
        self.backward(self.dy, self.x, self.weight, **self.options)


class Depthwise(Timing):
    """A filter for each channel, by the size of its window; each gradient alone."""

    params = [list(DEPTHWISE)]
    param_names = ["window"]

    def setup(self, window: str) -> None:
        fastconv = needs("conv2d", "conv2d_backward")
        case = DEPTHWISE[window]
        self.x = normal(case.x_shape)
        self.weight = normal(case.weight_shape, 1)
        self.dy = normal(case.y_shape, 2)
        self.options = case.options
        self.forward, self.backward = fastconv.conv2d, fastconv.conv2d_backward

    def time_forward(self, window: str) -> None:
        self.forward(self.x, self.weight, **self.options)

    def time_input(self, window: str) -> None:
        self.backward(self.dy, self.x, self.weight, needs=("x",), **self.options)

    def time_weight(self, window: str) -> None:
        self.backward(self.dy, self.x, self.weight, needs=("weight",), **self.options)


class Prepared(Timing):
    """A convolution as a network runs it: weights packed ahead, the algorithm chosen by `auto`."""

    params = [list(LAYERS)]
    param_names = ["layer"]

    def setup(self, layer: str) -> None:
        fastconv = needs("conv2d", "prepare_conv2d")
        case = LAYERS[layer]
        self.x = normal(case.x_shape)
        self.weight = normal(case.weight_shape, 1)
        self.options, self.groups = case.options, case.groups
        self.forward, self.prepare = fastconv.conv2d, fastconv.prepare_conv2d
        self.packed = self.prepare(self.weight, groups=self.groups)
        self.forward(self.x, self.packed, **self.options)  # which packs for its algorithm, too

    def time_prepare(self, layer: str) -> None:
        self.prepare(self.weight, groups=self.groups)

    def time_forward(self, layer: str) -> None:
        self.forward(self.x, self.packed, **self.options)
