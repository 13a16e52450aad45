"""The race: contenders take turns, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any

__all__ = ["Pace", "Times", "estimate", "fastest", "race", "sample", "turn"]

Call = Callable[[], Any]

SHORTEST_SAMPLE = 200e-6  # seconds; shorter calls are timed several at a time
WARM = 0.05  # seconds; before longer calls there is no untimed one, since no cache outlives them


@dataclass(frozen=True)
class Pace:
    """How long a race takes.

    Attributes
    ----------
    rounds : int
        How many turns every contender has.
    block : float
        Seconds that a turn lasts; it has at least one call.
    pause : float
        Seconds of sleep before a turn. With several threads, the pool of the previous contender
        still spins for some milliseconds, and would take a core from the next one.
    """

    rounds: int
    block: float
    pause: float = 0.0


@dataclass(frozen=True)
class Times:
    """The seconds that a call took, over the samples of all rounds together."""

    median: float
    minimum: float
    mean: float
    samples: int

    @classmethod
    def of(cls, samples: list[float]) -> Times:
        return cls(
            statistics.median(samples), min(samples), statistics.fmean(samples), len(samples)
        )


def sample(call: Call, calls: int) -> float:
    """Return the seconds of one call, from `calls` in a row."""
    turns = repeat(None, calls)
    start = time.perf_counter()
    for _ in turns:
        call()
    return (time.perf_counter() - start) / calls


def race(contenders: Mapping[str, Call], pace: Pace) -> dict[str, Times]:
    """Time every contender, in an order that is shuffled anew each round."""
    order = random.Random(0)
    names = list(contenders)
    samples: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.disable()
    try:
        estimates = {name: estimate(call) for name, call in contenders.items()}
        for _ in range(pace.rounds):
            order.shuffle(names)
            for name in names:
                time.sleep(pace.pause)
                samples[name] += turn(contenders[name], estimates[name], pace.block)
    finally:
        gc.enable()
    return {name: Times.of(samples[name]) for name in contenders}


def fastest(calls: Mapping[str, Call]) -> str:
    """Return the name of the call that is fastest at a first look."""
    return min(calls, key=lambda name: min(estimate(calls[name]) for _ in range(3)))


def estimate(call: Call) -> float:
    """Return about how many seconds a call takes, from a first look."""
    call()
    return max(min(sample(call, 1) for _ in range(2)), 1e-7)


def turn(call: Call, expected: float, block: float) -> list[float]:
    """Return the samples of a turn of `block` seconds of a call, which takes about `expected`."""
    calls = max(1, round(SHORTEST_SAMPLE / expected))
    if expected < WARM:
        sample(call, calls)
    return [sample(call, calls) for _ in range(max(1, round(block / (calls * expected))))]
