"""Holds fastconv and all peers to AVX2, on a processor that has AVX-512.

Most peers have no switch for that. So the whole comparison starts again with a small library before
all others, which answers the instruction CPUID as a processor without AVX-512 would. Where the
processor cannot fault on CPUID (AMD's before Zen 5), all packages are copied, and each CPUID in
their libraries becomes an instruction that does. What it shows is AVX2 on the cores of this
processor: not the smaller caches of older ones.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

__all__ = ["HELD", "environment", "is_held"]

SOURCE = Path(__file__).with_suffix(".c")
KEPT = Path(__file__).parents[2] / "build" / "held"

#: What reports of such a run are called, in the place of the instruction set.
HELD = "avx2-held"
_CPUID, _STAND_IN = b"\x0f\xa2", b"\x0f\x04"
#: The type of a part of an ELF file that is loaded, PT_LOAD.
_LOADED = 1
#: glibc has chosen its own copies of memory before any library is loaded.
_GLIBC = "glibc.cpu.hwcaps=" + ",".join(f"-AVX512{part}" for part in ("F", "VL", "BW", "DQ", "CD"))


def is_held(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process is held to AVX2."""
    return any(Path(one).parent == KEPT for one in environ.get("LD_PRELOAD", "").split(":"))


def environment(installed: Path | None = None) -> dict[str, str]:
    """Return the environment of a process that is held to AVX2; build the library for it.

    Parameters
    ----------
    installed : Path, optional
        The packages that are copied where the processor does not fault on CPUID; by default all
        that Python has.

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
    failure = _failure(found, "")
    if "cannot fault on CPUID" in failure:
        found["HELD_COPIES"] = str(_copies(installed or Path(sysconfig.get_path("platlib"))))
        paths = [found["HELD_COPIES"], *filter(None, [os.environ.get("PYTHONPATH", "")])]
        # fastconv may be installed in place, and is then not among the copies
        found |= {"PYTHONPATH": ":".join(paths), "FASTCONV_ISA": "avx2"}
        failure = _failure(found, "import numpy")
    if failure:
        raise ValueError(f"--held must be left out: {failure}")
    return found


def _failure(environ: Mapping[str, str], program: str) -> str:
    """Return what a Python program under the library says when it fails, or ""."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    return (done.stderr.strip() or "Python does not start") if done.returncode else ""


def _copies(installed: Path) -> Path:
    """Return a folder of all installed packages, without a CPUID in their libraries."""
    missing = [tool for tool in ("sh", "objdump", "grep") if shutil.which(tool) is None]
    if missing:
        raise ValueError(f"--held must be left out: it needs {' and '.join(missing)} here")
    kept = KEPT / "packages"
    made = kept / ".made"
    is_kept = made.exists() and made.read_text() == str(installed)
    if is_kept and made.stat().st_mtime > installed.stat().st_mtime:
        return kept
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(installed, kept, ignore=shutil.ignore_patterns("__pycache__"))
    for library in sorted(kept.rglob("*.so*")):
        if library.is_file():
            _replace_cpuid(library)
    made.write_text(str(installed))
    return kept


def _replace_cpuid(library: Path) -> None:
    """Write an instruction that no processor has over each CPUID of a library."""
    code = library.read_bytes()
    if code[:6] != b"\x7fELF\x02\x01" or _CPUID not in code:
        return
    listing = '{ objdump --disassemble "$0" || echo failed >&2; } | grep -P "\\t0f a2 *\\tcpuid"'
    found = subprocess.run(["sh", "-c", listing, library], capture_output=True, text=True)
    if found.returncode > 1 or found.stderr.endswith("failed\n"):  # 1: there is none
        raise ValueError(f"--held must be left out: {library}: {found.stderr.strip()}")
    patched = bytearray(code)
    for line in found.stdout.splitlines():
        at = _offset(code, int(line.partition(":")[0], 16))
        if patched[at : at + 2] != _CPUID:
            raise ValueError(f"--held must be left out: no CPUID where it was seen in {library}")
        patched[at : at + 2] = _STAND_IN
    library.write_bytes(patched)


def _offset(code: bytes, address: int) -> int:
    """Return where in the file of a 64-bit library the code of an address is."""
    (table,) = struct.unpack_from("<Q", code, 32)
    size, count = struct.unpack_from("<HH", code, 54)
    for number in range(count):
        kind, _, offset, start, _, length = struct.unpack_from(
            "<IIQQQQ", code, table + number * size
        )
        if kind == _LOADED and start <= address < start + length:
            return int(offset + address - start)
    raise ValueError(f"--held must be left out: no part of a library has the address {address:#x}")
