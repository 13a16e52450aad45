"""The threads of ranks that share the cores of a machine."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from fastconv import threads
from fastconv.training.sharding.ranks import Ranks

__all__ = ["sharing_cores"]


def sharing_cores(ranks: Ranks) -> AbstractContextManager[Any]:
    """Return a context in which ranks of one machine share its cores.

    Nothing changes where somebody chose the number of threads, or where ranks are bound to cores
    of their own.
    """
    here = _cores()
    there = ranks.exchanged((_machine(ranks), here))
    if ranks.ranks == 1 or threads.is_chosen():
        return nullcontext()
    machine = there[ranks.rank][0]
    beside = sum(name == machine and bool(here & cores) for name, cores in there)
    return threads.sharing(max(1, threads.get_num_threads() // beside))


def _cores() -> frozenset[int]:
    """Return the processors that this process may run on; where nobody tells, all."""
    try:
        return frozenset(os.sched_getaffinity(0))
    except AttributeError:
        return frozenset(range(os.cpu_count() or 1))


def _machine(ranks: Ranks) -> tuple[str, int]:
    """Return what tells the machine from others: its name, and its first rank if MPI knows that."""
    comm, first = ranks.comm, -1
    kind = getattr(sys.modules.get(type(comm).__module__), "COMM_TYPE_SHARED", None)
    if kind is not None and hasattr(comm, "Split_type"):
        together = comm.Split_type(kind)
        found = np.empty(together.Get_size(), np.int64)
        together.Allgather(np.array([ranks.rank], np.int64), found)
        together.Free()
        first = int(found.min())
    return ("" if first >= 0 else platform.node()), first
