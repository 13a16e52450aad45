"""The experiments of docs/gallery are whole, and the page of claims names what is there.

They run by `make test-gallery`; here they are read.
"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "docs" / "gallery"
PAGE = ROOT / "docs" / "claims.md"
SCRIPTS = sorted(GALLERY.glob("plot_*.py"))

pytest.importorskip("matplotlib")
pytestmark = [
    pytest.mark.usefixtures("own_modules"),
    pytest.mark.skipif(not GALLERY.is_dir(), reason="the tests stand without the pages"),
]


def test_there_are_experiments():
    assert len(SCRIPTS) >= 11


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_an_experiment_says_what_is_claimed_asked_and_repeated(path):
    text = path.read_text(encoding="utf-8")
    module = ast.parse(text, str(path))
    compile(module, str(path), "exec")
    first, line, *rest = ast.get_docstring(module).splitlines()
    assert set(line) == {"="} and len(line) == len(first), "the title is underlined"
    assert "**The claim.**" in "\n".join(rest) and "**The question.**" in "\n".join(rest)
    (seeds,) = re.findall(r"^SEEDS = range\((\d+)\)$", text, re.MULTILINE)
    assert int(seeds) >= 5
    names = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    assert "compared" in names or "over_all" in names, "what came out is said by the numbers"
    blocks = re.split(r"^# %%$", text, flags=re.MULTILINE)
    assert "# What came out\n# -" in text
    assert all(line.startswith("#") for line in blocks[-1].split("\n") if line), "words end it"


def test_figures_as_words():
    words = importlib.import_module("experiment.words")
    figures = {"a": [3.0, 4.0], "b": [1.0, 1.5], "c": [3.5, 3.5]}
    assert words.compared("a", "b", figures) == (
        '"a" is above "b" with each of 2 seeds: by 2.2 points on average, 2.0 at least and 2.5 '
        "at most."
    )
    assert words.compared("b", "a", figures).startswith(
        '"b" is below "a" with each of 2 seeds: by 2'
    )
    assert words.compared("a", "c", figures, "ms", repeat="round") == (
        '"a" and "c" are not told apart by 2 rounds: they differ by +0.0 ms on average, and from '
        "-0.5 to +0.5 from round to round."
    )
    assert words.over_all(figures).endswith('3.5 %: not every seed has it above "c".')
    assert words.over_all({"a": [3.0, 4.0], "b": [1.0, 1.5]}).endswith("3.5 %: with every seed.")


def test_figures_as_a_table():
    words = importlib.import_module("experiment.words")
    columns = {"n": {"one": 1234, "another": 5}, "%": {"one": [1.0, 3.0], "another": [2.0, 2.0]}}
    assert words.table(columns).splitlines() == [
        "              n           %",
        "one       1,234   2.0 ± 1.4",
        "another       5   2.0 ± 0.0",
    ]


def test_what_the_page_of_claims_names_is_there():
    """Every row of its tables has an experiment or a test; every experiment has a row."""
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| .+ \|$", page, re.MULTILINE)
    shown = [row for row in rows if not row.endswith("| shown by |")]
    assert len(shown) > 50
    for row in shown:
        assert "](gallery/" in row or "](../tests/" in row, row
    for path, tests in re.findall(r"\]\(\.\./(tests/[^)]+\.py)\)((?:,? `\w+`)+)", page):
        text = (ROOT / path).read_text(encoding="utf-8")
        for name in re.findall(r"\w+", tests):
            assert f"def {name}(" in text, (path, name)
    assert page.count("](../tests/") == len(re.findall(r"\.py\) `test_", page)), "tests have names"
    assert {path.name for path in SCRIPTS} == set(re.findall(r"gallery/(plot_\w+\.py)", page))
