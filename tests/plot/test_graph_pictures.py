"""Graphs: every layer and every arrow is drawn, arrows go down, and nothing is over anything."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fastconv
from fastconv import plot
from fastconv.errors import ArgumentTypeError
from fastconv.plot.layering import layered

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch  # noqa: E402

HEIGHT = 0.5


def overlapping(places, widths) -> list[tuple[int, int]]:
    """Pairs of boxes that are drawn over each other."""
    return [
        (a, b)
        for (a, (xa, ya)), (b, (xb, yb)) in itertools.combinations(enumerate(places), 2)
        if abs(xa - xb) < (widths[a] + widths[b]) / 2 and abs(ya - yb) < HEIGHT
    ]


def through(found, widths) -> list[tuple[int, int, int]]:
    """Arrows that run over boxes that are not theirs."""
    wrong = []
    for source, target, corners in found.arrows:
        for (x0, y0), (x1, y1) in itertools.pairwise(corners):
            for share in np.linspace(0, 1, 25):
                x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
                for box, (xb, yb) in enumerate(found.places):
                    inside = abs(x - xb) < widths[box] / 2 and abs(y - yb) < HEIGHT / 2 - 1e-9
                    if inside and box not in (source, target):
                        wrong.append((source, target, box))
    return wrong


def graphs(seed: int) -> list[list[int]]:
    """Return a random graph: for each box those before it that lead to it."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 60))
    sources = [
        sorted({int(s) for s in rng.integers(max(0, box - 9), box, rng.integers(1, 4))})
        if box
        else []
        for box in range(count)
    ]
    if count > 20:
        sources[count - 1] = sorted({*sources[count - 1], 0})  # one arrow past all rows
    return sources


@pytest.mark.parametrize("seed", range(12))
def test_boxes_and_arrows_of_any_graph_keep_apart(seed):
    sources = graphs(seed)
    widths = np.random.default_rng(seed).uniform(0.3, 3.0, len(sources)).tolist()
    found = layered(widths, sources, HEIGHT, rows=14)
    assert overlapping(found.places, widths) == []
    assert through(found, widths) == []
    pairs = [(s, box) for box, given in enumerate(sources) for s in given]
    assert [(source, target) for source, target, _ in found.arrows] == pairs
    for source, target, corners in found.arrows:
        (xs, ys), (xt, yt) = found.places[source], found.places[target]
        assert corners[0] == pytest.approx((xs, ys + HEIGHT / 2))
        assert corners[-1] == pytest.approx((xt, yt - HEIGHT / 2))
    for (x, y), width in zip(found.places, widths, strict=True):
        assert -1e-9 <= x - width / 2 and x + width / 2 <= found.size[0] + 1e-9
        assert 0 <= y - HEIGHT / 2 and y + HEIGHT / 2 <= found.size[1]


def test_a_chain_is_straight_and_branches_stand_side_by_side():
    chain = layered([1.0, 2.0, 0.5], [[], [0], [1]], HEIGHT)
    assert len({round(x, 9) for x, _ in chain.places}) == 1
    fork = layered([1.0] * 4, [[], [0], [0], [1, 2]], HEIGHT)
    (_, top), (left, one), (right, two), (_, bottom) = fork.places
    assert one == two and top < one < bottom and right - left > 1.0


def test_a_late_input_stands_just_above_its_reader():
    found = layered([1.0] * 5, [[], [], [0], [2], [1, 3]], HEIGHT)
    assert found.places[1][1] == found.places[3][1]


def parts(figure) -> tuple[list[str], list[FancyBboxPatch], list[FancyArrowPatch]]:
    axes = figure.axes[0]
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    return [text.get_text() for text in axes.texts], boxes, arrows


def test_layers_and_those_that_finish_them_are_boxes():
    texts, boxes, arrows = parts(plot.graph(fastconv.create_model("SimpleConvNet")))
    times = "\N{MULTIPLICATION SIGN}"
    assert texts[1] == f"conv1\nConv2D 5{times}5, ReLU\n30 {times} 24 {times} 24"
    assert [text.splitlines()[0] for text in texts] == [
        "x", "conv1", "pool1", "flatten", "fc1", "fc2",
    ]  # fmt: off
    assert (len(boxes), len(arrows)) == (6, 5)


@pytest.mark.parametrize("name", ["UNet", "ResNet18", "MobileNetV2"])
def test_every_layer_is_in_a_box_and_every_text_fits_its_own(name):
    net = fastconv.create_model(name)
    figure = plot.graph(net)
    texts, boxes, arrows = parts(figure)
    kinds = sum(text.splitlines()[1].count(",") + 1 for text in texts)
    assert kinds == len(net._graph.steps) + len(net._graph.input_ids)
    figure.draw_without_rendering()
    for box, text in zip(boxes, figure.axes[0].texts, strict=True):
        outer, inner = box.get_window_extent(), text.get_window_extent()
        assert outer.x0 <= inner.x0 and inner.x1 <= outer.x1
        assert outer.y0 <= inner.y0 and inner.y1 <= outer.y1
    assert len(arrows) >= len(boxes) - 1


def test_long_names_and_formulas_are_shown_as_they_are_within_their_box():
    conv = ("Conv2D", {"filters": 1, "kernel_size": 1, "name": "$x^2$" + 20 * "long"})
    figure = plot.graph(fastconv.Sequential([conv], (1, 2, 2)))
    (_, text), boxes, _ = parts(figure)
    assert text.startswith(r"\$x^2\$long") and " ... " in text
    figure.draw_without_rendering()
    outer, inner = (thing.get_window_extent() for thing in (boxes[1], figure.axes[0].texts[1]))
    assert outer.x0 <= inner.x0 and inner.x1 <= outer.x1


def test_a_name_that_is_no_formula_is_shown_as_it_is():
    conv = ("Conv2D", {"filters": 1, "kernel_size": 1, "name": r"$\frac{$"})
    figure = plot.graph(fastconv.Sequential([conv, "Sigmoid"], (1, 2, 2)))
    assert parts(figure)[0][1].startswith(r"\$\frac{\$")
    figure.draw_without_rendering()


def test_a_network_without_weights_yet_gets_none():
    net = fastconv.create_model("VGG16")
    plot.graph(net)
    assert not net._ready


def test_a_network_made_for_inference_is_drawn_as_it_runs():
    net = fastconv.create_model("ResNet18", input_shape=(3, 32, 32), seed=0).for_inference()
    texts, _, _ = parts(plot.graph(net))
    assert not any("BatchNorm" in text for text in texts)  # it was folded


def test_of_a_part_of_a_figure_the_whole_is_returned():
    mine = Figure(figsize=(4, 4))
    left, _ = mine.subfigures(1, 2)
    assert plot.graph(fastconv.create_model("LeNet5"), ax=left.subplots()) is mine


def test_in_axes_that_are_small_letters_are_small():
    mine = Figure(figsize=(2, 2))
    axes = mine.subplots()
    assert plot.graph(fastconv.create_model("LeNet5"), ax=axes) is mine
    assert all(text.get_fontsize() < 4 for text in axes.texts)
    with pytest.raises(ArgumentTypeError, match="net must be a network"):
        plot.graph(axes)
