"""Holds fastconv and all peers to AVX2, on a processor that has AVX-512.

Most peers have no switch for that. So the whole comparison starts again with a small library before
all others, which answers the instruction CPUID as a processor without AVX-512 would. What it shows
is AVX2 on the cores of this processor: not the smaller caches of older ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["HELD", "environment", "is_held"]

SOURCE = Path(__file__).with_suffix(".c")
KEPT = Path(__file__).parents[2] / "build" / "held"

#: What reports of such a run are called, in the place of the instruction set.
HELD = "avx2-held"
#: glibc has chosen its own copies of memory before any library is loaded.
_GLIBC = "glibc.cpu.hwcaps=" + ",".join(f"-AVX512{part}" for part in ("F", "VL", "BW", "DQ", "CD"))


def is_held(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process is held to AVX2."""
    return any(Path(one).parent == KEPT for one in environ.get("LD_PRELOAD", "").split(":"))


def environment() -> dict[str, str]:
    """Return the environment of a process that is held to AVX2; build the library for it.

    Raises
    ------
    ValueError
        If this machine cannot do that.
    """
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise ValueError("--held must be left out: CPUID can be answered on Linux and x86-64 alone")
    library = KEPT / "held.so"
    if not library.exists() or library.stat().st_mtime < SOURCE.stat().st_mtime:
        KEPT.mkdir(parents=True, exist_ok=True)
        compiler = os.environ.get("CC", "cc").split()
        command = [*compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ValueError(f"--held needs a C compiler, cc or what CC names: {error}") from error
    loaded = [str(library), *filter(None, [os.environ.get("LD_PRELOAD", "")])]
    tunables = [*filter(None, [os.environ.get("GLIBC_TUNABLES", "")]), _GLIBC]
    found = {**os.environ, "LD_PRELOAD": ":".join(loaded), "GLIBC_TUNABLES": ":".join(tunables)}
    works = subprocess.run([sys.executable, "-c", ""], env=found, capture_output=True, text=True)
    if works.returncode:
        raise ValueError(f"--held must be left out: {works.stderr.strip()}")
    return found
