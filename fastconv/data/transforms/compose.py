"""Several transforms, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastconv.arguments import check_function
from fastconv.data.transforms.transform import Pair, Transform
from fastconv.errors import ArgumentTypeError

__all__ = ["compose"]


def compose(*transforms: Callable[..., Any]) -> Transform:
    """Return a transform that applies `transforms` one after the other.

    Parameters
    ----------
    *transforms : callable
        Those of this package, or functions (rng, x, y) -> (x, y) of your own.

    Returns
    -------
    Transform

    Notes
    -----
    Each gets a generator of its own, whose key is drawn from rng: how many numbers one of them
    takes changes nothing for those after it.

    Examples
    --------
    >>> from fastconv.data import flip, noise
    >>> compose(flip(), noise(0.1))
    compose(flip(horizontal=True, vertical=False, share=0.5, targets=False), noise(scale=0.1))
    """
    for number, transform in enumerate(transforms):
        names, rule = ("rng", "x", "y"), "must be a function (rng, x, y) -> (x, y)"
        check_function("compose", f"transforms[{number}]", transform, names, rule)
    return _Composed("compose", {"transforms": _configs(transforms)}, transforms)


class _Composed(Transform):
    def __init__(
        self, name: str, settings: dict[str, Any], transforms: tuple[Callable[..., Any], ...]
    ) -> None:
        kept = all(isinstance(each, Transform) and each.keeps_y for each in transforms)
        super().__init__(name, settings, partial(_in_turn, transforms), keeps_y=kept)
        self._transforms = transforms

    def __repr__(self) -> str:
        return f"compose({', '.join(map(repr, self._transforms))})"


def _configs(transforms: tuple[Callable[..., Any], ...]) -> list[Any]:
    return [each.to_config() if isinstance(each, Transform) else _name(each) for each in transforms]


def _name(function: Any) -> str:
    kind = function if hasattr(function, "__qualname__") else type(function)
    return f"{kind.__module__}.{kind.__qualname__}"


def _in_turn(
    transforms: tuple[Callable[..., Any], ...], rng: np.random.Generator, x: Any, y: Any
) -> Pair:
    for transform in transforms:
        key = rng.integers(0, 2**32, 4, np.uint32).tolist()
        found = transform(np.random.default_rng(key), x, y)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            shown = type(found).__name__
            raise ArgumentTypeError(
                "compose", _name(transform), "must return (x, y)", found, shown=shown
            )
        x, y = found
    return x, y
