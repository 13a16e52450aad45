"""PyTorch's contenders for activations: forward as users call them, backward by the operators."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from peers.contenders import Contender
from peers.libraries.pytorch import PLAIN

__all__ = ["PLAIN", "backward", "forward", "prelu", "prelu_backward", "rescale"]

FORWARD: dict[str, Any] = {
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "gelu, tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "softplus": F.softplus,
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": F.hardswish,
}


def forward(name: str, x: np.ndarray) -> Contender:
    """Return the function of `x`."""
    return Contender(PLAIN, partial(FORWARD[name], torch.from_numpy(x)))


def backward(name: str, dy: np.ndarray, x: np.ndarray, y: np.ndarray) -> Contender:
    """Return the gradient of the input, by the operator that autograd calls."""
    slope, given, made = map(torch.from_numpy, (dy, x, y))
    operators = torch.ops.aten
    calls = {
        "relu6": partial(operators.hardtanh_backward, slope, given, 0.0, 6.0),
        "leaky_relu": partial(operators.leaky_relu_backward, slope, given, 0.01, False),
        "elu": partial(operators.elu_backward, slope, 1.0, 1.0, 1.0, True, made),
        "gelu": partial(operators.gelu_backward, slope, given, approximate="none"),
        "gelu, tanh": partial(operators.gelu_backward, slope, given, approximate="tanh"),
        "silu": partial(operators.silu_backward, slope, given),
        "softplus": partial(operators.softplus_backward, slope, given, 1.0, 20.0),
        "hard_sigmoid": partial(operators.hardsigmoid_backward, slope, given),
        "hard_swish": partial(operators.hardswish_backward, slope, given),
    }
    return Contender(PLAIN, calls[name])


def prelu(x: np.ndarray, slopes: np.ndarray) -> Contender:
    """Return `prelu`."""
    return Contender(PLAIN, partial(F.prelu, *map(torch.from_numpy, (x, slopes))))


def prelu_backward(dy: np.ndarray, x: np.ndarray, slopes: np.ndarray) -> Contender:
    """Return both gradients of `prelu`: the operator's, and the sum that autograd adds."""
    slope, given = torch.from_numpy(dy), torch.from_numpy(x)
    weight = torch.from_numpy(slopes).reshape(-1, *[1] * (x.ndim - 2))
    axes = (0, *range(2, x.ndim))

    def call() -> tuple[torch.Tensor, torch.Tensor]:
        dx, products = torch.ops.aten._prelu_kernel_backward(slope, given, weight)
        return dx, products.sum(axes)

    return Contender(PLAIN, call)


def rescale(pixels: np.ndarray, scale: float) -> Contender:
    """Return the pixels as float32 times a number."""
    given = torch.from_numpy(pixels)
    return Contender(PLAIN, lambda: given.to(torch.float32).mul_(scale))
