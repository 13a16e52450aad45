"""What belongs to one thing at a time, as an optimizer does to a network."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from fastconv.errors import ArgumentError, shorten

__all__ = ["Owned"]


class Owned:
    """The part of an optimizer that knows which network it belongs to, as long as that exists."""

    _owner: weakref.ref[Any] | None = None

    def take(self, owner: Any, instead_of: Any = None) -> None:
        """Belong to `owner` from now on.

        Parameters
        ----------
        owner : object
            What the optimizer belongs to from now on, as long as that exists.
        instead_of : object, optional
            What the optimizer may have belonged to before.

        Raises
        ------
        ArgumentError
            If the optimizer belongs to something else, whose state would be lost.
        """
        if self._belongs_elsewhere(owner, instead_of):
            gc.collect()  # a network that only its own parts refer to does not count
        if self._belongs_elsewhere(owner, instead_of):
            raise ArgumentError(
                "compile",
                "optimizer",
                "must not belong to another network",
                type(self).__name__,
                "give each network its own: copy.deepcopy(optimizer), or a name with settings",
                shown=shorten(self),
            )
        self._owner = weakref.ref(owner)

    def belong(self, owner: Any) -> None:
        """Belong to `owner` from now on and keep all state, unless there is an owner already."""
        if self._owner is None or self._owner() is None:
            self._owner = weakref.ref(owner)

    def _belongs_elsewhere(self, *known: Any) -> bool:
        owner = None if self._owner is None else self._owner()
        return owner is not None and all(owner is not one for one in known)
