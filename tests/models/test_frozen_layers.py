"""A frozen layer behaves in training as in inference."""

from __future__ import annotations

import re

import numpy as np
import pytest
from networks import random_like, small

import fastconv
from fastconv import functional
from fastconv.errors import ArgumentError, MemoryLimitError
from fastconv.layers import BatchNorm, Spec
from fastconv.layers.context import Context
from fastconv.testing import assert_bits_equal

create = fastconv.create_layer


def least(plan) -> int:
    """The figure that an impossible limit is answered with."""
    with pytest.raises(MemoryLimitError) as error:
        plan(memory_limit=0)
    return int(re.search(r"at least (\d+) bytes", str(error.value))[1])


def nothing(ys):
    return {}, [np.ones_like(y) for y in ys]


def learned(seed: int = 0) -> fastconv.Sequential:
    """A network whose running statistics are far from those of the next batch."""
    net = small(seed=seed)
    net.compile("sgd", "softmax_cross_entropy")
    x = random_like(net, np.random.default_rng(1), 16)
    net.train_on_batch(5 * x + 2, np.arange(16) % 3)
    return net


def test_training_takes_the_running_statistics_of_a_frozen_batch_norm(rng):
    layers = [("Dense", {"units": 6}), "BatchNorm", ("Dense", {"units": 3})]
    net = fastconv.Sequential(layers, (4,), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    x, y = 3 * random_like(net, rng, 12) + 1, np.arange(12) % 3
    for _ in range(5):
        net.train_on_batch(x, y)
    before = net.weights()
    batch_loss = net.train_on_batch(x, y)["loss"]
    net.set_weights(before)
    net.freeze("batch_norm_1")
    evaluated = net.evaluate(x, y)["loss"]
    assert abs(batch_loss - evaluated) > 0.01
    assert net.train_on_batch(x, y)["loss"] == pytest.approx(evaluated, rel=1e-6)
    after = net.weights()
    for name in ("weight", "bias", "running_mean", "running_var"):
        assert_bits_equal(after[f"batch_norm_1/{name}"], before[f"batch_norm_1/{name}"])
    net.set_weights(before)
    net.unfreeze("batch_norm_1")
    assert net.train_on_batch(x, y)["loss"] == batch_loss
    assert not np.array_equal(
        net.weights()["batch_norm_1/running_mean"], before["batch_norm_1/running_mean"]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 3, 2)])
def test_its_gradient_is_that_of_an_affine_map(shape, dtype, rng):
    layer = BatchNorm()
    layer.ensure_built(0, Spec(shape[1:], dtype))
    for parameter in (*layer.parameters.values(), *layer.states.values()):
        parameter.assign(rng.uniform(0.5, 2, parameter.shape))
    x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    ctx = Context(False, needs=[True])
    layer.forward(ctx, x)
    assert not ctx.saved
    dx = layer.backward(ctx, dy)
    mean, variance = (layer.param(f"running_{name}").value for name in ("mean", "var"))
    scale = layer.param("weight").value / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(dx, dy * scale.reshape(-1, *[1] * (x.ndim - 2)), rtol=1e-6)
    full, _, _ = functional.batch_norm_backward(
        dy,
        x,
        layer.param("weight").value,
        mean.astype(float),
        1 / np.sqrt(variance.astype(float) + 1e-5),
        False,
    )
    assert_bits_equal(dx, full)


@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_where_one_parameter_learns_the_layer_trains(frozen, rng):
    net, free = learned(), learned()
    net.freeze(f"batch_norm_1/{frozen}")
    x, y = random_like(net, rng, 8), np.arange(8) % 3
    before = net.weights()
    assert net.train_on_batch(x, y) == free.train_on_batch(x, y)
    after = net.weights()
    changed = {key for key in after if not np.array_equal(after[key], before[key])}
    other = {"weight": "bias", "bias": "weight"}[frozen]
    for key in (other, "running_mean", "running_var"):
        assert f"batch_norm_1/{key}" in changed
    assert f"batch_norm_1/{frozen}" not in changed


def test_a_shared_batch_norm_is_frozen_at_every_place(rng):
    x = fastconv.Input((3, 4, 4), "float64")
    norm = create("BatchNorm", name="norm")
    node = norm(create("Conv2D", filters=3, kernel_size=1)(norm(x)))
    net = fastconv.Model(x, node, seed=0)
    data = random_like(net, rng, 5)
    net.forward_backward((data,), nothing, 0)
    statistics = net["norm"].state["running_mean"].copy()
    net.freeze("norm")
    outputs, _ = net.forward_backward((data,), nothing, 1)
    np.testing.assert_allclose(outputs[0], net(data), rtol=1e-12)
    assert_bits_equal(net["norm"].state["running_mean"], statistics)
    # the gradient of the convolution between them by central differences
    gradient, weight = net.gradients["conv2d_1/weight"], net.weights()["conv2d_1/weight"]
    for at in np.ndindex(3, 3):
        sides = []
        for step in (1e-6, -1e-6):
            moved = weight.copy()
            moved[at] += step
            net.set_weights({"conv2d_1/weight": moved})
            sides.append(net(data).sum())
        assert gradient[at] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("frozen", ["nothing", "batch_norm_*", "*"])
@pytest.mark.parametrize("limited", [False, True])
def test_plans_of_networks_with_frozen_layers_are_what_runs_take(frozen, limited):
    conv = ("Conv2D", {"filters": 8, "kernel_size": 3, "padding": 1})
    layers = [conv, "BatchNorm", "Sigmoid", conv, "BatchNorm", "Sigmoid"]
    net = fastconv.Sequential([*layers, "Flatten", ("Dense", {"units": 3})], (8, 40, 40), seed=0)
    free = net.plan(20, training=True).peak
    if frozen != "nothing":
        net.freeze(frozen)
        assert net.plan(20, training=True).peak < free
    limit = least(lambda **k: net.plan(20, training=True, **k)) if limited else None
    plan = net.plan(20, training=True, memory_limit=limit)
    taken = net.measure(20, training=True, memory_limit=limit)
    assert 0.97 * plan.peak <= taken <= plan.peak + 120_000


def test_limits_change_no_bit_of_a_network_with_frozen_layers(rng):
    conv = ("Conv2D", {"filters": 8, "kernel_size": 3, "padding": 1, "precision": "strict"})
    layers = [conv, "BatchNorm", "Sigmoid"] * 3
    net = fastconv.Sequential([*layers, "Flatten", ("Dense", {"units": 3})], (8, 24, 24), seed=0)
    net.freeze("batch_norm_2")
    x = random_like(net, rng, 10)
    found = []
    for limit in (None, int(0.8 * net.plan(10, training=True).peak)):
        program = None
        if limit is not None:
            program = net.plan(10, training=True, memory_limit=limit).program
            assert any(segment.recomputed for segment in program.segments)
        outputs, _ = net.forward_backward((x,), nothing, 0, program)
        found.append((outputs[0], net.gradients))
    assert_bits_equal(found[0][0], found[1][0])
    for key, gradient in found[0][1].items():
        assert_bits_equal(found[1][1][key], gradient)


def test_the_context_tells_a_layer_of_others_that_it_is_frozen(rng):
    class Centre(fastconv.Layer):
        """Takes away a mean, whatever the context says of training it."""

        seen: list = []

        def infer(self, *specs):
            return self.one_input(specs)

        def build(self, rng, *specs):
            self.add_param("weight", specs[0].shape, "ones")
            self.add_state("mean", specs[0].shape)

        def forward(self, ctx, x):
            self.seen.append((ctx.training, self.frozen))
            ctx.save(x)
            ctx.set_state("mean", x.mean(axis=0))
            return x * self.param("weight").value

        def backward(self, ctx, dy):
            ctx.add_grad("weight", (dy * ctx.saved[0]).sum(axis=0))
            return dy * self.param("weight").value if ctx.needs(0) else None

    net = fastconv.Sequential([Centre(), ("Dense", {"units": 2})], (3,), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    x, y = rng.standard_normal((4, 3)), np.arange(4) % 2
    net.train_on_batch(x, y)
    mean = net["centre_1"].state["mean"].copy()
    assert mean.any()
    net.freeze("centre_1")
    net.train_on_batch(x + 1, y)
    net.freeze("*")
    net.train_on_batch(x + 1, y)
    assert Centre.seen == [(True, False), (False, True), (False, True)]
    assert_bits_equal(net["centre_1"].state["mean"], mean)


def test_a_layer_without_parameters_is_never_frozen():
    net = fastconv.Sequential([("Dropout", {"rate": 0.5})], (100,), seed=0)
    net.freeze("*")
    outputs, _ = net.forward_backward((np.ones((2, 100), "float32"),), nothing, 0)
    assert (outputs[0] == 0).any()


@pytest.mark.parametrize("pattern", ["batch_norm_1/running_mean", "*/running_*"])
def test_statistics_are_not_frozen_by_themselves(pattern):
    net = fastconv.Sequential([("Dense", {"units": 3}), "BatchNorm"], (4,), seed=0)
    for call in (net.freeze, net.unfreeze):
        with pytest.raises(ArgumentError, match=r"must match what learns.*net.freeze\('batch_norm"):
            call(pattern)
    net.freeze("batch_norm_1/*")
    assert net["batch_norm_1"].frozen and not net["dense_1"].frozen
