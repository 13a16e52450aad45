"""Training on more data than memory holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: Trains one epoch on a sparse file, and prints the most anonymous memory seen, and at the start.
PROGRAM = """
import sys
import numpy as np
import fastconv

path, rows, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) * 1024

class ByNumber:
    def __init__(self, array):
        self.array = array
    def __len__(self):
        return len(self.array)
    def __getitem__(self, row):
        return self.array[row]

x = np.lib.format.open_memmap(path, "w+", np.uint8, (rows, 3, 256, 256))
y = np.arange(rows) % 2
net = fastconv.Sequential(
    [("Conv2D", {"filters": 4, "kernel_size": 3, "stride": 4}), "ReLU", "GlobalAvgPool2D",
     ("Dense", {"units": 2})], (3, 256, 256), seed=0)
net.compile("sgd", "softmax_cross_entropy", "accuracy")
net.train_on_batch(x[:50], y[:50])
begin, most = anonymous(), 0

class Watch(fastconv.training.Callback):
    def on_batch_end(self, run, batch, figures):
        global most
        most = max(most, anonymous())

given = {
    "mapped": lambda: (x, y), "number": lambda: (ByNumber(x), ByNumber(y)),
    "batches": lambda: (((x[i:i + 50], y[i:i + 50]) for i in range(0, rows, 50)),),
}[kind]()
more = {} if kind == "batches" else {"batch_size": 50, "validation_split": 0.1}
net.fit(*given, epochs=1, verbose=0, callbacks=Watch(), **more)
print(net.compiled.step, begin, most)
"""


def train(
    tmp_path: Path, environment: dict[str, str], rows: int, kind: str
) -> tuple[int, int, int]:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path / "x.npy")]
    run = subprocess.run(
        [*command, str(rows), kind], capture_output=True, text=True, check=True, env=environment
    )
    (tmp_path / "x.npy").unlink()
    steps, begin, most = map(int, run.stdout.split())
    return steps, begin, most


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells RssAnon")


@pytest.mark.parametrize("kind", ["mapped", "number", "batches"])
def test_what_is_read_stays_in_its_file(tmp_path, environment, kind):
    rows = 1000  # 197 MB
    steps, begin, most = train(tmp_path, environment, rows, kind)
    assert steps == 1 + (20 if kind == "batches" else 18)
    assert most - begin < 70e6  # a batch is 10 MB, and 39 MB once it is cast
    assert most > begin / 2 > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mapped", "number"])
def test_four_gigabytes(tmp_path, environment, kind):
    rows = 4 * 10**9 // (3 * 256 * 256) + 1
    steps, _, most = train(tmp_path, environment, rows, kind)
    assert steps == 1 + 367
    assert 10e6 < most < 400e6
