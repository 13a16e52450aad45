"""From the names in a file to the weights of a network: the argument `mapping`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fastconv.arguments import as_sizes
from fastconv.errors import ArgumentTypeError, FastconvError, describe, from_signal, shorten

__all__ = ["Names", "Renaming", "Target"]

#: A key of the network; or that and the order of the array's axes; or None, to leave it out.
_To = str | tuple[str, tuple[int, ...]] | None
Names = Mapping[str, _To] | Callable[[str], _To] | None

#: What a prefix ends with; other names are whole.
_ENDS = (".", "/")


class Target(NamedTuple):
    """Where an array goes: a key ``layer/parameter``, and the order of its axes if it is another.

    `key` is None if the array is left out.
    """

    key: str | None
    axes: tuple[int, ...] | None = None

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an array of `shape` whose axes are in this order."""
        fits = self.axes is not None and len(self.axes) == len(shape)
        return tuple(shape[axis] for axis in self.axes or ()) if fits else shape


class Renaming:
    """Finds where each array of a file goes.

    Parameters
    ----------
    mapping : mapping, callable or None
        Of a mapping, the keys are names, or beginnings of names that end in "." or "/", of which
        the longest one counts. Those that go anywhere must be in the file; None is for what may be.

    Raises
    ------
    ArgumentTypeError
        If `mapping` is neither.

    Examples
    --------
    >>> renaming = Renaming({"head.": None, "stem.": "conv1/", "w": ("fc/weight", (1, 0))})
    >>> [renaming(name).key for name in ("head.bias", "stem.bias", "w", "other")]
    [None, 'conv1/bias', 'fc/weight', 'other']
    """

    def __init__(self, mapping: Any) -> None:
        if mapping is not None and not callable(mapping) and not isinstance(mapping, Mapping):
            rule = "must be a mapping or a function of names in the file"
            raise ArgumentTypeError("load_weights", "mapping", rule, mapping)
        self._mapping = mapping
        self._names: list[str] = []  # all that were asked for
        self._beginnings: list[str] = []
        if isinstance(mapping, Mapping):
            texts = [key for key in mapping if isinstance(key, str) and key.endswith(_ENDS)]
            self._beginnings = sorted(texts, key=len, reverse=True)

    def __call__(self, name: str) -> Target:
        """Return where the array goes that a file calls `name`."""
        mapping = self._mapping
        self._names.append(name)
        if mapping is None:
            return Target(name)
        if not isinstance(mapping, Mapping):
            return self._target(name, self._asked(name))
        if name in mapping:
            return self._target(name, mapping[name])
        for beginning in self._beginnings:
            if name.startswith(beginning):
                to = mapping[beginning]
                whole = to + name.removeprefix(beginning) if isinstance(to, str) else to
                return self._target(name, whole)
        return Target(name)

    def unused(self) -> list[Any]:
        """Return the keys of the mapping that are neither a name so far nor its beginning.

        What would be left out is none of them: where it is not there, nothing is wrong.
        """
        given = self._mapping if isinstance(self._mapping, Mapping) else {}
        keys = [key for key, to in given.items() if to is not None or not isinstance(key, str)]
        whole = set(self._names)
        return [
            key
            for key in keys
            if key not in whole
            and not (key in self._beginnings and any(n.startswith(key) for n in self._names))
        ]

    def _asked(self, name: str) -> Any:
        try:
            return self._mapping(name)
        except Exception as error:  # somebody else's function may raise anything
            if from_signal(error):
                raise
            raise ArgumentTypeError(
                "load_weights",
                "mapping",
                "must be a function of names in the file",
                self._mapping,
                shown=f"one that fails for {name!r}, {describe(error)}",
            ) from error

    def _target(self, name: str, to: Any) -> Target:
        if to is None or isinstance(to, str):
            return Target(to)
        if isinstance(to, (tuple, list)) and len(to) == 2 and isinstance(to[0], str):
            try:
                axes = as_sizes("load_weights", "axes", to[1], 0)
            except FastconvError:
                axes = ()
            if sorted(axes) == list(range(len(axes))) and axes:
                return Target(to[0], axes)
        raise ArgumentTypeError(
            "load_weights",
            "mapping",
            "must give 'layer/parameter', ('layer/parameter', order of axes) or None",
            to,
            shown=f"{shorten(to)} for {name!r}",
        )
