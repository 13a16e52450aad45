"""How many threads the kernels use, and how a call is cut so that Ctrl-C is heard.

The number is the first of: `set_num_threads`, the environment variables
``FASTCONV_NUM_THREADS`` and ``OMP_NUM_THREADS``, and the processors that this process may
use (affinity and cgroup quota).  Results never depend on it.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

from .arguments import as_int
from .errors import ArgumentError

__all__ = ["get_num_threads", "run", "set_num_threads", "usable_cpus"]

MOST_THREADS = 256
#: Multiply-adds below which waking a second thread costs more than it brings.
SMALL_WORK = 2_000_000
#: What it costs to move an element through memory, in multiply-adds; pages that are touched
#: for the first time are the slowest.
MOVE = 20
#: Multiply-adds of a part, some 50 ms at the most on the slowest path of the active
#: instruction set, which sets it when it is loaded.
slice_work = 50_000_000

_chosen: int | None = None
#: Called once, before the first large operation with threadpoolctl loaded: see threadpools.py.
introduce: Callable[[], None] | None = None


def affinity_cpus() -> int:
    """Return the processors that the scheduler may put this process on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity to ask for
        return os.cpu_count() or 1


def quota_cpus(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the processors' worth of time that the cgroup grants, None for no limit."""
    try:  # version 2: "max 100000" or "150000 100000"
        quota, period = (root / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:  # version 1: -1 is no limit
        quota_us = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((root / "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None


def usable_cpus() -> int:
    """Return the threads that can run at once: affinity, and the quota rounded up."""
    quota = quota_cpus()
    cpus = affinity_cpus()
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def _from_environment() -> int | None:
    for variable in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(variable, "").strip()
        if text:
            first = text.split(",")[0].strip()  # OpenMP allows a list, one number a level
            if not first.isdigit() or not 1 <= int(first) <= 2**31 - 1:
                raise ArgumentError(
                    f"fastconv: the environment variable {variable} must be at least 1, "
                    f"got {text!r}"
                )
            return min(int(first), MOST_THREADS)
    return None


_default = _from_environment() or min(usable_cpus(), MOST_THREADS)


def get_num_threads() -> int:
    """Return how many threads a large operation may use.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.get_num_threads() >= 1
    True
    """
    return _default if _chosen is None else _chosen


def set_num_threads(n: int | None) -> None:
    """Use up to `n` threads from now on, in the whole process; None returns to the default.

    Raises
    ------
    ArgumentError
        If `n` is not between 1 and 256.
    """
    global _chosen
    _chosen = None if n is None else as_int("set_num_threads", "n", n, 1, MOST_THREADS)


def run(
    kernel: Callable[..., None], *args: object, work: int, most: int = MOST_THREADS
) -> None:
    """Call ``kernel(*args, part, parts, threads)`` for each part of some `work`.

    No call uses more than `most` threads.

    A part takes at most about 50 ms: between parts Python handles signals.
    """
    if work <= SMALL_WORK:
        kernel(*args, 0, 1, 1)
        return
    if introduce is not None and "threadpoolctl" in sys.modules:
        introduce()
    threads = min(_default if _chosen is None else _chosen, most)
    parts = -(-work // slice_work)
    for part in range(parts):
        kernel(*args, part, parts, threads)
