"""Times convolutions while another process takes one of two cores.

``python -m peers.busy_core 20`` prints JSON after 20 rounds. It has for each layer the seconds of
every call: ``quiet`` on one thread, and ``busy`` on two. The two take turns; between them, the
other process is stopped and continued.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from suite.shapes import NETWORKS, normal

LAYERS = ("rn3.3x3", "vgg3.2", "deep")
TURN = 0.25  # seconds; many of the scheduler's quanta
SPIN = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


def turn(call: Callable[[], Any]) -> list[float]:
    """Return the seconds of each call during one turn, after an untimed one."""
    call()
    samples = []
    end = time.perf_counter() + TURN
    while (start := time.perf_counter()) < end:
        call()
        samples.append(time.perf_counter() - start)
    return samples


def measure(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the samples of every layer."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    import fastconv  # only now, so that its threads run on these two cores alone

    hog = subprocess.Popen([sys.executable, "-c", SPIN, str(cores[1])])
    found = {}
    try:
        time.sleep(0.2)  # until it spins
        for name in LAYERS:
            layer = NETWORKS[name]
            weight = fastconv.prepare_conv2d(normal(layer.weight_shape, 1), **layer.options)
            call = partial(fastconv.conv2d, normal(layer.x_shape), weight, **layer.options)
            samples = found[name] = {"quiet": [], "busy": []}
            for _ in range(rounds):
                hog.send_signal(signal.SIGSTOP)
                fastconv.set_num_threads(1)
                samples["quiet"] += turn(call)
                hog.send_signal(signal.SIGCONT)
                fastconv.set_num_threads(2)
                samples["busy"] += turn(call)
    finally:
        hog.kill()
        hog.wait()
    return found


if __name__ == "__main__":
    json.dump(measure(int(sys.argv[1])), sys.stdout)
