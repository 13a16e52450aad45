"""Kills a rank at random moments, goes on with other numbers of ranks, and compares the bits.

``python tests/mpi_killing.py --kills 50`` trains a small network on 2 to 4 ranks, with a checkpoint
after every few batches. Each time SIGKILL ends one of the ranks somewhere. The job must then end by
itself within ten seconds, with a word about it, and a run on another number of ranks that goes on
from what is there must come to the bits of one process that was never stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "distributed"))

SAVED, END = "run.safetensors", "end.json"
PATIENCE = 10.0


def train(folder: Path) -> None:
    """Train as one rank of many, or alone; write the digests of what training changed."""
    from six_networks import bits, trained

    comm = None
    if "MPI" in os.environ:
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
    rank = 0 if comm is None else comm.Get_rank()
    (folder / f"{rank}.pid").write_text(str(os.getpid()))
    path = folder / SAVED
    net = trained(
        "convolutional",
        comm,
        epochs=8,
        callbacks=[("checkpoint", {"path": path, "every": 2})],
        resume=path if path.exists() else None,
    )
    (folder / f"{rank}.{END}").write_text(json.dumps(bits(net, gradients=False)))


def started(folder: Path, ranks: int) -> subprocess.Popen[str]:
    """Start the training on so many ranks; 0 is one process without MPI."""
    for old in folder.glob("*.pid"):
        old.unlink()
    command = [sys.executable, str(Path(__file__).resolve()), "--train", str(folder)]
    environment = {key: value for key, value in os.environ.items() if key != "MPI"}
    if ranks:
        mpiexec = Path(sys.executable).with_name("mpiexec")
        launcher = str(mpiexec) if mpiexec.exists() else "mpiexec"
        command = [launcher, "-n", str(ranks), sys.executable, "-m", "mpi4py", *command[1:]]
        environment["MPI"] = "1"
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def kill(folder: Path, ranks: int, seconds: float, dice: random.Random) -> bool:
    """Train and kill a rank at a random moment; return whether the job was still running."""
    job = started(folder, ranks)
    while len([*folder.glob("*.pid")]) < ranks and job.poll() is None:
        time.sleep(0.01)
    time.sleep(dice.uniform(0, seconds))
    victim = int((folder / f"{dice.randrange(ranks)}.pid").read_text())
    if job.poll() is not None:
        return False
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:  # it has come to its end
        job.communicate(timeout=PATIENCE)
        return False
    begin = time.monotonic()
    said, _ = job.communicate(timeout=PATIENCE)
    if job.returncode == 0:  # it was done, and had only to leave
        return False
    assert "KILLED" in said or "Killed" in said, said
    print(
        f"  {ranks} ranks ended {time.monotonic() - begin:.1f} s after one was killed", flush=True
    )
    return True


def finish(folder: Path, ranks: int, right: str) -> None:
    """Train to the end; raise unless all ranks come to the bits of the run that never stopped."""
    job = started(folder, ranks)
    said, _ = job.communicate(timeout=300)
    assert job.returncode == 0, said
    for rank in range(max(1, ranks)):
        assert (folder / f"{rank}.{END}").read_text() == right, f"rank {rank} has other bits"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="by default another one each time")
    parser.add_argument("--train", type=Path, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train is not None:
        train(arguments.train)
        return
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    os.environ.setdefault("FASTCONV_NUM_THREADS", "1")
    dice, top = random.Random(seed), Path(tempfile.mkdtemp())
    try:
        folder = top / "right"
        folder.mkdir()
        finish_alone = started(folder, 0)
        said, _ = finish_alone.communicate(timeout=300)
        assert finish_alone.returncode == 0, said
        right = (folder / f"0.{END}").read_text()
        folder = top / "timed"
        folder.mkdir()
        begin = time.monotonic()
        finish(folder, 2, right)
        seconds = time.monotonic() - begin
        print(f"{seconds:.1f} s undisturbed on 2 ranks", flush=True)
        killed = number = 0
        while killed < arguments.kills:
            number += 1
            folder = top / str(number)
            folder.mkdir()
            for _ in range(dice.randint(1, 2)):
                killed += kill(folder, dice.randint(2, 4), 0.8 * seconds, dice)
            finish(folder, dice.randint(0, 4), right)
            shutil.rmtree(folder)
        print(f"{killed} ranks killed: all jobs ended, and all went on to the same bits")
    finally:
        shutil.rmtree(top)


if __name__ == "__main__":
    main()
