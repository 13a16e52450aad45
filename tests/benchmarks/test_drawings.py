"""The pictures of pages can be drawn, and are there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRAWINGS = ROOT / "docs" / "drawings"
#: Those that measure nothing.
EXACT = ("history", "mec", "network", "networks", "ranks", "sweep")

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.usefixtures("own_modules")

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.text import Annotation  # noqa: E402


def outside(figure) -> list[str]:
    """Texts that leave the page; ticks beyond the axes are not drawn."""
    figure.draw_without_rendering()
    width, height = figure.canvas.get_width_height()
    texts = figure.findobj(Annotation) + list(figure.texts)
    for axes in figure.findobj(Axes):
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label]
    boxes = {text.get_text(): text.get_window_extent() for text in texts}
    return [
        text
        for text, box in boxes.items()
        if text.strip()
        and (box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1)
    ]


@pytest.mark.parametrize("name", EXACT)
def test_a_picture_can_be_drawn(name):
    assert outside(importlib.import_module(name).draw()) == []


def test_time_against_memory_can_be_drawn(monkeypatch):
    tradeoff = importlib.import_module("tradeoff")
    monkeypatch.setattr(tradeoff, "ROUNDS", 1)
    monkeypatch.setattr(tradeoff, "LAYERS", ("rn2.3x3",) * 6)
    assert outside(tradeoff.draw()) == []
    layer = tradeoff.NETWORKS["rn2.3x3"]
    points = tradeoff.points_of(layer)
    assert len({(point.name, point.nbytes) for point in points}) == len(points) >= 4
    timed = [tradeoff.Timed(points[0], ms, False) for ms in (3.0, 2.0)]
    assert tradeoff.frontier(timed) == [(points[0].nbytes / 1e6, 2.0)]


def test_pictures_of_the_pages_are_there_and_small():
    for page, names in importlib.import_module("draw").PICTURES.items():
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        assert set(re.findall(r"!\[[^]]+\]\(drawings/(\w+)\.png\)", text)) == set(names)
        for name in names:
            path = DRAWINGS / f"{name}.png"
            assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size < 100_000
            assert (DRAWINGS / f"{name}.py").exists()


def test_a_picture_has_the_same_bytes_again(monkeypatch, tmp_path):
    style = importlib.import_module("style")
    draw = importlib.import_module("mec").draw
    made = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(style, "HERE", tmp_path / folder)
        made.append(style.save(draw, "mec").read_bytes())
    assert made[0] == made[1]
