"""Run tests on kernels that are built for a sanitizer: ``python tests/sanitize.py address``.

``address`` also stands for undefined behaviour. ``thread`` looks for two threads that meet in
memory. The modules are built in ``build/sanitize``, never over those in use. Python and NumPy
are not built for a sanitizer: its library is loaded before them, and sees what the kernels do,
what is allocated, and every lock. `TESTS` are run without what is `LEFT_OUT`, then cases of the
fuzzer; before them a fault that is made on purpose must be reported. Needs GCC.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from elsewhere import apart

ROOT = Path(__file__).parents[1]
HERE = ROOT / "tests" / "sanitizers"
FOLDER = ROOT / "build" / "sanitize"
# What a sanitizer reports goes by Python, and must be seen.
PYTEST = [sys.executable, *"-P -m pytest -q -p no:cacheprovider --capture=sys".split()]
FUZZ = [sys.executable, "tests/fuzz.py", "--jobs", "1"]

#: The libraries, their settings, and what is run.
LIBRARIES = {"address": ("libasan.so", "libubsan.so"), "thread": ("libtsan.so",)}
OPTIONS = {
    "address": {
        # Python frees little at its end; too large a size is a MemoryError as ever; what guard
        # pages catch ends the process by the signal that the tests look for
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:handle_segv=0:handle_sigbus=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    },
    # Nothing is suppressed: if calls from the library of Python were ignored, those of its lock
    # would be, and whatever threads hand to each other under it would be a race.
    "thread": {"OPENBLAS_NUM_THREADS": "1"},  # its threads meet by numbers that are not seen
}
TESTS = {
    "address": ("tests/functional", "tests/models", "tests/test_fuzz.py"),
    "thread": (
        "tests/functional/test_marks.py",
        "tests/functional/test_processes.py",
        "tests/layers/test_many_threads.py",
        "tests/models/test_concurrency_of_networks.py",
    ),
}
FUNCTIONAL = "tests/functional/test_"
GEOMETRIES = f"{FUNCTIONAL}geometries.py::test_all_algorithms_agree_on_generated_geometries"
PROCESSES = f"{FUNCTIONAL}processes.py::"
NETWORKS = "tests/models/test_concurrency_of_networks.py::test_"
FREED = "what is freed is kept for a while, to find who still reads it, and is resident"
FORKS = "another thread may hold locks of the sanitizer, for which the child then waits for ever"
DRAWN = "sixteen of the sixty blocks are run, and the fuzzer draws geometries, too"
AGAIN = "most of these tests once more on each other set, on all of which the fuzzer runs"
LARGE = "minutes of large batches; the same networks run in test_limits.py"
IMAGE = "an image of such a call takes minutes; signals come in a test of networks, too"
ON_PURPOSE = "another thread changes on purpose what is read: a race that must do no harm"
UNLOCKED = "weights are packed without a lock; what was packed while they changed is let go"
#: Tests that cannot hold there, or take long and bring nothing new, each with the reason.  A name
#: stands for all that begin with it.
LEFT_OUT = {
    "address": {
        f"{FUNCTIONAL}calls.py::test_resident_memory_stays_flat_over_random_shapes": FREED,
        f"{FUNCTIONAL}memory.py::test_nothing_is_leaked_over_many_shapes": FREED,
        **{f"{GEOMETRIES}[{n}": DRAWN for n in (2, 3, 4, 5)},
        f"{FUNCTIONAL}instruction_sets.py::test_kernels_agree_with_the_reference": AGAIN,
        "tests/models/test_measure.py": LARGE,
    },
    "thread": {
        f"{PROCESSES}test_ctrl_c_is_heard_long_before_the_end": IMAGE,
        f"{PROCESSES}test_fork_after_a_parallel_call": FORKS,
        f"{NETWORKS}children_of_fork_beside_working_threads_answer": FORKS,
        f"{PROCESSES}test_an_array_that_changes_during_the_call_is_no_fault": ON_PURPOSE,
        f"{NETWORKS}a_network_for_inference_beside_changes_is_of_one_time": UNLOCKED,
    },
}
CASES = {"address": 5000, "thread": 5000}
#: A fault of each kind, made on purpose in a kernel: what does not see it would see no other.  A
#: whole vector is beyond the end: nobody watches the instructions of AVX-512 for some of its lanes,
#: which guard pages are for.
FAULTS = {
    "address": """
x = np.ones(1024, np.float32)
fastconv.functional.relu(np.lib.stride_tricks.as_strided(x, (1040,)))
""",
    "thread": """
import threading
x, w, out = np.ones((1, 8, 40, 40)), np.ones((8, 8, 3, 3)), np.ones((1, 8, 38, 38))
work = lambda: [fastconv.conv2d(x, w, out=out) for _ in range(20)]
both = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in both], [thread.join() for thread in both]
""",
}
SEEN = {"address": "heap-buffer-overflow", "thread": "data race"}
FLAGS = {"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}


def build(kind: str) -> Path:
    """Build the package in a folder of its own and return that."""
    return apart.build(FOLDER / kind, {"FASTCONV_SANITIZE": kind})


def environment(kind: str, library: Path) -> dict[str, str]:
    """The environment in which Python runs what was built."""
    compiler = os.environ.get("CC", "cc")
    found = []
    for name in LIBRARIES[kind]:
        command = [compiler, f"-print-file-name={name}"]
        path = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        if not os.path.isabs(path):
            sys.exit(f"sanitize: {compiler} has no {name}; it needs GCC with its sanitizers")
        found.append(path)
    return {**apart.environment(library), **OPTIONS[kind], "LD_PRELOAD": " ".join(found)}


def stress_pool(kind: str) -> None:
    """Build and run the stress test of the pool of threads, which needs no Python.

    Without forks under a sanitizer, whose own locks a child never gets; with them by itself.
    """
    for flags, words in ([FLAGS[kind]], ["no-fork"]), ([], []):
        program = FOLDER / kind / "-".join(["pool_stress", *words])
        program.parent.mkdir(parents=True, exist_ok=True)
        command = [
            os.environ.get("CC", "cc"),
            "-g",
            "-O1",
            "-Wall",
            "-Wno-unused-function",
            *flags,
            "-pthread",
            "-I",
            str(ROOT / "fastconv" / "kernels"),
            str(HERE / "pool_stress.c"),
            "-o",
            str(program),
        ]
        subprocess.run(command, check=True)
        run = [str(program), "10", *words]
        subprocess.run(run, env={**os.environ, **OPTIONS[kind]}, check=True)


def check_sight(kind: str, given: dict[str, str]) -> None:
    """End the run unless a fault that is made on purpose is reported."""
    command = [sys.executable, "-c", f"import numpy as np, fastconv{FAULTS[kind]}"]
    run = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True)
    if not run.returncode or SEEN[kind] not in run.stderr:
        sys.exit(f"sanitize: {SEEN[kind]} was not reported:\n{run.stderr}")


def commands(kind: str) -> list[list[str]]:
    """Return what is run, and print what is left out of it."""
    tests = [*PYTEST, *TESTS[kind]]
    for name, reason in LEFT_OUT[kind].items():
        print(f"left out: {name}: {reason}", flush=True)
        tests += ["--deselect", name]
    return [tests, [*FUZZ, "--cases", str(CASES[kind])]]


def main(arguments: list[str] | None = None) -> int:
    """Build, then run everything; return 1 if something is found."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("kind", choices=sorted(TESTS))
    kind = parser.parse_args(arguments).kind
    stress_pool(kind)
    given = environment(kind, build(kind))
    check_sight(kind, given)
    failed = 0
    for command in commands(kind):
        print(" ".join(command[1:]), flush=True)
        failed += subprocess.run(command, cwd=ROOT, env=given).returncode != 0
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
