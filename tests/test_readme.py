"""What README and the pages of docs/ show runs, and what they point to is there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import registry, training
from fastconv.cli import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
FOUND = (README, *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("ja/*.md")))
PAGES = [path for path in FOUND if path.exists()]


def named(path: Path) -> str:
    """What a page is called in the names of tests: pages in two languages share their names."""
    return path.relative_to(ROOT).as_posix()


pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").is_dir(), reason="the tests stand without the pages"
)


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(path: Path, folder: Path, environment: dict[str, str]) -> str:
    """Run all Python of a page in order, as one program in an empty folder; return its output."""
    (folder / "page.py").write_text("\n".join(blocks(path, "python")), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "page.py"],
        cwd=folder,
        env={**environment, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


#: Pages of several programs, and the tests that run them: tests/engines, tests/docs.
BY_OTHERS = {"engines.md", "shipping.md"}
RUN = [p for p in PAGES if blocks(p, "python") and p.name not in BY_OTHERS]


@pytest.mark.parametrize("path", RUN, ids=named)
def test_the_python_of_a_page_runs(path, tmp_path, environment):
    out = run(path, tmp_path, environment)
    if path == README:
        assert "\n4718592 4718592\n" in out
        assert accuracy(out) == pytest.approx(accuracy(README.read_text("utf-8")), abs=1.5)


SHOWN = [path for path in PAGES if blocks(path, "text")]


@pytest.mark.parametrize("path", SHOWN, ids=named)
def test_what_a_page_shows_is_what_its_python_prints(path, tmp_path, environment):
    """Line by line, in this order; … stands for what another machine may print otherwise."""
    out = run(path, tmp_path, environment)
    for line in "".join(blocks(path, "text")).splitlines():
        pattern = ".+".join(map(re.escape, line.split("…")))
        found = re.search(rf"^{pattern}$", out, re.MULTILINE)
        assert found, f"{line}\nis not in\n{out}"
        out = out[found.end() :]


def accuracy(text: str) -> float:
    """The percentage that a text says."""
    return float(re.search(r"^test accuracy: ([\d.]+) ?%$", text, re.MULTILINE)[1])


def test_the_commands_of_readme_do_what_it_says(tmp_path, monkeypatch, capsys):
    """They train the network of the file to what the page says of the network in Python."""
    (text,) = blocks(README, "json")
    monkeypatch.chdir(tmp_path)
    Path("net.json").write_text(text)
    page = README.read_text("utf-8")
    commands = re.findall(r"^fastconv ((?:summary|plan|train) net\.json.*?)(?:  #.*)?$", page, re.M)
    assert len(commands) == 3
    for command in commands:
        assert main(shlex.split(command)) == 0, capsys.readouterr().err
    assert accuracy(capsys.readouterr().out) == pytest.approx(accuracy(page), abs=1.5)
    assert Path("net.safetensors").is_file()


TRAINING = ROOT / "docs" / "training.md"


@pytest.mark.parametrize("text", blocks(TRAINING, "json") if TRAINING.exists() else [])
def test_training_as_json_says_it(text, tmp_path, monkeypatch):
    """Each example is what compile and fit are given."""
    monkeypatch.chdir(tmp_path)
    settings = json.loads(text)
    net = fastconv.Sequential([("Dense", {"units": 3})], input_shape=(4,), seed=0)
    net.compile(**settings["compile"])
    x, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
    history = net.fit(x, y, verbose=0, **settings["fit"])
    assert 1 <= len(history.history["loss"]) <= settings["fit"]["epochs"]


NETWORKS = [
    pytest.param(text, id=f"{name}-{number}")
    for name in ("layers.md", "models.md")
    if (ROOT / "docs" / name).exists()
    for number, text in enumerate(blocks(ROOT / "docs" / name, "json"))
]


@pytest.mark.parametrize("text", NETWORKS)
def test_the_networks_of_the_pages_about_layers_and_models_can_be_made_and_run(text):
    net = fastconv.from_config(json.loads(text), seed=0)
    (given,) = net.to_config()["inputs"]
    x = np.ones((2, *given["shape"]), given.get("dtype", "float32"))
    assert np.isfinite(net(x)).all()


def anchors(path: Path) -> set[str]:
    """What links to headings of a page say after the #."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_of_a_page_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=named)
def test_what_a_page_makes_can_be_made(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", text, re.MULTILINE)) <= targets


def test_the_entry_points_of_the_page_about_plugins_are_what_its_python_registers():
    page = ROOT / "docs" / "plugin.md"
    (text,) = blocks(page, "toml")
    defined = r'^@fastconv\.register_(layer|model)\("([^"]+)"\)\n(?:class|def) (\w+)'
    wanted: dict[str, dict[str, str]] = {"fastconv.layers": {}, "fastconv.models": {}}
    for kind, name, place in re.findall(defined, "\n".join(blocks(page, "python")), re.MULTILINE):
        wanted[f"fastconv.{kind}s"][name] = f"acme_layers:{place}"
    assert all(wanted.values())
    assert tomllib.loads(text)["project"]["entry-points"] == wanted


def test_what_the_page_of_training_says_of_settings():
    """Its tables name everything, with the defaults that there are."""
    page = " ".join(TRAINING.read_text("utf-8").split())
    common = {"learning_rate", "weight_decay", "clip_norm", "clip_value", "warm_up"}
    for known in (registry.optimizers, registry.schedules, registry.callbacks):
        for name in known.names():
            row = re.search(rf'\| [^|]*`"{name}"`[^|]*\|[^|]*\|([^|]*)\|', page)
            assert row, f"no row for {name}"
            for key, setting in registry.parameters_of(known.get(name)).items():
                if name != "history" and key not in common:
                    shown = key
                    if setting.default is not setting.empty:
                        default = repr(setting.default).replace("'", '"').replace("e-0", "e-")
                        shown = f"{key}={default}"
                    assert shown in row[1], (name, shown)


def test_what_the_page_for_readers_of_the_book_says_of_numbers():
    page = " ".join((ROOT / "docs" / "book.md").read_text("utf-8").split())
    rms, adam, norm = training.RMSProp(), training.Adam(), fastconv.layers.BatchNorm()
    assert f"RMSprop's, {rms.learning_rate:g} with a decay of {rms.decay:g};" in page
    assert float(re.search(r"Adam adds its epsilon, (\S+), after", page)[1]) == adam.epsilon
    assert float(re.search(r"added to the variance is (\S+), the book's", page)[1]) == norm.epsilon
    for optimizer, rate in (
        (training.SGD(), 0.01),
        (training.Momentum(), 0.01),
        (training.Nesterov(), 0.01),
        (training.AdaGrad(), 0.01),
        (adam, 0.001),
    ):
        assert optimizer.learning_rate == rate, "the page says that it is the book's"
    images = np.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    assert fastconv.im2col(images, 2, 2).dtype == np.float64  # of integers
    layer = fastconv.layers.BatchNorm()
    layer.ensure_built(0, fastconv.Spec((3, 2, 2)))
    assert layer.params["weight"].shape == (3,)  # one for each channel
    y, t = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[0.0, 0.0], [0.0, 0.0]])
    book = 0.5 * np.sum((y - t) ** 2)
    assert training.MeanSquaredError()(y, t) == book * 2 / y.size
