"""Training over MPI: what two ranks do in the time of one, and the tree of sums beside Allreduce.

``python benchmarks/scale.py`` starts the ranks by itself, each with one thread, and needs mpi4py.
It prints, for each network, the seconds of a step on one rank and on two, and the efficiency: the
time of one divided by twice that of two. Then, for 1 to 100 MB of gradients on two ranks, the
milliseconds of MPI's own Allreduce, whose sums depend on the number of ranks, and those of the
exchange of ``fit``, whose sums do not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

BATCH, SHARDS = 256, 16
NETWORKS = {
    "SimpleConvNet": {},
    "DeepConvNet": {},
    "ResNet18": {"input_shape": (3, 32, 32), "classes": 10},
}
MEGABYTES = (1, 4, 16, 40, 100)


def steps(name: str, count: int) -> list[float]:
    """Return the seconds of each step of training, but for the first two."""
    from mpi4py import MPI

    import fastconv
    from fastconv.training import Callback

    class Clock(Callback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_batch_end(self, run: Any, batch: int, figures: Any) -> None:
            self.times.append(time.perf_counter())

    net = fastconv.create_model(name, seed=0, **NETWORKS[name])
    net.compile("sgd", "softmax_cross_entropy")
    (spec,) = net.input_specs()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH * 2, *spec.shape), np.float32)
    y = rng.integers(0, 10, len(x))
    clock, epochs = Clock(), 1 + count // 2
    settings = {"batch_size": BATCH, "epochs": epochs, "shards": SHARDS, "verbose": 0}
    net.fit(x, y, comm=MPI.COMM_WORLD, callbacks=[clock], **settings)
    return np.diff(clock.times)[1:].tolist()


def sums(megabytes: int, count: int) -> dict[str, list[float]]:
    """Return the seconds of each exchange of so many bytes, by Allreduce and by the tree."""
    from mpi4py import MPI

    from fastconv.training.sharding.layout import Layout
    from fastconv.training.sharding.ranks import Ranks
    from fastconv.training.sharding.sums import Blocks, Sums
    from fastconv.training.sharding.travelling import Travel

    comm = MPI.COMM_WORLD
    ranks, blocks = Ranks(comm), Blocks()
    size = megabytes * 1_000_000 // 4
    layout = Layout([("gradient", (size,), np.dtype(np.float32))])
    nodes = [[(rank, rank + 1)] for rank in range(ranks.ranks)]
    own, result = np.full(size, 1.0 + ranks.rank, np.float32), np.zeros(size, np.float32)
    found: dict[str, list[float]] = {"allreduce": [], "tree": []}
    for _ in range(count + 1):
        comm.Barrier()
        begin = time.perf_counter()
        comm.Allreduce(own, result)
        found["allreduce"].append(time.perf_counter() - begin)
        travel = Travel(ranks, layout, nodes, blocks.scratch)
        travel.blocks = Sums(layout, nodes[ranks.rank], blocks, travel.final).kept
        travel.blocks[0].view(np.float32)[...] = own
        comm.Barrier()
        begin = time.perf_counter()
        travel.final(0)
        travel.finish()
        found["tree"].append(time.perf_counter() - begin)
        assert (travel.blocks[0].view(np.float32) == result).all()
        del travel
    ranks.close()
    return {name: times[1:] for name, times in found.items()}


def on(ranks: int, *job: object) -> Any:
    """Return what a job finds on so many ranks: of each rank, as JSON."""
    beside = Path(sys.executable).with_name("mpiexec")
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None:
        sys.exit("no mpiexec here: pip install 'fastconv[mpi]'")
    script = [sys.executable, "-m", "mpi4py", str(Path(__file__).resolve())]
    environment = {**os.environ, "FASTCONV_NUM_THREADS": "1", "FASTCONV_COSTS": "shipped"}
    done = subprocess.run(
        [launcher, "-n", str(ranks), *script, "--job", *map(str, job)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20, help="of each network")
    parser.add_argument("--exchanges", type=int, default=20, help="of each size")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--json", type=Path, help="a file for the figures too")
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.steps < 2 or arguments.exchanges < 1:
        parser.error("--steps must be at least 2 and --exchanges 1: of none there is no median")
    if arguments.job is not None:
        from mpi4py import MPI

        what, which, count = arguments.job
        given = steps(which, int(count)) if what == "steps" else sums(int(which), int(count))
        if MPI.COMM_WORLD.Get_rank() == 0:
            print(json.dumps(given))
        return
    figures: dict[str, Any] = {"steps": {}, "sums": {}}
    print(f"batch {BATCH} in {SHARDS} pieces, one thread a rank; medians")
    for name in arguments.networks:
        one, two = (median(on(ranks, "steps", name, arguments.steps)) for ranks in (1, 2))
        figures["steps"][name] = {"one": one, "two": two, "efficiency": one / two / 2}
        print(f"{name:14} {one:8.4f} s  {two:8.4f} s  efficiency {one / two / 2:.3f}", flush=True)
    for size in MEGABYTES:
        found = {n: median(times) for n, times in on(2, "sums", size, arguments.exchanges).items()}
        ratio = found["tree"] / found["allreduce"]
        figures["sums"][size] = {**found, "ratio": ratio}
        shown = "  ".join(f"{name} {1e3 * seconds:8.2f} ms" for name, seconds in found.items())
        print(f"{size:4} MB  {shown}  {ratio:.2f} times", flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
