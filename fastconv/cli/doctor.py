"""Say what this installation has, what it uses, and what is wrong with it.

Shows the version, the instruction sets that were built, that can run here and that the build
left out, which is used, and how to build the one that this processor would run best; the table
by which the algorithm "auto" chooses; threads and the processors that this process may use;
NumPy and the optional packages; the plugins of other packages, the broken ones with the reason.
A report of a bug begins with this output.

With --tune it measures this machine instead, for some seconds, and writes the table of costs by
which "auto" will choose from then on, a file for this processor and instruction set in your
cache folder.  FASTCONV_COSTS=shipped, or the path of such a file, chooses another table: with
another one "auto" may take another algorithm, and give other bits.

examples:
  fastconv doctor
  fastconv doctor --tune                     measure this machine
  fastconv doctor --tune --json              print the table, write nothing
  fastconv doctor --reset                    back to the shipped table
  FASTCONV_ISA=baseline fastconv doctor      with another instruction set
"""

from __future__ import annotations

import argparse
import errno
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from fastconv import kernels, registry, threads
from fastconv.cli.about import version
from fastconv.costs import local
from fastconv.errors import ArgumentError, FastconvError, PluginWarning, describe, in_one_line
from fastconv.memory import format_bytes

EXTRAS = {
    "plot": "matplotlib",
    "images": "pillow",
    "sklearn": "scikit-learn",
    "completion": "shtab",
    "dask": "dask",
    "mpi": "mpi4py",
}
NEEDED = ("numpy", "safetensors", "tqdm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add whether to measure, and what to do with the result."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--tune", action="store_true", help="measure the table of costs")
    what.add_argument("--reset", action="store_true", help="remove the table measured here")
    parser.add_argument("--json", action="store_true", help="with --tune: print, write nothing")


def run(arguments: argparse.Namespace) -> None:
    """Print the report section by section; or measure; or forget what was measured."""
    if arguments.json and not arguments.tune:
        raise ArgumentError("doctor", "--json", "must come with --tune")
    if arguments.tune:
        _tune(kernels.active_isa(), arguments.json)
    elif arguments.reset:
        path = local.cache_path(kernels.active_isa())
        found = path.exists()
        path.unlink(missing_ok=True)
        print(f"removed {path}" if found else f"there is no {path}")
    else:
        _report()


def _tune(isa: str, as_json: bool) -> None:
    from fastconv import tuning  # not for the report

    if not as_json:
        _check_cache(local.cache_path(isa))
    shown = sys.stderr.isatty()

    def progress(done: int, of: int) -> None:
        if shown:
            end = "\n" if done == of else ""
            print(f"\rmeasuring {isa} on one thread: {done} of {of}", end=end, file=sys.stderr)

    table = tuning.tune(progress=progress)
    if as_json:
        print(local.to_json(table, isa), end="")
        return
    path = local.save(table, isa)
    print(f"wrote {path}")
    if named := os.environ.get(local.VARIABLE):
        print(f"but {local.VARIABLE}={named} chooses another table")


def _check_cache(path: Path) -> None:
    """Refuse a file that could not be written, before time is spent on its content."""
    probe = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    except OSError as error:
        raise ArgumentError(
            "doctor",
            "--tune",
            "must be able to write its table",
            str(path),
            "--json prints it instead",
            shown=f"{error.strerror}: {path}",
        ) from error


def _report() -> None:
    _section(
        f"fastconv {version()}",
        {
            "at": str(Path(kernels.__file__).parents[1]),
            "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
            **{_title(name): _version(name) or "MISSING" for name in NEEDED},
        },
    )
    left_out, better = kernels.left_out(), kernels.better_isa()
    _section(
        "instruction sets",
        {
            **_active(),
            "available": " ".join(kernels.available_isas()),
            "built": " ".join(kernels.built_isas()),
            **{
                f"spare {name}": "slower than need be; FASTCONV_BUILD_ISAS=all compiles it in full"
                for name in kernels.spare_isas()
            },
            **{f"left out {name}": reason for name, reason in left_out.items()},
            **({f"better is {better}": kernels.remedy(better)} if better else {}),
        },
    )
    _section("table of costs", dict(_costs()))
    _section("threads", dict(_threads()))
    _section(
        "extras",
        {
            extra: f"{_title(name)} {found}"
            if (found := _version(name))
            else f'no {name}; pip install "fastconv[{extra}]"'
            for extra, name in EXTRAS.items()
        },
    )
    _section("plugins", dict(_plugins()) or {"": "none"})


def _section(title: str, rows: dict[str, str]) -> None:
    print(title)
    width = max(map(len, rows))
    for name, text in rows.items():
        print(f"  {name:<{width}}  {text}" if name else f"  {text}")


def _title(distribution: str) -> str:
    return "NumPy" if distribution == "numpy" else distribution


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution) or "installed, with damaged metadata"
    except metadata.PackageNotFoundError:
        return None
    except Exception as error:  # metadata may be damaged in any way
        return f"installed, with damaged metadata: {describe(error)}"


def _active() -> dict[str, str]:
    refusal = kernels.refusal
    if refusal:
        return {"BROKEN": refusal.said}
    first, second = (format_bytes(size) for size in kernels.cache_bytes())
    return {"active": kernels.active_isa(), "caches": f"{first} of L1 and {second} of L2 a core"}


def _costs() -> Iterator[tuple[str, str]]:
    if kernels.refusal:
        yield "in use", "none without an instruction set"
        return
    try:
        found = local.source(kernels.active_isa())
    except ArgumentError as error:
        yield "BROKEN", error.said
        return
    yield "in use", found.path or "shipped"
    if found.problem:
        yield "BROKEN", found.problem
    elif found.path is None and not os.environ.get(local.VARIABLE):
        yield "to measure this machine", "fastconv doctor --tune"
    yield "processor", local.processor()


def _threads() -> Iterator[tuple[str, str]]:
    quota = threads.quota_cpus()
    if threads.refusal:
        yield "BROKEN", threads.refusal.said
    else:
        yield "used", str(threads.get_num_threads())
    yield "affinity", f"{threads.affinity_cpus()} of {os.cpu_count()} processors"
    yield "cgroup quota", "none" if quota is None else f"{quota:g} processors"
    for variable in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"):
        if value := os.environ.get(variable):
            yield variable, in_one_line(value)


def _plugins() -> Iterator[tuple[str, str]]:
    """Yield each offered name, and whether it loads; what is loaded is forgotten again."""
    with registry.isolated(), warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # all they say is in the report
        for where in (registry.layers, registry.models):
            for name, distribution, refusal in where.offers():
                owner = distribution.strip("'")
                if not name:
                    yield f"{where.kind}s of {owner}", f"BROKEN: {refusal}"
                elif refusal:
                    yield f"{in_one_line(name)} ({where.kind} of {owner})", f"REFUSED: {refusal}"
                else:
                    yield f"{name} ({where.kind} of {owner})", _works(where, name)


def _works(where: registry.Registry[Any], name: str) -> str:
    try:
        where.get(name)
    except FastconvError as error:
        return f"BROKEN: {describe(error)}"
    return "works"
