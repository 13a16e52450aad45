"""Every instruction set that this machine has computes the same whole numbers.

The tests of the kernels run once more in a process of their own for each, forced by
FASTCONV_ISA, since an instruction set is chosen once, at import.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastconv

HERE = Path(__file__).parent
KERNELS = [
    "test_conv2d.py",
    "test_tiles.py",
    "test_gradient_tiles.py",
    "test_borders.py",
    "test_pooling.py",
    "test_pooling_training.py",
    "test_unfold.py",
    "test_dense.py",
    "test_geometries.py",
    "test_bits.py",
    "test_guard_pages.py",
    "test_memory.py",
    "test_winograd.py",
    "test_winograd_gradient.py",
    "test_elementwise.py",
]
USE = "import fastconv, numpy as np; x = np.ones((1, 1, 3, 3)); fastconv.conv2d(x, x)"
KNOWN = {"baseline", "avx2", "avx512", "neon"}


@pytest.fixture
def python(environment):
    """Run Python with FASTCONV_ISA set."""

    def run(*arguments: str, isa: str) -> subprocess.CompletedProcess[str]:
        given = {**environment, "FASTCONV_ISA": isa}
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=given, capture_output=True, text=True, cwd=HERE)

    return run


def test_the_active_one_is_available():
    assert fastconv.active_isa() in fastconv.available_isas()
    assert "baseline" in fastconv.available_isas()
    assert set(fastconv.available_isas()) <= KNOWN


@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_kernels_agree_with_the_reference(isa, python):
    if os.environ.get("FASTCONV_ISA"):
        pytest.skip("an instruction set is forced: this run is one of the others")
    asked = python("-c", "import fastconv; print(fastconv.active_isa())", isa=isa)
    assert asked.stdout.strip() == isa, asked.stderr
    if isa == fastconv.active_isa():
        return  # the tests of this process hold for it
    run = python("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *KERNELS, isa=isa)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]


@pytest.mark.parametrize("isa", ["sse9", "AVX2 ", "os.system", "baseline,avx2"])
def test_an_unknown_one_is_an_error(isa, python):
    run = python("-c", USE, isa=isa)
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert "InstructionSetError" in last and isa in last and "baseline" in last


@pytest.mark.parametrize("isa", sorted(KNOWN - set(fastconv.available_isas())))
def test_one_that_cannot_run_here_is_an_error(isa, python):
    run = python("-c", USE, isa=isa)
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert "InstructionSetError" in last and isa in last


def test_instruction_sets_differ_by_rounding_at_most(tmp_path, python):
    code = (
        "import sys, numpy as np, fastconv; rng = np.random.default_rng(7);"
        "x = rng.standard_normal((2, 50, 12, 12), dtype=np.float32);"
        "w = rng.standard_normal((40, 50, 3, 3), dtype=np.float32);"
        "np.save(sys.argv[1], fastconv.conv2d(x, w, padding=1))"
    )
    results = []
    for isa in fastconv.available_isas():
        run = python("-c", code, str(tmp_path / isa), isa=isa)
        assert run.returncode == 0, run.stderr
        results.append(np.load(tmp_path / f"{isa}.npy"))
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=0, atol=1e-4)
