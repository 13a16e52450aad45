"""The settings of one ``fit`` that say how it goes through its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastconv.arguments import as_bool, as_choice, as_int, check_function, parse_bytes
from fastconv.batches import BATCH_NORM

__all__ = ["Settings"]

#: What makes transforms; no module below `fastconv.data` can ask that for them.
TRANSFORMS = ("shift", "flip", "crop", "noise", "normalise", "compose")

MOST_SHARDS = 1 << 16


@dataclass(frozen=True)
class Settings:
    """How ``fit`` goes through its data; everything is checked when it is made.

    Attributes
    ----------
    batch_size : int
    shuffle : bool
    seed : int
        The key of everything random in the data: `shuffle`, `transform`, the split.
    stop_on_nan : bool
    memory_limit : int or None
        Bytes; a text such as ``"20 MB"`` becomes its number.
    transform : callable or None
    shards : int or None
        In how many pieces a batch is cut; None where it is one as a whole.
    batch_norm : str or None
        Of which rows BatchNorm takes statistics where batches are cut: ``"by_piece"`` or
        ``"synchronised"``; None where they are not.
    """

    batch_size: int = 100
    shuffle: bool = True
    seed: int = 0
    stop_on_nan: bool = True
    memory_limit: Any = None
    transform: Callable[..., Any] | None = None
    shards: int | None = None
    batch_norm: str | None = "by_piece"

    def __post_init__(self) -> None:
        for name, value in (
            ("batch_size", as_int("fit", "batch_size", self.batch_size, 1)),
            ("shuffle", as_bool("fit", "shuffle", self.shuffle)),
            ("seed", as_int("fit", "seed", self.seed, 0, 2**64 - 1)),
            ("stop_on_nan", as_bool("fit", "stop_on_nan", self.stop_on_nan)),
            ("memory_limit", parse_bytes("fit", "memory_limit", self.memory_limit)),
            ("batch_norm", as_choice("fit", "batch_norm", self.batch_norm, BATCH_NORM)),
        ):
            object.__setattr__(self, name, value)
        if self.shards is None:
            object.__setattr__(self, "batch_norm", None)
        else:
            shards = as_int("fit", "shards", self.shards, 1, MOST_SHARDS)
            object.__setattr__(self, "shards", shards)
        if self.transform is not None:
            names, rule = ("rng", "x", "y"), "must be a function (rng, x, y) -> (x, y)"
            remedy = _remedy(self.transform)
            check_function("fit", "transform", self.transform, names, rule, remedy)


def _remedy(transform: Any) -> str:
    """Return what to do about a transform that is none."""
    names = isinstance(transform, (list, tuple)) and all(isinstance(n, str) for n in transform[:1])
    if names or isinstance(transform, str):
        return f"fastconv.data has {', '.join(TRANSFORMS)}: write fastconv.data.shift(2)"
    if isinstance(transform, (list, tuple)):
        return "fastconv.data.compose(...) makes one of several"
    return ""
