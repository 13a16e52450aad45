"""Bars and marks of memory and time are the figures of plans and of the cost model."""

from __future__ import annotations

import pytest

import fastconv
from fastconv import plot
from fastconv.errors import ArgumentError

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402


@pytest.mark.parametrize("training", [False, True])
def test_bars_are_the_bytes_of_the_plan(training):
    net = fastconv.create_model("LeNet5", seed=0)
    plan = net.plan(200, training=training)
    for figure in (plot.memory(plan), plot.memory(net, batch_size=200, training=training)):
        axes = figure.axes[0]
        unit = {"MiB": 2**20, "KiB": 2**10}[axes.get_xlabel().split()[0]]
        rows: dict[int, list[Rectangle]] = {}
        for bar in axes.patches:
            if bar.get_width():
                rows.setdefault(round(bar.get_y() + bar.get_height() / 2), []).append(bar)
        for at, node in enumerate(plan.nodes):
            solid = sum(bar.get_width() for bar in rows[at] if bar.get_fill())
            assert solid * unit == pytest.approx(node.live)
            dashed = sum(bar.get_width() for bar in rows[at] if not bar.get_fill())
            assert dashed * unit == pytest.approx(max(0, node.im2col - node.workspace))
        names = [text.get_text() for text in axes.get_yticklabels()]
        assert names == [node.id for node in plan.nodes]
        (line,) = axes.lines
        assert line.get_xdata()[0] * unit == pytest.approx(plan.peak)


def test_a_peak_beyond_every_node_is_within_the_picture():
    """What the loss takes is no node's, and may be most."""
    net = fastconv.Sequential(["Flatten"], (1, 8, 8))
    plan = net.plan(2, training=True)
    assert plan.peak > max(node.live for node in plan.nodes)
    figure = plot.memory(plan)
    figure.draw_without_rendering()  # matplotlib warns if there is no room
    (axes,) = figure.axes
    assert axes.get_xlim()[1] > axes.lines[0].get_xdata()[0]


def test_what_is_computed_again_is_marked():
    net = fastconv.create_model("UNet", seed=0)
    plan = net.plan(10, training=True, memory_limit="120 MB")
    axes = plot.memory(plan).axes[0]
    marked = [text.get_text().endswith(" +") for text in axes.get_yticklabels()]
    assert marked == [node.recomputed for node in plan.nodes] and any(marked)
    assert "+ computed again" in axes.get_xlabel()


def test_a_plan_has_its_own_settings():
    net = fastconv.create_model("LeNet5", seed=0)
    with pytest.raises(ArgumentError, match="batch_size must be left out with a plan"):
        plot.memory(net.plan(3), batch_size=3)


def outside_or_over(figure) -> list[str]:
    """Names of rows that leave the page or are written over each other."""
    figure.draw_without_rendering()
    width = figure.canvas.get_width_height()[0]
    labels = figure.axes[0].get_yticklabels()
    boxes = [text.get_window_extent() for text in labels]
    wrong = [text.get_text() for text, box in zip(labels, boxes, strict=True) if box.x0 < 0]
    wrong += [a.get_text() for a, one, two in zip(labels, boxes, boxes[1:], strict=False)
              if one.overlaps(two)]  # fmt: off
    legend = figure.legends[0].get_window_extent()
    if legend.x0 < 0 or legend.x1 > width:
        wrong.append("the legend")
    if legend.overlaps(figure.axes[0].xaxis.label.get_window_extent()):
        wrong.append("the legend over the axis")
    return wrong


@pytest.mark.parametrize("draw", [plot.memory, plot.algorithms])
def test_one_layer_and_many_with_long_names_keep_apart(draw):
    one = ("Conv2D", {"filters": 4, "kernel_size": 3, "name": 24 * "long"})
    assert outside_or_over(draw(fastconv.Sequential([one], (1, 8, 8)))) == []
    assert outside_or_over(draw(fastconv.create_model("ResNet50"))) == []


@pytest.mark.parametrize(("training", "direction"), [(False, "forward"), (True, "backward")])
def test_marks_are_what_the_cost_model_says(training, direction):
    net = fastconv.create_model("UNet", seed=0)
    axes = plot.algorithms(net, batch_size=4, training=training).axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert "up2.transpose" not in names and names[0] == "down0.conv1"
    lines = {line.get_label(): line for line in axes.lines}
    shapes = {"down1.conv2": ((4, 32, 64, 64), (32, 32, 3, 3), 1)}
    shapes["classes"] = (4, 16, 128, 128), (2, 16, 1, 1), 0
    for name, (x, weight, padding) in shapes.items():
        costs = fastconv.conv2d_costs(x, weight, padding=padding, direction=direction)
        for algorithm, cost in costs.items():
            rows = list(lines[algorithm].get_ydata())
            at = rows.index(names.index(name))
            assert lines[algorithm].get_xdata()[at] == cost.workspace + cost.packed
        rings = [line for line in axes.lines if line.get_markersize() == 12]
        (ring,) = [line for line in rings if line.get_ydata()[0] == names.index(name)]
        chosen = costs[costs.choice]
        assert ring.get_xdata()[0] == chosen.workspace + chosen.packed
    assert "classes" not in [names[at] for at in lines["winograd"].get_ydata()]  # it is 1x1


def test_a_network_without_convolutions_is_told():
    net = fastconv.Sequential([("Dense", {"units": 2})], (3,))
    with pytest.raises(ArgumentError, match="net must have a convolution"):
        plot.algorithms(net)


def test_what_makes_no_gradient_is_not_drawn():
    given = {"filters": 4, "kernel_size": 3, "padding": 1}
    net = fastconv.Sequential([("Conv2D", given)] * 3, (3, 8, 8), seed=0)

    def labels() -> list[str]:
        axes = plot.algorithms(net, training=True).axes[0]
        return [tick.get_text() for tick in axes.get_yticklabels()]

    assert labels() == ["conv2d_1", "conv2d_2", "conv2d_3"]
    net.freeze("conv2d_1")
    assert labels() == ["conv2d_2", "conv2d_3"]
    net.freeze("conv2d_2")
    net.freeze("conv2d_3")
    with pytest.raises(ArgumentError, match="net must have a convolution that learns"):
        plot.algorithms(net, training=True)


SHAPES = (1, 64, 56, 56), (64, 64, 3, 3)


def test_estimated_times_are_those_of_the_cost_model():
    axes = plot.time_against_memory(*SHAPES, padding=1, repeats=0).axes[0]
    costs = fastconv.conv2d_costs(*SHAPES, padding=1, threads=1)
    lines = {line.get_label(): line for line in axes.lines}
    for algorithm, cost in costs.items():
        points = list(zip(*lines[algorithm].get_data(), strict=True))
        assert (cost.workspace + cost.packed, cost.seconds * 1e3) in points
        assert algorithm == "im2col_tiled" or len(points) == 1
    (ring,) = zip(*lines["what auto takes"].get_data(), strict=True)
    chosen = costs[costs.choice]
    assert ring == (chosen.workspace + chosen.packed, chosen.seconds * 1e3)
    times = list(lines["the least time"].get_ydata())
    assert times == sorted(times, reverse=True)
    assert times[-1] == min(cost.seconds for cost in costs.values()) * 1e3


def test_an_empty_batch_takes_no_time():
    axes = plot.time_against_memory((0, 1, 4, 4), (1, 1, 1, 1), repeats=0).axes[0]
    assert axes.get_ylim() == (0, 1)


def test_measured_times_stand_at_the_same_bytes():
    mine = Figure()
    axes = mine.subplots()
    shapes = (1, 8, 12, 12), (8, 4, 3, 3)
    figure = plot.time_against_memory(*shapes, padding=1, groups=2, repeats=1, ax=axes)
    assert figure is mine and "the least of 1 runs" in axes.get_ylabel()
    costs = fastconv.conv2d_costs(*shapes, padding=1, groups=2, threads=1)
    lines = {line.get_label(): line for line in axes.lines}
    assert "winograd" not in lines  # which groups do not have
    for algorithm in ("direct", "im2col"):
        cost = costs[algorithm]
        assert lines[algorithm].get_xdata().tolist() == [cost.workspace + cost.packed]
        assert lines[algorithm].get_ydata()[0] > 0
