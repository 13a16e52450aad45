"""Translates Cython to C, each source once, and several at a time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from building import modules, store

DIRECTIVES = ("boundscheck=False", "wraparound=False", "initializedcheck=False", "cdivision=True")

#: The line in Cython's C where the functions of a module end.  Behind it comes what fills the
#: module when it is imported, and helpers for calls and errors.  At -O3 that would take a sixth of
#: the compiler's time.
AFTERWARDS = "/* #### Code section: module_exttypes ### */\n"
COLD = '#if defined(__GNUC__) && !defined(__clang__)\n#pragma GCC optimize("O1")\n#endif\n'
#: What the C follows from, beside the source and Cython.
RECIPE = (DIRECTIVES, AFTERWARDS, COLD)


def command(source: Path, to: Path) -> list[str]:
    """Return the command that translates `source`."""
    words = [sys.executable, "-m", "cython", "-3"]
    for directive in DIRECTIVES:
        words += ["-X", directive]
    if source.stem == modules.SHARED:
        return [*words, f"--generate-shared={to}"]
    package = ".".join(source.parent.parts)
    return [
        *words,
        "--shared",
        f"{modules.PACKAGE}.{modules.SHARED}",
        "-I",
        str(modules.KERNELS),
        "--module-name",
        f"{package}.{source.stem}",
        str(source),
        "-o",
        str(to),
    ]


def translate(
    sources: Collection[Path], folder: Path, kept: store.Store, tools: Sequence[object], jobs: int
) -> dict[Path, Path]:
    """Return the C of each source, taken from `kept` if it has been made before.

    Parameters
    ----------
    sources : collection of Path
        Cython sources, relative to the root of the project.
    folder : Path
        The folder that the C is written to.
    kept : Store
        The store in which it is kept.
    tools : sequence
        What identifies Python and Cython.
    jobs : int
        How many sources are translated at once.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def one(source: Path) -> Path:
        path = folder / f"{source.stem}.c"
        recipe = [command(source, path)[1:-1], RECIPE, tools]
        key = store.digest(store.sources_of(source, modules.KERNELS), recipe)
        if found := kept.find(path.name, key):
            shutil.copyfile(found, path)
        else:
            path.unlink(missing_ok=True)
            subprocess.run(command(source, path), check=True)
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(AFTERWARDS, COLD + AFTERWARDS), encoding="utf-8")
            kept.keep(path, key)
        return path

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(sources, pool.map(one, sources), strict=True))
