"""What errors and histories call an object whose class gives itself no name."""

from __future__ import annotations

from typing import ClassVar, cast

__all__ = ["Named"]


class _ClassName:
    """The name of the class that is asked."""

    def __get__(self, instance: object, owner: type) -> str:
        return owner.__name__


class Named:
    """A base of classes with a name, which is that of the class unless it gives another.

    Examples
    --------
    >>> class Inverse(Named):
    ...     pass
    >>> class Cosine(Named):
    ...     name = "cosine"
    >>> Inverse().name, Cosine().name
    ('Inverse', 'cosine')
    """

    name: ClassVar[str] = cast(str, _ClassName())
