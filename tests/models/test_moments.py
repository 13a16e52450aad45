"""What a plan says of every moment of a run: bytes by kind, algorithms, estimated time."""

from __future__ import annotations

import pytest
from networks import book, branches, small

import fastconv
from fastconv.errors import MemoryLimitError


def deep() -> fastconv.Sequential:
    """Convolutions whose activations are computed again where memory is short."""
    block = [("Conv2D", {"filters": 8, "kernel_size": 3, "padding": 1}), "ReLU"]
    layers = [*block * 8, "Flatten", ("Dense", {"units": 3})]
    return fastconv.Sequential(layers, input_shape=(2, 20, 20), seed=0)


NETWORKS = {"book": book, "branches": branches, "deep": deep, "small": small}


def limits(net, batch: int, training: bool) -> list[int | None]:
    """None, the least limit, and one in the middle."""
    peak = net.plan(batch, training=training).peak
    with pytest.raises(MemoryLimitError) as caught:
        net.plan(batch, training=training, memory_limit=1)
    return [None, caught.value.least, (caught.value.least + peak) // 2]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_moments_are_what_is_alive(name, training):
    net = NETWORKS[name]()
    for limit in limits(net, 8, training):
        plan = net.plan(8, training=training, memory_limit=limit)
        assert max(moment.nbytes for moment in plan.moments) == plan.peak
        for at, node in enumerate(plan.nodes):
            own = [moment for moment in plan.moments if moment.at == at]
            assert max(moment.nbytes for moment in own) == node.live
            assert {"again"} <= {moment.phase for moment in own} or not node.recomputed
        for moment in plan.moments:
            parts = moment.activations, moment.saved, moment.gradients, moment.workspace
            assert min(parts) >= 0 and sum(parts) + moment.packed == moment.nbytes
        where = plan.moments[[moment.nbytes for moment in plan.moments].index(plan.peak)]
        assert plan.where.split(" ")[0] in ("the", plan.nodes[where.at].id)


def test_the_moments_of_training_are_in_the_order_of_the_run():
    net = deep()
    least = limits(net, 8, True)[1]
    free, tight = (net.plan(8, training=True, memory_limit=limit) for limit in (None, least))
    count = len(free.nodes)
    forward, backward = list(range(count)), list(reversed(range(count)))
    assert [moment.at for moment in free.moments] == [*forward, -1, *backward]
    assert [moment.phase for moment in free.moments[count - 1 : count + 2]] == [
        "forward",
        "loss",
        "backward",
    ]
    again = [at for at, node in enumerate(tight.nodes) if node.recomputed]
    assert again
    assert sorted(m.at for m in tight.moments if m.phase == "again") == again
    for at in again:  # once forward, then again before its backward pass
        phases = [moment.phase for moment in tight.moments if moment.at == at]
        assert phases == ["forward", "again", "backward"]
    rest = [moment.at for moment in tight.moments if moment.phase == "backward"]
    assert rest == backward


def test_losses_and_metrics_have_moments_of_their_own():
    net = book()
    net.compile("sgd", "softmax_cross_entropy", ["accuracy"])
    free = net.plan(10, training=True)
    assert [moment.at for moment in free.moments].count(-1) == 1
    assert max(moment.nbytes for moment in free.moments) == free.peak
    beside = {
        max(moment.nbytes for moment in free.moments if moment.at == at) - node.live
        for at, node in enumerate(free.nodes)
    }
    assert len(beside) == 1 and min(beside) >= 0  # what they take while all arrays of a step stay
    tight = net.plan(10, training=True, memory_limit=free.peak - 1)
    assert [moment.phase for moment in tight.moments if moment.at == -1] == ["loss", "metrics"]
    assert tight.moments[-1].phase == "metrics"
    assert max(moment.nbytes for moment in tight.moments) == tight.peak


def test_the_parts_are_told_apart():
    net = book()
    plan = net.plan(10)
    assert all(moment.saved == moment.gradients == 0 for moment in plan.moments)
    assert {moment.packed for moment in plan.moments} == {sum(n.packed for n in plan.nodes)}
    conv = plan.nodes[0].activations
    assert plan.moments[0].activations == conv
    assert plan.moments[1].activations == conv + plan.nodes[1].activations
    step = net.plan(10, training=True)
    first, loss, last = step.moments[0], step.moments[len(step.nodes)], step.moments[-1]
    assert first.gradients == 0
    assert loss.gradients == 0
    assert loss.workspace - first.workspace == 2 * step.nodes[-1].activations
    assert last.gradients >= step.parameter_bytes
    assert {moment.packed for moment in step.moments} == {0}  # weights change with every step
    rows = [moment.saved for moment in step.moments]
    assert rows[0] <= rows[len(step.nodes) - 1] and rows[-1] <= rows[len(step.nodes)]
    assert max(rows) == sum(node.saved for node in step.nodes) > 0


def test_the_time_is_that_of_the_cost_model():
    layers = [("Conv2D", {"filters": 16, "kernel_size": 3, "padding": 1}), "ReLU"]
    net = fastconv.Sequential([*layers, *layers], input_shape=(8, 24, 24), seed=0)
    shapes = [((5, channels, 24, 24), (16, channels, 3, 3)) for channels in (8, 16)]

    def tables(*directions):
        return [
            fastconv.conv2d_costs(*two, padding=1, direction=direction)
            for two, direction in zip(shapes, directions, strict=True)
        ]

    def seconds(*directions):
        return sum(table[table.choice].seconds for table in tables(*directions))

    forward = ("forward", "forward")
    backward = ("weight", "backward")  # nobody needs the gradient of the images

    plan = net.plan(5, training=True)
    assert [node.layer for node in plan.nodes] == ["Conv2D+ReLU", "Conv2D+ReLU"]
    assert plan.seconds == pytest.approx(seconds(*forward) + seconds(*backward))
    found = {(m.phase, m.at): m.algorithm for m in plan.moments if m.algorithm}
    assert found == {
        (phase, at): table.choice
        for phase, directions in (("forward", forward), ("backward", backward))
        for at, table in enumerate(tables(*directions))
    }
    inference = net.plan(5)
    calls = inference.seconds - seconds(*forward)
    assert 0 < calls < 1e-4  # a call takes microseconds


def test_less_memory_never_seems_to_take_less_time():
    net = book()
    free, least, middle = (net.plan(100, memory_limit=m) for m in limits(net, 100, False))
    assert least.seconds > 2 * free.seconds
    assert least.seconds > middle.seconds >= free.seconds
    deeper = deep()
    free, least, middle = (
        deeper.plan(8, training=True, memory_limit=m) for m in limits(deeper, 8, True)
    )
    assert least.seconds > middle.seconds > free.seconds


def test_a_network_that_does_nothing_has_a_least_too():
    x = fastconv.Input((2, 3))
    net = fastconv.Model(x, x)
    plan = net.plan(3, training=True)
    assert plan.nodes == () and [moment.phase for moment in plan.moments] == ["loss"]
    with pytest.raises(MemoryLimitError) as caught:
        net.plan(3, training=True, memory_limit=plan.peak - 1)
    assert caught.value.least == plan.peak
    assert net.plan(3, training=True, memory_limit=plan.peak).peak == plan.peak


def test_moments_are_no_part_of_the_plain_values():
    plan = book().plan(3)
    assert not {"moments", "seconds", "specs"} & plan.to_dict().keys()
    assert "moments" not in str(plan)


def test_a_transposed_convolution_has_two_on_the_way_back():
    layer = fastconv.layers.Conv2DTranspose(8, 3, stride=2, padding=1)
    spec = fastconv.Spec((16, 12, 11))
    forward, backward = layer.passes(4, spec), layer.passes(4, spec, "backward")
    assert layer.passes(4, spec, "without_dx")[0][0] == backward[1][0]
    options = {"stride": 2, "padding": 1}
    shapes = (4, 8, 23, 21), (16, 8, 3, 3)
    for (table, taken), direction in zip(
        [*forward, *backward], ("input", "forward", "weight"), strict=True
    ):
        expected = fastconv.conv2d_costs(*shapes, direction=direction, **options)
        assert dict(table) == dict(expected) and taken == expected.choice
    found = layer.costs(4, spec, training=True)
    assert found.backward.workspace == max(table[taken].workspace for table, taken in backward)
    assert found.backward.seconds == sum(table[taken].seconds for table, taken in backward)
    assert found.backward_algorithm
