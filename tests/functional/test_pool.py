"""The pool of threads by itself: callers that compete, nest, die and fork, and as many workers as
there may be; ``make sanitize`` runs the same program for longer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fastconv import kernels

POOL = Path(kernels.__file__).with_name("pool.h")
STRESS = Path(__file__).parents[1] / "sanitizers" / "pool_stress.c"


def test_every_item_is_done_once_whatever_happens(tmp_path):
    compiler = shutil.which("cc")
    if compiler is None or not POOL.exists() or not STRESS.exists():
        pytest.skip("needs a C compiler and the sources")
    program = tmp_path / "stress"
    command = [compiler, "-O1", "-w", "-pthread", "-I", str(POOL.parent), str(STRESS)]
    subprocess.run([*command, "-o", str(program)], check=True)
    run = subprocess.run([str(program), "1"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("pool (pthreads): ")
