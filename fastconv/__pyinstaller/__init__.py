"""What PyInstaller has to know; it finds this folder by the entry point ``pyinstaller40``."""

from __future__ import annotations

from pathlib import Path

__all__ = ["hook_dirs"]


def hook_dirs() -> list[str]:
    """Return the folders with hooks, one file for each module that needs one."""
    return [str(Path(__file__).parent)]
