"""Running networks: bits, gradients, orders of addition, what is computed and what is let go."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest
from networks import as_tuple, book, branches, random_like, small, traced

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, FastconvError, ShapeError
from fastconv.testing import assert_bits_equal, assert_close

create = fastconv.create_layer


def step(net, xs, dys, number=0):
    """Run one step whose loss is sum(dy * y); return the gradients."""
    net.forward_backward(as_tuple(xs), lambda ys: ({"loss": 0.0}, dys), number)
    return net.gradients


@pytest.mark.parametrize("make", [branches, lambda: small("float64")])
def test_gradients_agree_with_differences(make, rng):
    net = make()
    xs = as_tuple(random_like(net, rng))
    dys = tuple(rng.standard_normal(y.shape) for y in as_tuple(net(*xs)))

    def loss():
        found = []
        net.forward_backward(xs, lambda ys: (found.append(ys) or {}, dys), 3)
        return sum((y * dy).sum() for y, dy in zip(found[0], dys, strict=True))

    statistics = {key: value for key, value in net.weights().items() if "running" in key}
    loss()
    gradients = {key: g.copy() for key, g in net.gradients.items()}
    assert list(net.trainable_parameters()) == [
        key for key in net.weights() if key not in statistics
    ]
    assert sorted(gradients) == sorted(net.trainable_parameters())
    for key, parameter in net.trainable_parameters().items():
        for index in rng.integers(0, parameter.size, 3):
            place = np.unravel_index(index, parameter.shape)
            ends = []
            for sign in (1, -1):
                value = parameter.value.copy()
                value[place] += sign * 1e-6
                net.set_weights({key: value, **statistics})
                ends.append(loss())
                value[place] -= sign * 1e-6
                net.set_weights({key: value})
            numeric = (ends[0] - ends[1]) / 2e-6
            assert abs(numeric - gradients[key][place]) < 1e-6 * max(1, abs(numeric)), key


def test_the_gradient_of_the_input_is_that_of_inference(rng):
    net = small("float64")
    net.compile("sgd", "softmax_cross_entropy")
    net.train_on_batch(random_like(net, rng, 8), np.arange(8) % 3)  # statistics other than 0, 1
    x = random_like(net, rng)
    dy = rng.standard_normal((3, 3))
    dx = net.input_gradient(x, dy)
    direction = rng.standard_normal(x.shape)
    ends = [(net(x + sign * 1e-6 * direction) * dy).sum() for sign in (1, -1)]
    assert_close((dx * direction).sum(), (ends[0] - ends[1]) / 2e-6, factor=1e6)


def test_the_gradients_of_several_inputs(rng):
    net = branches()
    xs = random_like(net, rng)
    dys = tuple(np.ones_like(y) for y in net(*xs))
    assert [dx.shape for dx in net.input_gradient(xs, dys)] == [x.shape for x in xs]
    with pytest.raises(ShapeError, match=r"dy must have shape \(3, 4\)"):
        net.input_gradient(xs, (dys[1], dys[0]))
    with pytest.raises(ArgumentTypeError, match="dy must be a tuple of 2"):
        net.input_gradient(xs, dys[0])


class Recorder(fastconv.Layer):
    """Passes on what it gets and notes what is asked of it."""

    def __init__(self, factor: float = 1.0):
        self.factor = factor
        self.asked: list = []

    def infer(self, *specs):
        return specs[0]

    def forward(self, ctx, *xs):
        ctx.save(True)
        return xs[0] * xs[0].dtype.type(self.factor)

    def backward(self, ctx, dy):
        self.asked.append(ctx.needs(0))
        return dy * dy.dtype.type(self.factor) if ctx.needs(0) else None


def test_branches_are_summed_from_the_last_reader_to_the_first():
    x = fastconv.Input((1,))
    start = create("Dense", units=1, bias=False)(x)
    factors = [1.0, 1e8, -1e8, 3.0]
    net = fastconv.Model(x, [Recorder(factor)(start) for factor in factors])
    gradient = step(net, np.ones((1, 1), "float32"), [np.ones((1, 1), "float32")] * 4)
    total = np.float32(0)
    for factor in reversed(factors):
        total = np.float32(total + np.float32(factor))
    assert total == 1  # and 0, 3 or 4 in other orders
    assert gradient["dense_1/weight"] == total


def test_sums_do_not_write_into_what_a_layer_returned():
    x = fastconv.Input((2,))
    start = create("Dense", units=2)(x)
    total = create("Add")(start, start, start)  # returns dy itself, three times
    dy = np.ones((1, 2), "float32")
    gradient = step(fastconv.Model(x, total), np.ones((1, 2), "float32"), [dy])
    assert_bits_equal(dy, np.ones((1, 2), "float32"))
    assert_bits_equal(gradient["dense_1/bias"], np.float32([3, 3]))


def test_the_first_layer_computes_no_gradient_of_its_input():
    first, second = Recorder(), Recorder()
    layers = [first, ("Dense", {"units": 2}), second, ("Dense", {"units": 2})]
    net = fastconv.Sequential(layers, (3,))
    dy = np.ones((1, 2), "float32")
    step(net, np.ones((1, 3), "float32"), [dy])
    assert (first.asked, second.asked) == ([], [True])
    net.freeze("dense_1")
    step(net, np.ones((1, 3), "float32"), [dy])
    assert (first.asked, second.asked) == ([], [True])
    assert sorted(net.gradients) == ["dense_2/bias", "dense_2/weight"]


def test_arrays_are_let_go_after_their_last_reader():
    alive: list[int] = []
    arrays: list[weakref.ref] = []

    class Watch(fastconv.Layer):
        def infer(self, *specs):
            return specs[0]

        def forward(self, ctx, *xs):
            gc.collect()
            alive.append(sum(array() is not None for array in arrays))
            y = xs[0] + 1
            arrays.append(weakref.ref(y))
            return y

    net = fastconv.Sequential([Watch() for _ in range(6)], (3,))
    net(np.ones((2, 3)))
    assert alive == [0, 1, 1, 1, 1, 1]


def test_merging_relu_changes_no_bit(rng):
    net = book()
    x = rng.random((3, 1, 28, 28))
    merged = net._schedule(net._graph.outputs, merge=True)
    assert [len(op.steps) for op in merged.operations] == [2, 1, 1, 2, 1]
    found = []
    net.forward_backward(net.cast_inputs(x), lambda ys: (found.extend(ys) or {}, ys), 0)
    assert_bits_equal(net(x), found[0])
    conv, relu = net.intermediate(x, ("conv2d_1", "relu_1"))
    assert conv.min() < 0
    assert_bits_equal(np.maximum(conv, 0), relu)


def test_a_convolution_with_two_readers_is_not_merged(rng):
    x = fastconv.Input((1, 4, 4))
    conv = create("Conv2D", filters=2, kernel_size=3)(x)
    net = fastconv.Model(x, create("Add")(create("ReLU")(conv), conv))
    batch = rng.standard_normal((2, 1, 4, 4))
    raw = net.intermediate(batch, "conv2d_1")
    assert_bits_equal(net(batch), np.maximum(raw, 0) + raw)


@pytest.mark.parametrize("inputs", [2, 3])
def test_a_sum_computes_the_relu_behind_it_unless_it_trains(inputs, rng):
    x = fastconv.Input((3, 6, 6))
    ends = [create("Conv2D", filters=2, kernel_size=3)(x) for _ in range(inputs)]
    net = fastconv.Model(x, create("ReLU")(create("Add")(*ends)))
    outputs, alone = net._graph.outputs, [1] * inputs
    for training, due in ((False, [*alone, 2]), (True, [*alone, 1, 1])):
        found = net._schedule(outputs, training=training)
        assert [len(op.steps) for op in found.operations] == due
    batch = rng.standard_normal((2, 3, 6, 6))
    raw = net.intermediate(batch, "add_1")
    assert raw.min() < 0
    assert_bits_equal(net(batch), np.maximum(raw, 0))


def test_intermediate_names_nodes():
    net = small()
    with pytest.raises(ArgumentError, match="ids must be of nodes, got 'conv2d_9'; there are conv"):
        net.intermediate(np.zeros((1, 2, 8, 8)), "conv2d_9")
    (only,) = net.intermediate(np.zeros((1, 2, 8, 8)), ["flatten_1"])
    assert only.shape == (1, 16)


def test_many_threads_through_one_network(rng):
    net = small()
    batches = [random_like(net, rng, batch) for batch in range(1, 17)]
    expected = [net(x) for x in batches]
    found: list = [None] * 64
    gate = threading.Barrier(64)
    fresh = copy.deepcopy(net)  # without packed weights and plans: those are made in the race

    def run(number: int) -> None:
        gate.wait()
        found[number] = fresh(batches[number % 16])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, y in enumerate(found):
        assert_bits_equal(y, expected[number % 16])


@pytest.mark.parametrize("again", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_networks_of_their_own(again, rng):
    net = small()
    x = random_like(net, rng)
    y = net(x)
    twin = again(net)
    twin.compile("sgd", "softmax_cross_entropy")
    assert_bits_equal(twin(x), y)
    twin.train_on_batch(x, [0, 1, 2])
    assert_bits_equal(net(x), y)
    assert not np.array_equal(twin(x), y)


def test_the_empty_batch():
    assert small()(np.zeros((0, 2, 8, 8))).shape == (0, 3)


def test_batches_do_not_change_bits(rng):
    net = small()
    x = random_like(net, rng, 7)
    assert_bits_equal(net.predict(x, batch_size=3), net(x))
    assert net.predict(x[:0]).shape == (0, 3)


class Wrong(fastconv.Layer):
    def __init__(self, how: str):
        self.how = how

    def infer(self, *specs):
        return specs[0]

    def build(self, rng, *specs):
        self.add_param("scale", (1,), "ones")

    def forward(self, ctx, *xs):
        wrong = {"shape": xs[0][:, :1], "dtype": xs[0].astype("float16"), "nothing": None}
        return wrong.get(self.how, xs[0] + 0)

    def backward(self, ctx, dy):
        if self.how != "gradient":
            ctx.add_grad("scale", np.ones(1, dy.dtype))
        return None if self.how == "none" else dy


@pytest.mark.parametrize("how", ["shape", "dtype", "nothing"])
def test_a_layer_that_returns_what_it_did_not_infer(how):
    net = fastconv.Sequential([create("ReLU"), Wrong(how)], (3,))
    with pytest.raises(ShapeError, match=r"wrong_1: forward must return what infer says, \(2, 3\)"):
        net(np.ones((2, 3)))


class Marking(fastconv.Layer):
    """Leaves a mark in its context, and looks for those of others."""

    def infer(self, *specs):
        return specs[0]

    def forward(self, ctx, *xs):
        assert not hasattr(ctx, "mark") and not ctx.new_state
        ctx.mark = ctx.rng.random()
        ctx.set_state("anything", xs[0])
        return xs[0] + ctx.mark


def test_each_call_of_a_third_partys_layer_has_a_context_of_its_own():
    net = fastconv.Sequential(["ReLU", Marking(), "ReLU", Marking(), "ReLU"], (3,))
    (mark,) = {float(value) for value in (net(np.zeros((2, 3))) / 2).flat}
    assert mark == net.intermediate(np.zeros((1, 3)), "marking_1")[0, 0] > 0


@pytest.mark.parametrize(
    ("how", "text"), [("gradient", "add_grad 'scale'"), ("none", "None where")]
)
def test_a_layer_that_keeps_gradients_back(how, text):
    net = fastconv.Sequential([("Dense", {"units": 3}), Wrong(how)], (3,))
    with pytest.raises(FastconvError, match=f"wrong_1: backward must .*{text}"):
        step(net, np.ones((2, 3), "float32"), [np.ones((2, 3), "float32")])


def test_a_cast_copy_goes_when_it_was_read(rng):
    """What the network makes of uint8 images does not stay beside what comes later."""
    config = {"filters": 1, "kernel_size": 1}
    layers = [
        ("Conv2D", config),
        ("MaxPool2D", {"pool_size": 2}),
        ("Conv2D", {"filters": 64, "kernel_size": 1}),
    ]
    net = fastconv.Sequential(layers, (16, 64, 64), seed=0)
    x = rng.integers(0, 256, (8, 16, 64, 64)).astype(np.uint8)
    net(x)
    cast = 4 * x.size
    assert traced(lambda: net(x)) < 2 * cast


class Scale(fastconv.Layer):
    """One number a feature; what follows breaks a promise in one method."""

    def infer(self, *specs):
        return specs[0]

    def build(self, rng, *specs):
        self.add_param("weight", specs[0].shape, "ones")
        self.add_state("mean", specs[0].shape)

    def forward(self, ctx, x):
        ctx.save(x)
        return x * self.param("weight").value

    def backward(self, ctx, dy):
        ctx.add_grad("weight", (dy * ctx.saved[0]).sum(axis=0))
        return dy * self.param("weight").value


class OneRow(Scale):
    def backward(self, ctx, dy):
        return super().backward(ctx, dy)[:1]


class OneColumn(Scale):
    def backward(self, ctx, dy):
        return super().backward(ctx, dy)[:, :1]


class Wide(Scale):
    def backward(self, ctx, dy):
        return super().backward(ctx, dy).astype(np.float64)


class Single(Scale):
    def backward(self, ctx, dy):
        ctx.add_grad("weight", np.float32(1))
        return dy


class Unknown(Scale):
    def forward(self, ctx, x):
        ctx.set_state("means", x.mean(axis=0))
        return super().forward(ctx, x)


class Text(Scale):
    def forward(self, ctx, x):
        ctx.set_state("mean", "much")
        return super().forward(ctx, x)


@pytest.mark.parametrize("before", ["ReLU", ("Dense", {"units": 3}), "Sigmoid"])
@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (OneRow, r"one_row_1: backward must return a gradient \(4, 3\) float32 .* got \(1, 3\)"),
        (OneColumn, r"one_column_1: backward must return a gradient .* got \(4, 1\) float32"),
        (Wide, "wide_1: backward must return a gradient .* got .* float64"),
        (Single, r"single_1: backward must give add_grad 'weight' an array of shape \(3,\), got"),
        (Unknown, "unknown_1: forward must give ctx.set_state the name .* got 'means'; it has me"),
        (Text, "Text: mean must be an array of real numbers, got str"),
    ],
)
def test_a_layer_that_breaks_its_word_in_a_step_is_named(layer, text, before):
    net = fastconv.Sequential([("Dense", {"units": 3}), before, layer()], (5,), seed=0)
    net.compile("sgd", "mean_squared_error")
    weights = net.weights()
    with pytest.raises(FastconvError, match=text):
        net.train_on_batch(np.ones((4, 5)), np.ones((4, 3)))
    for key, value in net.weights().items():
        assert_bits_equal(value, weights[key])


def test_nobody_is_handed_the_memory_of_a_parameter(rng):
    class Table(Scale):
        def forward(self, ctx, x):
            value = self.param("weight").value
            return value if x.shape == value.shape else value[None]

        def backward(self, ctx, dy):
            ctx.add_grad("weight", self.param("weight").value)
            return self.param("weight").value[None]

    net = fastconv.Sequential([Table()], (3,), seed=0)
    before, x = net.weights(), np.ones((1, 3), np.float32)
    step(net, x, (x,))
    gradient = net.gradients["table_1/weight"]
    for given in (net(x), net.predict(x), net.input_gradient(x, x), gradient):
        given[...] = 7
        assert_bits_equal(net.weights()["table_1/weight"], before["table_1/weight"])


def test_a_forward_that_replaces_ours_is_checked_as_that_of_others():
    conv = fastconv.create_layer("Conv2D", filters=4, kernel_size=1)
    net = fastconv.Sequential([conv, "Flatten"], input_shape=(1, 2, 2), seed=0)
    ours = conv.forward
    conv.forward = lambda ctx, *xs: ours(ctx, *xs)[:, :1]
    with pytest.raises(ShapeError):
        net(np.ones((1, 1, 2, 2), np.float32))
