"""Run the functional tests on aarch64, under emulation: ``python tests/aarch64.py``.

On a Debian of x86-64, without root, and without installing anything: a cross compiler, an emulator
of single programs, and a Python of aarch64 with its wheels are unpacked in ``build/aarch64``, and
kept there. The kernels are cross-built, NEON and the baseline, as spares: that takes half the
time, and gives the same bits. The pool of threads is put under stress by itself, for emulators
reorder what processors do not. Then the tests run on each. Emulation tells whether results are
right, to the bit; it tells nothing about speed.

By default `TESTS` are run; ``--all`` runs all of ``tests/functional``, thousands of tests, which
takes long.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from elsewhere import apart, debian, interpreters

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "aarch64"
MACHINE = "aarch64"
EMULATOR = FOLDER / "bin" / "emulator"
STRESS = ROOT / "tests" / "sanitizers" / "pool_stress.c"
SETS = ("neon", "baseline")
#: Every kernel, on whole numbers and to the bit.
TESTS = ("tests/functional/test_integers.py", "tests/functional/test_bits.py")
#: What cannot be seen from within an emulator: whose memory it is that grows. Its own grows by some
#: megabytes when a kernel first runs.
UNSEEN = "tests/functional/test_memory.py::test_no_hidden_memory_in_direct"


def compiler(tools: Path, sysroot: Path) -> str:
    """Write the script that compiles for aarch64, and return its path."""
    libraries = f"{tools}/usr/lib/x86_64-linux-gnu:{tools}/lib/x86_64-linux-gnu"
    words = [str(tools / "usr" / "bin" / f"{MACHINE}-linux-gnu-gcc"), f"--sysroot={sysroot}"]
    path = FOLDER / "bin" / "cc"
    return interpreters.write_script(path, words, [f"export LD_LIBRARY_PATH={libraries}"])


def set_up() -> interpreters.Interpreter:
    """Unpack everything, unless it is there, and return the Python of aarch64."""
    suite = debian.release()
    if debian.architecture() != "amd64":
        sys.exit("this cross-builds on x86-64; on aarch64 itself make test runs the same tests")
    wanted = ["gcc-aarch64-linux-gnu", "qemu-user-static"]
    tools = debian.unpack(FOLDER / "tools", suite, "amd64", wanted)
    found = tools.glob("usr/bin/qemu-aarch64*")
    emulator = next(path for path in found if "_be" not in path.name)  # not of the other byte order
    root = FOLDER / "python" / "debian" / "root"
    words = [str(emulator), "-L", str(root)]
    interpreters.write_script(EMULATOR, words)
    python = interpreters.unpack(FOLDER / "python", suite, "arm64", "3", words)
    (settings,) = root.glob(
        f"usr/lib/python{python.version}/_sysconfigdata__{MACHINE}-linux-gnu.py"
    )
    (FOLDER / "settings").mkdir(exist_ok=True)
    shutil.copy(settings, FOLDER / "settings")
    variables = {
        "_PYTHON_HOST_PLATFORM": f"linux-{MACHINE}",
        "_PYTHON_SYSCONFIGDATA_NAME": settings.stem,
        "PYTHONPATH": str(FOLDER / "settings"),
        "CC": (cc := compiler(tools, root)),
        "LDSHARED": f"{cc} -shared",
        "CFLAGS": f"-I{root}/usr/include/python{python.version} -I{root}/usr/include",
        "FASTCONV_BUILD_ISAS": "all",
        "FASTCONV_BUILD_OPTIMIZE": "spare",
    }
    return interpreters.Interpreter(python.version, python.command, variables)


def stress_pool(cc: str) -> int:
    """Run the pool of threads alone, and return 0 if nothing was lost."""
    program = FOLDER / "pool_stress"
    words = [cc, "-O1", "-w", "-pthread", f"-I{ROOT / 'fastconv' / 'kernels'}", str(STRESS)]
    subprocess.run([*words, "-o", str(program)], check=True)
    # without children: under emulation a process that has threads can hang where it forks
    return subprocess.run([str(EMULATOR), str(program), "1", "no-fork"]).returncode


def main(arguments: list[str] | None = None) -> int:
    """Set up, build, and run the tests; return 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--all", action="store_true", help="all of tests/functional")
    parser.add_argument("--isa", choices=SETS, action="append", help="one alone; by default both")
    parser.add_argument("tests", nargs="*", help="files or tests to run instead")
    given = parser.parse_args(arguments)
    python = set_up()
    library = apart.build(FOLDER, python.variables)
    said = "import platform, sys; print(sys.version.split()[0], 'on', platform.machine())"
    subprocess.run([*python.command, "-c", said], check=True)
    lost = stress_pool(python.variables["CC"])
    chosen = given.tests or (["tests/functional"] if given.all else TESTS)
    words = [*chosen, f"--deselect={UNSEEN}"]
    failed = [
        isa
        for isa in given.isa or SETS
        if apart.run_tests(library, words, python.command, isa=isa) != 0
    ]
    return int(bool(failed or lost))


if __name__ == "__main__":
    sys.exit(main())
