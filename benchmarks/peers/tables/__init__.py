"""The tables of the report, in its order; each module has ``run(settings) -> list of Table``."""

from __future__ import annotations

import sys

#: Modules of this package, in the order of the report.
ALL = (
    "forward",
    "two_threads",
    "backward",
    "pooling",
    "normalization",
    "dense",
    "activations",
    "unfolding",
    "spatial",
    "training",
    "networks",
    "calls",
    "busy",
    "against",
)


def progress(table: str, case: str) -> None:
    """Say on the error stream what is being measured."""
    print(f"{table}: {case}", file=sys.stderr, flush=True)
