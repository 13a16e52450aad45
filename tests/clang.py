"""Build the kernels with Clang, and run the functional tests: ``python tests/clang.py``.

``CLANG`` names the compiler; by default it is ``clang``, and on a Debian that has none one is
unpacked in ``build/clang``, which installs nothing. The modules are built there, as for use, with
every warning of ``-Wall`` an error; never over those in use.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from elsewhere import apart, debian, interpreters

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "clang"
TESTS = ("tests/functional",)


def find_clang() -> str:
    """Return the command of Clang; unpack it where there is none."""
    named = os.environ.get("CLANG", "clang")
    if found := shutil.which(named):
        return found
    if "CLANG" in os.environ:
        sys.exit(f"clang: there is no {named}, which CLANG names")
    suite, architecture = debian.release(), debian.architecture()
    root = debian.unpack(FOLDER / "debian", suite, architecture, ["clang"])
    machine = f"{interpreters.MACHINES.get(architecture, architecture)}-linux-gnu"
    folders = [f"{root}/usr/lib/{machine}", *map(str, root.glob("usr/lib/llvm-*/lib"))]
    lines = [f"export LD_LIBRARY_PATH={':'.join(folders)}"]
    program = str(root / "usr" / "bin" / "clang")
    return interpreters.write_script(FOLDER / "bin" / "clang", [program], lines)


def main(arguments: list[str] | None = None) -> int:
    """Build, and run the tests on each instruction set; return 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--isa", action="append", help="one alone; by default all that run here")
    parser.add_argument("tests", nargs="*", default=TESTS, help="files or tests to run instead")
    given = parser.parse_args(arguments)
    clang = find_clang()
    subprocess.run([clang, "--version"], check=True)
    flags = f"{os.environ.get('CFLAGS', '')} -Werror"
    library = apart.build(FOLDER, {"CC": clang, "LDSHARED": f"{clang} -shared", "CFLAGS": flags})
    asked = "from fastconv import kernels; print(*kernels.available_isas())"
    command = [sys.executable, "-P", "-c", asked]
    printed = subprocess.run(
        command, env=apart.environment(library), check=True, capture_output=True, text=True
    )
    failed = [
        isa
        for isa in given.isa or printed.stdout.split()
        if apart.run_tests(library, list(given.tests), isa=isa) != 0
    ]
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
