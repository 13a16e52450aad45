"""A program to be frozen: it trains a step, saves, loads, computes the same, and asks the doctor.

`make test-frozen` freezes it with PyInstaller and runs it where fastconv is not installed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import fastconv
from fastconv.cli import main


def train() -> None:
    """Train a step on the digits of the package, and load what was saved."""
    x, y = fastconv.data.digits()
    net = fastconv.Sequential(
        [("Conv2D", {"filters": 8, "kernel_size": 3}), "ReLU", "Flatten", ("Dense", {"units": 10})],
        input_shape=(1, 8, 8),
        seed=0,
    )
    net.compile(optimizer="adam", loss="softmax_cross_entropy", metrics=["accuracy"])
    key = "conv2d_1/weight"
    before = net.weights()[key]
    loss = net.train_on_batch(x[:100], y[:100])["loss"]
    assert np.isfinite(loss) and (net.weights()[key] != before).any()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.safetensors"
        net.save(path)
        again = fastconv.load(path)
    assert (again(x[:10]) == net(x[:10])).all()
    print(f"a step of training, loss {loss:.2f}; saved, loaded, equal")


if __name__ == "__main__":
    assert getattr(sys, "frozen", False), "this is for PyInstaller: make test-frozen"
    train()
    for words in (["layers", "conv"], ["describe", "Conv2D"], ["doctor"]):
        code = main(words)
        assert code == 0, (words, code)
    print("frozen: all is well")
