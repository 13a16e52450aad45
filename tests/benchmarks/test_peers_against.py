"""An older fastconv is built of its commit, and measured apart from the present one."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

import fastconv

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.skipif(not shutil.which("git"), reason="needs git"),
    pytest.mark.usefixtures("own_modules"),
]

#: A fastconv of one function, beside what every version has.
OLDER = """
from types import SimpleNamespace
__version__ = "0.0.1"
active_isa = lambda: "none"
set_num_threads = lambda threads: None
def max_pool2d(x, size, stride, padding):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // size, size, w // size, size).max(axis=(3, 5)) + FAULT
functional = SimpleNamespace(max_pool2d=max_pool2d)
"""


def peers(name: str) -> ModuleType:
    return importlib.import_module(f"peers.{name}")


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *who, "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module, looking at a repository whose fastconv is right, and wrong in a later commit."""
    module, root = peers("older"), tmp_path / "repository"
    monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(module, "KEPT", root / "build" / "older")
    (root / "fastconv").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    for fault in (0, 1):
        text = OLDER.replace("FAULT", str(fault))
        (root / "fastconv" / "__init__.py").write_text(text, encoding="utf-8")
        git(root, "add", ".")
        git(root, "commit", "--quiet", "-m", f"fault {fault}")
    return module


def copy(sources: Path, package: Path) -> None:
    """Build nothing: the package is what the sources have."""
    shutil.copytree(sources / "fastconv", package / "fastconv")


def test_a_commit_has_its_whole_name(older):
    assert older.resolve("HEAD~1") == git(older.ROOT, "rev-parse", "HEAD~1")
    tree = git(older.ROOT, "rev-parse", "HEAD^{tree}")
    for wrong in ("HEAD~2", "v9", "--all", tree, ""):
        with pytest.raises(ValueError, match="must name a commit of this repository, got "):
            older.resolve(wrong)


def test_a_wrong_commit_ends_the_command_in_one_line(older, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["peers", "--against", "v9"])
    with pytest.raises(SystemExit):
        peers("__main__").main()
    assert "error: against must name a commit of this repository, got 'v9'" in (
        capsys.readouterr().err
    )


def test_the_older_one_is_made_of_its_commit(older):
    package = older.build(older.resolve("HEAD~1"), copy)
    assert (package / "fastconv" / "__init__.py").read_text() == OLDER.replace("FAULT", "0")
    assert older.KEPT in package.parents


def test_the_older_one_is_built_once(older):
    asked = []

    def fails(sources: Path, package: Path) -> None:
        asked.append(sources)
        (package / "half").touch()
        raise RuntimeError("no compiler")

    def works(sources: Path, package: Path) -> None:
        asked.append(sources)
        assert not (package / "half").exists()
        copy(sources, package)

    commit = older.resolve("HEAD")
    with pytest.raises(RuntimeError, match="no compiler"):
        older.build(commit, fails)
    assert older.build(commit, works) == older.build(commit, works)
    assert len(asked) == 2
    assert older.build(older.resolve("HEAD~1"), works) != older.build(commit, works)


def test_only_the_comparison_is_measured_and_the_page_of_peers_stays(older):
    main = peers("__main__")
    arguments = main.parser().parse_args(["--against", "HEAD"])
    settings = main.settings_from(arguments)
    assert list(main.tables_of(arguments)) == ["against"]
    assert settings.peers == settings.left_out == ()
    assert main.output_of(arguments, settings).parent == older.KEPT
    arguments = main.parser().parse_args(["--against", "HEAD", "--tables", "calls", "against"])
    assert list(main.tables_of(arguments)) == ["calls", "against"]
    arguments = main.parser().parse_args([])
    assert main.tables_of(arguments) == peers("tables").ALL
    assert main.output_of(arguments, main.settings_from(arguments)).parent == main.REPORTS


@pytest.fixture
def against(older, monkeypatch) -> ModuleType:
    """The table, with three cases: one that both have, one that the older lacks, and training."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(older, "install", copy)
    module = peers("tables.against")
    cases = [
        ("pooling", "512x28.2x2", "max"),
        ("forward", "mec.cv12", "direct"),
        ("training", "SimpleConvNet", ""),
    ]
    monkeypatch.setattr(module, "_cases", lambda settings: {"some": cases})
    return module


def settings_of(commit: str):
    main = peers("__main__")
    return main.settings_from(main.parser().parse_args(["--against", commit, "--quick"]))


def test_two_versions_take_turns_and_what_one_lacks_is_named(against):
    (table,) = against.run(settings_of("HEAD~1"))
    assert [row.name for row in table.rows] == ["512x28.2x2"]
    assert set(table.rows[0].times) == {"present", "older"}
    assert table.values(table.ratios[0])["512x28.2x2"] > 0
    assert f"Present: {fastconv.__version__}, " in table.notes[0]
    assert "Older: 0.0.1, none, built from the commit " in table.notes[0]
    assert table.notes[1].startswith("Not in the older one: mec.cv12 (AttributeError: ")
    assert "; SimpleConvNet (AttributeError: " in table.notes[1]


def test_versions_that_differ_are_not_timed(against):
    with pytest.raises(peers("contenders").WrongResult, match="pooling 512x28.2x2 max: older and"):
        against.run(settings_of("HEAD"))


def test_what_the_present_one_lacks_is_an_error(against, monkeypatch):
    monkeypatch.setattr(against, "_cases", lambda settings: {"some": [("pooling", "no", "max")]})
    with pytest.raises(peers("versions").Lacking, match="KeyError: 'no'"):
        against.run(settings_of("HEAD~1"))


def test_another_fastconv_than_the_older_one_is_refused(older, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(RuntimeError, match="the older fastconv was imported from"):
        peers("versions").Version("older", 1, tmp_path / "empty")


def test_every_call_of_the_comparison_can_be_made():
    module, against = peers("worker"), peers("tables.against")
    main = peers("__main__")
    words = ["--layers", "mec.cv12", "rx5.groups", "--precision", "standard", "fast"]
    cases = against._cases(main.settings_from(main.parser().parse_args(words)))
    assert list(cases)[:5] == [
        "forward, direct",
        "forward, auto",
        "forward, auto fast",
        "backward, gradients",
        "backward, gradients fast",
    ]
    for kind, name, variant in (case for table in cases.values() for case in table):
        assert module.KINDS[kind](name, variant)() is not None
