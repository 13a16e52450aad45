"""Run tests on kernels that are built for a sanitizer: ``python tests/sanitize.py address``.

``address`` also stands for undefined behaviour. ``thread`` looks for two threads that meet in
memory. The modules are built in ``build/sanitize``, never over those in use. Python and NumPy
are not built for a sanitizer: its library is loaded before them, and sees what the kernels do,
what is allocated, and every lock. Needs GCC.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HERE = ROOT / "tests" / "sanitizers"
FOLDER = ROOT / "build" / "sanitize"
PYTEST = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
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
    "thread": {
        # a child of fork starts threads: the tests do that
        "TSAN_OPTIONS": f"die_after_fork=0:suppressions={HERE / 'thread.txt'}",
    },
}
RUNS = {
    "address": (
        [*PYTEST, "tests/functional", "tests/models", "tests/test_fuzz.py"],
        [*FUZZ, "--cases", "5000"],
    ),
    "thread": (
        [*PYTEST, "tests/functional/test_processes.py", "tests/layers/test_many_threads.py"],
        [*FUZZ, "--cases", "5000"],
    ),
}
FLAGS = {"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}


def build(kind: str) -> Path:
    """Build the package in a folder of its own and return that."""
    library = FOLDER / kind / "lib"
    for path in library.rglob("*.py"):  # one that is gone from the sources would stay
        path.unlink()
    command = [sys.executable, "setup.py", "-q", "build", "--build-base", str(FOLDER / kind),
               "--build-lib", str(library)]  # fmt: skip
    subprocess.run(command, cwd=ROOT, env={**os.environ, "FASTCONV_SANITIZE": kind}, check=True)
    return library


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
    return {
        **os.environ, **OPTIONS[kind], "LD_PRELOAD": " ".join(found), "PYTHONPATH": str(library),
    }  # fmt: skip


def stress_pool(kind: str) -> None:
    """Build and run the stress test of the pool of threads, which needs no Python.

    Without forks under a sanitizer, whose own locks a child never gets; with them by itself.
    """
    for flags, words in ([FLAGS[kind]], ["no-fork"]), ([], []):
        program = FOLDER / kind / "-".join(["pool_stress", *words])
        program.parent.mkdir(parents=True, exist_ok=True)
        command = [os.environ.get("CC", "cc"), "-g", "-O1", "-Wall", "-Wno-unused-function",
                   *flags, "-pthread", "-I", str(ROOT / "fastconv" / "kernels"),
                   str(HERE / "pool_stress.c"), "-o", str(program)]  # fmt: skip
        subprocess.run(command, check=True)
        run = [str(program), "10", *words]
        subprocess.run(run, env={**os.environ, **OPTIONS[kind]}, check=True)


def main(arguments: list[str] | None = None) -> int:
    """Build, then run everything; return 1 if something is found."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("kind", choices=sorted(RUNS))
    kind = parser.parse_args(arguments).kind
    stress_pool(kind)
    given = environment(kind, build(kind))
    failed = 0
    for command in RUNS[kind]:
        print(" ".join(command[1:]), flush=True)
        failed += subprocess.run(command, cwd=ROOT, env=given).returncode != 0
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
