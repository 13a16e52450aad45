"""What models, plans, histories and layers show in a notebook: all of it, and as text alone."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

import fastconv
from fastconv import notebook
from fastconv.memory import format_bytes
from fastconv.training import History

#: What a layer of a network may be called, and a network.
NAME = "<script>alert(1)<img>&amp;\"'"
HOSTILE = "<script>alert(1)</script><img src=x onerror=y>&amp;\"'"


class Page(HTMLParser):
    """What a browser would make of a page: tags, and the texts of cells, row by row."""

    VOID = {"polyline"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attributes)
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if any(tag in ("td", "th") for tag in self.open):
            self.rows[-1][-1] += data


PLAIN = {"div", "strong", "table", "thead", "tbody", "tr", "th", "td", "svg", "polyline"}


def things():
    conv = ("Conv2D", {"filters": 2, "kernel_size": 3, "name": NAME})
    net = fastconv.Sequential([conv, "ReLU", "Flatten"], (1, 8, 8), seed=0, name=HOSTILE)
    history = History({HOSTILE: [1.0, float("nan"), float("inf"), 0.5]}, [0.1] * 4)
    return {
        "model": net,
        "frozen": net.for_inference(),
        "layer": net.layers[0],
        "plan": net.plan(3),
        "history": history,
        "no epochs": History(),
    }


@pytest.mark.parametrize("name", things())
def test_hostile_names_become_no_html(name):
    shown = things()[name]._repr_html_()
    page = Page(shown)
    assert page.tags <= PLAIN
    assert page.attributes <= {
        "style", "width", "height", "role", "points", "fill", "stroke", "stroke-width",
    }  # fmt: off
    assert "http" not in shown and "<script" not in shown and "<img" not in shown


def test_a_model_shows_the_rows_of_its_summary():
    net = fastconv.create_model("UNet", input_shape=(1, 32, 32))
    page = Page(net._repr_html_())
    lines = net.summary().splitlines()
    assert page.rows[0] == lines[1].split()
    assert [row[0] for row in page.rows[1:]] == [line.split()[0] for line in lines[3:-1]]
    join = next(row for row in page.rows if row[0] == "up1.join")
    assert join == ["up1.join", "Concatenate", "(N, 64, 16, 16)", "0", "down1.relu2, up1.transpose"]
    assert page.text.startswith("UNet") and lines[-1] in page.text
    assert not net._ready  # to be shown makes no weights


def test_a_plan_shows_every_node_and_the_peak():
    plan = fastconv.create_model("LeNet5", seed=0).plan(20)
    shown = plan._repr_html_()
    page = Page(shown)
    for node, row in zip(plan.nodes, page.rows[1:], strict=True):
        assert row[:3] == [node.id, node.algorithm, f"{node.multiply_adds:,}"]
        sizes = (node.activations, node.workspace, node.packed, node.live)
        assert row[3:7] == [format_bytes(size) for size in sizes]
        assert f"width:{100 * node.live / plan.peak:.1f}%" in shown
    assert str(plan).splitlines()[-1] in page.text and "batch of 20" in page.text


def test_a_history_shows_its_figures_and_a_curve():
    history = History({"loss": [3.0, 1.0, 2.0], "accuracy": [0.5, 0.5, 0.5]}, [0.1] * 3)
    shown = history._repr_html_()
    page = Page(shown)
    assert page.rows[1][:5] == ["loss", "3", "1", "3", "2"]
    assert 'points="2.0,2.0 50.0,18.0 98.0,10.0"' in shown
    assert "3 epochs" in page.text


def test_a_layer_shows_its_settings_and_parameters():
    layer = fastconv.layers.Conv2D(4, 3, name="first")
    assert "parameter" not in Page(layer._repr_html_()).text
    layer.ensure_built(0, fastconv.Spec((2, 8, 8)))
    page = Page(layer._repr_html_())
    assert page.text.startswith("Conv2D first")
    assert ["filters", "4"] in page.rows and ["padding", "0"] in page.rows
    assert ["weight", "(4, 2, 3, 3) float32", "72"] in page.rows


def test_pages_take_the_colours_of_where_they_are():
    """Dark and light: text inherits, and nothing is painted behind it."""
    for thing in things().values():
        shown = thing._repr_html_()
        assert "color:inherit" in shown and "white" not in shown and "black" not in shown


def test_a_bar_and_a_curve_take_any_numbers():
    assert "width:100.0%" in notebook.bar(7.0) and "width:0.0%" in notebook.bar(-1.0)
    assert notebook.sparkline([1.0]) == "" == notebook.sparkline([float("nan")] * 3)
    with np.errstate(all="raise"):
        assert "2.0,18.0 98.0,2.0" in notebook.sparkline([-1.7e308, 1.7e308])
