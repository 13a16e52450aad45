"""Every instruction set that this machine has computes the same whole numbers.

The tests of the kernels run once more in a process of their own for each, forced by
FASTCONV_ISA, since an instruction set is chosen once, at import.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import kernels

HERE = Path(__file__).parent
#: Files whose tests need not run again, each with the reason.
LEFT_OUT = {
    "test_bad_inputs.py": "what is refused, before a kernel sees it",
    "test_calls.py": "what is remembered of a call, which no kernel knows",
    "test_instruction_sets.py": "this file",
    "test_integers.py": "what is cast, before a kernel sees it",
    "test_long_sums.py": "minutes, and the order of a sum is one source for every set",
    "test_pool.py": "the pool of threads, which all sets share",
    "test_processes.py": "the pool again, signals and forks",
}
KERNELS = sorted({path.name for path in HERE.glob("test_*.py")} - LEFT_OUT.keys())
USE = "import fastconv, numpy as np; x = np.ones((1, 1, 3, 3)); fastconv.conv2d(x, x)"
KNOWN = set(kernels.KNOWN)


@pytest.fixture
def python(environment):
    """Run Python with FASTCONV_ISA set."""

    def run(*arguments: str, isa: str) -> subprocess.CompletedProcess[str]:
        given = {**environment, "FASTCONV_ISA": isa}
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=given, capture_output=True, text=True, cwd=HERE)

    return run


def test_what_is_left_out_is_there():
    assert all((HERE / name).is_file() for name in LEFT_OUT)


def test_the_active_one_is_available():
    assert fastconv.active_isa() in fastconv.available_isas()
    assert "baseline" in fastconv.available_isas()
    assert set(fastconv.available_isas()) <= KNOWN


LIMITS = """
import numpy as np, fastconv
from fastconv import geometry, kernels
for dtype in (np.float32, np.float64):
    module = kernels.module(np.dtype(dtype))
    assert module.chunk == geometry.CHUNK
    assert module.winograd_sum == geometry.SUM_LENGTH
"""


@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_limits_in_python_are_those_of_the_kernels(isa, python):
    """An array on a kernel's stack would be too small."""
    run = python("-c", LIMITS, isa=isa)
    assert run.returncode == 0, run.stderr


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


@pytest.fixture
def lesser(tmp_path, environment):
    """A copy of the package that was built without the best set of this machine, and that set."""
    sets = fastconv.available_isas()
    if len(sets) == 1:
        pytest.skip("there is nothing to be left out: the baseline alone was built")
    package = Path(shutil.copytree(Path(fastconv.__file__).parent, tmp_path / "fastconv"))
    report = package / "kernels" / "build.json"
    said = json.loads(report.read_text())

    def without(*, refused: bool) -> dict[str, str]:
        """Say why it was left out, and return the environment that imports the copy."""
        best = sets[-1]
        changed = {**said, "built": sets[:-1], "asked": "baseline"}
        changed["refused"] = {best: "gcc: no such option"} if refused else {}
        changed["not_asked_for"] = [] if refused else [best]
        report.write_text(json.dumps(changed))
        kept = {name: value for name, value in environment.items() if name != "FASTCONV_ISA"}
        return {**kept, "PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "always"}

    return without, sets[-1], sets[-2]


TWICE = (
    "import sys, fastconv, numpy as np; print('imported', file=sys.stderr);"
    "x = np.ones((1, 1, 3, 3));"
    "fastconv.conv2d(x, x); fastconv.conv2d(x.astype('f'), x.astype('f'));"
    "print(fastconv.active_isa())"
)


@pytest.mark.parametrize("refused", [False, True])
def test_a_better_set_that_was_not_built_is_said_once_at_the_first_use(lesser, refused):
    without, best, used = lesser
    given = without(refused=refused)
    run = subprocess.run(
        [sys.executable, "-c", TWICE], env=given, capture_output=True, text=True, cwd=HERE
    )
    assert run.returncode == 0 and run.stdout.strip() == used, run.stderr
    before, after = run.stderr.split("imported\n")
    assert before == ""
    assert after.count("InstructionSetWarning") == 1
    assert f"can run {best}" in after and f"FASTCONV_ISA={used}" in after
    assert f"FASTCONV_BUILD_ISAS={best} pip install --force-reinstall" in after
    assert ("gcc: no such option" in after) == ("a newer compiler" in after) == refused


def test_a_set_that_is_meant_is_no_warning(lesser):
    without, _, used = lesser
    given = without(refused=False) | {"FASTCONV_ISA": used}
    run = subprocess.run(
        [sys.executable, "-c", TWICE], env=given, capture_output=True, text=True, cwd=HERE
    )
    assert (run.returncode, run.stderr) == (0, "imported\n")


def test_forcing_a_set_that_was_not_built_names_the_remedy(lesser):
    without, best, used = lesser
    given = without(refused=False) | {"FASTCONV_ISA": best}
    run = subprocess.run(
        [sys.executable, "-c", USE], env=given, capture_output=True, text=True, cwd=HERE
    )
    assert run.returncode
    last = run.stderr.strip().splitlines()[-1]
    said = "fastconv: the environment variable FASTCONV_ISA must name "
    assert last.startswith(f"fastconv.errors.InstructionSetError: {said}")
    assert f"got '{best}'" in last
    assert "(not asked for by FASTCONV_BUILD_ISAS=baseline)" in last
    assert f"FASTCONV_BUILD_ISAS={best} pip install --force-reinstall" in last


def test_doctor_says_which_set_would_be_better(lesser):
    without, best, used = lesser
    command = [sys.executable, "-m", "fastconv", "doctor"]
    run = subprocess.run(
        command, env=without(refused=False), capture_output=True, text=True, cwd=HERE
    )
    assert (run.returncode, run.stderr) == (0, "")
    found = [line for line in run.stdout.splitlines() if line.startswith(f"  better is {best}")]
    assert len(found) == 1 and f"FASTCONV_BUILD_ISAS={best} pip install" in found[0]
