"""What commands say while they run."""

from __future__ import annotations

import sys

__all__ = ["note", "write"]


def note(command: str, text: str) -> None:
    """Say on the standard error what is no error, and should not go unseen."""
    print(f"fastconv {command}: {text}", file=sys.stderr, flush=True)


def write(text: str) -> None:
    """Print without delay, so that whoever reads a pipe sees progress too."""
    print(text, flush=True)
