"""The pool of threads by itself: callers that compete, nest, die and fork, and as many workers as
there may be; ``make sanitize`` runs the same program for longer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
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


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("parts", [1, 2, 5, 40])
def test_no_part_of_a_long_call_leaves_threads_idle(parts, threads):
    """A call of few items, as blocks of tiles, is cut into fewer parts than asked for."""
    items_of_part = kernels.module(np.dtype(np.float32)).items_of_part
    for items in (0, 1, 2, 3, 7, 16, 100):
        cut = [items_of_part(items, part, parts, threads) for part in range(parts)]
        assert [item for first, end in cut for item in range(first, end)] == list(range(items))
        assert all(end - first in (0, items) or end - first >= threads for first, end in cut)
