"""What a plan says against what two runs hold, kept memory included."""

from __future__ import annotations

import pytest
from test_limits import chain, least, residual

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
