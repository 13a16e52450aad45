"""What setup.py wrote about this installation, and how to build what it lacks."""

from __future__ import annotations

import json
import os
from functools import lru_cache

from fastconv.kernels import _cpu
from fastconv.kernels.missing import not_compiled

#: From the slowest to the fastest of one kind of machine.
KNOWN = ("baseline", "avx2", "avx512", "neon")


@lru_cache(maxsize=1)
def _report() -> dict:
    try:
        with open(os.path.join(os.path.dirname(__file__), "build.json"), encoding="utf-8") as file:
            report = json.load(file)
        report["asked"], report["built"], report["not_asked_for"], report["refused"]
        report["parts"], report["spare"]
    except (OSError, ValueError, KeyError, TypeError) as error:  # of another build
        raise not_compiled(error) from None
    return report


def built_isas() -> list[str]:
    """Return the instruction sets that this installation has kernels for."""
    return list(_report()["built"])


def spare_isas() -> list[str]:
    """Return those that were compiled in less time than their speed would take."""
    return list(_report()["spare"])


def parts() -> list[str]:
    """Return the parts of which each instruction set and dtype has a compiled module."""
    return list(_report()["parts"])


def left_out() -> dict[str, str]:
    """Return the instruction sets that the build left out, each with the reason."""
    report = _report()
    why = f"not asked for by FASTCONV_BUILD_ISAS={report['asked']}"
    return {**dict.fromkeys(report["not_asked_for"], why), **report["refused"]}


def available_isas() -> list[str]:
    """Return the instruction sets that are built and can run here, the fastest last.

    Examples
    --------
    >>> "baseline" in available_isas()
    True
    """
    return [isa for isa in built_isas() if _cpu.supports(isa)]


def better_isa() -> str:
    """Return an instruction set that this processor runs best, if the build left it out, or ""."""
    runs, best = [isa for isa in KNOWN if _cpu.supports(isa)], available_isas()[-1]
    better = [isa for isa in runs[runs.index(best) + 1 :] if isa in left_out()]
    possible = [isa for isa in better if isa not in _report()["refused"]]
    return (possible or better or [""])[-1]


def remedy(isa: str) -> str:
    """Return how to get the kernels of `isa`, which the build left out."""
    refused = isa in _report()["refused"]
    return (
        f"build it anew from its sources{', with a newer compiler' if refused else ''}: "
        f"FASTCONV_BUILD_ISAS={isa} pip install --force-reinstall --no-deps --no-cache-dir ."
    )
