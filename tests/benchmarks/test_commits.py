"""Ranges of commits that are none are told in a line, before asv is asked for them."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(not shutil.which("git"), reason="needs git"),
    pytest.mark.usefixtures("own_modules"),
]


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module, looking at a repository of two commits without tags."""
    module = importlib.import_module("commits")
    monkeypatch.setattr(module, "HERE", tmp_path)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    for subject in ("one", "two"):
        git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", subject)
    return module


@pytest.mark.parametrize(
    "chosen",
    [
        "ALL",
        "NEW",
        "EXISTING",
        "HASHFILE:some",
        "HEAD",
        "HEAD^!",
        "HEAD~1..HEAD",
        "main",
        "HEAD --max-count=1",
    ],
)
def test_ranges_of_commits_are_right(commits, chosen):
    assert commits.problem(chosen) == ""


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ("v0.1.0..HEAD", "got 'v0.1.0..HEAD' (bad revision 'v0.1.0..HEAD'); it has no tags; "),
        ("HEAD~9..HEAD", "got 'HEAD~9..HEAD' (bad revision"),
        ("TAGS", "got 'TAGS'; it has no tags; write HEAD~3..HEAD, HEAD^! or ALL"),
        ("HEAD..HEAD", "must hold a commit, got 'HEAD..HEAD', which holds none"),
        ("", "must "),
        ("'", 'must be commits as git names them, got "\'" (No closing quotation)'),
    ],
)
def test_what_is_no_range_is_told(commits, chosen, words):
    assert words in commits.problem(chosen)


def test_tags_that_are_there_are_named(commits, tmp_path):
    git(tmp_path, "tag", "v0.2.0")
    assert commits.problem("TAGS") == commits.problem("v0.2.0") == ""
    assert "its tags are v0.2.0; write" in commits.problem("v0.1.0..HEAD")


def test_the_exact_suite_asks_first(commits, monkeypatch, capsys):
    exact = importlib.import_module("exact")

    def asv(*arguments: str) -> int:
        raise AssertionError("asv was asked")

    monkeypatch.setattr(exact, "asv", asv)
    with pytest.raises(SystemExit) as end:
        exact.main(["v0.1.0..HEAD"])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("bench-history-exact: RANGE must be of commits of this repository, got ")
    assert said.count("\n") == 1


def test_the_makefile_asks_first(tmp_path):
    if not shutil.which("make"):
        pytest.fail("make is needed, as for everything here")
    words = [f"BIN={Path(sys.executable).parent}", "VENV=made", "ASV=false"]
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / ".bench").touch()
    command = ["make", "-C", str(ROOT), "-o", "made/.bench", *words]
    for target, chosen in (
        ("bench-history", ["RANGE=no-such-tag..HEAD"]),
        ("bench-compare", ["A=no-such-tag", "B=HEAD"]),
    ):
        done = subprocess.run([*command, target, *chosen], capture_output=True, text=True)
        assert done.returncode and f"{target}: RANGE must be of commits" in done.stderr, done
        assert "Traceback" not in done.stderr
