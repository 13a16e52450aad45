"""What a measurement on two ranks has written, and what the model makes of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from fastconv.training.sharding.layout import BUCKET
from scaling.constants import Cluster, Job, Link, Work
from scaling.networks import Case

__all__ = ["FILE", "Measured", "buckets", "load", "split"]

FILE = Path(__file__).parent / "two_ranks.json"


@dataclass(frozen=True)
class Measured:
    """Constants and steps of two ranks.

    Attributes
    ----------
    about : dict of str to str
        When, where and with what they were measured.
    link : Link
        Between the two ranks.
    adding : float
        Seconds to add one byte to another.
    works : dict of str to Work
        By the names of networks.
    multiply_adds : dict of str to int
        Of one row, in the forward pass.
    steps : list of (Case, float)
        Measured steps of both ranks together, in seconds.
    """

    about: dict[str, str]
    link: Link
    adding: float
    works: dict[str, Work]
    multiply_adds: dict[str, int]
    steps: list[tuple[Case, float]]

    @property
    def two(self) -> Cluster:
        """The two ranks."""
        return Cluster(2, self.link, self.adding)

    def job(self, case: Case) -> Job:
        """Return how a measured step was computed.

        Nothing overlaps: a message through shared memory is copied by the processors themselves.
        """
        nbytes = self.works[case.network].parameter_bytes
        return Job(case.batch, case.shards, "fixed", buckets(nbytes))


def buckets(parameter_bytes: int) -> int:
    """Return in how many parts gradients travel."""
    return ceil(parameter_bytes / BUCKET)


def load(path: Path = FILE) -> Measured:
    """Read what `scaling.measure` wrote."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    networks = found["networks"]
    return Measured(
        found["measured"],
        Link(**found["link"]),
        found["adding"],
        {name: _work(name, each) for name, each in networks.items()},
        {name: each["multiply_adds"] for name, each in networks.items()},
        [
            (Case(each["network"], each["batch"], each["shards"]), each["seconds"])
            for each in found["steps"]
        ],
    )


def _work(name: str, found: dict[str, Any]) -> Work:
    alone = found["alone"]
    cases = [(each["batch"], each["shards"]) for each in alone]
    row, piece, step = split(cases, [each["seconds"] for each in alone])
    return Work(name, found["parameter_bytes"], row, piece, step)


def split(cases: Sequence[tuple[int, int]], times: Sequence[float]) -> tuple[float, float, float]:
    """Return the seconds of a row, of a piece and of a step, none below 0, that fit best.

    Parameters
    ----------
    cases : sequence of (int, int)
        Rows and pieces.
    """
    known = np.array([(rows, pieces, 1) for rows, pieces in cases], float)
    weights = 1 / np.array(times)  # errors count as parts of the time
    left = [0, 1, 2]
    while True:
        found = np.zeros(3)
        weighted = known[:, left] * weights[:, None]
        found[left] = np.linalg.lstsq(weighted, np.ones(len(times)), rcond=None)[0]
        if (found >= 0).all():
            row, piece, step = map(float, found)
            return row, piece, step
        left.remove(int(found.argmin()))
