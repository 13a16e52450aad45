"""Names in any script get fonts that have their letters, or a warning says what to do."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastconv
from fastconv import drawing, plot

font_manager = pytest.importorskip("matplotlib.font_manager")
builder = pytest.importorskip("fontTools.fontBuilder")
glyphs = pytest.importorskip("fontTools.pens.ttGlyphPen")

CAT, DOG = "\u732b", "\u72ac"


@pytest.fixture
def anew(monkeypatch):
    """Let matplotlib know its own fonts alone, and nothing of letters looked for before."""
    drawing._more_families.cache_clear()
    own = [entry for entry in font_manager.fontManager.ttflist if "DejaVu" in entry.name]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [])
    yield
    drawing._more_families.cache_clear()


@pytest.fixture
def font(anew, tmp_path):
    """The file of a font that has two letters alone."""
    names = [".notdef", "cat", "dog"]
    made = builder.FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder(names)
    made.setupCharacterMap({ord(CAT): "cat", ord(DOG): "dog"})
    pen = glyphs.TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((0, 700))
    pen.lineTo((600, 0))
    pen.closePath()
    made.setupGlyf(dict.fromkeys(names, pen.glyph()))
    made.setupHorizontalMetrics(dict.fromkeys(names, (700, 0)))
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": "Two Animals", "styleName": "Regular"})
    made.setupOS2(usWeightClass=400)
    made.setupPost()
    path = tmp_path / "animals.ttf"
    made.save(path)
    return path


def confusion(names=(CAT, DOG)):
    return plot.confusion_matrix([0, 1, 1], [0, 1, 0], names=list(names))


def test_a_font_that_has_the_letters_is_found(font):
    font_manager.fontManager.addfont(font)
    figure = confusion()
    labels = figure.axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == [CAT, DOG]
    assert all(label.get_fontfamily()[-1] == "Two Animals" for label in labels)
    assert "Two Animals" not in figure.axes[0].xaxis.label.get_fontfamily()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as matplotlib's of a glyph that is missing
        figure.canvas.draw()


def test_a_font_installed_after_the_list_was_written_is_found(font, monkeypatch):
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(font), str(font) + ".no"])
    assert confusion().axes[0].get_yticklabels()[0].get_fontfamily()[-1] == "Two Animals"


def test_without_such_a_font_one_warning_says_the_remedy(anew):
    with pytest.warns(UserWarning, match="no font .* install one that has") as told:
        confusion()
        confusion()
    assert len(told) == 1 and told[0].filename == __file__


def test_a_graph_makes_room_for_such_names(font):
    font_manager.fontManager.addfont(font)
    net = fastconv.Sequential([("Dense", {"units": 3, "name": CAT * 9})], (4,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot.graph(net).canvas.draw()


def test_usual_texts_keep_the_usual_font(anew):
    history = fastconv.training.History({"loss \N{GREEK SMALL LETTER ALPHA}": [1.0, 0.5]}, [0.1])
    families = {tuple(text.get_fontfamily()) for text in history.plot().findobj(_text)}
    weights = {"before \N{MULTIPLICATION SIGN}": np.ones((2, 1, 3, 3))}
    families |= {
        tuple(t.get_fontfamily()) for t in plot.filters(weights.popitem()[1]).findobj(_text)
    }
    assert families == {("sans-serif",)}


def _text(artist):
    return hasattr(artist, "get_fontfamily")
