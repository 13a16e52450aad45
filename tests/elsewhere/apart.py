"""Builds the package in a folder of its own, never over what is in use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(
    folder: Path, variables: Mapping[str, str], python: Sequence[str] = (sys.executable,)
) -> Path:
    """Build the package and return the folder to import it from.

    What is made again of the same sources comes from the store of modules (building/store.py).

    Parameters
    ----------
    folder : Path
        Where all goes.
    variables : mapping of str to str
        The variables of the build, such as the switches that setup.py lists, beside those of the
        environment.
    python : sequence of str
        The command of the Python that it is built for.
    """
    library = folder / "lib"
    for path in library.rglob("*.py"):  # one that is gone from the sources would stay
        path.unlink()
    command = [*python, "setup.py", "-q", "build"]
    command += ["--build-base", str(folder), "--build-lib", str(library)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, check=True)
    return library


def environment(library: Path) -> dict[str, str]:
    """Return the environment in which tests import what was built, and children do so too."""
    return {
        **os.environ,
        # a child would import what lies in the folder it is started in, not built for this
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join((str(library), str(ROOT / "tests"))),
    }


def run_tests(
    library: Path, words: Sequence[str], python: Sequence[str] = (sys.executable,), isa: str = ""
) -> int:
    """Run pytest on what was built, and return its exit code.

    Parameters
    ----------
    library : Path
        What `build` returned.
    words : sequence of str
        What follows ``pytest``: files, and options.
    python : sequence of str
        The command of the Python that it was built for.
    isa : str
        The instruction set to use, or "" for the best.
    """
    command = [*python, *"-P -m pytest -q -p no:cacheprovider".split(), *words]
    given = environment(library) | ({"FASTCONV_ISA": isa} if isa else {})
    print(f"{f'FASTCONV_ISA={isa} ' if isa else ''}pytest {' '.join(words)}", flush=True)
    return subprocess.run(command, cwd=ROOT, env=given).returncode
