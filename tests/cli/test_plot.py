"""Pictures of filters, in text and as PNG."""

from __future__ import annotations

import builtins
import io

import numpy as np
import pytest

import fastconv
from fastconv import plot
from fastconv.errors import ArgumentError, ArgumentTypeError, MissingExtraError, ShapeError


def test_one_edge_in_blocks():
    edge = np.array([[[[0.0, 0.5, 1.0]]]])
    assert plot.filters_text({"edge": edge}) == (
        "edge  ┌──────┐\n      │  ▒▒██│\n      └──────┘\n         1"
    )


@pytest.mark.parametrize("width", [1, 30, 80, 200])
@pytest.mark.parametrize("blocks", [True, False])
def test_every_filter_is_drawn_and_lines_keep_the_width(width, blocks):
    weight = np.random.default_rng(0).normal(size=(11, 3, 3, 3))
    text = plot.filters_text({"before": weight, "after": -weight}, width=width, blocks=blocks)
    lines = text.splitlines()
    assert max(map(len, lines)) <= max(width, 16)
    numbers = [int(word) for line in lines for word in line.split() if word.isdigit()]
    assert numbers == list(range(1, 12))
    assert blocks or text.isascii()
    assert text.count("before") == text.count("after") >= 1


def test_a_filter_without_contrast_is_grey():
    assert "▒▒" in plot.filters_text({"flat": np.ones((1, 1, 1, 1))})


def test_blocks_only_where_they_can_be_encoded():
    assert plot.draws_blocks(io.TextIOWrapper(io.BytesIO(), "utf-8"))
    assert not plot.draws_blocks(io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert not plot.draws_blocks(io.TextIOWrapper(io.BytesIO(), "latin-1"))
    assert not plot.draws_blocks(io.StringIO())


def test_refusals():
    with pytest.raises(ArgumentError, match="at least one entry"):
        plot.filters_text({})
    with pytest.raises(ShapeError, match=r"\(K, C, R, S\)"):
        plot.filters_text({"a": np.ones((3, 3))})
    with pytest.raises(ShapeError, match="one shape"):
        plot.filters_text({"a": np.ones((1, 1, 3, 3)), "b": np.ones((2, 1, 3, 3))})


def test_png(tmp_path):
    pytest.importorskip("matplotlib")
    weight = np.random.default_rng(0).normal(size=(11, 1, 3, 3))
    path = tmp_path / "filters.png"
    plot.filters_png({"before": weight, "after": 0 * weight}, path, title="filters")
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 3000


def test_without_matplotlib_the_extra_is_named(monkeypatch, tmp_path):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"fastconv\[plot\]"):
        plot.filters_png({"a": np.ones((1, 1, 3, 3))}, tmp_path / "a.png")


@pytest.mark.parametrize("name", ["filters.svg", "filters", "png"])
def test_a_picture_is_a_png(tmp_path, name):
    plan = fastconv.Sequential(["Flatten"], (1, 2, 2)).plan()
    with pytest.raises(ArgumentError, match=f"^filters_png: path must end in .png.*{name}"):
        plot.filters_png({"a": np.ones((1, 1, 3, 3))}, tmp_path / name)
    with pytest.raises(ArgumentError, match=f"^plan_png: path must end in .png.*{name}"):
        plot.plan_png(plan, str(tmp_path / name))
    with pytest.raises(ArgumentTypeError, match="^plan_png: path must be the path"):
        plot.plan_png(plan, None)
    assert not list(tmp_path.iterdir())
