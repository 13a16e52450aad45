"""A share of the fuzzer's cases, and that it finds, names and survives what is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fuzzing import compare, kinds, runner
from fuzzing.case import Case, plain
from fuzzing.guard import Memory

import fastconv
from fastconv import arena, functional, kernels, memory, reference, threads

FUZZ = Path(__file__).with_name("fuzz.py")
CASES = 300
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect of Linux")
pytestmark = LINUX

#: A worker whose cases do what their numbers say.
WORKER = """
import ctypes, sys, time
from pathlib import Path
from fuzzing import kinds, runner

def check(case):
    case.array((3,))
    if case.number == 2:
        raise AssertionError("found")
    if case.number == 5:
        array = case.guarded.take(16, True)
        ctypes.string_at(array.ctypes.data, 17)
    if case.number == 7:
        time.sleep(1000)

kinds.KINDS["wrong"] = (check, 1)
kinds._ORDER[:] = ["wrong"]
runner.work(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
"""


def cases():
    """Yield cases of every kind, with the memory they use."""
    guarded = Memory()
    for number in range(400):
        yield Case(number, guarded)
        guarded.clear()


@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_a_share_of_the_cases(isa, environment):
    command = [sys.executable, str(FUZZ), "--cases", str(CASES), "--isa", isa, "--jobs", "1"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert f"{isa}: {CASES} cases, 0 failures" in run.stdout


def test_what_fails_crashes_or_hangs_is_named_and_the_rest_is_run(tmp_path, capfd):
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    given = runner.environment(fastconv.active_isa())
    command = [sys.executable, str(worker)]
    done, failed = runner.run(command, 0, 10, jobs=2, patience=10.0, environment=given)
    output = capfd.readouterr().out
    assert "case 2, wrong: found\n    dtype=" in output
    assert re.search("^case 5 ends the process: SIG(SEGV|BUS)$", output, re.MULTILINE)
    assert "case 7 has not ended within 10 s" in output
    assert (done, failed) == (8, 3)  # those that did not end are not done


def test_it_ends_after_some_failures(tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    given = runner.environment(fastconv.active_isa())
    done, failed = runner.run([sys.executable, str(worker)], 0, 10, most=2, environment=given)
    assert failed == 2
    assert done < 8


def test_a_worker_ends_with_its_parent(tmp_path):
    """The pipe is open until both have ended."""
    code = (
        "import os, sys, time; from pathlib import Path; from fuzzing import runner\n"
        "command = [sys.executable, '-P', '-m', 'fuzzing.runner']\n"
        "worker = runner.Worker(command, 0, 10**9, Path(sys.argv[1]), None)\n"
        "while not worker.shared[runner.BEGUN]: time.sleep(0.01)\n"
        "os._exit(0)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "progress")]
    given = runner.environment(fastconv.active_isa())
    run = subprocess.run(command, env=given, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr


def test_a_number_is_a_case():
    """The same number draws the same, whatever ran before."""

    def drawn(number: int) -> list[bytes]:
        case = Case(number, Memory())
        return [kinds.kind_of(case).encode(), *(case.array((3, 5)).tobytes() for _ in range(4))]

    assert drawn(11) == drawn(11)
    assert len({b"".join(drawn(number)) for number in range(50)}) == 50


def test_every_kind_is_drawn():
    found = Counter(kinds.kind_of(case) for case in cases())
    assert set(found) == set(kinds.KINDS)


def test_every_layout_is_drawn():
    seen = Counter()
    for case in cases():
        array = case.array((3, 4, 5))
        seen["broadcast"] += 0 in array.strides
        seen["backwards"] += min(array.strides) < 0
        seen["strided"] += array.strides[-1] == 2 * array.itemsize
        seen["permuted"] += 0 < array.strides[0] < array.strides[-1]
        seen["misaligned"] += not array.flags.aligned
        seen["read-only"] += not array.flags.writeable
        seen["swapped"] += not array.dtype.isnative
        seen["plain"] += array.flags.c_contiguous and array.flags.aligned
        seen["not finite"] += not np.isfinite(array.astype("f8")).all()
    assert min(seen.values()) >= 5, seen


def test_laid_arrays_are_equal_and_touch_a_guard_page():
    """One end of the memory of an array is one of its region's."""
    touching = 0
    for case in cases():
        values = case.numbers((2, 3, 4))
        array = case.lay(values)
        compare.same("laid", plain(array), values)
        low, high = np.lib.array_utils.byte_bounds(array)
        region = case.guarded.taken[-1].bytes.ctypes.data
        touching += low == region or high == region + Memory.USUAL
        case.check_arrays()
    assert touching > 300  # others begin between two elements


def test_memory_that_functions_take_is_guarded():
    """Workspace, packed weights, copies and outputs come from the case's regions."""
    for case in cases():
        with case.surroundings():
            x, weight = np.ones((1, 3, 8, 9), case.dtype), np.ones((20, 3, 3, 3), case.dtype)
            before = len(case.guarded.taken)
            y = case.call(fastconv.conv2d, x, weight, algorithm="im2col")
            # the output, the packed weights and the unfolded matrix
            assert len(case.guarded.taken) - before >= 3
            regions = {region.bytes.ctypes.data for region in case.guarded.taken}
            end = y.ctypes.data + y.nbytes
            assert {y.ctypes.data, end - Memory.USUAL} & regions
        break
    assert memory.allocate.__module__ == arena.aligned.__module__ == "fastconv.step_memory"
    assert threads.run.__module__ == "fastconv.threads"


@pytest.mark.parametrize("function", ["conv2d", "max_pool2d", "dense", "im2col", "relu"])
def test_one_wrong_bit_is_found(function, monkeypatch):
    """A reference that is wrong stands for a function that is."""
    place = functional if function in ("relu",) else reference
    right = getattr(place, function)

    def wrong(*args, **options):
        result = right(*args, **options)
        found = result[0] if isinstance(result, tuple) else result
        if found.size:
            found.flat[-1] += 1
        return result

    monkeypatch.setattr(place, function, wrong)
    for number in range(150):
        try:
            kinds.run(number, Memory())
        except kinds.Failure as failure:
            assert str(failure).startswith(f"case {number}, ")
            return
    raise AssertionError("nothing was found")


def test_every_function_is_fuzzed():
    """A new function needs a check, or its name here and a reason."""
    folder = Path(kinds.__file__).parent
    text = "".join(path.read_text() for path in folder.glob("*.py"))
    elsewhere = {"PackedWeight"}  # what prepare_conv2d and prepare_dense return
    missing = [name for name in functional.__all__ if not re.search(rf"\b\w+\.{name}\b", text)]
    assert set(missing) == elsewhere


def test_every_kernel_is_reached(monkeypatch):
    """Those of the stub that take arrays, by some thousand cases at most."""
    stub = Path(kernels.__file__).with_name("_kernels.pyi").read_text(encoding="utf-8")
    missing = set(re.findall(r"^def (\w+)\([^)]*\bArray\b", stub, re.MULTILINE))
    assert len(missing) > 20

    class Recorded:
        def __init__(self, module):
            self.module = module

        def __getattr__(self, name):
            missing.discard(name)
            return getattr(self.module, name)

    module = kernels.module
    if module(np.dtype("float32")).tile_pixels >= 12:  # too many for its registers
        missing.discard("conv2d_backward_input_plain")
    monkeypatch.setattr(kernels, "module", lambda dtype: Recorded(module(dtype)))
    guarded = Memory()
    for number in range(3000):
        kinds.run(number, guarded)
        if not missing:
            return
    raise AssertionError(f"no case calls {missing}")


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (np.float32([1, 2]), np.float64([1, 2])),
        (np.float32([1, 2]), np.float32([1])),
        (np.float32([0.0]), np.float32([-0.0])),
        (np.float32([np.nan]), np.float32([1])),
        (None, np.float32([1])),
    ],
)
def test_what_is_not_the_same(actual, expected):
    with pytest.raises(AssertionError, match="^y: "):
        compare.same("y", actual, expected)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (np.float32([1.2]), np.float64([1])),
        (np.float32([np.nan]), np.float64([1])),
        (np.float32([1]), np.float64([np.nan])),
        (np.float32([1]), np.float64([np.inf])),
        (np.float32([-np.inf]), np.float64([np.inf])),
    ],
)
def test_what_is_not_close(actual, expected):
    with pytest.raises(AssertionError, match="^y: 1 of 1 elements"):
        compare.close("y", actual, expected, 0.1, np.float32)


def test_another_dtype_or_a_bound_of_nan_is_not_close():
    with pytest.raises(AssertionError, match="^y: float64"):
        compare.close("y", np.ones(1), np.ones(1), 0.1, np.float32)
    with pytest.raises(AssertionError, match="^y: 1 of 1 elements"):
        compare.close("y", np.ones(1), np.ones(1), np.nan, np.float64)


def test_what_is_close():
    special = np.array([np.nan, np.inf, -np.inf, 1.05])
    compare.close("y", np.float32([np.nan, np.inf, -np.inf, 1]), special, 0.1, np.float32)
    compare.same("y", np.float32([np.nan, -0.0]), -np.float32([np.nan, 0.0]))
