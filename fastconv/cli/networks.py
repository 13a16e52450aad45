"""What several commands do with the file of a network."""

from __future__ import annotations

import sys
from pathlib import Path

from fastconv import models
from fastconv.errors import ArgumentError
from fastconv.models import files


def read_network(path: str, seed: int | None = None) -> models.Model:
    """Return the model of a saved ``.safetensors`` file, or of a JSON configuration."""
    if Path(path).suffix == ".safetensors":
        return models.load(path)
    return models.from_config(Path(path).read_bytes(), seed=seed)


def write(text: str) -> None:
    """Print at once, so that a pipe sees progress too."""
    print(text, flush=True)


def check_writable(command: str, path: str) -> None:
    """Refuse a path whose folder is not there, before time is spent on what goes to it."""
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise ArgumentError(
            f"{command}: the folder of the output must exist, got {str(folder)!r}; create it first"
        )


def check_saving(command: str, path: str) -> None:
    """Refuse a path that `Model.save` would refuse, or that no command could read again."""
    if Path(path).suffix != ".safetensors":
        raise ArgumentError(
            f"{command}: the name of the output must end in .safetensors, got {path!r}"
        )
    check_writable(command, files.target_of(command, path)[0])


def version() -> str:
    """Return the version of the package that runs, installed or not."""
    # Asked at run time: the rooms of the house do not import the front door.
    return str(sys.modules["fastconv"].__version__)
