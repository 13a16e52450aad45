"""Time of max and average pooling and of their gradients."""

from __future__ import annotations

from suite import Timing, needs
from suite.shapes import POOLS, normal


class Max(Timing):
    """Maxima without positions, as inference takes them, and the gradient through positions."""

    params = [list(POOLS)]
    param_names = ["windows"]

    def setup(self, windows: str) -> None:
        fastconv = needs("max_pool2d", "max_pool2d_backward")
        case = POOLS[windows]
        self.x, self.pool_size, self.options = normal(case.x_shape), case.R, case.options
        self.forward, self.backward = fastconv.max_pool2d, fastconv.max_pool2d_backward
        self.dy, self.indices = self.forward(
            self.x, self.pool_size, return_indices=True, **self.options
        )

    def time_forward(self, windows: str) -> None:
        self.forward(self.x, self.pool_size, **self.options)

    def time_forward_with_indices(self, windows: str) -> None:
        self.forward(self.x, self.pool_size, return_indices=True, **self.options)

    def time_backward(self, windows: str) -> None:
        self.backward(self.dy, self.indices, self.x.shape)


class MaxInTraining(Timing):
    """Max pooling as a network trains it: the place of each maximum is kept for the gradient."""

    params = [list(POOLS)]
    param_names = ["windows"]

    def setup(self, windows: str) -> None:
        names = "max_pool2d_argmax", "max_pool2d_argmax_backward"
        f = needs(*(f"functional.{name}" for name in names)).functional
        case = POOLS[windows]
        self.x, self.pool_size, self.options = normal(case.x_shape), case.R, case.options
        self.forward, self.backward = (getattr(f, name) for name in names)
        self.dy, self.argmax = self.forward(self.x, self.pool_size, **self.options)

    def time_forward(self, windows: str) -> None:
        self.forward(self.x, self.pool_size, **self.options)

    def time_backward(self, windows: str) -> None:
        self.backward(self.dy, self.argmax, self.x.shape, self.pool_size, **self.options)


class Average(Timing):
    """Averages and their gradient."""

    params = [list(POOLS)]
    param_names = ["windows"]

    def setup(self, windows: str) -> None:
        fastconv = needs("avg_pool2d", "avg_pool2d_backward")
        case = POOLS[windows]
        self.x, self.pool_size, self.options = normal(case.x_shape), case.R, case.options
        self.forward, self.backward = fastconv.avg_pool2d, fastconv.avg_pool2d_backward
        self.dy = self.forward(self.x, self.pool_size, **self.options)

    def time_forward(self, windows: str) -> None:
        self.forward(self.x, self.pool_size, **self.options)

    def time_backward(self, windows: str) -> None:
        self.backward(self.dy, self.x.shape, self.pool_size, **self.options)
