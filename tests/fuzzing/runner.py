"""Processes that work through case numbers; what crashes or hangs is named, and they go on.

A worker writes the number of a case to a file that it shares with its parent before it runs
the case, so the number is known also where the process ends in the middle.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

#: What a worker shares with its parent: the case that runs, cases done, failures, and whether
#: it runs any yet.
CURRENT, DONE, FAILED, BEGUN = range(4)
POLL_SECONDS = 0.05
#: After which a worker that has not begun never will.
START_SECONDS = 600.0


def work(first: int, end: int, progress: Path) -> None:
    """Run the cases from `first` to before `end` and print what is wrong."""
    from fuzzing import kinds
    from fuzzing.guard import Memory

    faulthandler.enable()
    warnings.simplefilter("error")
    shared, memory = np.memmap(progress, np.int64, "r+"), Memory()
    parent = os.getppid()
    for number in range(first, end):
        if os.getppid() != parent:  # it was ended, and nobody reads what is found
            return
        shared[CURRENT], shared[BEGUN] = number, 1
        try:
            kinds.run(number, memory)
        except kinds.Failure as failure:
            shared[FAILED] += 1
            print(failure, flush=True)
        shared[DONE] += 1


class Worker:
    """A process that works through a range of numbers."""

    def __init__(
        self,
        command: Sequence[str],
        first: int,
        end: int,
        progress: Path,
        environment: dict[str, str] | None,
    ):
        self.command, self.end, self.progress = command, end, progress
        self.environment = environment
        np.zeros(4, np.int64).tofile(progress)
        self.shared = np.memmap(progress, np.int64, "r+")
        self.start(first)

    def start(self, first: int) -> None:
        """Begin, or after a crash begin again, with the case `first`."""
        self.shared[CURRENT], self.shared[BEGUN] = first, 0
        self.last, self.seen = (first, 0), time.monotonic()
        command = [*self.command, str(first), str(self.end), str(self.progress)]
        self.process = subprocess.Popen(command, env=self.environment)

    def look(self, patience: float) -> bool:
        """Return whether it still works; what ended or hangs is reported, and the rest begun."""
        code = self.process.poll()
        if code == 0:
            return False
        current, begun, now = int(self.shared[CURRENT]), self.shared[BEGUN], time.monotonic()
        if (current, begun) != self.last:
            self.last, self.seen = (current, begun), now
        limit = patience if begun else START_SECONDS
        if code is None and now - self.seen < limit:
            return True
        if code is None:
            self.stop()
            what = f"has not ended within {limit:.0f} s"
        else:
            what = f"ends the process: {_name(code)}"
        print(f"case {current} {what}", flush=True)
        self.shared[FAILED] += 1
        if current + 1 < self.end:
            self.start(current + 1)
            return True
        return False

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def _name(code: int) -> str:
    return f"exit code {code}" if code > 0 else signal.Signals(-code).name


def run(
    command: Sequence[str],
    first: int,
    cases: int,
    *,
    jobs: int = 1,
    most: int = 20,
    patience: float = 300.0,
    environment: dict[str, str] | None = None,
) -> tuple[int, int]:
    """Run cases in `jobs` processes, each `command` with a range and a file as arguments.

    Returns the number of cases that were run and of those that failed; after `most` failures
    it ends.
    """
    edges = [first + cases * job // jobs for job in range(jobs + 1)]
    ranges = [(begin, end) for begin, end in zip(edges, edges[1:], strict=False) if begin < end]
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            Worker(command, begin, end, Path(folder) / str(begin), environment)
            for begin, end in ranges
        ]
        try:
            working = list(workers)
            while working and _total(workers, FAILED) < most:
                time.sleep(POLL_SECONDS)
                working = [worker for worker in working if worker.look(patience)]
        finally:
            for worker in workers:
                worker.stop()
        return _total(workers, DONE), _total(workers, FAILED)


def _total(workers: Sequence[Worker], what: int) -> int:
    return sum(int(worker.shared[what]) for worker in workers)


def environment(isa: str) -> dict[str, str]:
    """The environment of a worker on an instruction set, with the fastconv of this process."""
    import fastconv

    here = [Path(__file__).parents[1], Path(fastconv.__file__).parents[1]]
    paths = [*map(str, here), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    return {**os.environ, "PYTHONPATH": path, "FASTCONV_ISA": isa, "FASTCONV_COSTS": "shipped"}


def usable_jobs() -> int:
    """Return how many processes can run at once."""
    from fastconv import threads

    return threads.usable_cpus()


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
