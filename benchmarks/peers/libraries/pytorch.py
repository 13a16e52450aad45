"""PyTorch's contenders, each in its two layouts: plain NCHW and channels_last.

Tensors are brought into their layout before the timing. In the plain layout they share the memory
of the NumPy arrays. What PyTorch reorders in a call is part of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from peers.cases import Case, Pool, pair
from peers.contenders import Contender
from peers.timing import Call

__all__ = [
    "LAYOUTS",
    "LAST",
    "PLAIN",
    "average_pool",
    "average_pool_backward",
    "backward",
    "convolution",
    "dense",
    "dense_input",
    "dense_weight",
    "fold",
    "max_pool",
    "max_pool_backward",
    "normalization",
    "prepare",
    "unfold",
]

PLAIN, LAST = "PyTorch", "PyTorch channels_last"
LAYOUTS = {PLAIN: torch.contiguous_format, LAST: torch.channels_last}


def prepare(threads: int) -> None:
    """Give every operation `threads` threads; only training asks for gradients."""
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)


def _layouts(*arrays: np.ndarray) -> Iterator[tuple[str, list[torch.Tensor]]]:
    """Yield the arrays (N, C, H, W) as tensors in each layout."""
    for name, layout in LAYOUTS.items():
        yield name, [torch.from_numpy(a).contiguous(memory_format=layout) for a in arrays]


def convolution(
    layer: Case, x: np.ndarray, weight: np.ndarray, bias: np.ndarray
) -> list[Contender]:
    """Return `conv2d` in each layout."""
    shift = torch.from_numpy(bias)
    return [
        Contender(name, partial(F.conv2d, *tensors, shift, **layer.options))
        for name, tensors in _layouts(x, weight)
    ]


def backward(layer: Case, dy: np.ndarray, x: np.ndarray, weight: np.ndarray) -> list[Contender]:
    """Return all three gradients in each layout, by the operator itself, without autograd."""
    rest = (
        [layer.K],
        pair(layer.stride),
        pair(layer.padding),
        [1, 1],
        False,
        [0, 0],
        layer.groups,
        [True] * 3,
    )
    gradients = torch.ops.aten.convolution_backward
    return [
        Contender(name, partial(gradients, *tensors, *rest))
        for name, tensors in _layouts(dy, x, weight)
    ]


def _pool_arguments(pool: Pool) -> tuple[Any, ...]:
    return [pool.R] * 2, [pool.stride] * 2, [pool.padding] * 2


def max_pool(pool: Pool, x: np.ndarray) -> list[Contender]:
    """Return `max_pool2d` in each layout; it always notes where the maxima were."""
    return [
        Contender(name, partial(F.max_pool2d, *tensors, *_pool_arguments(pool)))
        for name, tensors in _layouts(x)
    ]


def max_pool_backward(pool: Pool, dy: np.ndarray, x: np.ndarray) -> list[Contender]:
    """Return the gradient of max pooling in each layout."""
    found = []
    operators = torch.ops.aten
    for name, (slope, image) in _layouts(dy, x):
        arguments = _pool_arguments(pool)
        _, indices = operators.max_pool2d_with_indices(image, *arguments)
        call = partial(
            operators.max_pool2d_with_indices_backward,
            slope,
            image,
            *arguments,
            [1, 1],
            False,
            indices,
        )
        found.append(Contender(name, call))
    return found


def average_pool(pool: Pool, x: np.ndarray) -> list[Contender]:
    """Return `avg_pool2d` in each layout; the padding does not count."""
    arguments = (*_pool_arguments(pool), False, False)
    return [
        Contender(name, partial(F.avg_pool2d, *tensors, *arguments))
        for name, tensors in _layouts(x)
    ]


def average_pool_backward(pool: Pool, dy: np.ndarray, x: np.ndarray) -> list[Contender]:
    """Return the gradient of average pooling in each layout, by the operator itself."""
    arguments = (*_pool_arguments(pool), False, False, None)
    gradient = torch.ops.aten.avg_pool2d_backward
    return [
        Contender(name, partial(gradient, *tensors, *arguments))
        for name, tensors in _layouts(dy, x)
    ]


def dense(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> Contender:
    """Return `linear`."""
    return Contender(PLAIN, partial(F.linear, *map(torch.from_numpy, (x, weight, bias))))


def dense_input(dy: np.ndarray, weight: np.ndarray) -> Contender:
    """Return the gradient of the input of `linear`, as autograd computes it."""
    return Contender(PLAIN, partial(torch.mm, *map(torch.from_numpy, (dy, weight))))


def dense_weight(dy: np.ndarray, x: np.ndarray) -> Contender:
    """Return the gradient of the weights of `linear`, as autograd computes it."""
    slope, image = map(torch.from_numpy, (dy, x))
    return Contender(PLAIN, partial(torch.mm, slope.T, image))


def unfold(pool: Pool, x: np.ndarray) -> Contender:
    """Return `unfold`, its result (N, C R S, OH OW) transposed to the book's for the check."""

    def as_book(result: torch.Tensor) -> list[np.ndarray]:
        return [result.numpy().transpose(0, 2, 1).reshape(-1, result.shape[1])]

    image = torch.from_numpy(x)
    return Contender("PyTorch unfold", partial(F.unfold, image, pool.R, **pool.options), as_book)


def fold(pool: Pool, columns: np.ndarray) -> Contender:
    """Return `fold` of the book's `columns` (N OH OW, C R S), brought to its own layout before."""
    parts = columns.reshape(pool.N, -1, columns.shape[1]).transpose(0, 2, 1)
    block = torch.from_numpy(np.ascontiguousarray(parts))
    size = (pool.H, pool.H)
    return Contender("PyTorch fold", partial(F.fold, block, size, pool.R, **pool.options))


def normalization(
    name: str, how: Any, x: np.ndarray, values: list[np.ndarray], dy: np.ndarray
) -> tuple[Call, Call]:
    """Return an operation of the table `normalization`, and its gradients by autograd."""
    tensor, slope = torch.from_numpy(x), torch.from_numpy(dy)
    parameters = [torch.from_numpy(value) for value in values]
    operation: Callable[..., torch.Tensor] = {
        "local_response_norm": lambda x: F.local_response_norm(x, how),
        "layer_norm": lambda x, *p: F.layer_norm(x, x.shape[how:], *p),
        "group_norm": lambda x, *p: F.group_norm(x, how, *p),
        "softmax": lambda x: torch.softmax(x, how),
        "embedding": F.embedding,
    }[name]
    learned = [p.clone().requires_grad_() for p in parameters]
    if x.dtype.kind == "f":
        learned.insert(0, tensor.clone().requires_grad_())
    with torch.enable_grad():
        y = operation(*learned) if x.dtype.kind == "f" else operation(tensor, *learned)
    gradients = partial(torch.autograd.grad, y, learned, slope, retain_graph=True)
    return partial(operation, tensor, *parameters), gradients
