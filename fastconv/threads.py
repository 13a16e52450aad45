"""How many threads the kernels use, and how a call is cut so that Ctrl-C is heard.

The number comes from the first of these that is given: `set_num_threads`, the environment variables
``FASTCONV_NUM_THREADS`` and ``OMP_NUM_THREADS``, and the processors that this process may use
(affinity and cgroup quota).  Results never depend on it.

threadpoolctl limits fastconv's pool too: ``threadpool_limits(1)`` does what `set_num_threads`
would.  It is no dependency.  If something else, such as scikit-learn, has loaded it, fastconv makes
its pool known to it: when fastconv is imported, or else at the next large operation.

Threads of control that train side by side, such as joblib's, share this number: see `sharing`.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from threading import get_ident
from typing import Any

from fastconv.arguments import LARGEST, as_int, parse_int
from fastconv.errors import ArgumentError

__all__ = ["get_num_threads", "introduce", "run", "set_num_threads", "sharing", "usable_cpus"]

MOST_THREADS = 256
#: Up to so many multiply-adds, one thread is faster than waking a second one.
SMALL_WORK = 2_000_000
#: The time to move an element through memory, counted in multiply-adds.  Pages that are touched
#: for the first time are the slowest.
MOVE = 20
#: The multiply-adds of a part: they take at most some 50 ms on the slowest path of the active
#: instruction set.  Loading the kernels of an instruction set sets this number.
slice_work = 50_000_000

_chosen: int | None = None
#: Whether threadpoolctl has been loaded and knows the pool.
_introduced = False
#: The threads of control that are inside `sharing`, and the most that each of them may use.
_sharers: dict[int, int] = {}


def affinity_cpus() -> int:
    """Return the number of processors on which the scheduler may put this process."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity to ask for
        return os.cpu_count() or 1


def quota_cpus(root: str | os.PathLike[str] = "/sys/fs/cgroup") -> float | None:
    """Return how many processors' time the cgroup grants; None means no limit."""
    try:  # version 2: "max 100000" or "150000 100000"
        quota, period = _read(root, "cpu.max").split()
    except (OSError, ValueError):
        try:  # version 1: -1 means no limit
            quota = _read(root, "cpu/cpu.cfs_quota_us")
            period = _read(root, "cpu/cpu.cfs_period_us")
        except (OSError, ValueError):
            return None
    quota_us, period_us = parse_int(quota) or 0, parse_int(period) or 0
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None


def _read(root: str | os.PathLike[str], name: str) -> str:
    with open(os.path.join(root, name), encoding="ascii") as file:
        return file.read()


def usable_cpus() -> int:
    """Return how many threads can run at once, by affinity and by the quota, rounded up."""
    quota = quota_cpus()
    cpus = affinity_cpus()
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def _from_environment() -> int | None:
    for variable in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(variable, "").strip()
        if text:
            # OpenMP allows a list with one number for each level
            number = parse_int(text.split(",")[0]) or 0
            if not 1 <= number <= LARGEST:
                rule = f"must be at most {LARGEST}" if number > 0 else "must be at least 1"
                raise ArgumentError(
                    "fastconv",
                    f"the environment variable {variable}",
                    rule,
                    text,
                    "unset it, or set it to a number of threads",
                )
            return min(number, MOST_THREADS)
    return None


#: What is wrong with the environment variables, or None.  Whatever needs the number of threads
#: raises it, and not the import, so that ``fastconv doctor`` can report it.
refusal: ArgumentError | None = None
try:
    _default = _from_environment() or min(usable_cpus(), MOST_THREADS)
except ArgumentError as error:
    refusal, _default = error, 0


def is_chosen() -> bool:
    """Return whether somebody chose the number of threads, in the environment or by a call."""
    return _chosen is not None or _from_environment() is not None


def get_num_threads() -> int:
    """Return how many threads a large operation may use; inside `sharing`, the caller's share.

    Raises
    ------
    ArgumentError
        If an environment variable is to give the number, and its value is no such number.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.get_num_threads() >= 1
    True
    """
    count = _in_process()
    return _share(count) if _sharers else count


def _in_process() -> int:
    """Return the number that holds where nothing is shared."""
    count = _default if _chosen is None else _chosen
    if not count and refusal is not None:
        raise copy(refusal)  # a single error would keep alive what every caller refers to
    return count


def _share(count: int) -> int:
    """Return the share of the calling thread of control, or `count` if it is in no block."""
    caller = get_ident()
    most = _sharers.get(caller)
    if most is None:
        return count
    share = max(1, min(most, count // len(_sharers)))
    if share < most:
        _sharers[caller] = share
    return share


@contextmanager
def sharing(most: int = MOST_THREADS) -> Iterator[None]:
    """Let the calling thread of control use an equal share of the threads, and at most `most`.

    Everything else that is inside such a block at the same time has as large a share, so that
    together they use no more threads than one of them would alone.  A share never grows before its
    block ends: what has been planned for it still fits.  Blocks may be nested.

    Examples
    --------
    >>> with sharing(1):
    ...     get_num_threads()
    1
    """
    caller = get_ident()
    before = _sharers.get(caller)
    try:
        _sharers[caller] = most if before is None else min(most, before)
        yield
    finally:
        if before is None:
            _sharers.pop(caller, None)
        else:
            _sharers[caller] = before


def set_num_threads(n: int | None) -> None:
    """Use up to `n` threads from now on, in the whole process; None returns to the default.

    Raises
    ------
    ArgumentError
        If `n` is not between 1 and 256.
    """
    global _chosen
    _chosen = None if n is None else as_int("set_num_threads", "n", n, 1, MOST_THREADS)


def run(kernel: Callable[..., Any], *args: object, work: int, most: int = MOST_THREADS) -> Any:
    """Call ``kernel(*args, part, parts, threads)`` for each part of some `work`.

    No call uses more than `most` threads.  Return what the last call returns.

    A part takes at most about 50 ms: between parts Python handles signals.
    """
    if work <= SMALL_WORK:
        return kernel(*args, 0, 1, 1)
    if not _introduced and "threadpoolctl" in sys.modules:
        introduce()
    threads = min(get_num_threads(), most)
    parts = -(-work // slice_work)
    for part in range(parts - 1):
        kernel(*args, part, parts, threads)
    return kernel(*args, parts - 1, parts, threads)


def ask(kernel: Callable[..., Any], *args: object, work: int, most: int = MOST_THREADS) -> Any:
    """Return the engine that a kernel of convolution would take in `run`; compute nothing."""
    return kernel(*args, 0, 0, 1 if work <= SMALL_WORK else min(get_num_threads(), most))


def introduce() -> None:
    """Make the pool known to threadpoolctl if that is loaded; if not, a later `run` does."""
    global _introduced
    loaded: Any = sys.modules.get("threadpoolctl")
    _introduced = loaded is not None
    if loaded is None or not hasattr(loaded, "register"):  # added in 3.2
        return

    class Controller(loaded.LibController):  # type: ignore[misc]
        """The pool of fastconv, which threadpoolctl finds by the library that holds it."""

        user_api = "fastconv"
        internal_api = "fastconv"
        filename_prefixes = ("_pool.",)
        check_symbols = ("fastconv_pool",)

        def get_num_threads(self) -> int:
            return _in_process()  # which is what a limit that ends sets again

        def set_num_threads(self, num_threads: int) -> None:
            set_num_threads(num_threads)

        def get_version(self) -> str | None:
            # looked up at run time: modules do not import the package, which imports them all
            return getattr(sys.modules.get("fastconv"), "__version__", None)

    loaded.register(Controller)
