"""The resident peak of a process that loads ResNet-50 and runs it on one image of 224x224.

    python benchmarks/resident.py              # or: make resident

Each figure is VmHWM of a process of its own (Linux), and includes Python, NumPy and the loading.
The network is that of `suite.networks` with made-up weights, in float32, on a batch of 1. It is
made for inference while it is loaded: ``fastconv.load(path, for_inference=True)``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ALGORITHMS = ("direct", "auto")
SAVE = """
import fastconv
from suite.networks import make

net = make(fastconv, "ResNet-50")
config = net.to_config()
for node in config["nodes"]:
    if node["layer"].startswith("fastconv.Conv2D."):
        node["config"]["algorithm"] = {algorithm!r}
twin = fastconv.from_config(config)
twin.set_weights(net.weights())
twin.save({path!r})
"""
RUN = """
import numpy as np

def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

import fastconv
imported = peak()
net = fastconv.load({path!r}, for_inference=True)
loaded = peak()
for _ in range(3):
    net(np.zeros((1, 3, 224, 224), np.float32))
print(imported, loaded, peak(), net.nbytes)
"""


def child(code: str) -> str:
    """Run `code` in a process of its own, and return what it prints."""
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, check=True, capture_output=True, text=True
    )
    return done.stdout


def main() -> None:
    """Print a line for each algorithm."""
    print("algorithm    imported      loaded         run     packed weights   (MB of 10^6 bytes)")
    with tempfile.TemporaryDirectory() as folder:
        for algorithm in ALGORITHMS:
            path = str(Path(folder) / f"{algorithm}.safetensors")
            child(SAVE.format(algorithm=algorithm, path=path))
            *kilobytes, packed = map(int, child(RUN.format(path=path)).split())
            shown = "".join(f"{1024e-6 * each:12.1f}" for each in kilobytes)
            print(f"{algorithm:9}{shown}{1e-6 * packed:19.1f}")


if __name__ == "__main__":
    main()
