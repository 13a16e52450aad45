"""What files of weights have in common while they are open."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

from fastconv.arguments import as_path, check_regular

__all__ = ["OpenedFile"]


class OpenedFile(ABC):
    """A file that is open while a ``with`` statement runs; a subclass reads what it says of itself.

    Attributes
    ----------
    operation : str
        The operation that errors name.
    path : str
    """

    def __init__(self, operation: str, path: Any) -> None:
        self.operation, self.path = operation, str(as_path(operation, "path", path))
        check_regular(operation, "path", self.path)
        self._file = open(self.path, "rb")
        try:
            self._read_contents()
        except BaseException:
            self._file.close()
            raise

    @abstractmethod
    def _read_contents(self) -> None:
        """Read what the file holds, and where; close nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
