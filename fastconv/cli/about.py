"""The package that runs, which its modules do not import."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["package", "version"]


def package() -> Any:
    """Return the package itself; to import it here would be a circle, for it knows all modules."""
    return sys.modules["fastconv"]


def version() -> str:
    """Return the version of the package that runs, installed or not."""
    return str(package().__version__)
