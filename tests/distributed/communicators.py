"""Ranks that are threads of one process, with a communicator of mpi4py's buffer interface.

Messages are late and read what is sent as late as MPI may: a buffer that is changed too early gives
wrong numbers here too.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

PATIENCE = 120.0


class Ended(BaseException):
    """Raised in every rank when one of them has called ``Abort``; MPI would kill them."""


class Fabric:
    """What the ranks of a communicator share."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size)
        self.slots: list[Any] = [None] * size
        self.lock = threading.RLock()
        self.channels: dict[Any, tuple[deque[Any], deque[Any]]] = {}
        self.children: dict[int, Fabric] = {}
        self.ended = threading.Event()

    def end(self) -> None:
        self.ended.set()
        self.barrier.abort()
        for child in self.children.values():
            child.end()

    def meet(self) -> None:
        try:
            self.barrier.wait(PATIENCE)
        except threading.BrokenBarrierError:
            raise Ended from None


class Transfer:
    """A message whose two ends are known; it is delivered when one of them is asked for."""

    def __init__(self, sent: np.ndarray, received: np.ndarray) -> None:
        self.sent, self.received, self.done = sent, received, False

    def deliver(self) -> None:
        if not self.done:
            assert (
                self.sent.nbytes == self.received.nbytes and self.sent.dtype == self.received.dtype
            )
            self.received[...] = self.sent
            self.done = True


class Request:
    def __init__(self, fabric: Fabric) -> None:
        self.fabric, self.transfer = fabric, None

    def Test(self) -> bool:  # noqa: N802
        if self.fabric.ended.is_set():
            raise Ended
        with self.fabric.lock:
            if self.transfer is None or random.random() < 0.5:
                return False
            self.transfer.deliver()
            return True

    def Wait(self) -> None:  # noqa: N802
        latest = time.monotonic() + PATIENCE
        while not self.Test():
            assert time.monotonic() < latest, "a message never came"
            time.sleep(0)


class Communicator:
    """One rank's end of a fabric."""

    def __init__(self, fabric: Fabric, rank: int) -> None:
        self._fabric, self._rank, self._children = fabric, rank, 0
        self.aborted = False

    def Get_rank(self) -> int:  # noqa: N802
        return self._rank

    def Get_size(self) -> int:  # noqa: N802
        return self._fabric.size

    def Dup(self) -> Communicator:  # noqa: N802
        with self._fabric.lock:
            child = self._fabric.children.setdefault(self._children, Fabric(self._fabric.size))
        self._children += 1
        return Communicator(child, self._rank)

    def Free(self) -> None:  # noqa: N802
        pass

    def Abort(self, code: int) -> None:  # noqa: N802
        self._fabric.end()
        raise Ended

    def Allgather(self, sent: np.ndarray, received: np.ndarray) -> None:  # noqa: N802
        fabric = self._fabric
        fabric.slots[self._rank] = sent
        fabric.meet()
        received.reshape(fabric.size, -1)[...] = [one.reshape(-1) for one in fabric.slots]
        fabric.meet()

    def Bcast(self, array: np.ndarray, root: int = 0) -> None:  # noqa: N802
        fabric = self._fabric
        if self._rank == root:
            fabric.slots[0] = array
        fabric.meet()
        if self._rank != root:
            array[...] = fabric.slots[0]
        fabric.meet()

    def Isend(self, array: np.ndarray, dest: int, tag: int = 0) -> Request:  # noqa: N802
        return self._post((self._rank, dest, tag), 0, array)

    def Irecv(self, array: np.ndarray, source: int, tag: int = 0) -> Request:  # noqa: N802
        return self._post((source, self._rank, tag), 1, array)

    def _post(self, channel: Any, side: int, array: np.ndarray) -> Request:
        assert array.flags.c_contiguous
        fabric, request = self._fabric, Request(self._fabric)
        with fabric.lock:
            queues = fabric.channels.setdefault(channel, (deque(), deque()))
            queues[side].append((array, request))
            while all(queues):
                (sent, sender), (received, receiver) = (queue.popleft() for queue in queues)
                sender.transfer = receiver.transfer = Transfer(sent, received)
        return request


def on_ranks(count: int, work: Callable[[Communicator], Any]) -> list[Any]:
    """Return what ``work(comm)`` returns or raises on each of so many ranks, all at once."""
    fabric, found = Fabric(count), [None] * count

    def run(rank: int) -> None:
        try:
            found[rank] = work(Communicator(fabric, rank))
        except BaseException as error:
            found[rank] = error
            if not isinstance(error, (Ended, ValueError, TypeError)):
                fabric.end()

    ranks = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(count)]
    for thread in ranks:
        thread.start()
    for thread in ranks:
        thread.join(2 * PATIENCE)
    assert not any(thread.is_alive() for thread in ranks), "a rank never ended"
    return found
