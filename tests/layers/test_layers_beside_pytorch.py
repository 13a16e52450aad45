"""Layers beside the same functions of PyTorch: what comes out, and every gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastconv

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
functional = torch.nn.functional

ROWS = 3
#: By dtype: the largest difference over the largest number of an array.
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}

#: By name: the layer, its settings, the shape of its input, and the same of PyTorch, a function of
#: the input and the parameters by name.
CASES: dict[str, tuple[str, dict[str, Any], tuple[int, ...], Any]] = {
    "group_norm": (
        "GroupNorm",
        {"groups": 3, "epsilon": 1e-3},
        (6, 5, 4),
        lambda x, weight, bias: functional.group_norm(x, 3, weight, bias, 1e-3),
    ),
    "group_norm of each channel": (
        "GroupNorm",
        {"groups": 4},
        (4, 9),
        lambda x, weight, bias: functional.group_norm(x, 4, weight, bias),
    ),
    "layer_norm of samples": (
        "LayerNorm",
        {"axes": 1, "epsilon": 1e-3},
        (4, 5, 6),
        lambda x, weight, bias: functional.layer_norm(x, (4, 5, 6), weight, bias, 1e-3),
    ),
    "layer_norm of two axes": (
        "LayerNorm",
        {"axes": -2},
        (4, 5, 6),
        lambda x, weight, bias: functional.layer_norm(x, (5, 6), weight, bias),
    ),
    "layer_norm of channels": (
        "LayerNorm",
        {"axes": [1]},
        (4, 5, 6),
        lambda x, weight, bias: functional.layer_norm(
            x.permute(0, 2, 3, 1), (4,), weight, bias
        ).permute(0, 3, 1, 2),
    ),
    "prelu": ("PReLU", {}, (4, 5, 6), lambda x, weight: functional.prelu(x, weight)),
    "prelu of vectors": ("PReLU", {}, (7,), lambda x, weight: functional.prelu(x, weight)),
    "conv1d": (
        "Conv1D",
        {"filters": 6, "kernel_size": 3, "stride": 2, "padding": 2, "dilation": 2, "groups": 2},
        (4, 17),
        lambda x, weight, bias: functional.conv1d(x, weight, bias, 2, 2, 2, 2),
    ),
    "conv1d of the same length": (
        "Conv1D",
        {"filters": 5, "kernel_size": 4, "padding": "same", "bias": False},
        (3, 16),
        lambda x, weight: functional.conv1d(functional.pad(x, (1, 2)), weight),
    ),
    "conv1d of unlike sides": (
        "Conv1D",
        {"filters": 5, "kernel_size": 3, "padding": (4, 1)},
        (3, 10),
        lambda x, weight, bias: functional.conv1d(functional.pad(x, (4, 1)), weight, bias),
    ),
    "max_pool1d": (
        "MaxPool1D",
        {"pool_size": 3, "stride": 2, "padding": 1, "dilation": 2},
        (4, 18),
        lambda x: functional.max_pool1d(x, 3, 2, 1, 2),
    ),
    "max_pool1d up to the end": (
        "MaxPool1D",
        {"pool_size": 4, "stride": 3, "ceil_mode": True},
        (4, 18),
        lambda x: functional.max_pool1d(x, 4, 3, ceil_mode=True),
    ),
    "avg_pool1d": (
        "AvgPool1D",
        {"pool_size": 3, "stride": 2, "padding": 1},
        (4, 18),
        lambda x: functional.avg_pool1d(x, 3, 2, 1, count_include_pad=False),
    ),
    "avg_pool1d with its padding, up to the end": (
        "AvgPool1D",
        {"pool_size": 4, "stride": 3, "padding": 2, "ceil_mode": True, "count_include_pad": True},
        (4, 18),
        lambda x: functional.avg_pool1d(x, 4, 3, 2, ceil_mode=True, count_include_pad=True),
    ),
    "unfold": (
        "Unfold",
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)},
        (3, 8, 7),
        lambda x: functional.unfold(x, (3, 2), (1, 2), (1, 0), (2, 1)),
    ),
    "fold": (
        "Fold",
        {"output_size": (8, 7), "kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
        (18, 24),
        lambda x: functional.fold(x, (8, 7), (3, 2), 1, (1, 0), (2, 1)),
    ),
    "fold with a dilation": (
        "Fold",
        {"output_size": 9, "kernel_size": 3, "dilation": 2, "padding": 2},
        (18, 81),
        lambda x: functional.fold(x, 9, 3, 2, 2, 1),
    ),
    "depthwise_conv2d": (
        "DepthwiseConv2D",
        {"kernel_size": 3, "multiplier": 2, "stride": 2, "padding": 1},
        (4, 9, 8),
        lambda x, weight, bias: functional.conv2d(x, weight, bias, 2, 1, 1, 4),
    ),
    "conv2d_transpose": (
        "Conv2DTranspose",
        {
            **{"filters": 6, "kernel_size": 3, "stride": 3, "padding": 1},
            **{"output_padding": 1, "dilation": 2, "groups": 2},
        },
        (4, 5, 6),
        lambda x, weight, bias: functional.conv_transpose2d(x, weight, bias, 3, 1, 1, 2, 2),
    ),
    "up_sampling2d": (
        "UpSampling2D",
        {"scale": (2, 3)},
        (4, 5, 6),
        lambda x: functional.interpolate(x, scale_factor=(2, 3)),
    ),
    "up_sampling2d between": (
        "UpSampling2D",
        {"scale": (2, 3), "mode": "bilinear"},
        (4, 5, 6),
        lambda x: functional.interpolate(x, scale_factor=(2, 3), mode="bilinear"),
    ),
    "zero_padding2d": (
        "ZeroPadding2D",
        {"padding": ((1, 0), (2, 3))},
        (4, 5, 6),
        lambda x: functional.pad(x, (2, 3, 1, 0)),
    ),
    "global_max_pool2d": ("GlobalMaxPool2D", {}, (4, 5, 6), lambda x: x.amax((2, 3))),
    "local_response_norm": (
        "LocalResponseNorm",
        {"size": 4, "alpha": 0.1, "beta": 0.7, "k": 2.0},
        (7, 5, 6),
        lambda x: functional.local_response_norm(x, 4, 0.1, 0.7, 2.0),
    ),
    "softmax": ("Softmax", {"axis": -1}, (4, 5, 6), lambda x: x.softmax(-1)),
    "leaky_relu": (
        "LeakyReLU",
        {"negative_slope": 0.2},
        (4, 5),
        lambda x: functional.leaky_relu(x, 0.2),
    ),
    "relu6": ("ReLU6", {}, (4, 5), lambda x: functional.relu6(x)),
    "elu": ("ELU", {"alpha": 0.7}, (4, 5), lambda x: functional.elu(x, 0.7)),
    "gelu": ("GELU", {}, (4, 5), lambda x: functional.gelu(x)),
    "gelu by tanh": (
        "GELU",
        {"approximate": "tanh"},
        (4, 5),
        lambda x: functional.gelu(x, approximate="tanh"),
    ),
    "silu": ("SiLU", {}, (4, 5), lambda x: functional.silu(x)),
    "softplus": ("Softplus", {}, (4, 5), lambda x: functional.softplus(x, threshold=1e9)),
    # hardsigmoid itself has a sixth of float32 in the gradient of float64
    "hard_sigmoid": ("HardSigmoid", {}, (4, 5), lambda x: (x / 6 + 0.5).clamp(0, 1)),
    "hard_swish": ("HardSwish", {}, (4, 5), lambda x: functional.hardswish(x)),
    "sigmoid": ("Sigmoid", {}, (4, 5), lambda x: torch.sigmoid(x)),
    "tanh": ("Tanh", {}, (4, 5), lambda x: torch.tanh(x)),
}


def apart(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return numbers of which no two are alike, so that a maximum is at one place alone."""
    numbers = np.linspace(-3.9, 4.1, int(np.prod(shape)))
    return rng.permutation(numbers).reshape(shape).astype(dtype)


def same(ours: np.ndarray, theirs: Any, tolerance: float, what: str) -> None:
    """Raise unless the arrays differ by at most `tolerance` of their largest number."""
    other = theirs.detach().numpy()
    assert ours.shape == other.shape and ours.dtype == other.dtype, what
    assert np.abs(ours - other).max() <= tolerance * np.abs(other).max(), what


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients_agree(name, dtype):
    layer, settings, shape, theirs = CASES[name]
    rng, tolerance = np.random.default_rng(11), TOLERANCES[dtype]
    net = fastconv.Sequential([(layer, settings)], shape, dtype=dtype, seed=0)
    net.set_weights({k: rng.normal(0.3, 1.0, a.shape) for k, a in net.weights().items()})
    x = apart(rng, (ROWS, *shape), dtype)
    y = net(x)
    wanted = rng.standard_normal(y.shape).astype(dtype)
    net.compile("sgd", "mean_squared_error")

    given = torch.tensor(x, requires_grad=True)
    own = {k.partition("/")[2]: torch.tensor(a) for k, a in net.weights().items()}
    for weight in own.values():
        weight.requires_grad_()
    outputs = theirs(given, **own)
    same(y, outputs, tolerance, "the output")
    functional.mse_loss(outputs, torch.tensor(wanted)).backward()
    found = net.loss_gradients(x, wanted)
    assert len(found) == len(own)
    for key, gradient in found.items():
        same(gradient, own[key.partition("/")[2]].grad, tolerance, key)
    dy = (y - wanted) * (2 / y.size)
    same(net.input_gradient(x, dy.astype(dtype)), given.grad, tolerance, "dx")


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8"])
def test_embeddings_agree(kind):
    rng = np.random.default_rng(3)
    given = fastconv.Input((7, 5), dtype=kind)
    net = fastconv.Model(given, fastconv.create_layer("Embedding", entries=9, units=4)(given))
    numbers = rng.integers(0, 8, (ROWS, 7, 5)).astype(kind)  # one row of the table stays idle
    weight = torch.tensor(net.weights()["embedding_1/weight"], requires_grad=True)
    outputs = functional.embedding(torch.tensor(numbers.astype("int64")), weight)
    y = net(numbers)
    same(y, outputs, 0.0, "the output")
    wanted = rng.standard_normal(y.shape).astype("float32")
    net.compile("sgd", "mean_squared_error")
    functional.mse_loss(outputs, torch.tensor(wanted)).backward()
    found = net.loss_gradients(numbers, wanted)["embedding_1/weight"]
    same(found, weight.grad, TOLERANCES["float32"], "the table")
    assert not found[8].any()
