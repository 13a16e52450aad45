"""The site has a page for everything that is public, and its links lead where they did.

What a browser sees of it is tested by `make test-site`.
"""

from __future__ import annotations

import argparse
import collections
import doctest
import re
import sys
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest

import fastconv
from fastconv import cli, registry

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "site"

pytestmark = pytest.mark.skipif(not SITE.is_dir(), reason="the tests stand without the pages")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch):
    """Import a module of the site by name, and forget it after."""
    own = {path.stem for path in SITE.glob("*.py")}
    monkeypatch.syspath_prepend(SITE)
    for name in own:
        monkeypatch.delitem(sys.modules, name, raising=False)

    def module(name: str) -> ModuleType:
        return __import__(name)

    yield module
    for name in own:
        sys.modules.pop(name, None)


# Names.


def test_every_public_module_is_known(site):
    found = site("names").modules()
    assert {"fastconv", "fastconv.functional", "fastconv.training", "fastconv.models"} <= set(found)
    named = {f"fastconv.{name}" for name in fastconv._LATER}
    assert named <= set(found), "a module that the package imports late is on no page"


def test_every_public_name_is_on_a_page(site):
    names = site("names")
    pages = names.reference()
    have = {id(names.named(name)) for text in pages.values() for name in names.listed(text)}
    missing = [
        f"{home}.{name}"
        for home, module in names.modules().items()
        for name, each in names.public(module)
        if id(each) not in have
    ]
    assert not missing, f"name them on a page of docs/site/pages/reference: {missing}"


def test_no_name_is_on_two_pages(site):
    names = site("names")
    listed = [name for text in names.reference().values() for name in names.listed(text)]
    assert len(listed) == len(set(listed))
    homes = collections.defaultdict(set)  # an alias beside what it stands for is right
    for name in listed:
        homes[id(names.named(name))].add(name.rpartition(".")[0])
    assert all(len(found) == 1 for found in homes.values()), "an object is on two pages"


def test_a_name_that_no_page_has_is_missed(site):
    names = site("names")
    text = names.REFERENCE.joinpath("functions.rst").read_text("utf-8")
    assert "fastconv.conv2d" in names.listed(text)
    assert "fastconv.conv2d" not in names.listed(text.replace("   fastconv.conv2d\n", ""))


def test_a_star_leaves_out_what_is_named_elsewhere(site):
    names = site("names")
    text = ".. autosummary::\n\n   fastconv.explain.*\n"
    have = names.listed(names.expanded(text, {id(fastconv.explain.conv2d)}))
    assert have == [f"fastconv.explain.{name}" for name in ("Explanation", "im2col", "pool2d")]


def test_every_registered_name_is_in_the_tables(site):
    page = site("registered").page()
    for known in (
        registry.layers,
        registry.models,
        registry.activations,
        registry.initializers,
        registry.losses,
        registry.metrics,
        registry.optimizers,
        registry.schedules,
        registry.callbacks,
    ):
        own = [name for name in known.names() if "." not in name]
        assert own and all(re.search(rf"^\| \[?`{name}`", page, re.MULTILINE) for name in own)


def test_the_page_of_commands_has_every_option(site):
    page = site("commands").page()
    for name, module in cli.COMMANDS.items():
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        for action in parser._actions[1:]:
            for word in action.option_strings or [str(action.metavar or action.dest)]:
                assert f"`{word}" in section, (name, word)
        assert module.__doc__.partition("\n")[0] in section


# The first page.


def test_the_picture_says_what_plans_say(site):
    html = site("picture").picture()
    net = fastconv.create_model("DeepConvNet")
    free, bounded = (net.plan(100, memory_limit=limit).peak for limit in (None, "1 MB"))
    unfolded, *told = map(float, re.findall(r"<strong>([\d.]+) MB</strong>", html))
    assert told == [float(f"{peak / 1e6:.3g}") for peak in (free, bounded)]
    assert unfolded > 4 * told[0] and told[1] <= 1


def test_the_program_of_the_first_page_is_that_of_readme():
    """Which is run by the tests of README."""
    readme, page = (
        re.findall(r"^```python\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        for path in (ROOT / "README.md", SITE / "pages" / "index.md")
    )
    assert page == readme[:1]


# Links.


@pytest.fixture
def kept():
    """Files that pages link and that are no pages, with whether HTML names them."""
    return []


@pytest.mark.parametrize(
    "file, link, found",
    [
        ("README.md", "docs/training.md", "training.md"),
        ("README.md", "CHANGELOG.md", "../development/changelog.md"),
        ("README.md", "LICENSE", "../files/LICENSE"),
        ("docs/memory.md", "../benchmarks/README.md#bytes", "../development/benchmarks.md#bytes"),
        ("docs/training.md", "layers.md#a-layer-of-your-own", "layers.md#a-layer-of-your-own"),
        ("docs/design.md", "../CONTRIBUTING.md", "contributing.md"),
        ("docs/design.md", "training.md", "../guide/training.md"),
        ("docs/design.md", "#words", "#words"),
        ("docs/book.md", "https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_a_link_leads_to_the_page_that_the_file_is(site, kept, file, link, found):
    def keep(path, html):
        kept.append((path.as_posix(), html))
        return PurePosixPath("files") / path

    text = f"See [the page]({link}), `[no]({link})` and\n\n```\n[no]({link})\n```\n"
    made = site("links").rewritten(text, PurePosixPath(file), keep)
    assert made == text.replace(f"[the page]({link})", f"[the page]({found})")
    assert kept == ([("LICENSE", False)] if link == "LICENSE" else [])


def test_a_link_of_html_leads_to_what_the_page_becomes(site, kept):
    def keep(path, html):
        kept.append((path.as_posix(), html))
        return PurePosixPath("files") / path

    text = '<a href="docs/training.md"><img src="LICENSE"></a>'
    made = site("links").rewritten(text, PurePosixPath("README.md"), keep)
    assert made == '<a href="training.html"><img src="../files/LICENSE"></a>'
    assert kept == [("LICENSE", True)]


@pytest.mark.parametrize("link", ["nothing.md", "docs/tests"])
def test_a_link_to_nothing_or_to_a_folder_is_refused(site, link):
    with pytest.raises(ValueError, match=f"README.md: {link} leads to (nothing|a folder)"):
        site("links").rewritten(f"[x]({link})", PurePosixPath("README.md"), lambda *_: None)


def test_the_whole_can_be_put_together(site, tmp_path):
    """Twice: what is the same keeps its time, what is no longer a page goes."""
    stage = site("stage").stage
    made = stage(tmp_path)
    assert {"index.md", "guide", "reference", "development"} <= {p.name for p in tmp_path.iterdir()}
    assert all(path.is_file() for path in made.written)
    index = tmp_path / "index.md"
    before, old = index.stat().st_mtime_ns, tmp_path / "guide" / "old.md"
    old.write_text("# Old")
    stage(tmp_path)
    assert index.stat().st_mtime_ns == before
    assert not old.exists()


def test_doctests_of_the_site(site):
    for name in ("links", "prose", "names", "places"):
        failed, _ = doctest.testmod(site(name))
        assert not failed


def test_every_star_of_a_table_of_contents_stands_for_a_page(site):
    """Sphinx warns of one that stands for none, and the site is made without a warning."""
    places = site("places")
    every = {places.place(file) for file in places.pages()}
    own = SITE / "pages"
    every |= {PurePosixPath(p.relative_to(own).as_posix()) for p in own.rglob("*.*") if p.is_file()}
    for path in sorted(own.rglob("index.*")):
        below = PurePosixPath(path.parent.relative_to(own).as_posix())
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
        for star in (line for line in lines if line.endswith("*") and " " not in line):
            folder = below / PurePosixPath(star).parent
            there = {page.stem for page in every if page.parent == folder}
            assert there - (set(lines) if folder == below else set()) - {"index"}, (path, star)
