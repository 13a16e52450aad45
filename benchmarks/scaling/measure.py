"""Measure what the model takes, on two ranks of this machine, and steps that it must reproduce.

    mpiexec -n 2 python -m mpi4py -m scaling.measure      # from benchmarks/; or: make scale

Both ranks do everything at the same time, one thread each, since so they do when they train
together: they share caches, memory and the clock of the processor. Of each call the fastest of many
counts, on the slower of the ranks, for which the other waits in a step. What is compared takes
turns: what a network costs on each rank for itself, and its steps on both, which must follow from
it. Rank 0 writes `two_ranks.json`.
"""

from __future__ import annotations

import datetime
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
from mpi4py import MPI
from peers.machine import Others, processor

import fastconv
from scaling.measured import FILE
from scaling.networks import NETWORKS, STEPS, Case, Network

#: Bytes that are read in turn, so that none of them is in a cache, as gradients are not.
SPREAD = 64 << 20
#: Bytes of a message that has the bandwidth, and of one that has nothing but costs of its own.
LARGE, SMALL = (1 << 20, 2 << 20, 4 << 20), 8
#: Seconds for which everything is repeated, and how often at least networks are measured: more
#: often those with steps on both ranks, which on a shared host are seldom undisturbed at one time.
LONG, ROUNDS, TOGETHER = 2.0, 6, 20

Array = np.ndarray[Any, Any]


def main() -> None:
    """Measure everything, or the networks that are named; write it down beside the others."""
    comm = MPI.COMM_WORLD
    if comm.Get_size() != 2:
        raise SystemExit(
            "scaling.measure: it takes two ranks: mpiexec -n 2 python -m mpi4py -m ..."
        )
    fastconv.set_num_threads(1)
    others = Others()
    only = set(sys.argv[1:])
    found: dict[str, Any] = {
        "link": link(comm),
        "adding": adding(comm),
        "networks": {},
        "steps": [],
    }
    if only:
        before = json.loads(FILE.read_text())
        found["networks"] = before["networks"]
        found["steps"] = [one for one in before["steps"] if one["network"] not in only]
    for network in NETWORKS:
        if not only or network.name in only:
            found["networks"][network.name], steps = work(comm, network)
            found["steps"] += steps
    if comm.Get_rank() == 0:
        described = {**describe(), "quiet": str(others)}
        FILE.write_text(json.dumps({"measured": described, **found}, indent=1) + "\n")
        print(f"written: {FILE}")


def describe() -> dict[str, str]:
    """Return what a reader of the figures has to know."""
    library = MPI.Get_library_version().split("\n")[0].replace("Version:", "").split()
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "instruction set": fastconv.active_isa(),
        "ranks": "2 processes on one machine, 1 thread each",
        "transport": f"shared memory of {' '.join(library)}",
        "versions": f"fastconv {fastconv.__version__}, mpi4py {metadata.version('mpi4py')}, "
        f"NumPy {metadata.version('numpy')}, Python {platform.python_version()}",
    }


def told(name: str, seconds: float) -> None:
    """Print what was measured, on rank 0."""
    if MPI.COMM_WORLD.Get_rank() == 0:
        print(f"{name:48}{1e3 * seconds:12.4f} ms", flush=True)


def in_turn(comm: MPI.Comm, calls: Sequence[Callable[[], float]], rounds: int) -> list[float]:
    """Return the least that each call returns, on the slower rank; both do the same calls.

    The calls take turns, so that what slows the machine for a while slows all of them.

    Parameters
    ----------
    rounds : int
        How often at least; more often until `LONG` has passed.
    """
    begin, least = time.perf_counter(), [float("inf")] * len(calls)
    go_on = True
    while go_on:
        least = [min(before, call()) for before, call in zip(least, calls, strict=True)]
        rounds -= 1
        wanted = rounds > 0 or time.perf_counter() - begin < LONG
        go_on = comm.allreduce(wanted, MPI.LOR)
    return [comm.allreduce(seconds, MPI.MAX) for seconds in least]


def repeated(comm: MPI.Comm, call: Callable[[], float]) -> float:
    """Return the least that one call returns, on the slower rank."""
    return in_turn(comm, [call], 5)[0]


# Messages and additions.


def link(comm: MPI.Comm) -> dict[str, float]:
    """Return latency, overhead and bandwidth, of messages that both ranks send at once."""
    other = 1 - comm.Get_rank()
    block, room = np.ones(SPREAD, np.uint8), np.zeros(SPREAD, np.uint8)

    def there_and_back() -> float:
        begin = time.perf_counter()
        for _ in range(500):
            if other:
                comm.Send(block[:SMALL], other)
                comm.Recv(room[:SMALL], other)
            else:
                comm.Recv(room[:SMALL], other)
                comm.Send(block[:SMALL], other)
        return (time.perf_counter() - begin) / 1000

    def exchange(size: int) -> Callable[[], float]:
        count = min(SPREAD // size, 500)

        def once() -> float:
            comm.Barrier()
            begin = time.perf_counter()
            for at in range(0, count * size, size):
                waiting = [comm.Irecv(room[at : at + size], other)]
                waiting.append(comm.Isend(block[at : at + size], other))
                for request in waiting:
                    request.Wait()
            return (time.perf_counter() - begin) / count

        return once

    short = repeated(comm, there_and_back)
    together = repeated(comm, exchange(SMALL))
    overhead = min(short, together)
    per_byte = sorted((repeated(comm, exchange(size)) - overhead) / size for size in LARGE)
    told("a message of 8 bytes, one way", short)
    told("the same, both at once", together)
    told("a megabyte, both at once", 1e6 * per_byte[1])
    return {
        "latency": max(short - overhead, 0.0),
        "overhead": overhead,
        "bandwidth": 1 / per_byte[1],
    }


def adding(comm: MPI.Comm) -> float:
    """Return the seconds of adding a byte of one array to another."""
    a, b = np.ones(SPREAD // 4, np.float32), np.ones(SPREAD // 4, np.float32)
    size = LARGE[1] // 4

    def once() -> float:
        comm.Barrier()
        begin = time.perf_counter()
        for at in range(0, len(a), size):
            np.add(a[at : at + size], b[at : at + size], out=a[at : at + size])
        return (time.perf_counter() - begin) / SPREAD

    found = repeated(comm, once)
    told("adding a megabyte", 1e6 * found)
    return found


# Steps.


class Clock(fastconv.training.Callback):
    """The seconds of every step of a fit but the first."""

    def on_fit_begin(self, run: fastconv.training.callbacks.Run) -> None:
        self.ends: list[float] = []

    def on_batch_end(self, run: Any, batch: int, figures: Any) -> None:
        self.ends.append(time.perf_counter())

    @property
    def fastest(self) -> float:
        """The seconds of a step."""
        return float(np.diff(self.ends).min())


def data(net: fastconv.Model, rows: int) -> tuple[Array, Array]:
    """Return made-up images, and labels of the form that the network's loss takes."""
    rng = np.random.default_rng(0)
    x = rng.random((rows, *net.input_specs()[0].shape), np.float32)
    outputs = net.output_specs()[0].shape
    if len(outputs) > 1:
        return x, rng.integers(0, 2, (rows, *outputs)).astype(np.float32)
    return x, rng.integers(0, outputs[0], rows)


def fitted(comm: MPI.Comm, net: fastconv.Model, case: Case, together: bool) -> float:
    """Return the seconds of a step of `fit`, the fastest of about half a second's worth.

    Parameters
    ----------
    together : bool
        Whether the ranks share the batch; else each has one of its own, at the same time.
    """
    clock = Clock()
    x, y = data(net, case.batch)
    steps = 3
    while True:
        comm.Barrier()
        net.fit(
            np.concatenate([x] * steps),
            np.concatenate([y] * steps),
            batch_size=case.batch,
            epochs=1,
            shuffle=False,
            verbose=0,
            callbacks=[clock],
            shards=case.shards,
            comm=comm if together else None,
        )
        slowest = comm.allreduce(clock.fastest, MPI.MAX)
        if steps > 3 or slowest > 0.2:
            return clock.fastest
        steps = min(4 + round(0.5 / slowest), 100)


def work(comm: MPI.Comm, network: Network) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what a network costs on a rank, and its steps on both together.

    The costs follow from steps of several batches in several pieces, by each rank for itself.
    """
    net, alone = network.make(), network.cases()
    together = [case for case in STEPS if case.network == network.name]
    calls = [partial(fitted, comm, net, case, False) for case in alone]
    calls += [partial(fitted, comm, net, case, True) for case in together]
    times = in_turn(comm, calls, TOGETHER if together else ROUNDS)
    steps = []
    for case, seconds in zip(alone + together, times, strict=True):
        steps.append({**vars(case), "seconds": seconds})
        ranks = "1 rank" if len(steps) <= len(alone) else "2 ranks"
        told(f"{case.network}: {case.batch} rows, {case.shards} pieces, {ranks}", seconds)
    plan = net.plan(1, training=True)
    costs = {
        "parameter_bytes": plan.parameter_bytes,
        "multiply_adds": plan.multiply_adds,
        "alone": [
            {key: one[key] for key in ("batch", "shards", "seconds")} for one in steps[: len(alone)]
        ],
    }
    return costs, steps[len(alone) :]


if __name__ == "__main__":
    main()
