"""Arrays whose batch is on another axis than 0, or that have none and serve all rows."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from networks import as_tuple, traced

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, MemoryLimitError, ShapeError
from fastconv.testing import assert_bits_equal, assert_close

pytestmark = pytest.mark.usefixtures("plugins")
create, Input = fastconv.create_layer, fastconv.Input
T, C, U = 6, 5, 4


def steps(units=U, size=C, outputs="one"):
    """(T, N, C) and a matrix (C, U) that all rows share."""
    x = Input((T, size), name="steps", batch_axis=1)
    shared = Input((size, units), name="shared", batch_axis=None)
    moved, half = create("Tanh")(x), create("Sigmoid")(shared)
    rows = create("acme.Project")(create("acme.OverTime")(moved), half)
    head = create("Dense", units=3)(rows)
    return fastconv.Model((x, shared), head if outputs == "one" else (head, moved, half), seed=0)


def data(rng, rows=11, units=U, size=C):
    x = rng.standard_normal((T, rows, size)).astype("float32")
    return x, rng.standard_normal((size, units)).astype("float32")


def test_shapes_are_inferred():
    net = steps(outputs="all")
    found = {step.id: step.spec.letters for step in net._graph.steps}
    assert found == {
        "tanh_1": "(6, N, 5)",
        "sigmoid_1": "(5, 4)",
        "over_time_1": "(N, 5)",
        "project_1": "(N, 4)",
        "dense_1": "(N, 3)",
    }
    assert repr(Input((6, 5), batch_axis=1)) == "<Node Input (6, N, 5) float32>"
    assert repr(Input((), batch_axis=None)) == "<Node Input () float32>"
    for text in ("steps        Input     (6, N, 5)", "shared       Input     (5, 4)"):
        assert text in net.summary()
    assert "inputs: steps (6, N, 5) float32, shared (5, 4) float32" in str(net.plan(3))


def test_a_batch_on_axis_1_runs_as_one_on_axis_0_would(rng):
    net, (x, shared) = steps(outputs="all"), data(rng)
    head, moved, half = net(x, shared)
    weights = net["dense_1"].params
    due = np.tanh(x[-1]) @ (1 / (1 + np.exp(-shared))) @ weights["weight"].T + weights["bias"]
    assert_close(head, due, factor=10)
    assert_close(moved, np.tanh(x), factor=10)
    assert half.shape == shared.shape and head.shape == (11, 3)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 10, 11, 100])
@pytest.mark.parametrize("frozen", [False, True])
def test_batches_are_cut_where_the_rows_are(rng, batch_size, frozen):
    net, x = steps(outputs="all"), data(rng)
    due = net(*x)
    runs = net.for_inference() if frozen else net
    for found in (
        runs.predict(x, batch_size),
        runs(*x),
        runs.predict({"steps": x[0], "shared": x[1]}, batch_size),
    ):
        for part, other in zip(found, due, strict=True):
            assert_bits_equal(part, other)
    none = runs.predict((x[0][:, :0], x[1]), batch_size)
    assert [part.shape for part in none] == [(0, 3), (6, 0, 5), (5, 4)]


def test_rows_of_floats_and_of_integers_are_cut_together(rng):
    numbers = Input((), "int64", name="numbers", batch_axis=None)
    x = Input((3, 2), "uint8", name="x", batch_axis=2)
    net = fastconv.Model((x, numbers), (x, numbers))
    a, b = rng.integers(0, 9, (3, 2, 7)), np.array(4)
    for size in (2, 7):
        found = net.predict((a, b), size)
        assert_bits_equal(found[0], a.astype("uint8"))
        assert_bits_equal(found[1], b)
        assert type(found[1]) is np.ndarray and not np.shares_memory(found[1], b)


def test_a_network_without_any_batch():
    scalar = Input((), name="scalar", batch_axis=None)
    twice = create("Add")(scalar, scalar)
    net = fastconv.Model(scalar, create("Multiply")(create("ReLU")(twice), scalar))
    for found in (net(3.0), net.predict(3.0), net.predict(np.float32(3), memory_limit=100)):
        assert_bits_equal(found, np.array(18, np.float32))
    assert net.plan(7).peak == net.plan(1).peak == 8
    assert_bits_equal(net.input_gradient(3.0, 1.0), np.array(12, np.float32))


@pytest.mark.parametrize("rows", [1, 100, 500])
@pytest.mark.parametrize("training", [False, True])
def test_plans_are_exact(rows, training):
    net = steps(units=200, size=160)
    plan = net.plan(rows, training=training)
    taken = net.measure(rows, training=training)
    assert plan.peak < taken < 1.01 * plan.peak + 12_000
    by_id = {node.id: node for node in plan.nodes}
    assert by_id["tanh_1"].activations == rows * T * 160 * 4
    assert by_id["sigmoid_1"].activations == 160 * 200 * 4  # once for all rows
    assert by_id["project_1"].activations == rows * 200 * 4


@pytest.mark.parametrize("part", [1.0, 0.7, 0.5, 0.3])
def test_limits_are_kept(rng, part):
    net, x = steps(units=200, size=40, outputs="all"), data(rng, 400, 200, 40)
    results = sum(y.nbytes for y in net(*x))
    peak = net.plan(400).peak
    limit = results + int(part * (peak - results))
    due = net(*x)
    try:
        found = net.predict(x, 400, memory_limit=limit)
    except MemoryLimitError as error:
        assert part < 0.5 and error.least > limit
        limit = error.least
        found = net.predict(x, 400, memory_limit=limit)
    for one, other in zip(found, due, strict=True):
        assert_bits_equal(one, other)
    del found
    assert traced(lambda: net.predict(x, 400, memory_limit=limit)) < limit + 30_000


def test_training_takes_rows_where_they_are(rng):
    x, shared = data(rng, 30)
    y = (x[-1, :, 0] > 0).astype(int)
    found = []
    for limit in (None, 40_000):
        net = steps()
        net.compile(("adam", {"learning_rate": 0.03}), "softmax_cross_entropy")
        before = net.evaluate((x, shared), y)["loss"]
        net.fit(
            (x, shared),
            y,
            epochs=20,
            batch_size=8,
            verbose=0,
            memory_limit=limit,
            validation_data=((x[:, :7], shared), y[:7]),
        )
        found.append(net.weights())
        assert net.evaluate((x, shared), y, batch_size=7)["loss"] < 0.6 * before
    for key, value in found[0].items():
        assert_bits_equal(value, found[1][key])


def test_an_epoch_is_that_of_the_same_rows_on_axis_0(rng):
    """The rows that a step gathers are those of y."""
    x, shared = data(rng, 9)
    y = np.arange(9) % 3
    one = steps()
    for net in (one, two := copy.deepcopy(one)):
        net.compile("sgd", "softmax_cross_entropy")
    one.fit((x, shared), y, epochs=1, batch_size=4, verbose=0, seed=5)
    order = np.random.default_rng((5, 0)).permutation(9)
    for rows in (order[:4], order[4:8], order[8:]):
        two.train_on_batch((np.take(x, rows, 1), shared), y[rows])
    for key, value in one.weights().items():
        assert_bits_equal(value, two.weights()[key])


def test_gradients_of_what_all_rows_share(rng):
    net, (x, shared) = steps(), data(rng)
    dx, dshared = net.input_gradient((x, shared), np.ones((11, 3), "float32"))
    assert dx.shape == x.shape and dshared.shape == shared.shape
    assert not dx[:-1].any() and dx[-1].any()
    parts = [net.input_gradient((x[:, n : n + 1], shared), np.ones((1, 3)))[1] for n in range(11)]
    assert_close(dshared, sum(parts), factor=10)


def test_what_is_not_finite_is_found_in_its_row(rng):
    x, shared = data(rng)
    x[-1, 8, 1] = np.nan
    net = steps()
    net.compile("sgd", "softmax_cross_entropy")
    with pytest.raises(fastconv.TrainingError, match="nan in row 8"):
        net.fit((x, shared), np.zeros(11, int), epochs=1, verbose=0)
    x[-1, 8, 1], shared[3, 1] = 0, np.nan
    with pytest.raises(fastconv.TrainingError, match=r"x\[1\] must be finite, got nan in epoch"):
        net.fit((x, shared), np.zeros(11, int), epochs=1, verbose=0)


def test_files_have_the_axis(rng, tmp_path):
    net, x = steps(outputs="all"), data(rng)
    assert net.to_config()["inputs"] == [
        {"id": "steps", "shape": [6, 5], "batch_axis": 1},
        {"id": "shared", "shape": [5, 4], "batch_axis": None},
    ]
    net.save(tmp_path / "net.safetensors")
    for other in (
        fastconv.load(tmp_path / "net.safetensors"),
        pickle.loads(pickle.dumps(net)),
        fastconv.load(tmp_path / "net.safetensors", for_inference=True),
        copy.deepcopy(net),
    ):
        for found, due in zip(as_tuple(other.predict(x, 4)), net(*x), strict=True):
            assert_bits_equal(found, due)


def test_wrong_inputs_are_refused(rng):
    net, (x, shared) = steps(), data(rng)
    text = r"steps must have shape \(6, N, 5\), got \(11, 6, 5\); the batch is axis 1 here: "
    with pytest.raises(ShapeError, match=text + r"np.moveaxis\(steps, 0, 1\)"):
        net(np.moveaxis(x, 1, 0), shared)
    for call in (net, lambda *x: net.predict(x), lambda *x: net.intermediate(x, "dense_1")):
        with pytest.raises(ShapeError, match=r"shared must have shape \(5, 4\), got \(11, 5, 4\)"):
            call(x, np.stack([shared] * 11))
        with pytest.raises(ShapeError, match=r"steps must have shape \(6, N, 5\), got \(6,\)"):
            call(x[:, 0, 0], shared)
        with pytest.raises(ShapeError, match=r"steps must have shape \(6, N, 5\), got \(\)"):
            call(np.float32(1), shared)
    two = Input((3,), batch_axis=1)
    both = fastconv.Model((two, x1 := Input((3,))), (two, x1))
    for call in (both, lambda *x: both.predict(x)):
        with pytest.raises(ShapeError, match="must h(old|ave) equally many"):
            call(np.ones((3, 4)), np.ones((5, 3)))
    with pytest.raises(ArgumentError, match="the output must .* batch on axis 0.* \\(3, N\\)"):
        both.compile("sgd", "mean_squared_error")


@pytest.mark.parametrize(
    ("shape", "axis", "error", "text"),
    [
        ((3,), 2, ArgumentError, "Input: batch_axis must be at most 1, got 2"),
        ((3,), -1, ArgumentError, "Input: batch_axis must be at least 0, got -1"),
        ((3,), "N", ArgumentTypeError, "Input: batch_axis must be an integer, got 'N'"),
        ((3,), False, ArgumentTypeError, "Input: batch_axis must be an integer, got False"),
        ((), 0, ShapeError, "Input: shape must have 1 to 8 sizes"),
        ((1,) * 9, None, ShapeError, "Input: shape must have 0 to 8 sizes"),
    ],
)
def test_inputs_are_checked(shape, axis, error, text):
    with pytest.raises(error, match=text):
        Input(shape, batch_axis=axis)


def test_a_layer_of_others_gives_what_it_said(rng):
    class Wrong(fastconv.Layer):
        any_batch_axis = True

        def infer(self, *specs):
            return specs[0]

        def forward(self, ctx, x):
            return x[:, ::-1].copy() if self.right else x[:, 1:].copy()

    layer = Wrong()
    x = Input((2, 3), batch_axis=1)
    net = fastconv.Model(x, layer(x))
    layer.right = True
    assert net(np.ones((2, 4, 3))).shape == (2, 4, 3)
    layer.right = False
    with pytest.raises(ShapeError, match=r"what infer says, \(2, 4, 3\) float32, got \(2, 3, 3\)"):
        net(np.ones((2, 4, 3)))


def test_a_network_is_put_behind_other_nodes(rng):
    net, x = steps(), data(rng)
    a, b = Input((T, C), batch_axis=1), Input((C, U), batch_axis=None)
    again = fastconv.Model((a, b), net(a, b))
    assert_bits_equal(again(*x), net(*x))
    with pytest.raises(ShapeError, match="OverTime|Project"):
        net(Input((T, C)), Input((C, U)))


def test_layers_that_move_the_batch_do_not_change_places_with_activations(rng):
    """What lies between the two has its batch where it was before the change."""

    class Act(fastconv.Layer):
        any_batch_axis = True
        acts_as = "acme.act"

        def infer(self, *specs):
            return specs[0]

        def forward(self, ctx, x):
            return x * 2

        def backward(self, ctx, dy):
            return dy * 2

    class Last(fastconv.Layer):
        any_batch_axis = True
        commutes_with = frozenset({"acme.act"})

        def infer(self, *specs):
            return fastconv.Spec(specs[0].shape[1:], specs[0].dtype)

        def forward(self, ctx, x):
            ctx.save(x.shape)
            return x[-1].copy()

        def backward(self, ctx, dy):
            dx = np.zeros(ctx.saved[0], dy.dtype)
            dx[-1] = dy
            return dx

    x = Input((6, 5), batch_axis=1)
    net = fastconv.Model(x, fastconv.create_layer("Dense", units=3)(Last()(Act()(x))), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    data, labels = rng.standard_normal((6, 9, 5)).astype(np.float32), np.arange(9) % 3
    assert np.isfinite(net.train_on_batch(data, labels)["loss"])


@pytest.mark.parametrize("shared", [5, np.array(5)])
def test_integers_for_a_single_number_of_floats_are_cast(shared, rng):
    class Scaled(fastconv.Layer):
        any_batch_axis = True

        def infer(self, *specs):
            return specs[0]

        def forward(self, ctx, x, s):
            return x * s

        def backward(self, ctx, dy):
            return (dy * 5 if ctx.needs(0) else None), None

    x, s = Input((4,)), Input((), batch_axis=None)
    net = fastconv.Model((x, s), fastconv.create_layer("Dense", units=2)(Scaled()(x, s)), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    data = rng.standard_normal((6, 4)).astype(np.float32)
    net.fit((data, shared), np.arange(6) % 2, epochs=1, verbose=0)
    assert np.isfinite(net.evaluate((data, shared), np.arange(6) % 2)["loss"])
