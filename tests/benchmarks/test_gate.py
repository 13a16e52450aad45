"""The gate refuses more bytes and failures, and nothing else; files of results hold no machine."""

from __future__ import annotations

import importlib
import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

TRACK, PEAK = "memory.Memory.track_workspace_bytes", "models.Peak.track_peak_bytes"
#: As asv writes it: result, params, version, then what belongs to one run on one machine.
COLUMNS = ["result", "params", "version", "started_at", "duration"]

pytestmark = [
    pytest.mark.skipif(not shutil.which("git"), reason="needs git"),
    pytest.mark.usefixtures("own_modules"),
]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The gate, looking at an empty repository in a folder of its own."""
    module = importlib.import_module("gate")
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "INTENDED", tmp_path / "intended.json")
    (tmp_path / "intended.json").write_text("[]")
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    return module


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    command = ["git", *who, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, subject: str) -> str:
    git(folder, "commit", "--quiet", "--allow-empty", "-m", subject)
    return git(folder, "rev-parse", "HEAD")


def results(commit_hash: str, **machine: object) -> dict:
    """Results of asv: one case is skipped, one failed."""
    rows = [[10, math.nan, None, 40], [["'a'", "'b'"], ["1", "2"]], "1", 1234, 5.6]
    found = {PEAK: [[7], [], "1", 1234, 5.6], TRACK: rows, "x.Y.track_c_bytes": [None, [], "1"]}
    return {
        "commit_hash": commit_hash,
        "date": 99,
        "version": 2,
        "env_name": "virtualenv-py3.11",
        "params": {"cpu": "a"},
        "python": "3.11",
        "requirements": {"numpy": ""},
        "env_vars": {},
        "result_columns": COLUMNS,
        "results": found,
        "durations": {"<build>": 3.2},
        **machine,
    }


def judge(gate: ModuleType, monkeypatch: pytest.MonkeyPatch, before: dict, now: dict) -> int:
    """The exit code for values by (benchmark, params)."""
    parent, head = git(gate.HERE, "rev-parse", "HEAD^1"), git(gate.HERE, "rev-parse", "HEAD")

    def measure(old: str, new: str) -> dict:
        assert (old, new) == (parent, head)
        cases = [{gate.Case(*key): v for key, v in values.items()} for values in (before, now)]
        return {commit: values for commit, values in zip((old, new), cases) if values}  # noqa: B905

    monkeypatch.setattr(gate, "measure", measure)
    return gate.main()


A, B = (TRACK, "a, im2col, forward"), (TRACK, "b, direct, forward")


@pytest.mark.parametrize(
    ("before", "now", "code"),
    [
        ({A: 5, B: 0}, {A: 5, B: 0}, 0),
        ({A: 5, B: 0}, {A: 4, B: 0}, 0),
        ({A: 5, B: 0}, {A: 5, B: 64}, 1),
        ({A: 5}, {A: 5, B: 64}, 0),  # a new benchmark
        ({A: 5, B: 3}, {A: 5}, 0),  # one that is skipped now
        ({A: 5, B: 3}, {A: 5, B: None}, 1),
        ({A: 5, B: None}, {A: 5, B: None}, 1),
        ({A: 5, B: None}, {A: 5, B: 9}, 0),
        ({A: 5}, {A: 5, B: None}, 1),
        ({A: 1.25}, {A: 1.2500001}, 1),
        ({}, {A: 5}, 0),  # the parent does not build
        ({}, {A: None}, 1),
        ({A: 5}, {}, 1),
    ],
)
def test_more_bytes_and_failures_are_refused(gate, monkeypatch, capsys, before, now, code):
    commit(gate.HERE, "first")
    commit(gate.HERE, "second")
    assert judge(gate, monkeypatch, before, now) == code
    assert ("WORSE" in capsys.readouterr().out) == (code == 1 and bool(now))


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({}, 0),
        ({"commit": "first"}, 1),
        ({"params": "*, winograd, *"}, 1),
        ({"benchmark": "Peak.track_peak_bytes"}, 1),
        ({"benchmark": TRACK}, 1),  # by class and name: modules may be renamed
    ],
)
def test_what_is_declared_passes(gate, monkeypatch, capsys, entry, code):
    declared = {
        "commit": "second",
        "benchmark": "Memory.track_workspace_bytes",
        "params": "*, im2col, *",
        "reason": "it is faster",
    } | entry
    gate.INTENDED.write_text(json.dumps([declared]))
    commit(gate.HERE, "first")
    commit(gate.HERE, "second")
    assert judge(gate, monkeypatch, {A: 5}, {A: 6}) == code
    assert ("it is faster" in capsys.readouterr().out) == (code == 0)
    assert judge(gate, monkeypatch, {A: 5}, {A: None}) == 1  # no failure is meant


@pytest.mark.parametrize(
    "entry",
    [{}, {"commit": "second"}, {"commit": "", "benchmark": "b", "params": "*", "reason": "r"}],
)
def test_half_a_declaration_is_refused(gate, entry):
    gate.INTENDED.write_text(json.dumps([entry]))
    with pytest.raises(SystemExit, match="an entry has benchmark, commit, params, reason"):
        gate.read_intended()


def test_declarations_of_the_repository_are_whole():
    gate = importlib.import_module("gate")
    assert isinstance(gate.read_intended(), list)


def test_without_a_parent_there_is_nothing_to_compare(gate, capsys):
    commit(gate.HERE, "first")
    assert gate.main() == 0
    assert "no parent" in capsys.readouterr().out


def test_the_parent_of_a_merge_is_the_first(gate, monkeypatch):
    first = commit(gate.HERE, "first")
    git(gate.HERE, "checkout", "--quiet", "-b", "side")
    commit(gate.HERE, "on the side")
    git(gate.HERE, "checkout", "--quiet", "main")
    git(gate.HERE, "merge", "--quiet", "--no-ff", "side", "-m", "merge")
    assert gate.parent_of_head() == first
    entry = {
        "commit": "on the side",
        "benchmark": "Memory.track_workspace_bytes",
        "params": "*",
        "reason": "a commit that the merge brings",
    }
    gate.INTENDED.write_text(json.dumps([entry]))
    assert judge(gate, monkeypatch, {A: 5}, {A: 6}) == 0


def test_a_shallow_clone_fetches_the_parent(gate, monkeypatch, tmp_path):
    first = commit(gate.HERE, "first")
    commit(gate.HERE, "second")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", gate.HERE.as_uri(), str(clone))
    monkeypatch.setattr(gate, "HERE", clone)
    assert not gate.git("rev-parse", "--verify", "--quiet", "HEAD^1")
    assert gate.parent_of_head() == first


def test_a_shallow_clone_that_cannot_fetch_says_so(gate, monkeypatch, tmp_path):
    commit(gate.HERE, "first")
    commit(gate.HERE, "second")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", gate.HERE.as_uri(), str(clone))
    git(clone, "remote", "remove", "origin")
    monkeypatch.setattr(gate, "HERE", clone)
    with pytest.raises(SystemExit, match="a depth of 2 or more"):
        gate.parent_of_head()


def test_values_of_cases(gate):
    assert gate.values_of(results("1" * 40)) == {
        gate.Case(PEAK, ""): 7,
        gate.Case(TRACK, "a, 1"): 10,
        gate.Case(TRACK, "b, 1"): None,
        gate.Case(TRACK, "b, 2"): 40,
        gate.Case("x.Y.track_c_bytes", ""): None,
    }


def test_both_commits_are_measured_apart_from_what_is_kept(gate, monkeypatch):
    scratch = gate.HERE / "scratch"
    monkeypatch.setattr(gate, "SCRATCH", scratch)
    (scratch / "exact").mkdir(parents=True)
    (scratch / "exact" / "old-env.json").write_text("what an earlier run left")

    def asv(command: str, *arguments: str, configuration: Path) -> int:
        assert (command, arguments) == ("continuous", ("--factor", "1", "old", "new"))
        assert '"results_dir": ".asv/gate"' in configuration.read_text()
        for commit_hash in ("old", "new"):
            path = scratch / "exact" / f"{commit_hash}-env.json"
            path.write_text(json.dumps(results(commit_hash)))
        (scratch / "exact" / "machine.json").write_text("{}")
        return 1

    monkeypatch.setattr(gate, "asv", asv)
    values = gate.values_of(results("old"))
    assert gate.measure("old", "new") == {"old": values, "new": values}
    assert not list(gate.HERE.glob(".asv*"))


def test_results_are_equal_on_every_machine(tmp_path):
    exact = importlib.import_module("exact")
    made = []
    for cpu in ("a", "b"):
        folder = tmp_path / cpu
        folder.mkdir()
        (folder / "machine.json").write_text("{}")
        data = results("abcdef0123", python=cpu, params={"cpu": cpu, "ram": cpu}, env_name=cpu)
        data["results"][TRACK][3] = cpu
        (folder / f"abcdef01-{cpu}.json").write_text(json.dumps(data))
        (path,) = exact.settle(folder)
        assert sorted(p.name for p in folder.iterdir()) == ["abcdef01-exact.json", "machine.json"]
        assert exact.settle(folder) == []
        made.append(path.read_bytes())
    assert made[0] == made[1]
    kept = json.loads(made[0])
    assert kept["results"][PEAK] == [[7], [], "1"]
    assert set(kept) == set(results("")) and kept["date"] == 99


def test_only_exact_values_are_measured():
    exact = importlib.import_module("exact")
    ratio = "memory.Overhead.track_overhead_ratio"
    for name in (f"{TRACK}('a', 'im2col')", PEAK, ratio):
        assert re.search(exact.EXACT, name)
    for name in ("interrupts.Interrupt.track_seconds_until_heard", "a.B.time_forward('a')"):
        assert not re.search(exact.EXACT, name)


def test_commits_are_compiled_through_ccache_where_it_is_installed(monkeypatch):
    exact = importlib.import_module("exact")
    monkeypatch.setattr(exact.sysconfig, "get_config_var", {"CC": "gcc -pthread"}.get)
    monkeypatch.setattr(exact.shutil, "which", {"ccache": "/usr/bin/ccache"}.get)
    assert exact.with_ccache({"A": "1"}) == {"A": "1", "CC": "ccache gcc -pthread"}
    assert exact.with_ccache({"CC": "clang"}) == {"CC": "clang"}
    monkeypatch.setattr(exact.shutil, "which", {}.get)
    assert exact.with_ccache({"A": "1"}) == {"A": "1"}


def test_tables_and_skipped_cases_are_not_printed():
    exact = importlib.import_module("exact")
    shown = """\
· Creating environments
[12.50%] ··· memory.Memory.track_workspace_bytes     1/4 failed
[12.50%] ··· ======= ========
              layer   im2col
             ------- --------
              alex1    4.55M
             ======= ========

[12.50%] ···· For parameters: 'alex1', 'winograd'
             asv: skipped: NotImplementedError('no algorithm winograd')

             For parameters: 'alex2', 'im2col'
             Traceback (most recent call last):
             AssertionError: stated 5, measured 6
             asv: benchmark failed (exit status 1)

[25.00%] ··· models.Peak.track_peak_bytes     ok
| Change   | Before |
"""
    kept = "".join(exact.without_noise(shown.splitlines(keepends=True)))
    assert kept.splitlines() == [
        "· Creating environments",
        "[12.50%] ··· memory.Memory.track_workspace_bytes     1/4 failed",
        "             For parameters: 'alex2', 'im2col'",
        "             Traceback (most recent call last):",
        "             AssertionError: stated 5, measured 6",
        "             asv: benchmark failed (exit status 1)",
        "[25.00%] ··· models.Peak.track_peak_bytes     ok",
        "| Change   | Before |",
    ]
