"""What a network costs, said before it runs, held against what it took."""

from __future__ import annotations

import json

import numpy as np
import pytest
from networks import book, branches, random_like, small, traced

import fastconv
from fastconv.errors import ArgumentError
from fastconv.memory import format_bytes

create = fastconv.create_layer


def test_the_plan_of_a_row():
    plan = book().plan(10)
    ids = [node.id for node in plan.nodes]
    assert ids == ["conv2d_1+relu_1", "max_pool2d_1", "flatten_1", "dense_1+relu_2", "dense_2"]
    conv, pool, flat, _, last = plan.nodes
    assert conv.layer == "Conv2D+ReLU"
    assert conv.activations == 10 * 30 * 24 * 24 * 4
    assert pool.activations == conv.activations // 4
    assert flat.activations == 0
    assert conv.multiply_adds == 10 * 30 * 24 * 24 * 25
    assert last.multiply_adds == 10 * 100 * 10
    assert sum(node.parameters for node in plan.nodes) == 433_890
    assert plan.parameter_bytes == 4 * 433_890
    packed = sum(node.packed for node in plan.nodes)
    assert plan.peak == conv.activations + pool.activations + packed
    assert plan.where == "max_pool2d_1"
    assert conv.algorithm and conv.why


def test_dense_layers_pack_nothing_in_training():
    net = book()
    dense = [node for node in net.plan(10).nodes if node.layer.startswith("Dense")]
    assert len(dense) == 2 and all(node.packed >= 4 * node.parameters // 2 for node in dense)
    for plan in (net.plan(10, training=True), net.plan(10, memory_limit="1 MiB")):
        dense = [n for n in plan.nodes if n.layer.startswith("Dense") and n.lent]
        assert dense and all(node.packed == node.workspace == 0 for node in dense)
    net.freeze("dense*")  # weights that do not change are packed once
    dense = [n for n in net.plan(10, training=True).nodes if n.layer.startswith("Dense")]
    assert all(node.packed and not node.workspace for node in dense)


def test_a_plan_as_text_and_as_plain_values():
    plan = book().plan(2, workspace_limit="1 MiB")
    text = str(plan)
    assert text.startswith("plan of inference, batch of 2\nnode ")
    assert "conv2d_1+relu_1" in text
    assert text.endswith("at max_pool2d_1, beside 1.66 MiB of parameters")
    assert "\npacked: weights in" in text and "\nalive: the activations that" in text
    assert "estimated fastest for an image within 1 MiB\n" in text and "against" not in text
    values = json.loads(json.dumps(plan.to_dict()))
    assert values["workspace_limit"] == 2**20
    assert values["peak"] == plan.peak == max(node["live"] for node in values["nodes"])
    assert "1 MiB, " in values["nodes"][0]["why"] and "against" in values["nodes"][0]["why"]
    assert [node["id"] for node in values["nodes"]] == [node.id for node in plan.nodes]


def test_a_plan_counts_a_shared_layers_parameters_once():
    plan = branches().plan()
    assert sum(node.parameters for node in plan.nodes) == branches().count_params()


def test_the_workspace_of_a_plan_is_what_a_run_takes(rng):
    layers = [("Conv2D", {"filters": 8, "kernel_size": 3, "algorithm": "im2col"})]
    net = fastconv.Sequential(layers, (4, 16, 16))
    (node,) = net.plan(5).nodes
    assert node.algorithm == "im2col"
    assert node.workspace > 5 * 14 * 14 * 36 * 4 - 1
    net(random_like(net, rng, 5))
    with fastconv.memory.track() as used:
        net(random_like(net, rng, 5))
    assert used.workspace_peak == node.workspace
    assert used.output == node.activations


def test_the_activations_of_a_plan_are_what_a_run_hands_out(rng):
    net = small()
    net(random_like(net, rng))
    with fastconv.memory.track() as used:
        net(random_like(net, rng))
    assert used.output == sum(node.activations for node in net.plan(3).nodes)


def test_training_takes_more():
    net = small()
    inference, training = net.plan(16), net.plan(16, training=True)
    assert training.peak > inference.peak
    ids = [id for node in training.nodes for id in node.id.split("+")]
    assert sorted(ids) == sorted(step.id for step in net._graph.steps)
    assert ids.index("max_pool2d_1") < ids.index("relu_1")  # fewer elements to rectify
    net.freeze()
    assert net.plan(16, training=True).peak < training.peak


def test_a_peak_says_what_losses_and_metrics_add_to_the_nodes():
    net = small()
    assert "metrics" not in str(net.plan(100, training=True))
    net.compile("adam", "softmax_cross_entropy", ["accuracy"])
    plan = net.plan(100, training=True)
    more = plan.peak - max(node.live for node in plan.nodes)
    said = f" backward, {format_bytes(more)} of it for losses and metrics, beside "
    assert more > 0 and said in str(plan) and said in plan._repr_html_()


def test_residual_blocks_keep_two_arrays():
    x = fastconv.Input((4, 16, 16))
    node = create("ReLU")(x)
    size = 4 * 16 * 16 * 4
    for _ in range(5):
        node = create("Add")(create("Tanh")(create("ReLU")(node)), node)
    plan = fastconv.Model(x, node).plan()
    assert plan.peak == 3 * size
    assert max(node.live for node in plan.nodes) == plan.peak


def test_plans_are_kept_in_a_bounded_cache():
    net = small()
    assert net.plan(3) is net.plan(3)
    for batch in range(1, 100):
        net.plan(batch)
        net.intermediate(np.zeros((1, 2, 8, 8)), net._graph.ids[batch % 9])
    assert len(net._cache) <= 32


def test_the_plan_of_what_no_machine_holds():
    layers = ["Flatten", ("Dense", {"units": 2**31 - 1})]
    config = {"input_shape": [3, 512, 512], "layers": layers}
    plan = fastconv.from_config(config).plan()
    assert plan.parameter_bytes == 4 * (2**31 - 1) * (3 * 512 * 512 + 1)


def test_a_third_partys_layer_without_costs_is_estimated():
    class Plain(fastconv.Layer):
        def infer(self, *specs):
            return specs[0]

    plan = fastconv.Sequential([Plain()], (3,)).plan()
    assert plan.nodes[0].estimated
    assert "* estimated" in str(plan)


@pytest.mark.parametrize(("batch", "limit"), [(0, None), (-1, None), (1, -1)])
def test_refused(batch, limit):
    with pytest.raises(ArgumentError, match="^plan: "):
        small().plan(batch, workspace_limit=limit)


def residual() -> fastconv.Model:
    """Two residual blocks, pooling, dropout and a dense layer."""
    x = fastconv.Input((4, 24, 24))
    conv = {"filters": 8, "kernel_size": 3, "padding": "same"}
    node = create("Conv2D", **conv)(x)
    for _ in range(2):
        inner = create("ReLU")(create("BatchNorm")(create("Conv2D", **conv)(node)))
        inner = create("Conv2D", **conv, algorithm="im2col")(inner)
        node = create("ReLU")(create("Add")(inner, node))
    node = create("Flatten")(create("MaxPool2D", pool_size=2)(node))
    return fastconv.Model(x, create("Dense", units=10)(create("Dropout", rate=0.5)(node)), seed=0)


@pytest.mark.parametrize("make", [residual, book])
def test_the_peak_of_a_plan_is_what_inference_takes(make, rng):
    net = make()
    x = random_like(net, rng, 50)
    net(x)  # packs the weights
    plan = net.plan(50)
    expected = plan.peak - sum(node.packed for node in plan.nodes)
    assert traced(lambda: net(x)) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("make", [residual, book])
def test_the_peak_of_a_plan_is_what_training_takes(make, rng):
    net = make()
    xs = (random_like(net, rng, 50),)

    def run():
        net.forward_backward(xs, lambda ys: ({}, [np.ones_like(y) for y in ys]), 0)

    run()
    net.gradients = {}
    expected = net.plan(50, training=True).peak - xs[0].nbytes  # which fit would gather
    assert traced(run) == pytest.approx(expected, rel=0.02)


def test_a_network_is_planned_before_its_weights_are_there_and_runs_after():
    layers = [
        ["Conv2D", {"filters": 2, "kernel_size": 3}],
        "ReLU",
        "Flatten",
        ["Dense", {"units": 2}],
        "ReLU",
    ]
    net = fastconv.from_config({"input_shape": [1, 5, 5], "layers": layers}, seed=0)
    plan = net.plan(3)
    x = np.ones((3, 1, 5, 5), "float32")
    expected = net(x)
    assert net.measure(3) >= plan.peak and expected.shape == (3, 2)
    other = fastconv.from_config(net.to_config())
    other.set_weights(net.weights())
    assert (other(x) == expected).all()
