"""Where the table that was measured here is kept, and what a broken one says."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import pytest

import fastconv
from fastconv import cli
from fastconv.costs import SHIPPED, local
from fastconv.errors import ArgumentError, CostTableWarning

ISA = fastconv.active_isa()


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    """No HOME, and a user that the system does not know."""

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for variable in ("FASTCONV_COSTS", "XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "USERPROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    local.source.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    local.source.cache_clear()


def test_without_a_home_nothing_is_written_and_the_shipped_table_serves(homeless, capsys):
    assert local.source(ISA) == local.Source(SHIPPED[ISA], None)
    with pytest.raises(ArgumentError, match="HOME must name your folder, got None; s") as caught:
        local.cache_path(ISA)
    assert caught.value.parameter == "the environment variable HOME"
    for arguments in (["doctor", "--tune"], ["doctor", "--reset"]):
        assert cli.main(arguments) == 2
        assert "must name your folder" in capsys.readouterr().err
    assert cli.main(["doctor"]) == 0
    assert list(homeless.iterdir()) == []


@pytest.mark.parametrize("folder", ["", "relative", "."])
def test_a_home_that_is_no_folder_is_none(homeless, monkeypatch, folder):
    monkeypatch.setenv("HOME", folder)
    with pytest.raises(ArgumentError, match="HOME must name your folder, got ") as caught:
        local.cache_path(ISA)
    assert caught.value.remedy == "set it, or XDG_CACHE_HOME"


def test_without_home_a_path_that_begins_with_it_is_refused(homeless, monkeypatch):
    net = fastconv.Sequential(["Flatten"], (1, 2, 2))
    for call in (net.save, net.save_weights, fastconv.load, fastconv.data.mnist):
        with pytest.raises(ArgumentError, match="must not begin with ~ where the variable HOME"):
            call("~/net.safetensors")
    assert list(homeless.iterdir()) == []


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the convention of Linux")
def test_a_cache_folder_that_is_named_needs_no_home(homeless, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(homeless / "cache"))
    assert local.cache_path(ISA).is_relative_to(homeless / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    with pytest.raises(ArgumentError, match="HOME must name your folder"):
        local.cache_path(ISA)


RIGHT = asdict(SHIPPED[ISA])
BROKEN = [
    ("", "is no table of costs for"),
    ("[1]", "its format must be 'fastconv-costs/2', got"),
    ("{}", "its format must be 'fastconv-costs/2', got None"),
    (json.dumps({"format": local.FORMAT, "isa": "sse9"}), "its instruction set must be"),
    (json.dumps({"format": local.FORMAT, "isa": ISA}), "its table must have the constants rate"),
    (
        json.dumps({"format": local.FORMAT, "isa": ISA, "table": {**RIGHT, "rate": 0}}),
        "rate must be a number from 1e-09 to 1e[+]09, got 0",
    ),
    (
        json.dumps({"format": local.FORMAT, "isa": ISA, "table": {**RIGHT, "rate": True}}),
        "rate must be a number from 1e-09 to 1e[+]09, got True",
    ),
    ('{"format": ' + "9" * 5000 + "}", "is no table of costs for"),
    ("[" * 100_000, "is no table of costs for"),
]


@pytest.mark.parametrize(("text", "words"), BROKEN)
def test_a_broken_table_warns_and_the_shipped_one_serves(text, words, monkeypatch, tmp_path):
    path = tmp_path / "table.json"
    path.write_text(text)
    monkeypatch.setenv("FASTCONV_COSTS", str(path))
    local.source.cache_clear()
    try:
        with pytest.warns(CostTableWarning, match=words) as caught:
            assert local.active(ISA) == SHIPPED[ISA]
        assert len(str(caught[0].message)) < 700
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # said once
            local.active(ISA)
    finally:
        monkeypatch.undo()
        local.source.cache_clear()


@pytest.mark.parametrize("named", ["/no/such/file", "a" * 5000, str(Path(__file__).parent)])
def test_a_file_that_cannot_be_read_is_an_error(named, monkeypatch):
    monkeypatch.setenv("FASTCONV_COSTS", named)
    local.source.cache_clear()
    try:
        with pytest.raises(ArgumentError, match="FASTCONV_COSTS must be 'shipped' or") as caught:
            local.source(ISA)
        assert caught.value.value == named
    finally:
        monkeypatch.undo()
        local.source.cache_clear()
