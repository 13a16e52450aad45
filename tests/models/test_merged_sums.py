"""In inference the convolution in front of an Add adds to the other branch, where that lies."""

from __future__ import annotations

import numpy as np
import pytest
from networks import as_tuple, traced
from test_limits import SLACK

import fastconv
from fastconv import registry
from fastconv.layers import Add, Conv1D, Conv2D, Flatten, Identity, ReLU
from fastconv.layers.context import Context
from fastconv.testing import assert_bits_equal


def points(filters=16, **config):
    return Conv2D(filters, 1, **config)


def bottleneck(x, filters=16, norm=False):
    """A residual block as ResNet-50 has it."""
    y = ReLU()(points(8)(x))
    y = ReLU()(Conv2D(16, 3, padding=1)(y))
    y = points(filters)(y)
    y = fastconv.create_layer("BatchNorm")(y) if norm else y
    return ReLU()(Add()(y, x))


def ids(net, batch=2, **options):
    return [node.id for node in net.plan(batch, **options).nodes]


def check(net, rng, batch=3):
    """The bits are those of the layers one by one, and the bytes those of the plan."""
    x = rng.standard_normal((batch, *net._graph.input_specs[0].shape)).astype("float32")
    kept = x.copy()
    values = [x, *net.intermediate(x, [step.id for step in net._graph.steps])]  # nothing is merged
    for _ in range(2):
        found = net(x)
        for y, number in zip(as_tuple(found), net._graph.outputs, strict=True):
            assert_bits_equal(y, values[number])
        assert_bits_equal(x, kept)


@pytest.fixture
def network():
    x = fastconv.Input((3, 10, 10))
    y = ReLU()(Conv2D(16, 3, padding=1)(x))
    y = bottleneck(bottleneck(y))
    return fastconv.Model(x, fastconv.create_layer("GlobalAvgPool2D")(y), seed=0)


def test_a_residual_block_is_one_layer_less(network, rng):
    assert ids(network) == [
        "conv2d_1+relu_1",
        "conv2d_2+relu_2",
        "conv2d_3+relu_3",
        "conv2d_4+add_1+relu_4",
        "conv2d_5+relu_5",
        "conv2d_6+relu_6",
        "conv2d_7+add_2+relu_7",
        "global_avg_pool2d_1",
    ]
    check(network, rng)
    why = {node.id: node.why for node in network.plan(2).nodes}
    assert why["conv2d_4+add_1+relu_4"] == "adds to the other branch where that lies"


def test_in_training_it_stays_apart(network):
    assert "conv2d_4" in ids(network, training=True)


def test_batch_norm_stands_between_until_it_is_folded(rng):
    x = fastconv.Input((16, 8, 8))
    y = bottleneck(ReLU()(points()(x)), norm=True)
    net = fastconv.Model(x, y, seed=0)
    assert not [name for name in ids(net) if "conv2d_4+" in name]
    frozen = net.for_inference()
    assert "conv2d_4+add_1+relu_4" in ids(frozen)
    check(frozen, rng)


def test_the_plan_is_exact_and_lower(rng):
    """While the sum is made, nothing is alive but what the convolution reads and the branch, and
    what is kept for every layer: packed weights, and the workspace of the one that takes most."""
    x = fastconv.Input((3, 64, 64))
    net = fastconv.Model(x, bottleneck(ReLU()(Conv2D(16, 3, padding=1)(x))), seed=0)
    batch = rng.standard_normal((4, 3, 64, 64)).astype("float32")
    plane = 4 * 64 * 64 * 4
    net(batch)
    plan = net.plan(4)
    node = next(node for node in plan.nodes if node.id == "conv2d_4+add_1+relu_4")
    kept = sum(one.packed for one in plan.nodes) + max(one.workspace for one in plan.nodes)
    assert node.activations == node.workspace == 0
    assert node.live == (16 + 16) * plane + kept
    assert plan.peak - SLACK < traced(lambda: net(batch)) <= plan.peak + SLACK


@pytest.mark.parametrize("rows", [1, 3])
def test_a_limit_that_cuts_the_batch_changes_no_bit(network, rng, rows):
    x = rng.standard_normal((6, 3, 10, 10)).astype("float32")
    due = network(x)
    limit = network.plan(6).peak - (6 - rows) * 16 * 100 * 4
    assert_bits_equal(network(x, memory_limit=limit), due)


def several(kind):
    """Networks in which the sum may not be written over the other branch, or is none of two."""
    x = fastconv.Input((16, 6, 6))
    a = ReLU()(points(name="a")(x))
    if kind == "read later":
        total = Add()(points(name="near")(ReLU()(a)), a)
        return x, Add()(total, a, total)
    if kind == "handed out":
        return x, (a, Add()(points(name="near")(ReLU()(a)), a))
    if kind == "an input":
        return x, Add()(points(name="near")(a), x)
    if kind == "what the convolution reads":
        return x, Add()(points(name="near")(a), a)
    if kind == "a view of it is alive":
        flat = Flatten()(a)
        total = Flatten()(Add()(points(name="near")(ReLU()(a)), a))
        return x, Add()(flat, total)
    if kind == "an idle layer has it":
        same = Identity()(a)
        return x, Add()(Add()(points(name="near")(ReLU()(a)), a), same)
    if kind == "three summands":
        return x, Add()(points(name="near")(ReLU()(a)), a, ReLU()(a))
    if kind == "twice the same":
        near = points(name="near")(a)
        return x, Add()(near, near)
    if kind == "read by another":
        near = points(name="near")(ReLU()(a))
        return x, Add()(Add()(near, a), near)
    if kind == "not just before":
        near = points(name="near")(ReLU()(a))
        return x, Add()(near, ReLU()(points(name="far", filters=16)(a)))
    if kind == "an activation in it":
        return x, Add()(points(name="near", activation="relu")(ReLU()(a)), a)
    if kind == "Winograd":
        return x, Add()(Conv2D(16, 3, padding=1, name="near")(ReLU()(a)), a)
    assert kind == "few filters"
    b = ReLU()(points(filters=2)(x))
    return x, Add()(points(filters=2, name="near")(ReLU()(b)), b)


@pytest.mark.parametrize(
    "kind",
    [
        "read later",
        "handed out",
        "an input",
        "what the convolution reads",
        "a view of it is alive",
        "an idle layer has it",
        "three summands",
        "twice the same",
        "read by another",
        "not just before",
        "an activation in it",
        "Winograd",
        "few filters",
    ],
)
def test_it_stays_apart_where_somebody_else_would_see_it(kind, rng):
    net = fastconv.Model(*several(kind), seed=1)
    assert not [name for name in ids(net) if name.startswith("near+add")]
    check(net, rng)


def test_both_orders_and_projections(rng):
    """The branch that is made last adds itself to the one before, whichever summand it is."""
    x = fastconv.Input((16, 8, 8))
    a = ReLU()(points()(x))
    first = points(24, stride=2, name="first")(ReLU()(a))
    last = points(24, stride=2, bias=False, name="last")(a)
    for order in ((first, last), (last, first)):
        net = fastconv.Model(x, ReLU()(Add()(*order)), seed=2)
        assert [n for n in ids(net) if n.startswith("last+add") and n.endswith("relu_3")]
        check(net, rng)


def test_a_direct_convolution_of_any_window_adds(rng):
    x = fastconv.Input((16, 9, 9))
    a = ReLU()(points()(x))
    y = Conv2D(16, 3, padding=1, algorithm="direct", name="near")(ReLU()(a))
    net = fastconv.Model(x, Add()(y, a), seed=3)
    assert "near+add_1" in ids(net)
    check(net, rng)


def test_signals_and_other_activations(rng):
    x = fastconv.Input((16, 50))
    a = ReLU()(Conv1D(16, 1)(x))
    y = fastconv.create_layer("SiLU")(Add()(Conv1D(16, 1, name="near")(ReLU()(a)), a))
    net = fastconv.Model(x, y, seed=4)
    assert [name for name in ids(net) if name.startswith("near+add_1")]
    check(net, rng)


def test_a_layer_and_its_activation_read_before_the_sum_is_written(rng):
    """Their activation runs behind the sum, which is written over what the layer reads."""
    x = fastconv.Input((16, 6, 6))
    a = ReLU()(points(name="a")(x))
    early = points(name="early")(a)
    total = Add()(points(name="near")(fastconv.create_layer("SiLU")(a)), a)
    net = fastconv.Model(x, Add()(ReLU()(early), total), seed=6)
    found = ids(net)
    assert found.index("early+relu_2") < found.index("near+add_1")
    check(net, rng)


def test_a_sum_and_its_activation_come_before_the_sum_over_what_they_read(rng):
    """The first sum's convolution reads what the second sum is written over."""
    create = fastconv.create_layer
    x = fastconv.Input((16, 6, 6))
    a = ReLU()(points(name="a")(x))
    b = create("SiLU")(a)
    first = Add()(points(name="one")(b), a)
    second = Add()(points(name="two")(create("Sigmoid")(b)), b)
    net = fastconv.Model(x, Add()(ReLU()(first), second), seed=7)
    found = ids(net)
    assert found.index("one+add_1+relu_2") < found.index("two+add_2")
    check(net, rng)


def random_network(rng):
    """Layers called in any order on what is there, so that activations come late."""
    create = fastconv.create_layer
    x = fastconv.Input((16, 5, 7))
    values, waiting = [ReLU()(points()(x))], []
    for _ in range(rng.integers(4, 14)):
        kind = rng.integers(6)
        near = values[-rng.integers(1, min(len(values), 5) + 1)]
        if kind == 0 and waiting:
            values.append(ReLU()(waiting.pop(rng.integers(len(waiting)))))
        elif kind == 1:
            waiting.append(points()(near))
        elif kind == 2:
            values.append([Flatten, Identity, ReLU][rng.integers(3)]()(near))
            if len(values[-1].shape) == 1:
                values[-1] = create("Reshape", shape=(16, 5, 7))(values[-1])
        else:
            other = create(["SiLU", "Sigmoid", "Tanh"][rng.integers(3)])(near)
            if rng.integers(2):
                values.append(other)
            pair = [points()(other), near]
            total = Add()(*pair[:: 1 - 2 * rng.integers(2)])
            (waiting if rng.integers(2) else values).append(total)
    values += [ReLU()(node) for node in waiting]
    read = {id(parent) for node in values for parent in node.parents}
    ends = [node for node in values if id(node) not in read]
    outputs = ends if len(ends) == 1 or rng.integers(2) else Add()(*ends)
    return fastconv.Model(x, outputs, seed=int(rng.integers(99)))


def test_networks_that_were_put_together_in_any_order(rng):
    merged = 0
    for _ in range(60):
        net = random_network(rng)
        check(net, rng, batch=2)
        operations = net._schedule(net._graph.outputs).operations
        merged += sum(op.over is not None and len(op.sources) == 2 for op in operations)
    assert merged > 30


def test_a_sum_of_others_that_can_add_one_more_is_merged_once(rng):
    """It has taken the convolution before it, and is no longer what the next sum would take."""

    class Sum(fastconv.Layer):
        is_sum = True
        example_shapes = ((16, 8, 8), (16, 8, 8))

        def infer(self, *specs):
            return specs[0]

        def forward(self, ctx, *xs):
            return sum(xs[1:], xs[0])

        def with_addition(self):
            return self.twin()

    x = fastconv.Input((16, 6, 6))
    a, b = ReLU()(points()(x)), ReLU()(points()(x))
    first = Sum()(points(name="near")(fastconv.create_layer("SiLU")(a)), a)
    net = fastconv.Model(x, Add()(first, b), seed=8)
    assert "near+sum_1" in ids(net)
    check(net, rng)


def test_a_readers_own_class_keeps_them_apart(rng):
    """Nobody knows whether its output lies in the memory of its input."""

    class Mine(ReLU):
        def forward(self, ctx, *xs):
            return xs[0]

    x = fastconv.Input((16, 6, 6))
    a = ReLU()(points()(x))
    same = Mine()(a)
    total = Add()(points(name="near")(ReLU()(a)), a)
    net = fastconv.Model(x, Add()(total, same, total), seed=5)
    assert "near" in ids(net)
    check(net, rng)


@pytest.mark.parametrize("name", sorted(registry.layers.entries))
def test_outputs_that_are_not_said_to_be_views_are_new(name):
    """The rule by which `merge_sums` knows that nobody else has the memory of an array."""
    cls = registry.layers.entries[name]
    if not cls.__module__.startswith("fastconv.layers."):
        pytest.skip("not one of fastconv's own")
    layer = cls(**cls.example_config)
    specs = [
        fastconv.Spec(shape, "float32" if "float32" in layer.takes else layer.takes[0])
        for shape in cls.example_shapes
    ]
    layer.ensure_built(np.random.default_rng(0), *specs)
    xs = [np.ones((2, *spec.shape), spec.dtype) for spec in specs]
    y = layer.forward(Context(), *xs)
    if not (layer.output_is_view or layer.idle(False)):
        assert not any(np.may_share_memory(y, x) for x in xs)
