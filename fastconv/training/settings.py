"""The settings of one ``fit`` that say how it goes through its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastconv.arguments import as_bool, as_int, parse_bytes
from fastconv.errors import ArgumentTypeError

__all__ = ["Settings"]


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
    """

    batch_size: int = 100
    shuffle: bool = True
    seed: int = 0
    stop_on_nan: bool = True
    memory_limit: Any = None
    transform: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        for name, value in (
            ("batch_size", as_int("fit", "batch_size", self.batch_size, 1)),
            ("shuffle", as_bool("fit", "shuffle", self.shuffle)),
            ("seed", as_int("fit", "seed", self.seed, 0, 2**64 - 1)),
            ("stop_on_nan", as_bool("fit", "stop_on_nan", self.stop_on_nan)),
            ("memory_limit", parse_bytes("fit", "memory_limit", self.memory_limit)),
        ):
            object.__setattr__(self, name, value)
        if self.transform is not None and not callable(self.transform):
            listed = isinstance(self.transform, (list, tuple))
            raise ArgumentTypeError(
                "fit",
                "transform",
                "must be a function (rng, x, y) -> (x, y)",
                type(self.transform),
                "fastconv.data.compose(...) makes one of several" if listed else "",
                shown=type(self.transform).__name__,
            )
