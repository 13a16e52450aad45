"""The environment variables that a builder may set."""

from __future__ import annotations

import os
import sys

ISAS = "FASTCONV_BUILD_ISAS"


def is_on(variable: str, default: bool) -> bool:
    """Return whether a switch is "1"; end the build if it is neither 0 nor 1."""
    value = os.environ.get(variable) or str(int(default))
    if value not in ("0", "1"):
        sys.exit(f"setup.py: {variable} must be 0 or 1, got {value!r}")
    return value == "1"


def sanitizer() -> str:
    """Return "address" (which includes undefined behaviour), "thread", or "" for no sanitizer."""
    value = os.environ.get("FASTCONV_SANITIZE") or "0"
    known = {"0": "", "1": "address", "address": "address", "thread": "thread"}
    if value not in known:
        sys.exit(f"setup.py: FASTCONV_SANITIZE must be 0, address or thread, got {value!r}")
    return known[value]


def jobs() -> int:
    """Return how many modules are compiled at once: ``MAX_JOBS``, or the number of processors."""
    value = os.environ.get("MAX_JOBS")
    if not value:
        try:
            return len(os.sched_getaffinity(0))
        except AttributeError:  # a system without affinity
            return os.cpu_count() or 1
    if not (value.isascii() and value.isdigit() and 0 < int(value) < 10_000):
        sys.exit(f"setup.py: MAX_JOBS must be a number from 1 to 9999, got {value!r}")
    return int(value)


VECTORS = is_on("FASTCONV_VECTORS", True)
THREADS = is_on("FASTCONV_THREADS", True)
SANITIZE = sanitizer()
OPTIMIZE = is_on("FASTCONV_BUILD_OPTIMIZE", True)
ASKED = os.environ.get(ISAS) or "native"
JOBS = jobs()
