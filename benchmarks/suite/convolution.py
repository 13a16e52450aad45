"""Time of a convolution and of its three gradients, by layer and algorithm."""

from __future__ import annotations

from . import Timing, needs
from .shapes import ALGORITHMS, LAYERS, normal


class Convolution(Timing):
    """One call on arrays, the packing of the weights included; float32."""

    params = [list(LAYERS), ALGORITHMS]
    param_names = ["layer", "algorithm"]

    def setup(self, layer: str, algorithm: str) -> None:
        fastconv = needs("conv2d", "conv2d_backward", "conv2d_costs")
        case = LAYERS[layer]
        if algorithm not in fastconv.conv2d_costs(case.x_shape, case.weight_shape, **case.options):
            raise NotImplementedError(f"no algorithm {algorithm} for this layer on this commit")
        self.x = normal(case.x_shape)
        self.weight = normal(case.weight_shape, 1)
        self.options = {**case.options, "algorithm": algorithm}
        self.forward, self.backward = fastconv.conv2d, fastconv.conv2d_backward
        # the shape of the output is the function's to say; values do not change the time
        self.dy = self.forward(self.x, self.weight, **self.options)

    def time_forward(self, layer: str, algorithm: str) -> None:
        self.forward(self.x, self.weight, **self.options)

    def time_backward(self, layer: str, algorithm: str) -> None:
        self.backward(self.dy, self.x, self.weight, **self.options)
