"""What to say where the compiled kernels are not there, or are not those of this Python."""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES

from fastconv.errors import NotCompiledError, describe

__all__ = ["not_compiled"]

FOLDER = os.path.dirname(__file__)


def not_compiled(error: Exception, place: str | os.PathLike[str] = FOLDER) -> NotCompiledError:
    """Return the error to raise where `error` came of using the modules in `folder`.

    Parameters
    ----------
    error : Exception
        Of an import, or of reading what the build has written.
    place : path
        The folder of this package.
    """
    import shlex  # not before there is an error to explain
    from pathlib import Path

    folder = Path(place)
    if not folder.is_dir():
        archive = next((str(path) for path in folder.parents if path.is_file()), str(folder))
        return NotCompiledError(
            "fastconv",
            "compiled modules",
            "must be files, which Python loads from a folder",
            archive,
            "unpack it, or install it with pip",
            shown=f"an archive, {archive}",
        )
    built = [path.name for path in folder.glob("_cpu.*") if path.suffix in (".so", ".pyd")]
    fitting = [name for name in built if name.removeprefix("_cpu") in EXTENSION_SUFFIXES]
    if not built:
        value, rule = "none", "must be compiled"
    elif not fitting:
        value = f"those for {', '.join(sorted(name.split('.')[1] for name in built))}"
        rule = f"must be compiled for this Python, {sys.implementation.cache_tag}"
    else:
        value, rule = describe(error), "must be whole, and made of these sources"
    root = folder.parents[1]
    command = "pip install --force-reinstall --no-deps --no-cache-dir . (in its sources)"
    if (root / "setup.py").is_file():
        command = f"pip install --editable {shlex.quote(str(root))}"
    return NotCompiledError(
        "fastconv",
        "the kernels",
        rule,
        value,
        f"{shlex.quote(sys.executable)} -m {command} compiles them",
        shown=f"{value} in {folder}" if not fitting else value,
    )
