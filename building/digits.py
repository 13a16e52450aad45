"""Trains the networks whose weights come with the package, on the bundled digits.

    python building/digits.py             writes the files in fastconv/zoo/weights
    python building/digits.py FOLDER      writes them elsewhere

The same machine or another, the bits are the same: the kernels are those of the baseline, `auto`
chooses by the shipped table, and all random numbers have seeds. The networks see three quarters of
the digits; on the last quarter, a sample of every class, their accuracy is printed. Weights are
rounded to float16, in which they are kept, and the accuracy is that of the rounded ones.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "fastconv" / "zoo" / "weights"
SEED = 0

#: Settings of each network, and how many epochs it is trained.
NETWORKS = {
    "DigitsNet": ({}, 40),
    "KerasMNIST": ({"input_shape": (1, 8, 8), "kernel_size": 4}, 60),
    "SimpleConvNet": ({"input_shape": (1, 8, 8), "hidden": 50}, 60),
}


def train(folder: Path) -> None:
    """Train every network, write its file to `folder`, and print its accuracy."""
    import numpy as np
    from safetensors.numpy import save

    import fastconv

    x, y = fastconv.data.digits()
    train, test = fastconv.data.stratified_split(y, seed=SEED)
    for name, (settings, epochs) in NETWORKS.items():
        net = fastconv.create_model(name, seed=SEED, **settings)
        net.compile(optimizer="adam", loss="softmax_cross_entropy", metrics=["accuracy"])
        net.fit(x[train], y[train], batch_size=32, epochs=epochs, seed=SEED, verbose=0)
        arrays = {key: array.astype(np.float16) for key, array in net.weights().items()}
        net.set_weights({key: array.astype(np.float32) for key, array in arrays.items()})
        accuracy = net.evaluate(x[test], y[test])["accuracy"]
        path = folder / f"{name}.digits.safetensors"
        path.write_bytes(save(arrays))
        print(f"{path}: {path.stat().st_size} bytes, {100 * accuracy:.2f} % of {len(test)} digits")


if __name__ == "__main__":
    # before fastconv is imported, which reads them
    os.environ.update(FASTCONV_ISA="baseline", FASTCONV_COSTS="shipped")
    sys.path.insert(0, str(ROOT))
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    where.mkdir(parents=True, exist_ok=True)
    train(where)
