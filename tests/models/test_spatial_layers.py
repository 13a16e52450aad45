"""Networks of transposed, depthwise and one-dimensional layers: plans, limits, fusing, files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from networks import random_like, traced
from test_limits import SLACK, forget_packed, least

import fastconv
from fastconv.layers import BatchNorm
from fastconv.models.planning import measure

create = fastconv.create_layer


def decoder(size: int = 40) -> fastconv.Sequential:
    """Down by a convolution, up again by a transposed one and by up-sampling."""
    layers = [
        ("Conv2D", {"filters": 16, "kernel_size": 3, "stride": 2, "padding": 1}),
        "BatchNorm",
        "ReLU",
        ("DepthwiseConv2D", {"kernel_size": 3, "padding": 1, "multiplier": 2}),
        "BatchNorm",
        "ReLU",
        ("Conv2DTranspose", {"filters": 24, "kernel_size": 4, "stride": 2, "padding": 1}),
        "BatchNorm",
        "ReLU",
        ("ZeroPadding2D", {"padding": ((0, 1), (1, 0))}),
        ("UpSampling2D", {"scale": 2, "mode": "bilinear"}),
        ("Conv2DTranspose", {"filters": 16, "kernel_size": 3, "padding": 1, "groups": 2}),
        "ReLU",
        "GlobalMaxPool2D",
        ("Reshape", {"shape": (4, -1)}),
        "Flatten",
        ("Dense", {"units": 5}),
    ]
    return fastconv.Sequential(layers, (8, size, size), seed=0)


def signals(length: int = 2000) -> fastconv.Sequential:
    """A network of signals (C, L)."""
    layers = [
        ("Conv1D", {"filters": 24, "kernel_size": 5, "padding": "same"}),
        "BatchNorm",
        "ReLU",
        ("MaxPool1D", {"pool_size": 2}),
        ("Conv1D", {"filters": 32, "kernel_size": 3, "padding": (2, 0), "groups": 4}),
        "BatchNorm",
        "ReLU",
        ("AvgPool1D", {"pool_size": 3, "stride": 2, "padding": "same"}),
        "Flatten",
        ("Dense", {"units": 5}),
    ]
    return fastconv.Sequential(layers, (8, length), seed=0)


def columns(size: int = 24) -> fastconv.Sequential:
    """Windows as columns and back."""
    layers = [
        ("Unfold", {"kernel_size": 3, "padding": 1}),
        ("Fold", {"output_size": size, "kernel_size": 3, "padding": 1}),
        ("Conv2D", {"filters": 8, "kernel_size": 3}),
        "GlobalMaxPool2D",
        ("Dense", {"units": 5}),
    ]
    return fastconv.Sequential(layers, (8, size, size), seed=0)


MAKES = [decoder, signals, columns]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("make", MAKES)
def test_a_plan_says_what_runs_take(make, training):
    net = make()
    plan = net.plan(60, training=training)
    assert measure(net, plan) == pytest.approx(plan.peak, rel=0.01)
    lowest = least(lambda **limit: net.plan(60, training=training, **limit))
    limited = net.plan(60, training=training, memory_limit=(lowest + plan.peak) // 2)
    assert measure(net, limited) == pytest.approx(limited.peak, rel=0.01)


@pytest.mark.parametrize("factor", [1, 1.3, 3])
@pytest.mark.parametrize("make", MAKES)
def test_inference_keeps_within_its_limit(make, factor, rng):
    net = make()
    x = random_like(net, rng, 60)
    limit = int(least(lambda **k: net.plan(60, **k)) * factor)
    plan = net.plan(60, memory_limit=limit)
    assert plan.peak <= limit
    expected = net(x)
    np.testing.assert_allclose(net(x, memory_limit=limit), expected, rtol=1e-4, atol=1e-5)
    forget_packed(net)
    taken = traced(lambda: net(x, memory_limit=limit))
    assert 0.97 * plan.peak - SLACK <= taken <= plan.peak + SLACK


@pytest.mark.parametrize("frozen", [False, True])
def test_a_step_of_training_keeps_within_its_limit(frozen, rng):
    net = decoder()
    if frozen:
        net.freeze("conv2d_transpose*")
    net.compile("sgd", "softmax_cross_entropy")
    x, y = random_like(net, rng, 60), np.arange(60) % 5
    limit = int(1.2 * least(lambda **k: net.plan(60, training=True, **k)))
    net.train_on_batch(x, y, memory_limit=limit)
    taken = traced(lambda: net.train_on_batch(x, y, memory_limit=limit))
    assert taken <= limit + SLACK


@pytest.mark.parametrize("make", [decoder, signals])
def test_normalisation_is_folded_and_the_result_stays(make, rng):
    net = make()
    for key, value in net.weights().items():
        if "batch_norm" in key:
            net.set_weights({key: value + rng.uniform(0.1, 0.5, value.shape)})
    x = random_like(net, rng, 4)
    folded = net.for_inference()
    assert not any(isinstance(layer, BatchNorm) for layer in folded._graph.layers.values())
    np.testing.assert_allclose(folded(x), net(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("layer", "settings", "shape"),
    [
        ("Conv2DTranspose", {"filters": 5, "kernel_size": 3, "stride": 2}, (3, 6, 7)),
        ("DepthwiseConv2D", {"kernel_size": 3, "padding": 1}, (5, 6, 7)),
        ("Conv1D", {"filters": 5, "kernel_size": 3}, (3, 9)),
    ],
)
def test_a_rectifier_behind_is_computed_with_the_layer(layer, settings, shape, training):
    net = fastconv.Sequential([(layer, settings), "ReLU"], shape, seed=0)
    (node,) = net.plan(1, training=training).nodes
    assert node.layer == f"{layer}+ReLU"


def test_depthwise_is_a_convolution_of_as_many_groups(rng):
    x = rng.standard_normal((2, 12, 9, 10)).astype("float32")
    settings = {"kernel_size": 3, "stride": 2, "padding": "same", "activation": "relu"}
    depthwise = fastconv.Sequential([("DepthwiseConv2D", settings)], x.shape[1:], seed=0)
    grouped = ("Conv2D", settings | {"filters": 12, "groups": 12})
    convolution = fastconv.Sequential([grouped], x.shape[1:], seed=1)
    for key, value in depthwise.weights().items():
        convolution.set_weights({key.replace("depthwise_conv2d", "conv2d"): value})
    y = depthwise(x)
    assert np.array_equal(y, convolution(x))
    dy = rng.standard_normal(y.shape).astype("float32")
    assert np.array_equal(depthwise.input_gradient(x, dy), convolution.input_gradient(x, dy))


def test_a_transposed_convolution_is_the_gradient_of_a_convolution(rng):
    net = fastconv.Sequential(
        [("Conv2D", {"filters": 6, "kernel_size": 4, "stride": 2, "padding": 1, "bias": False})],
        (3, 10, 12),
        dtype="float64",
        seed=0,
    )
    back = fastconv.Sequential(
        [
            (
                "Conv2DTranspose",
                {"filters": 3, "kernel_size": 4, "stride": 2, "padding": 1, "bias": False},
            )
        ],
        (6, 5, 6),
        dtype="float64",
    )
    back.set_weights({"conv2d_transpose_1/weight": net.weights()["conv2d_1/weight"]})
    dy = rng.standard_normal((2, 6, 5, 6))
    dx = net.input_gradient(rng.standard_normal((2, 3, 10, 12)), dy)
    assert np.array_equal(back(dy), dx)


@pytest.mark.parametrize("make", MAKES)
def test_files_and_configurations_hold_them(make, tmp_path, rng):
    net = make()
    x = random_like(net, rng, 2)
    again = fastconv.from_config(json.loads(json.dumps(net.to_config())), seed=0)
    assert np.array_equal(again(x), net(x))
    net.save(tmp_path / "net.safetensors")
    assert np.array_equal(fastconv.load(tmp_path / "net.safetensors")(x), net(x))
