"""Plans of a step of training share what does not depend on the limit, and are the same."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import fastconv
from fastconv.models.planning.segments import Segmenter

LAYERS = [
    *[("Conv2D", {"filters": 16, "kernel_size": 3, "padding": 1}), "BatchNorm", "ReLU"] * 4,
    "GlobalAvgPool2D",
    ("Dense", {"units": 5}),
]


def network():
    net = fastconv.Sequential(LAYERS, (3, 20, 20), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    return net


@pytest.fixture(scope="module")
def limits():
    net = network()
    with pytest.raises(fastconv.MemoryLimitError) as raised:
        net.plan(8, training=True, memory_limit=0)
    most = net.plan(8, training=True).peak
    return np.linspace(raised.value.least, most, 9).astype(int).tolist()


def planned(net, limit, batch=8):
    return net.plan(batch, training=True, memory_limit=limit).to_dict()


def test_a_plan_does_not_depend_on_those_before_it(limits):
    alone = [planned(network(), limit) for limit in limits]
    net = network()
    assert [planned(net, limit) for limit in reversed(limits)] == alone[::-1]
    net = network()
    for limit, plan in zip(limits, alone, strict=True):
        planned(net, limits[-1] // 2, batch=4)
        assert planned(net, limit) == plan


def test_the_search_is_made_once(limits, monkeypatch):
    made = []
    right = Segmenter._measure
    monkeypatch.setattr(Segmenter, "_measure", lambda self: (made.append(self), right(self))[1])
    net = network()
    for limit in limits[:-1]:
        planned(net, limit)
    assert 1 <= len(made) == len(set(map(id, made))) <= 4


def test_threads_that_plan_at_once_get_the_same(limits):
    alone = {limit: planned(network(), limit) for limit in limits}
    net, found = network(), []

    def plan(order):
        found.extend((limit, planned(net, limit)) for limit in order)

    threads = [threading.Thread(target=plan, args=(order,)) for order in (limits, limits[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 * len(limits)
    assert all(plan == alone[limit] for limit, plan in found)
