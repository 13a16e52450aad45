"""The processes that train together, each a rank; or one alone, for which nothing travels.

Of a communicator, only what mpi4py calls its buffer interface is used: ``Get_rank``, ``Get_size``,
``Allgather``, ``Bcast``, ``Isend``, ``Irecv``, ``Dup``, ``Free`` and ``Abort``.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fastconv.errors import ArgumentError, ArgumentTypeError, FastconvError, describe

__all__ = ["Ranks"]

#: What to do where one rank alone has no data, or others.
_ALL = "give every rank all of the data: fit lets each compute its own rows"

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

#: The bytes of an exchange that goes in one message.
USUAL = 2048
_REMEDY = "from mpi4py import MPI; comm=MPI.COMM_WORLD"
_NEEDED = ("Get_rank", "Get_size", "Allgather", "Bcast", "Isend", "Irecv", "Dup", "Free", "Abort")


class Ranks:
    """The ranks of a communicator, seen from one of them.

    Parameters
    ----------
    comm : communicator of mpi4py's buffer interface, or None
        None is one process alone. A communicator is duplicated, so that messages of the caller's
        are never met; `close` frees that.

    Attributes
    ----------
    rank, ranks : int
    given : communicator or None
        What it was made of.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If `comm` is no communicator, or none whose processes can train together.
    """

    def __init__(self, comm: Any = None) -> None:
        #: An error that all ranks raise, none of which is to end the others.
        self.common: BaseException | None = None
        self._usual = USUAL
        self.rank, self.ranks = 0, 1
        self.comm: Any = None
        self.given = comm
        if comm is None:
            return
        missing = [name for name in _NEEDED if not callable(getattr(comm, name, None))]
        if missing or isinstance(comm, type):
            rule = "must be a communicator of mpi4py's buffer interface"
            shown = f"{type(comm).__name__} without {missing[0]}" if missing else comm.__name__
            raise ArgumentTypeError("fit", "comm", rule, comm, _REMEDY, shown=shown)
        try:
            two_groups = getattr(comm, "Is_inter", bool)()
            self.rank, self.ranks = comm.Get_rank(), comm.Get_size()
            if self.ranks > 1 and not two_groups:
                self.comm = comm.Dup()
        except Exception as error:  # each MPI has its own, as for what is null or was freed
            rule = "must be a communicator that can be used"
            shown = describe(error).partition(", error stack:")[0]  # of MPICH
            raise ArgumentError("fit", "comm", rule, comm, _REMEDY, shown=shown) from error
        if two_groups:
            rule, remedy = "must be of one group of processes", "comm.Merge() makes one of two"
            shown = "an inter-communicator"
            raise ArgumentError("fit", "comm", rule, comm, remedy, shown=shown)

    def close(self) -> None:
        """Free the communicator."""
        comm, self.comm = self.comm, None
        if comm is not None:
            comm.Free()

    def exchanged(self, thing: T) -> list[T]:
        """Return what each rank gave, in their order; all ranks call this at the same time.

        It is pickled. Up to `USUAL` bytes travel in one message; more need a second one.
        """
        if self.comm is None:
            return [thing]
        data = pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)
        size, short = len(data), data[: self._usual]
        block = np.zeros(self._usual + 8, np.uint8)
        block[:8] = np.array([size], "<u8").view(np.uint8)
        block[8 : 8 + len(short)] = np.frombuffer(short, np.uint8)
        blocks = np.empty((self.ranks, len(block)), np.uint8)
        self.comm.Allgather(block, blocks)
        sizes = [int(one[:8].copy().view("<u8")[0]) for one in blocks]
        parts, rest = blocks[:, 8:], max(sizes) - self._usual
        if rest > 0:
            more = np.zeros(rest, np.uint8)
            more[: max(0, size - self._usual)] = np.frombuffer(data[self._usual :], np.uint8)
            others = np.empty((self.ranks, rest), np.uint8)
            self.comm.Allgather(more, others)
            parts = np.concatenate([parts, others], axis=1)
        return [pickle.loads(one[:n].tobytes()) for one, n in zip(parts, sizes, strict=True)]

    def all_have(self, number: int) -> bool:
        """Return whether all ranks gave the same number, of 64 bits; it is one short message."""
        if self.comm is None:
            return True
        own = np.array([number], "<u8").view(np.uint8)
        found = np.empty((self.ranks, own.size), np.uint8)
        self.comm.Allgather(own, found)
        return bool((found == own).all())

    def from_first(self, thing: T) -> T:
        """Return what rank 0 gave; that of the others is not read."""
        if self.comm is None:
            return thing
        data = np.frombuffer(pickle.dumps(thing) if self.rank == 0 else b"", np.uint8)
        size = np.array([data.size], np.int64)
        self.comm.Bcast(size)
        found = data.copy() if self.rank == 0 else np.empty(int(size[0]), np.uint8)
        for begin in range(0, found.size, 1 << 30):  # counts of messages are of 32 bits
            self.comm.Bcast(found[begin : begin + (1 << 30)])
        return thing if self.rank == 0 else pickle.loads(found.tobytes())

    def agreed(self, work: Callable[[], T]) -> T:
        """Return ``work()``, which every rank does; if one cannot, all raise an error.

        Those that could name the first of the others, and what it said.
        """
        error: Exception | None = None
        try:
            result = work()
        except Exception as found:
            error = found
        said = self.exchanged(None if error is None else _said(error))
        if error is not None:
            alone = None in said
            raise self.together(_with_remedy(error) if alone and _is_of_data(error) else error)
        for rank, text in enumerate(said):
            if text is not None:
                raise self.together(ArgumentError("fit", f"rank {rank}", f"failed: {text}"))
        return result

    def together(self, error: E) -> E:
        """Return an error that all ranks raise at the same time, so that nobody waits for one."""
        self.common = error
        return error


def _is_of_data(error: Exception) -> bool:
    """Whether `error` is about the data, and knows no remedy."""
    return isinstance(error, FastconvError) and error.parameter in ("x", "y") and not error.remedy


def _with_remedy(error: Any) -> Any:
    """Return an error about the data of one rank alone with what to do."""
    parts = error.operation, error.parameter, error.rule, error.value, _ALL
    return type(error)(*parts, shown=error.shown).with_traceback(error.__traceback__)


def _said(error: Exception) -> str:
    """Return what the other ranks say of an error."""
    return describe(_with_remedy(error) if _is_of_data(error) else error).removeprefix("fit: ")
