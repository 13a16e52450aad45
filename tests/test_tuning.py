"""Measuring this machine: the calls, what the fit makes of their times, and the command."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

import fastconv
from fastconv import cli, costs, tuning
from fastconv.costs import SHIPPED, local
from fastconv.functional import choosing
from fastconv.geometry import Conv2DGeometry

ISA = fastconv.active_isa()


def geometry(c, h, k, r) -> Conv2DGeometry:
    return Conv2DGeometry.make("test", (1, c, h, h), (k, c, r, r), 1, r // 2, 1, 1)


@pytest.mark.parametrize("direction", tuning.DIRECTIONS)
def test_all_algorithms_contend(direction):
    calls = tuning.contenders(geometry(5, 9, 12, 3), direction)
    assert list(calls) == ["direct", "im2col", "im2col_tiled", "F(2x2)", "F(4x4)"]
    of_five = list(calls)[: 3 if direction == "weight" else 5]  # no F(5x5, 2x2) for the weights
    assert list(tuning.contenders(geometry(5, 9, 12, 5), direction)) == of_five
    assert list(tuning.contenders(geometry(5, 9, 12, 7), direction)) == list(calls)[:3]
    seconds = tuning.measure(calls, 1, 1e-6)
    assert set(seconds) == set(calls) and all(0 < value < 10 for value in seconds.values())


def estimated(g, direction, table) -> dict[str, float]:
    """The seconds of each algorithm as the model estimates them with the constants of `table`."""
    on = replace(choosing.target(np.dtype(np.float32)), table=table)
    return {name: cost.seconds for name, cost in tuning._priced(g, direction, on).items()}


#: The constants of a machine that does not exist.
MADE_UP = replace(SHIPPED[ISA], rate=SHIPPED[ISA].rate * 0.5, unfold=SHIPPED[ISA].unfold * 3)


def test_the_fit_finds_the_constants_of_made_up_times():
    """Times that the model itself makes with other constants are explained by the fit."""
    on = choosing.target(np.dtype(np.float32))
    samples = [
        tuning.Sample(g, direction, estimated(g, direction, MADE_UP))
        for g in (geometry(64, 28, 64, 3), geometry(3, 40, 32, 5), geometry(128, 14, 128, 1))
        for direction in tuning.DIRECTIONS
    ]
    before = tuning._loss(samples, replace(on, table=SHIPPED[ISA]))
    found = tuning.fit(samples, SHIPPED[ISA])
    after = tuning._loss(samples, replace(on, table=found))
    assert after < 0.2 * before
    for g, direction, seconds in samples:
        found_seconds = estimated(g, direction, found)
        assert seconds[min(found_seconds, key=found_seconds.get)] <= 1.05 * min(seconds.values())


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """A cache folder of its own, and one small probe."""
    monkeypatch.delenv("FASTCONV_COSTS", raising=False)
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr(tuning, "PROBES", ((4, 10, 16, 3, 1, 1),))
    local.source.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    local.source.cache_clear()


def test_tuning_leaves_the_threads_as_they_were(quick):
    before = fastconv.get_num_threads()
    done = []
    table = tuning.tune(1, progress=lambda *at: done.append(at))
    assert fastconv.get_num_threads() == before
    assert done == [(1, 1)]
    assert all(value > 0 for value in asdict(table).values())


@pytest.fixture
def other_machine(quick, monkeypatch):
    """Times that are made up in place of measured ones, far from those of the shipped table."""
    monkeypatch.setattr(tuning, "contenders", lambda g, direction: (g, direction))
    monkeypatch.setattr(tuning, "measure", lambda at, rounds: estimated(*at, MADE_UP))
    monkeypatch.setattr(tuning, "PROBES", ((64, 28, 64, 3, 1, 1), (3, 40, 32, 5, 1, 1)))


def test_doctor_tunes_and_resets(quick, other_machine, capsys):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "table of costs" in out and "shipped" in out and "fastconv doctor --tune" in out
    assert cli.main(["doctor", "--json"]) == 2
    assert capsys.readouterr().err == "fastconv doctor: --json must come with --tune\n"
    assert cli.main(["doctor", "--tune", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["isa"] == ISA and not local.cache_path(ISA).exists()
    assert costs.active(ISA) == SHIPPED[ISA]
    assert cli.main(["doctor", "--tune"]) == 0
    path = local.cache_path(ISA)
    assert capsys.readouterr().out == f"wrote {path}\n"
    table = costs.active(ISA)
    assert table == local.parse(path.read_text(), ISA)
    assert 0.4 < table.rate / SHIPPED[ISA].rate < 0.8  # MADE_UP has half of it
    assert cli.main(["doctor"]) == 0
    assert str(path) in capsys.readouterr().out
    path.write_text("{")
    local.source.cache_clear()
    assert cli.main(["doctor"]) == 0
    assert "BROKEN" in capsys.readouterr().out
    assert cli.main(["doctor", "--reset"]) == 0
    assert not path.exists() and str(path) in capsys.readouterr().out
    assert cli.main(["doctor", "--reset"]) == 0
    assert "there is no" in capsys.readouterr().out


def test_doctor_says_when_the_folder_cannot_be_written(quick, capsys, monkeypatch):
    blocked = quick / "file"
    blocked.write_text("")
    monkeypatch.setattr(local, "_cache_folder", lambda: blocked / "fastconv")
    assert cli.main(["doctor", "--tune"]) == 2
    assert "fastconv doctor: " in capsys.readouterr().err
