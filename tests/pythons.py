"""Run the kernels under several Pythons: ``python tests/pythons.py``.

The Python that runs this, and on Debian two more that are unpacked in ``build/pythons`` without
installing anything: those of `RELEASES`. Names on the command line, such as ``python3.12``, are
tried beside them. For each the kernels are built as spares (which takes half the time, and gives
the same bits), and once more against the stable ABI, as one set of modules for all of them. Under
every Python both kinds must give the same bits on each instruction set, in calls of every function
that the fuzzer draws, and pass `TESTS`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from elsewhere import apart, debian, interpreters
from elsewhere.interpreters import Interpreter

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "pythons"
#: Releases of Debian, and the Pythons that they have.
RELEASES = {"trixie": "3.13", "sid": "3.14"}
SPARE = {"FASTCONV_BUILD_OPTIMIZE": "spare"}
TESTS = (
    "tests/functional/test_integers.py",
    "tests/functional/test_pool.py",
    "tests/layers/test_base.py",
    "tests/models/test_saving.py",
    "tests/test_imports.py",
)


def named(command: str) -> Interpreter:
    """Return a Python that is installed, with wheels of its own."""
    found = shutil.which(command)
    if not found:
        sys.exit(f"pythons: there is no {command}")
    asked = "import sys, sysconfig; print(*sys.version_info[:2], sysconfig.get_platform())"
    printed = subprocess.run([found, "-c", asked], check=True, capture_output=True, text=True)
    major, minor, platform = printed.stdout.split()
    version, machine = f"{major}.{minor}", platform.rpartition("-")[2]
    folder = FOLDER / Path(command).name
    wanted = interpreters.requirements()
    site = interpreters.install_wheels(folder / "site", version, machine, wanted)
    return Interpreter(version, (interpreters.write_starter(folder, [found], site),))


def every(commands: list[str]) -> list[Interpreter]:
    """Return the Pythons that are tried."""
    debian.release()  # ends the program where this is no Debian
    unpacked = [
        interpreters.unpack(FOLDER / version, suite, debian.architecture(), version)
        for suite, version in RELEASES.items()
    ]
    return [interpreters.own(), *unpacked, *map(named, commands)]


def bits(python: Interpreter, library: Path, cases: int) -> list[str]:
    """Return a line for each instruction set, dtype and function, with a digest of results."""
    asked = "from fastconv import kernels; print(*kernels.available_isas())"
    lines = []
    for isa in run(python, library, "-c", asked)[0].split():
        lines += run(python, library, "-m", "elsewhere.bits", str(cases), isa=isa)
    return lines


def run(python: Interpreter, library: Path, *words: str, isa: str = "") -> list[str]:
    """Return the lines that a Python printed."""
    given = apart.environment(library) | ({"FASTCONV_ISA": isa} if isa else {})
    command = [*python.command, "-P", *words]
    done = subprocess.run(command, env=given, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()


def main(arguments: list[str] | None = None) -> int:
    """Build and compare; return 1 if bits differ or a test fails."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--cases", type=int, default=1000, help="of the fuzzer, to compare bits")
    parser.add_argument("pythons", nargs="*", help="commands of other Pythons, such as python3.12")
    given = parser.parse_args(arguments)
    if given.cases < 1:
        parser.error(f"--cases must be at least 1, got {given.cases}: of none all bits are equal")
    pythons = every(given.pythons)
    stable = apart.build(FOLDER / "abi3", {**SPARE, "FASTCONV_ABI3": "1"})
    expected: list[str] = []
    wrong = []
    for number, python in enumerate(pythons):
        folder, variables = FOLDER / f"built-{number}", {**python.variables, **SPARE}
        for kind, library in (
            ("its own modules", apart.build(folder, variables, python.command)),
            ("modules of the stable ABI", stable),
        ):
            what = f"Python {python.version} with {kind}"
            lines = bits(python, library, given.cases)
            expected = expected or lines
            differing = [line for line in lines if line not in expected]
            same = lines == expected
            print(f"{what}: {len(lines)} digests, {'equal' if same else differing}", flush=True)
            if apart.run_tests(library, TESTS, python.command) or not same:
                wrong.append(what)
    print("\n".join(f"wrong: {what}" for what in wrong) or f"{len(pythons)} Pythons: all equal")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
