"""Kills training at random moments, fills its disk, and compares what it comes to in the end.

``python tests/killing.py --kills 200 --full 50`` trains a small network that saves a checkpoint
after every batch. Each time the process is ended by SIGKILL somewhere, or a write, a sync or a
renaming of its files fails for want of space. A new process goes on from what is there, and must
end with the bits of one that was never stopped. A checkpoint that is damaged is a failure, also
where the one before could serve.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastconv

SAVED, END = "run.safetensors", "end.safetensors"
EPOCHS, BATCHES = 3, 4
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((19, 1, 6, 6)).astype("float32"), RNG.integers(0, 3, 19)
LAYERS = [
    ("Conv2D", {"filters": 4, "kernel_size": 3}),
    "BatchNorm",
    "ReLU",
    "Flatten",
    ("Dropout", {"rate": 0.3}),
    ("Dense", {"units": 3}),
]


def train(folder: Path, more: list[Any] = []) -> None:  # noqa: B006
    """Train to the end, from the checkpoint that is there; write weights and history."""
    warnings.simplefilter("error")
    fastconv.set_num_threads(1)
    saved = folder / SAVED
    net = fastconv.Sequential(LAYERS, input_shape=(1, 6, 6), seed=1)
    net.compile("adam", "softmax_cross_entropy", ["accuracy", "f1"])
    history = net.fit(
        X,
        Y,
        batch_size=5,
        epochs=EPOCHS,
        validation_data=(X[:8], Y[:8]),
        verbose=0,
        callbacks=[
            ("checkpoint", {"path": saved, "every": 1}),
            ("reduce_on_plateau", {"patience": 1}),
            ("early_stopping", {"patience": 3}),
            *more,
        ],
        resume=saved if saved.exists() else None,
    )
    net.save_weights(folder / END)
    (folder / "history.json").write_text(json.dumps(history.history))


def child(work: Callable[[], None]) -> int:
    """Run `work` in a process of its own, and return its number; it exits with 0 or 1."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(number: int) -> int:
    """Wait for a child; return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def kill(folder: Path, seconds: float, dice: random.Random) -> bool:
    """Train and kill the process at a random moment; return whether it was still running."""
    number = child(lambda: train(folder))
    time.sleep(dice.uniform(0, seconds))
    os.kill(number, signal.SIGKILL)
    return ended(number) == -signal.SIGKILL


def fill(folder: Path, size: int, dice: random.Random) -> bool:
    """Train on a disk that is full from some batch on; return whether that ended the training."""
    after, how = (
        dice.randint(1, EPOCHS * BATCHES),
        dice.choice(["write", "fsync", "replace", "link"]),
    )
    limit = dice.randrange(size)

    class Full(fastconv.training.Callback):
        batches = 0

        def on_batch_end(self, run: Any, batch: int, figures: Any) -> None:
            self.batches += 1
            if self.batches != after:
                return
            if how == "write":  # the system writes so many bytes of a file, and no more
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            else:
                setattr(os, how, refuse)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def work() -> None:
        try:
            train(folder, [Full()])
        except OSError as error:
            assert error.errno in (errno.ENOSPC, errno.EFBIG), error
            assert str(folder) in str(error), "the error names the file"
            left = {name for name in os.listdir(folder) if not name.startswith(SAVED)}
            assert left <= {END, "history.json"}, left
            os._exit(3)

    code = ended(child(work))
    assert code in (0, 3), code
    return code == 3


def whole(folder: Path) -> None:
    """Raise unless the checkpoints that are there are whole, and no more than two."""
    found = sorted(name for name in os.listdir(folder) if name.startswith(SAVED))
    assert found in ([], [SAVED], [SAVED, f"{SAVED}.1"]), found
    for name in found:
        fastconv.load(folder / name)


def finish(folder: Path, right: dict[str, bytes]) -> None:
    """Train to the end; raise unless that is the end of the run that was never stopped."""
    assert ended(child(lambda: train(folder))) == 0
    for name, content in right.items():
        assert (folder / name).read_bytes() == content, f"{name} has other bits"
    assert not [name for name in os.listdir(folder) if name.startswith(".fastconv-")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--full", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="by default another one each time")
    arguments = parser.parse_args()
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    # in memory, where syncs take no time; a kill finds the same states of the files there
    quick = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    dice, top = random.Random(seed), Path(tempfile.mkdtemp(dir=quick))
    try:
        folder = top / "right"
        folder.mkdir()
        begin = time.perf_counter()
        assert ended(child(lambda: train(folder))) == 0
        seconds = time.perf_counter() - begin
        right = {name: (folder / name).read_bytes() for name in (END, "history.json")}
        size = (folder / SAVED).stat().st_size
        print(f"{seconds:.2f} s undisturbed, checkpoints of {size} bytes", flush=True)
        done = {"kill": 0, "fill": 0}
        number = 0
        while done["kill"] < arguments.kills or done["fill"] < arguments.full:
            number += 1
            folder = top / str(number)
            folder.mkdir()
            for _ in range(dice.randint(1, 3)):  # before it comes to its end
                left = [
                    name
                    for name, most in (("kill", arguments.kills), ("fill", arguments.full))
                    if done[name] < most
                ]
                if not left:
                    break
                how = dice.choice(left)
                hit = kill(folder, seconds, dice) if how == "kill" else fill(folder, size, dice)
                done[how] += hit
                whole(folder)
            finish(folder, right)
            shutil.rmtree(folder)
        print(f"{done['kill']} killed, {done['fill']} with a full disk: all ended alike")
    finally:
        shutil.rmtree(top)


if __name__ == "__main__":
    main()
