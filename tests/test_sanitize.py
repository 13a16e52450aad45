"""What is run under sanitizers: the package that was built for them, and all but what is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sanitize

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("kind", sorted(sanitize.TESTS))
def test_processes_that_tests_start_import_what_was_built(kind, tmp_path, monkeypatch):
    """Not the sources, in whose folder they run."""
    monkeypatch.setitem(sanitize.LIBRARIES, kind, ())  # the compiler need not have them here
    built = tmp_path / "fastconv" / "__init__.py"
    built.parent.mkdir()
    built.touch()
    command = [sys.executable, "-c", "import fastconv; print(fastconv.__file__)"]
    given = sanitize.environment(kind, tmp_path)
    run = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True)
    assert run.stdout.strip() == str(built), run.stderr


@pytest.mark.parametrize("kind", sorted(sanitize.TESTS))
def test_what_is_left_out_is_there_and_has_a_reason(kind, capsys):
    """A test that was renamed would be run again, and its old name stand there for ever."""
    tests, _ = sanitize.commands(kind)
    told = capsys.readouterr().out
    for name, reason in sanitize.LEFT_OUT[kind].items():
        path, _, function = name.partition("::")
        assert path.startswith(sanitize.TESTS[kind])
        assert not function or f"\ndef {function.partition('[')[0]}(" in (ROOT / path).read_text()
        assert tests[tests.index(name) - 1] == "--deselect"
        assert len(reason.split()) > 5 and f"{name}: {reason}" in told
