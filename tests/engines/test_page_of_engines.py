"""The programs of docs/engines.md run as they stand, each with its engine, and say the same."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import fastconv

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
if not PAGE.exists():
    pytest.skip("the tests stand without the pages", allow_module_level=True)

FOUND = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
PREPARED, *PROGRAMS = FOUND
#: What programs are known by, and what they need.
ENGINES = ("dask", "ray", "pyspark", "joblib", "concurrent", "fastconv")


def engine(program: str) -> str:
    """Return the first of `ENGINES` that a program imports."""
    imports = re.findall(r"^(?:from|import) (\w+)", program, re.MULTILINE)
    return next(name for name in ENGINES if name in imports)


def test_there_is_a_program_for_each_engine():
    assert [engine(program) for program in PROGRAMS] == list(ENGINES)


def test_a_program_is_short():
    """Ten lines, but for imports, blank ones, and the ends of calls and blocks."""
    for program in PROGRAMS:
        lines = [line for line in program.splitlines() if line.strip()]
        assert len([line for line in lines if not re.match("(from|import) ", line)]) <= 10, program


@pytest.mark.parametrize("program", PROGRAMS, ids=engine)
def test_a_program_runs_as_it_stands(program, tmp_path, environment):
    name = engine(program)
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    if name == "pyspark" and not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        pytest.skip("SPARK WAS NOT TESTED: it needs Java 17 or newer")
    for part, text in (("prepare.py", PREPARED), ("program.py", program)):
        (tmp_path / part).write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, part],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
    images, _ = fastconv.data.digits()
    net = fastconv.create_model("DigitsNet", weights="digits")
    counts = str(np.bincount(net.predict(images).argmax(axis=1)))
    assert counts in done.stdout, done.stdout
