"""The machine and the libraries that the figures were measured with."""

from __future__ import annotations

import datetime
import os
import platform
import time
from importlib import metadata
from pathlib import Path

import fastconv
from peers import held
from peers.settings import Settings

__all__ = ["Others", "describe", "processor"]

DISTRIBUTIONS = {
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "mnn": "MNN",
    "ncnn": "ncnn",
}

_PEERS = {
    False: "the peers choose theirs",
    True: "all are held to AVX2, since CPUID says that this processor has no more",
}


def describe(settings: Settings) -> dict[str, str]:
    """Return by title what a reader of the figures has to know."""
    peers = [f"{DISTRIBUTIONS[name]} {metadata.version(name)}" for name in settings.peers]
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "processor": f"{processor()}, {_usable()} of {os.cpu_count()} processors usable",
        "threads": f"{settings.threads} in every library",
        "instruction set": f"fastconv runs {fastconv.active_isa()}; {_PEERS[held.is_held()]}",
        "layout": "NCHW, float32; PyTorch also in channels_last where it says so",
        "versions": ", ".join(
            [
                f"fastconv {fastconv.__version__}",
                *peers,
                f"NumPy {metadata.version('numpy')}",
                f"Python {platform.python_version()}",
            ]
        ),
        "left out, since not installed": ", ".join(
            DISTRIBUTIONS[name] for name in settings.left_out
        )
        or "none",
    }


def processor() -> str:
    """Return the model of the processor, with family and model number: names may be vague."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or "unknown"
    facts = {key.strip(): value.strip() for key, _, value in (li.partition(":") for li in lines)}
    name = facts.get("model name", platform.processor() or "unknown")
    numbers = [f"{key} {facts[key]}" for key in ("cpu family", "model") if key in facts]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _usable() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


class Others:
    """How much of the machine other processes take, from now on.

    Attributes
    ----------
    start : tuple of float or None
        Seconds at the start: of the clock, of work on all processors, and of work by this process
        and its children.
    """

    def __init__(self) -> None:
        self.start = self._now()

    def __str__(self) -> str:
        now = self._now()
        if self.start is None or now is None:
            return "unknown"
        wall, busy, own = (b - a for a, b in zip(self.start, now, strict=True))
        taken = max(0.0, busy - own) / wall
        return f"others took {taken:.2f} processors' worth of time during the run"

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        try:
            fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        except OSError:
            return None
        user, nice, system, _idle, _wait, irq, soft, stolen = map(int, fields)
        busy = (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")
        return time.monotonic(), busy, sum(os.times()[:4])
