"""What a plan says against what two runs hold, kept memory included."""

from __future__ import annotations

import pytest
from test_limits import chain, least, residual

import fastconv
from fastconv.models.planning import measure


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("make", [residual, chain])
def test_a_plan_says_what_runs_take(make, training):
    net = make()
    before = net.weights()
    plan = net.plan(60, training=training)
    assert measure(net, plan) == pytest.approx(plan.peak, rel=0.01)
    assert net.measure(60, training=training) == pytest.approx(plan.peak, rel=0.01)
    lowest = least(lambda **limit: net.plan(60, training=training, **limit))
    limited = net.plan(60, training=training, memory_limit=(lowest + plan.peak) // 2)
    assert measure(net, limited) == pytest.approx(limited.peak, rel=0.01)
    for key, value in net.weights().items():
        if "running" not in key:
            assert (value == before[key]).all()


def test_weights_that_were_packed_before_count():
    """A network for inference has no others, so no run makes them."""
    frozen = residual().for_inference()
    plan = frozen.plan(2)
    assert sum(node.packed for node in plan.nodes) > 0.02 * plan.peak
    assert frozen.measure(2) == pytest.approx(plan.peak, rel=0.01)


@pytest.mark.parametrize("algorithm", ["winograd", "im2col", "im2col_tiled"])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("filters", [(8,), (1, 8), (1, 17), (33, 33)])
def test_steps_whose_calls_grow_take_what_is_planned(filters, kernel, algorithm):
    """Each call needs more than those before it, and its weights fit what they left."""
    given = {"kernel_size": kernel, "padding": "same", "algorithm": algorithm}
    layers = [("Conv2D", {"filters": k, "precision": "fast", **given}) for k in filters]
    net = fastconv.Sequential(layers, (1, 3, 7), seed=0)
    plan = net.plan(1, training=True)
    taken = net.measure(1, training=True)
    assert 0 < taken - plan.peak < 2**15, "no more than Python's own objects beside the plan"


def test_a_layer_whose_input_needs_no_gradient_is_planned_without_it():
    given = {"filters": 16, "kernel_size": 3, "padding": "same", "algorithm": "winograd"}
    net = fastconv.Sequential([("Conv2D", given)] * 2, (16, 20, 20), seed=0)
    plan = net.plan(4, training=True)
    second, first = [moment for moment in plan.moments if moment.phase == "backward"]
    for moment, direction in ((first, "weight"), (second, "backward")):
        shapes = (4, 16, 20, 20), (16, 16, 3, 3)
        cost = fastconv.conv2d_costs(*shapes, padding=1, direction=direction)["winograd"]
        assert moment.algorithm == "winograd" and moment.seconds == cost.seconds
    assert plan.without_dx == {0}


def test_parts_of_large_results_are_let_go():
    """Nothing refers to the first rows of the results while the next ones are computed."""
    layers = [("Conv2D", {"filters": 8, "kernel_size": 3, "padding": "same"}), "BatchNorm"]
    net = fastconv.Sequential(layers, (8, 32, 32), seed=0)
    limited = net.plan(60, memory_limit=net.plan(60).peak * 4 // 5)
    assert limited.program.rows < 60
    assert measure(net, limited) == pytest.approx(limited.peak, rel=0.01)
