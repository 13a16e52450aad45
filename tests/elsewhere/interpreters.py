"""Pythons that are unpacked from Debian, started by a script that knows what each needs."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from elsewhere import debian

ROOT = Path(__file__).parents[2]
#: What Debian calls processors, and what Python and the compilers do.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
#: The versions of the GNU library of which wheels are taken: those that such Pythons have.
GLIBC = range(17, 37)


@dataclass(frozen=True)
class Interpreter:
    """A Python, and what a build for it needs."""

    version: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


def own() -> Interpreter:
    """Return the Python that runs this."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Interpreter(version, (sys.executable,))


def write_script(path: Path, words: Sequence[str], lines: Sequence[str] = ()) -> str:
    """Write a program that runs `words` and what follows its name, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(["#!/bin/sh", *lines, f'exec {shlex.join(words)} "$@"', ""])
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def write_starter(folder: Path, words: Sequence[str], site: Path) -> str:
    """Write a script that starts a Python which imports from `site`, and return its path."""
    path = f'export PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}"{shlex.quote(str(site))}'
    script = write_script(folder / "bin" / "python", words, [path])
    # what starts Python again, as tests do, must start the script
    (site / "sitecustomize.py").write_text(
        f"import sys\n\nsys.executable = sys._base_executable = {script!r}\n"
    )
    return script


def requirements() -> list[str]:
    """Return what fastconv, its build and its tests need, as pyproject.toml says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["test"]]


def install_wheels(folder: Path, version: str, machine: str, wanted: Sequence[str]) -> Path:
    """Unpack wheels for a Python that need not run here, unless that was done."""
    done, key = folder.with_suffix(".json"), json.dumps([version, machine, *wanted])
    if done.is_file() and done.read_text() == key:
        return folder
    print(f"unpacking {', '.join(wanted)} for Python {version} on {machine}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, *"-m pip install -q --no-compile --only-binary=:all:".split()]
    command += ["--target", str(folder), "--implementation", "cp", "--python-version", version]
    for minor in reversed(GLIBC):
        command += ["--platform", f"manylinux_2_{minor}_{machine}"]
    subprocess.run([*command, "--platform", f"manylinux2014_{machine}", *wanted], check=True)
    done.write_text(key)
    return folder


def unpack(
    folder: Path, suite: str, architecture: str, version: str, emulator: Sequence[str] = ()
) -> Interpreter:
    """Unpack a Python of Debian with wheels for it, and return it.

    Parameters
    ----------
    folder : Path
        Where all goes.
    suite, architecture : str
        The release of Debian and the processor, such as ``"sid"`` and ``"arm64"``.
    version : str
        Such as ``"3.14"``, or ``"3"`` for the one that the release takes by default.
    emulator : sequence of str
        The command that runs programs of that processor in the root of the packages, if it is
        another than this one; without it they are run with the C library of their own release.
    """
    packages = [f"python{version}-dev", "libc6-dev", "libstdc++6"]
    root = debian.unpack(folder / "debian", suite, architecture, packages)
    if version == "3":
        version = (root / "usr" / "bin" / "python3").readlink().name.removeprefix("python")
    machine = MACHINES[architecture]
    triplet = f"{machine}-linux-gnu"
    site = install_wheels(folder / "site", version, machine, requirements())
    program = str(root / "usr" / "bin" / f"python{version}")
    words = [*emulator, program]
    if not emulator:
        libraries = [root / "usr" / "lib" / triplet, root / "lib" / triplet]
        loader = next(root.rglob("ld-linux-*.so.*"))
        words = [str(loader), "--library-path", os.pathsep.join(map(str, libraries)), program]
    script = write_starter(folder, words, site)
    headers = folder / "headers"
    headers.mkdir(exist_ok=True)
    beside = headers / triplet  # what Python.h asks for; not the C library's
    if not beside.is_symlink():
        beside.symlink_to(root / "usr" / "include" / triplet)
    variables = {
        "CC": "cc",
        "LDSHARED": "cc -shared",
        "CFLAGS": f"-I{root}/usr/include/python{version} -I{headers}",
    }
    return Interpreter(version, (script,), variables)
