"""Networks of many thousand nodes: no recursion, and work that grows as the nodes do."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import calls

import fastconv

create = fastconv.create_layer


def chain(count: int) -> fastconv.Model:
    """ReLU behind ReLU, each a layer of its own."""
    x = node = fastconv.Input((4,))
    for _ in range(count):
        node = create("ReLU")(node)
    return fastconv.Model(x, node)


def shared(count: int) -> fastconv.Model:
    """One ReLU again and again."""
    x = node = fastconv.Input((4,))
    relu = create("ReLU")
    for _ in range(count):
        node = relu(node)
    return fastconv.Model(x, node)


def learning(count: int) -> fastconv.Model:
    """Dense layers with ReLU between them."""
    x = node = fastconv.Input((1,))
    for _ in range(count // 2):
        node = create("ReLU")(create("Dense", units=1)(node))
    return fastconv.Model(x, node, seed=0)


def fan(count: int) -> fastconv.Model:
    """All that read the input, added up."""
    x = fastconv.Input((4,))
    relu = create("ReLU")
    return fastconv.Model(x, create("Add")(*[relu(x) for _ in range(count)]))


def ladder(count: int) -> fastconv.Model:
    """A way down and up again, with a skip from every step to the one opposite."""
    x = node = fastconv.Input((4,))
    relu, add = create("ReLU"), create("Add")
    kept = []
    for _ in range(count // 2):
        node = relu(node)
        kept.append(node)
    for skip in reversed(kept):
        node = add(node, skip)
    return fastconv.Model(x, node)


GRAPHS = [chain, shared, learning, fan, ladder]
OPERATIONS: dict[str, Callable[[fastconv.Model], Any]] = {
    "to_config": lambda net: net.to_config(),
    "from_config": lambda net: fastconv.from_config(net.to_config()),
    "summary": lambda net: net.summary(),
    "plan": lambda net: str(net.plan(2)),
    "plan of training": lambda net: net.plan(2, training=True),
    "deepcopy": copy.deepcopy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "inference": lambda net: net.for_inference(),
    "run": lambda net: net(np.ones((1, *net._graph.input_specs[0].shape), "float32")),
}


@pytest.mark.parametrize("make", GRAPHS, ids=lambda make: make.__name__)
def test_building_takes_calls_in_proportion_to_the_nodes(make):
    make(10)  # what is looked up once
    few, many = (calls(make, count) for count in (300, 1200))
    assert many < 4.4 * few
    assert many < 1200 * (310 if make is learning else 120)


@pytest.mark.parametrize("make", GRAPHS, ids=lambda make: make.__name__)
def test_running_takes_few_calls_a_node(make):
    run = OPERATIONS["run"]
    run(make(10))
    assert calls(run, make(1200)) < 1200 * 28


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("make", GRAPHS, ids=lambda make: make.__name__)
def test_work_grows_as_the_nodes_do(make, operation):
    function = OPERATIONS[operation]
    function(make(10))
    few, many = (calls(function, make(count)) for count in (300, 1200))
    assert many < 4.4 * few + 1000


@pytest.mark.parametrize("make", [chain, shared, ladder], ids=lambda make: make.__name__)
def test_a_network_of_thousands_of_nodes_does_all_that_a_small_one_does(make):
    net = make(4_000)
    x = np.array([[-1, 0, 1, 2]], "float32")
    expected = net(x)
    assert expected.shape == (1, 4)
    assert fastconv.from_config(net.to_config()).to_config() == net.to_config()
    assert len(net.summary().splitlines()) > 4_000
    assert len(net.plan(3, training=True).nodes) == 4_000
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), net.for_inference()):
        assert (again(x) == expected).all()
    assert net.input_gradient(x, np.ones_like(expected)).shape == x.shape


@pytest.mark.parametrize(
    "twice",
    [
        copy.deepcopy,
        *(lambda v, p=p: pickle.loads(pickle.dumps(v, p)) for p in (0, 2, 5)),
        lambda v: pickle.loads(pickle._dumps(v)),
    ],
    ids=["deepcopy", "pickle 0", "pickle 2", "pickle 5", "pickle of Python"],
)
def test_nodes_are_copied_with_what_leads_to_them_however_deep(twice):
    x = node = fastconv.Input((4,), name="first")
    relu = create("ReLU", name="again")
    kept = []
    for i in range(5000):
        node = relu(node)
        if i % 1000 == 500:
            kept.append(node)
    end = create("Add")(node, *kept)
    x2, kept2, end2 = twice((x, kept, end))
    assert x2 is not x and x2.name == "first"
    net = fastconv.Model(x2, [end2, *kept2])  # what was one node is one node
    assert len(net.layers) == 2 and len(net._graph.steps) == 5001
    assert net.layers[0] is not relu


def test_a_copied_node_is_another_node():
    x = fastconv.Input((3,))
    for twin in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        net = fastconv.Model([x, twin], create("Concatenate")(x, twin))
        assert net(np.zeros((1, 3)), np.ones((1, 3))).tolist() == [[0, 0, 0, 1, 1, 1]]
