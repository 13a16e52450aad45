"""Time of activations and their gradients, and of what multiplies each channel."""

from __future__ import annotations

from suite import Timing, needs
from suite.shapes import MAPS, normal

#: Each function with its gradient, and whether that reads the output or the input.
GRADIENTS = {
    "relu6": ("relu6_backward", "output"),
    "leaky_relu": ("leaky_relu_backward", "output"),
    "elu": ("elu_backward", "output"),
    "softplus": ("softplus_backward", "output"),
    "hard_sigmoid": ("hard_sigmoid_backward", "output"),
    "hard_swish": ("hard_swish_backward", "input"),
    "silu": ("silu_backward", "input"),
    "gelu": ("gelu_backward", "input"),
}


class Activations(Timing):
    """Each with its usual settings, and the gradient; the gelu is the exact one."""

    params = [list(GRADIENTS), list(MAPS)]
    param_names = ["function", "maps"]

    def setup(self, function: str, maps: str) -> None:
        gradient, reads = GRADIENTS[function]
        f = needs(f"functional.{function}", f"functional.{gradient}").functional
        self.forward, self.backward = getattr(f, function), getattr(f, gradient)
        self.x, self.dy = normal(MAPS[maps]), normal(MAPS[maps], 1)
        self.kept = self.forward(self.x) if reads == "output" else self.x

    def time_forward(self, function: str, maps: str) -> None:
        self.forward(self.x)

    def time_backward(self, function: str, maps: str) -> None:
        self.backward(self.dy, self.kept)


class Channels(Timing):
    """A number for each channel: the slope of PReLU, and the scale and offset of pixels."""

    params = [list(MAPS)]
    param_names = ["maps"]

    def setup(self, maps: str) -> None:
        names = ("prelu", "prelu_backward", "rescale")
        self.f = needs(*(f"functional.{name}" for name in names)).functional
        self.x, self.dy = normal(MAPS[maps]), normal(MAPS[maps], 1)
        self.weight = normal((self.x.shape[1],), 2)
        self.bytes = (self.x > 0).astype("uint8")

    def time_prelu(self, maps: str) -> None:
        self.f.prelu(self.x, self.weight)

    def time_prelu_backward(self, maps: str) -> None:
        self.f.prelu_backward(self.dy, self.x, self.weight)

    def time_rescale(self, maps: str) -> None:
        self.f.rescale(self.x, 2.0, 1.0)

    def time_rescale_of_bytes(self, maps: str) -> None:
        self.f.rescale(self.bytes, 1 / 255)
