"""Networks within a number of bytes: kept, as measured, and with the same results."""

from __future__ import annotations

import re

import numpy as np
import pytest
from networks import book, branches, random_like, small, traced

import fastconv
from fastconv.errors import MemoryLimitError
from fastconv.models.running import Segment

create = fastconv.create_layer
SLACK = 120_000  # bytes of Python's own objects: arrays are megabytes here


def residual(blocks: int = 4, precision: str = "strict", size: int = 48) -> fastconv.Model:
    """Residual blocks with BatchNorm, then dropout and a dense layer."""
    conv = {"filters": 16, "kernel_size": 3, "padding": "same", "precision": precision}
    x = fastconv.Input((16, size, size))
    node = create("Conv2D", **conv)(x)
    for _ in range(blocks):
        inner = create("ReLU")(create("BatchNorm")(create("Conv2D", **conv)(node)))
        inner = create("BatchNorm")(create("Conv2D", **conv)(inner))
        node = create("ReLU")(create("Add")(inner, node))
    node = create("Dropout", rate=0.5)(create("GlobalAvgPool2D")(node))
    return fastconv.Model(x, create("Dense", units=10)(node), seed=0)


def chain(precision: str = "standard") -> fastconv.Sequential:
    """Pairs of convolutions with pooling between, then dense layers."""
    layers: list = []
    for filters in (32, 64):
        for _ in range(2):
            config = {"filters": filters, "kernel_size": 3, "padding": 1, "precision": precision}
            layers += [("Conv2D", config), "ReLU"]
        layers.append(("MaxPool2D", {"pool_size": 2}))
    layers += ["Flatten", ("Dense", {"units": 64}), "ReLU", ("Dense", {"units": 10})]
    return fastconv.Sequential(layers, (3, 64, 64), seed=0)


def least(plan) -> int:
    """The figure that an impossible limit is answered with."""
    with pytest.raises(MemoryLimitError) as error:
        plan(memory_limit=0)
    return int(re.search(r"at least (\d+) bytes", str(error.value))[1])


def forget_packed(net) -> None:
    for layer in net.layers:
        for parameter in layer.parameters.values():
            parameter.unpack()


@pytest.mark.parametrize("factor", [1, 1.05, 1.6, 4])
@pytest.mark.parametrize("make", [residual, chain])
def test_inference_keeps_within_its_limit(make, factor, rng):
    net = make()
    x = random_like(net, rng, 24)
    limit = int(least(lambda **k: net.plan(24, **k)) * factor)
    plan = net.plan(24, memory_limit=limit)
    assert plan.peak <= limit
    net(x)  # leaves packed weights, which the limit makes go where it has no room for them
    net(x, memory_limit=limit)
    forget_packed(net)
    taken = traced(lambda: net(x, memory_limit=limit))
    assert taken <= plan.peak + SLACK
    assert taken >= 0.97 * plan.peak


@pytest.mark.parametrize("factor", [1, 1.2, 3])
@pytest.mark.parametrize("make", [residual, chain, book, small, branches])
def test_inference_within_a_limit_is_the_same(make, factor, rng):
    net = make()
    for layer in net.layers:
        if "precision" in layer.config:
            layer.precision = "strict"
            vars(layer).pop("_options", None)
    net._settle(net._graph, net.name)  # forgets the layers that stand for two, made of these
    x = random_like(net, rng, 7)
    limit = int(least(lambda **k: net.plan(7, **k)) * factor)
    expected = net(x)
    for found in (net(x, memory_limit=limit), net.predict(x, 7, memory_limit=limit)):
        for one, other in zip(
            found if isinstance(found, tuple) else (found,),
            expected if isinstance(expected, tuple) else (expected,),
            strict=True,
        ):
            assert np.array_equal(one, other)


def test_rows_do_not_decide_about_bits(rng):
    net = chain()
    x = random_like(net, rng, 30)
    limit = int(1.5 * least(lambda **k: net.plan(30, **k)))
    whole = net(x, memory_limit=limit)
    assert min(node.rows for node in net.plan(30, memory_limit=limit).nodes) < 30
    assert np.array_equal(net(x[:4], memory_limit=limit), whole[:4])
    assert np.array_equal(net.predict(x, 13, memory_limit=limit), whole)


def test_a_limit_too_small_names_the_least(rng):
    net = chain()
    x = random_like(net, rng, 5)
    figure = least(lambda **k: net.plan(5, **k))
    net.plan(5, memory_limit=figure)
    with pytest.raises(MemoryLimitError, match=f"^plan: memory_limit .* {figure} bytes"):
        net.plan(5, memory_limit=figure - 1)
    with pytest.raises(MemoryLimitError, match=f"^predict: memory_limit .* {figure} bytes"):
        net.predict(x, memory_limit=figure - 1)
    with pytest.raises(MemoryLimitError, match=f"^Model: memory_limit .* {figure} bytes"):
        net(x, memory_limit=figure - 1)


def test_cast_copies_count(rng):
    net = chain("strict")
    x = rng.integers(0, 256, (6, 3, 64, 64)).astype(np.uint8)
    plain = x.astype(np.float32)
    figure = least(lambda **k: net.predict(plain, **k))
    assert least(lambda **k: net.predict(x, **k)) == figure + plain[0].nbytes
    with pytest.raises(MemoryLimitError):
        net.predict(x, memory_limit=figure)
    limit = figure + plain[0].nbytes
    assert np.array_equal(net.predict(x, memory_limit=limit), net(plain))
    assert traced(lambda: net.predict(x, memory_limit=limit)) <= limit + SLACK


def test_lists_count_as_the_arrays_that_are_made_of_them(rng):
    net = small()
    x = random_like(net, rng, 300)
    figure = least(lambda **k: net.predict(x, **k))
    rows = x.tolist()  # which become float64, all of them
    copies = 8 * x.size + x[0].nbytes  # and a row of float32
    assert least(lambda **k: net.predict(rows, **k)) == figure + copies
    limit = figure + copies + 50_000
    assert np.array_equal(net.predict(rows, memory_limit=limit), net(x))
    lists = 300 * (1 + 2 * (1 + 8))  # of each NumPy keeps a note while it makes the array
    taken = traced(lambda: net.predict(rows, memory_limit=limit))
    assert taken <= limit + SLACK + 48 * lists


def test_a_limit_that_binds_nothing_changes_nothing(rng):
    net = residual()
    for training in (False, True):
        free = net.plan(8, training=training)
        loose = net.plan(8, training=training, memory_limit=free.peak)
        assert [n.algorithm for n in loose.nodes] == [n.algorithm for n in free.nodes]
        assert not any(node.recomputed for node in loose.nodes)
        assert loose.rows == 8 and loose.peak <= free.peak


def test_text_and_limits_that_are_none():
    net = small()
    assert net.plan(4, memory_limit="1 MB").memory_limit == 10**6
    assert "within 977 KiB" in str(net.plan(4, memory_limit="1 MB"))
    values = net.plan(4, memory_limit="1 MB").to_dict()
    assert values["memory_limit"] == 10**6 and values["rows"] == 4
    for wrong in (-1, "lots", 1.5):
        with pytest.raises((ValueError, TypeError), match="^plan: memory_limit"):
            net.plan(4, memory_limit=wrong)


def test_no_rows(rng):
    net = small()
    x = random_like(net, rng, 0)
    assert net(x, memory_limit="10 MB").shape == (0, 3)


def test_a_frozen_network_keeps_what_it_packed(rng):
    net = chain()
    frozen = net.for_inference()
    x = random_like(net, rng, 9)
    figure = least(lambda **k: frozen.plan(9, **k))
    packed = sum(node.packed for node in frozen.plan(9).nodes)
    assert figure > packed
    limit = figure + 400_000
    before = frozen.nbytes
    found = frozen(x, memory_limit=limit)
    assert frozen.nbytes == before
    assert np.allclose(found, net(x), atol=1e-4)
    assert traced(lambda: frozen(x, memory_limit=limit)) <= limit - packed + SLACK


def test_a_view_of_a_part_does_not_keep_the_whole(rng):
    class First(fastconv.Layer):
        def infer(self, *specs):
            return fastconv.Spec((1, *specs[0].shape[1:]), specs[0].dtype)

        def forward(self, ctx, x):
            return x[:, :1]

    config = {"filters": 32, "kernel_size": 3, "padding": 1, "precision": "strict"}
    layers = [("Conv2D", config), First(), ("Conv2D", config), "ReLU", ("Conv2D", config)]
    net = fastconv.Sequential(layers, (1, 64, 64), seed=0)
    x = random_like(net, rng, 8)
    limit = int(1.1 * least(lambda **k: net.predict(x, 8, **k)))
    forget_packed(net)
    assert traced(lambda: net.predict(x, 8, memory_limit=limit)) <= limit + SLACK
    with pytest.raises(TypeError, match="^plan: training must be True or False"):
        net.plan(2, training="no")


def test_workspace_and_memory_limits_together():
    net = chain()
    plan = net.plan(8, memory_limit="40 MB", workspace_limit=0)
    assert {node.workspace for node in plan.nodes} == {0}
    assert {node.algorithm for node in net.plan(8).nodes if node.algorithm} == {
        "direct",
        "winograd",
    }


# Training


def step_of(net, x, y, limit):
    """One step from fresh gradients, of a batch gathered as fit gathers it."""
    net.gradients = {}
    net.fit(x, y, batch_size=len(x), epochs=1, shuffle=True, verbose=0, memory_limit=limit)


def trained(make, x, y, limit=None, epochs=2):
    net = make()
    net.compile("momentum", "softmax_cross_entropy")
    history = net.fit(x, y, batch_size=8, epochs=epochs, verbose=0, memory_limit=limit)
    return net.weights(), history.history["loss"], net.gradients


@pytest.mark.parametrize("factor", [1, 1.05, 1.3])
def test_training_within_a_limit_is_the_same(factor, rng):
    make = residual
    x = random_like(make(), rng, 20)
    y = rng.integers(0, 10, 20)
    limit = int(least(lambda **k: make().plan(8, training=True, **k)) * factor)
    plan = make().plan(8, training=True, memory_limit=limit)
    if factor < 1.3:
        assert any(node.recomputed for node in plan.nodes)
        assert "\n+ computed again" in str(plan)
    weights, losses, gradients = trained(make, x, y, limit)
    expected, expected_losses, expected_gradients = trained(make, x, y)
    assert losses == expected_losses
    for key, value in expected.items():
        assert np.array_equal(weights[key], value), key
    for key, value in expected_gradients.items():
        assert np.array_equal(gradients[key], value), key


@pytest.mark.parametrize("factor", [1, 1.05, 1.3, 3])
@pytest.mark.parametrize("make", [residual, chain])
def test_training_keeps_within_its_limit(make, factor, rng):
    net = make()
    net.compile("sgd", "softmax_cross_entropy")
    x, y = random_like(net, rng, 16), rng.integers(0, 10, 16)
    limit = int(least(lambda **k: net.plan(16, training=True, **k)) * factor)
    plan = net.plan(16, training=True, memory_limit=limit)
    assert plan.peak <= limit
    step_of(net, x, y, limit)
    forget_packed(net)
    net.gradients = {}
    taken = traced(lambda: step_of(net, x, y, limit))
    assert taken <= plan.peak * 1.01 + SLACK
    assert taken >= 0.97 * plan.peak


def test_what_is_computed_again_is_computed_once(monkeypatch, rng):
    net = residual()
    net.compile("sgd", "softmax_cross_entropy")
    x, y = random_like(net, rng, 4), rng.integers(0, 10, 4)
    limit = least(lambda **k: net.plan(4, training=True, **k))
    plan = net.plan(4, training=True, memory_limit=limit)
    calls: dict[int, int] = {}
    for layer in net.layers:
        original = type(layer).forward

        def forward(self, ctx, *xs, original=original):
            calls[id(self)] = calls.get(id(self), 0) + 1
            return original(self, ctx, *xs)

        if not hasattr(type(layer).forward, "counted"):
            forward.counted = True
            monkeypatch.setattr(type(layer), "forward", forward)
    net.fit(x, y, batch_size=4, epochs=1, verbose=0, memory_limit=limit)
    assert max(calls.values()) == 2
    again = sum(node.recomputed for node in plan.nodes)
    assert again > 0
    assert sum(calls.values()) == len(plan.nodes) + again


def test_fit_with_validation_keeps_within_its_limit(rng):
    net = residual()
    net.compile("sgd", "softmax_cross_entropy", metrics="accuracy")
    x, y = random_like(net, rng, 24), rng.integers(0, 10, 24)
    limit = int(1.1 * least(lambda **k: net.plan(8, training=True, **k)))

    def run():
        net.fit(x, y, batch_size=8, epochs=2, verbose=0, validation_data=(x, y), memory_limit=limit)

    run()
    forget_packed(net)
    net.gradients = {}
    assert traced(run) <= limit * 1.01 + SLACK


def test_training_refuses_before_anything_runs(rng):
    net = residual()
    net.compile("sgd", "softmax_cross_entropy")
    x, y = random_like(net, rng, 8), rng.integers(0, 10, 8)
    before = net.weights()
    figure = least(lambda **k: net.fit(x, y, batch_size=8, epochs=1, verbose=0, **k))
    assert figure == least(lambda **k: net.plan(8, training=True, **k))
    for key, value in before.items():
        assert np.array_equal(net.weights()[key], value)
    with pytest.raises(MemoryLimitError, match="^train_on_batch: .*smaller batch_size"):
        net.train_on_batch(x, y, memory_limit=1000)


def test_shared_layers_and_several_outputs(rng):
    net = branches("float64")
    net.compile("sgd", "mean_squared_error")
    x = random_like(net, rng, 6)
    y = tuple(np.zeros_like(one) for one in net(x))
    figure = least(lambda **k: net.train_on_batch(x, y, **k))
    twin = branches("float64")
    twin.compile("sgd", "mean_squared_error")
    assert net.train_on_batch(x, y, memory_limit=figure) == twin.train_on_batch(x, y)
    for key, value in twin.weights().items():
        assert np.array_equal(net.weights()[key], value)


def test_frozen_layers_keep_no_contexts(rng):
    net = chain("strict")
    net.compile("sgd", "softmax_cross_entropy")
    free = least(lambda **k: net.plan(8, training=True, **k))
    net.freeze("conv*")
    assert least(lambda **k: net.plan(8, training=True, **k)) < free
    x, y = random_like(net, rng, 8), rng.integers(0, 10, 8)
    limit = int(1.05 * least(lambda **k: net.plan(8, training=True, **k)))
    plan = net.plan(8, training=True, memory_limit=limit)
    step_of(net, x, y, limit)
    net.gradients = {}
    forget_packed(net)
    assert traced(lambda: step_of(net, x, y, limit)) <= plan.peak * 1.01 + SLACK


def test_segments_cover_the_network():
    plan = residual().plan(8, training=True, memory_limit=20 * 2**20)
    segments = plan.program.segments
    assert segments[0].begin == 0 and segments[-1].end == len(plan.nodes)
    assert [a.end for a in segments[:-1]] == [b.begin for b in segments[1:]]
    assert segments[-1] == Segment(segments[-1].begin, len(plan.nodes))


def strided() -> fastconv.Sequential:
    """A convolution whose gradient of the input alone takes another algorithm than all three."""
    second = {"filters": 32, "kernel_size": 3, "stride": 3, "groups": 2, "padding": 1}
    layers = [("Conv2D", {"filters": 16, "kernel_size": 1}), ("Conv2D", second)]
    return fastconv.Sequential([*layers, "Flatten", ("Dense", {"units": 2})], (2, 14, 14), seed=0)


@pytest.mark.parametrize("frozen", [(), ("conv2d_2",), ("conv2d_2/weight",)])
def test_training_with_frozen_weights_takes_what_is_planned(frozen):
    net = strided()
    for key in frozen:
        net.freeze(key)
    plan = net.plan(256, training=True)
    assert 0.97 * plan.peak < net.measure(256, training=True) <= plan.peak + SLACK
    assert net.measure(256, training=True, memory_limit=plan.peak) <= plan.peak + SLACK


@pytest.mark.parametrize(
    ("channels", "filters", "kernel", "size"), [(64, 64, 3, 9), (128, 128, 3, 14), (64, 16, 5, 11)]
)
def test_inference_by_winograd_keeps_every_limit(channels, filters, kernel, size):
    """Layers that keep packed weights keep panels too, which a call by tiles does not read."""
    given = {"filters": filters, "kernel_size": kernel, "algorithm": "winograd"}
    net = fastconv.Sequential([("Conv2D", given)], (channels, size, size), seed=0)
    lowest, free = least(lambda **limit: net.plan(2, **limit)), net.plan(2).peak
    for limit in np.linspace(lowest, free, 6).astype(int).tolist():
        assert net.plan(2, memory_limit=limit).peak <= limit
        assert net.measure(2, memory_limit=limit) <= limit + SLACK


def test_the_least_limit_of_inference_is_that_of_the_whole_batch_if_parts_need_more():
    net = fastconv.Sequential(["ReLU"], (2, 56, 16))
    lowest = least(lambda **limit: net.plan(8, **limit))
    assert lowest == net.plan(8).peak == net.plan(8, memory_limit=lowest).peak


@pytest.mark.parametrize("algorithm", ["im2col", "im2col_tiled"])
def test_both_gradients_of_a_transposed_convolution_share_their_memory(algorithm):
    first = ("Conv2D", {"filters": 16, "kernel_size": 5})
    given = {"filters": 16, "kernel_size": 3, "algorithm": algorithm}
    net = fastconv.Sequential([first, ("Conv2DTranspose", given)], (1, 60, 60), seed=0)
    assert net.measure(8, training=True) <= net.plan(8, training=True).peak + SLACK


def test_many_slabs_take_no_memory_of_their_own():
    given = {"filters": 1, "kernel_size": 1, "algorithm": "im2col_tiled"}
    net = fastconv.Sequential(["BatchNorm", ("Conv2D", given)], (1, 95, 35), seed=0)
    lowest = least(lambda **limit: net.plan(64, training=True, **limit))
    assert net.measure(64, training=True, memory_limit=lowest) <= lowest + SLACK


@pytest.mark.parametrize("algorithm", ["auto", "im2col", "winograd"])
def test_a_first_layer_that_learns_its_bias_alone_keeps_the_least_limit(algorithm):
    given = {"filters": 16, "kernel_size": 3, "padding": 1, "algorithm": algorithm}
    layers = [("Conv2D", given), "ReLU", "Flatten", ("Dense", {"units": 2})]
    net = fastconv.Sequential(layers, (16, 12, 12), seed=0)
    net.freeze("conv2d_1/weight")
    lowest = least(lambda **limit: net.plan(64, training=True, **limit))
    assert net.measure(64, training=True, memory_limit=lowest) <= lowest + SLACK
    assert net.gradients.keys() == {"conv2d_1/bias", "dense_1/weight", "dense_1/bias"}


@pytest.mark.parametrize("before", [[], ["ReLU"], [("Dense", {"units": 500}), "ReLU"]])
def test_masks_that_no_gradient_needs_are_not_kept(before):
    layers = [*before, ("Dropout", {"rate": 0.5}), "Tanh", ("Dense", {"units": 3})]
    net = fastconv.Sequential(layers, (500,), seed=0)
    if len(before) > 1:
        net.freeze("dense_1")
    plan = net.plan(2000, training=True)
    assert 0.97 * plan.peak < net.measure(2000, training=True) <= plan.peak + SLACK


def test_masks_are_the_same_where_nobody_keeps_them(rng):
    """What is drawn does not hang on whether a gradient passes."""
    layer = create("Dropout", rate=0.3)
    x = rng.standard_normal((7, 3001)).astype(np.float32)
    layer.ensure_built(0, fastconv.Spec((3001,)))
    kept, let_go = (
        layer.forward(fastconv.layers.Context(True, needs=(needed,), rng_key=(1, 2, 3)), x)
        for needed in (True, False)
    )
    np.testing.assert_array_equal(kept, let_go)
    assert 0.2 < (kept == 0).mean() < 0.4
