"""The environment variables that a builder may set."""

from __future__ import annotations

import math
import os
import sys
import sysconfig
from pathlib import Path

ISAS = "FASTCONV_BUILD_ISAS"


def is_on(variable: str, default: bool) -> bool:
    """Return whether a switch is "1"; end the build if it is neither 0 nor 1."""
    value = os.environ.get(variable) or str(int(default))
    if value not in ("0", "1"):
        sys.exit(f"setup.py: {variable} must be 0 or 1, got {value!r}")
    return value == "1"


def optimization() -> str:
    """Return "1", "0", or "spare" for what compiles fast to the same bits."""
    value = os.environ.get("FASTCONV_BUILD_OPTIMIZE") or "1"
    if value not in ("0", "1", "spare"):
        sys.exit(f"setup.py: FASTCONV_BUILD_OPTIMIZE must be 0, 1 or spare, got {value!r}")
    return value


def sanitizer() -> str:
    """Return "address" (which includes undefined behaviour), "thread", or "" for no sanitizer."""
    value = os.environ.get("FASTCONV_SANITIZE") or "0"
    known = {"0": "", "1": "address", "address": "address", "thread": "thread"}
    if value not in known:
        sys.exit(f"setup.py: FASTCONV_SANITIZE must be 0, address or thread, got {value!r}")
    return known[value]


def abi3() -> bool:
    """Return whether modules are for every Python; end the build if this one cannot make them."""
    on = is_on("FASTCONV_ABI3", False)
    if on and sysconfig.get_config_var("Py_GIL_DISABLED"):
        sys.exit(
            "setup.py: FASTCONV_ABI3=1 needs a Python with a global lock, since that without one "
            "has no stable ABI of 3.11: build for it alone, without this variable"
        )
    return on


def jobs() -> int:
    """Return how many modules are compiled at once: ``MAX_JOBS``, or the processors granted."""
    value = os.environ.get("MAX_JOBS")
    if not value:
        return granted_processors()
    if not (value.isascii() and value.isdigit() and 0 < int(value) < 10_000):
        sys.exit(f"setup.py: MAX_JOBS must be a number from 1 to 9999, got {value!r}")
    return int(value)


def granted_processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many processors affinity and the container's quota leave to this build."""
    try:
        processors = len(os.sched_getaffinity(0))
    except AttributeError:  # a system without affinity
        processors = os.cpu_count() or 1
    files = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))  # versions 2 and 1
    for names in files:
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
            granted = int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):  # not there, or "max": no limit
            continue
        if granted > 0:  # version 1 has -1 for no limit
            return max(1, min(processors, math.ceil(granted)))
    return processors


VECTORS = is_on("FASTCONV_VECTORS", True)
THREADS = is_on("FASTCONV_THREADS", True)
SANITIZE = sanitizer()
OPTIMIZE = optimization() != "0"
SPARE = optimization() == "spare"
ABI3 = abi3()
ASKED = os.environ.get(ISAS) or "native"
JOBS = jobs()
