"""Measures how long algorithms of convolution take on this machine, and fits the costs to that.

``fastconv doctor --tune`` does so for a few typical layers, and keeps the result in the user's
cache folder, where `costs.local` finds it.  benchmarks/choices.py does so for the layers of whole
networks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np

from fastconv import costs, functional, kernels, threads
from fastconv.costs import Table
from fastconv.functional import choosing
from fastconv.functional.algorithms import backward, forward
from fastconv.geometry import Conv2DGeometry
from fastconv.options import ConvOptions

__all__ = ["Sample", "contenders", "fit", "measure", "tune"]

DIRECTIONS = ("forward", "input", "weight")
#: The layers that are timed, as (C, H, K, R, stride, groups); 3x3 kernels are padded.  Each
#: constant has some layers that depend on it.
PROBES = (
    (3, 112, 64, 7, 2, 1),
    (3, 64, 32, 3, 1, 1),
    (1, 56, 30, 5, 1, 1),
    (16, 56, 32, 3, 1, 1),
    (32, 56, 64, 1, 1, 1),
    (64, 28, 64, 3, 1, 1),
    (128, 28, 128, 1, 1, 1),
    (64, 56, 64, 3, 1, 1),
    (128, 28, 128, 3, 1, 1),
    (256, 14, 256, 3, 1, 1),
    (256, 14, 256, 1, 1, 1),
    (512, 7, 512, 3, 1, 1),
    (128, 28, 128, 3, 2, 1),
    (128, 28, 128, 3, 1, 2),
)

#: What the fit adds for a constant that has moved by a factor of e: as much as if this share of
#: all samples were off by that factor.
NEAR_START = 0.002

Calls = dict[str, Callable[[], None]]


class Sample(NamedTuple):
    """Seconds of every algorithm for one convolution, float32, one thread."""

    geometry: Conv2DGeometry
    direction: str
    seconds: dict[str, float]


def _priced(g: Conv2DGeometry, direction: str, on: costs.Target) -> dict[str, costs.AlgorithmCost]:
    """Return the cost of each algorithm, with its tiles, such as "F(2x2)", for "winograd"."""
    found = costs.convolution_costs(g, on, direction, ConvOptions(), 1)
    if found.pop("winograd", None) is not None:
        for m in filter(None, costs.TILES[g.R][direction]):
            tiles = (0, m) if direction == "weight" else (m, 0)
            found[f"F({m}x{m})"] = costs.winograd_cost(g, *tiles, on, direction, None, 1)
    return found


def contenders(g: Conv2DGeometry, direction: str) -> Calls:
    """Return each algorithm that can compute `g` in float32 as a call on Gaussian data.

    The keys are those of `conv2d_costs`, with its tiles, such as "F(2x2)", for "winograd".
    In the forward direction, weights are packed before the call; for the gradient of the "input",
    in the call.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((g.N, g.C, g.H, g.W), np.float32)
    weight = rng.standard_normal((g.K, g.C // g.groups, g.R, g.S), np.float32)
    y = rng.standard_normal(g.output_shape, np.float32)
    packed = functional.prepare_conv2d(weight, groups=g.groups)
    dx, dweight = np.empty_like(x), np.empty_like(weight)

    def call(label: str, cost: costs.AlgorithmCost) -> Callable[[], None]:
        name = "winograd" if label[0] == "F" else label
        decision = choosing.Decision(g, name, cost, packed.plain)
        if direction == "forward":
            return lambda: forward(decision, x, packed, None, y, False)
        wanted = (dx, None) if direction == "input" else (None, dweight)
        return lambda: backward(decision, y, x, weight, *wanted)

    priced = _priced(g, direction, choosing.target(x.dtype))
    return {label: call(label, cost) for label, cost in priced.items()}


def measure(calls: Calls, rounds: int, least: float = 1e-3) -> dict[str, float]:
    """Return the seconds of each call: the least of some interleaved rounds on this thread.

    A round repeats each call until that takes about `least` seconds.
    """
    often = {}
    for label, call in calls.items():
        call()
        start = time.thread_time()
        call()
        often[label] = max(1, math.ceil(least / max(time.thread_time() - start, 1e-6)))
    best = dict.fromkeys(calls, math.inf)
    for _ in range(rounds):
        for label, call in calls.items():
            start = time.thread_time()
            for _ in range(often[label]):
                call()
            best[label] = min(best[label], (time.thread_time() - start) / often[label])
    return best


def fit(samples: Iterable[Sample], start: Table) -> Table:
    """Return constants near `start` that explain the samples, above all which call is fastest.

    One constant at a time is made larger or smaller as long as that helps, by ever smaller factors.
    """
    samples, on = list(samples), choosing.target(np.dtype(np.float32))

    near = NEAR_START * len(samples)

    def badness(table: Table) -> float:
        return _loss(samples, replace(on, table=table)) + near * _distance(table, start)

    best, loss, factor = start, badness(start), 2.0
    while factor > 1.015:
        before = loss
        for field in fields(Table):
            for change in (factor, 1 / factor):
                other = replace(best, **{field.name: getattr(best, field.name) * change})
                found = badness(other)
                if found < loss:
                    best, loss = other, found
        if loss > 0.999 * before:
            factor **= 0.5
    return best


def _distance(table: Table, start: Table) -> float:
    """Return how far the constants have moved, so that those which explain nothing stay put."""
    return sum(
        abs(math.log(getattr(table, field.name) / getattr(start, field.name)))
        for field in fields(Table)
    )


def _loss(samples: list[Sample], on: costs.Target) -> float:
    """Return how far the estimates are from the measured times, and what wrong choices lose."""
    total = 0.0
    for g, direction, measured in samples:
        estimated = {name: cost.seconds for name, cost in _priced(g, direction, on).items()}
        fastest = min(measured.values())
        for name, seconds in measured.items():
            # the time of an algorithm that is far from the fastest need not be known well
            weight = 1.0 if seconds < 2 * fastest else 0.25
            total += weight * min(abs(math.log(estimated[name] / seconds)), 0.7)
        for allowed in ("im2col", "F(2x2)", "F(4x4)"):  # and what comes before
            names = [name for name in measured if name[0] != "F" or name <= allowed]
            choice = min(names, key=estimated.__getitem__)
            lost = math.log(measured[choice] / min(measured[name] for name in names))
            total += 3 * min(lost, 0.5) + (0.3 if lost > 0.05 else 0.0)
    return total


def tune(rounds: int = 7, progress: Callable[[int, int], None] | None = None) -> Table:
    """Measure the probes on one thread and return the table that fits them.

    It takes some seconds, or a minute if there are no vector instructions.
    """
    before = threads.get_num_threads()
    samples = []
    threads.set_num_threads(1)
    try:
        for done, (c, h, k, r, stride, groups) in enumerate(PROBES):
            g = Conv2DGeometry.make(
                "tune", (1, c, h, h), (k, c // groups, r, r), stride, r // 2, 1, groups
            )
            for direction in DIRECTIONS:
                seconds = measure(contenders(g, direction), rounds)
                samples.append(Sample(g, direction, seconds))
            if progress is not None:
                progress(done + 1, len(PROBES))
    finally:
        threads.set_num_threads(before)
    return fit(samples, costs.SHIPPED[kernels.active_isa()])
