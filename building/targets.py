"""The instruction sets that a target can have, by the build's settings, and which are built."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class InstructionSet:
    """What a target needs from the compiler, and the shape of its register tile."""

    name: str
    flags: tuple[str, ...]  # required: a compiler that refuses them leaves the target out
    vector_bytes: int
    tile: int  # its pixels; with 2 vectors each they must leave some registers free to work
    fuses: bool = True  # whether it may have a multiply-add that rounds once


# GCC moves halves of vectors through MMX registers and does not reset them. Then code that runs
# later in the thread and computes with long doubles gets NaN.
X86 = ("-march=x86-64", "-mno-mmx")
AVX512 = ("-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma")
X86_64 = (
    # -mno-sse3 also switches off all later sets that the user's CFLAGS may name
    InstructionSet("baseline", (*X86, "-mno-sse3"), 16, 6, fuses=False),
    InstructionSet("avx2", (*X86, "-mavx2", "-mfma"), 32, 6),
    InstructionSet("avx512", (*X86, *AVX512), 64, 14),
)
AARCH64 = (InstructionSet("baseline", (), 0, 6), InstructionSet("neon", (), 16, 12))
OTHER = (InstructionSet("baseline", (), 16, 6),)
MACHINES = {"x86_64": X86_64, "amd64": X86_64, "aarch64": AARCH64, "arm64": AARCH64}


def instruction_sets() -> tuple[InstructionSet, ...]:
    """Return the sets that the machine which the build is for may have, the slowest first.

    The build's settings, such as ``_PYTHON_HOST_PLATFORM``, say which machine that is. It need not
    be the one that builds.
    """
    platform = sysconfig.get_platform().lower()
    if sys.maxsize <= 2**32 and not cross_building():
        return OTHER  # a 32-bit Python names the 64-bit machine that it runs on
    found = re.search(rf"[-_]({'|'.join(MACHINES)})$", platform)
    return MACHINES[found[1]] if found else OTHER


def cross_building() -> bool:
    """Return whether the build is for another machine than the one that builds."""
    return "_PYTHON_HOST_PLATFORM" in os.environ


@dataclass(frozen=True)
class Selection:
    """Which instruction sets are built, and why the others are not."""

    built: tuple[str, ...]
    spare: tuple[str, ...]  # compiled in less time: those that stand in on lesser processors
    not_asked_for: tuple[str, ...]
    refused: Mapping[str, str]  # by the compiler or the build's switches, each with the reason


def select(
    asked: str,
    known: Sequence[str],
    refused: Mapping[str, str],
    runs: Collection[str] | None,
    spare: bool = False,
) -> Selection:
    """Return what ``FASTCONV_BUILD_ISAS=asked`` builds.

    Parameters
    ----------
    asked : str
        ``"native"``, which is the baseline and the best set that the processor runs; ``"all"``;
        or names joined by commas, to which the baseline is added.  Unless the baseline is named, or
        ``"all"`` are asked for, it is only a spare beside a better set.
    known : sequence of str
        The sets that the target may have, the slowest first.
    refused : mapping of str to str
        The sets that cannot be built, each with the reason.
    runs : collection of str, or None
        The sets that the processor runs.  None means that they are not known, as in a cross build;
        ``"native"`` is then ``"all"``.
    spare : bool
        Whether all of them are spares.

    Raises
    ------
    ValueError
        If `asked` names a set that the target does not have.
    """
    possible = [name for name in known if name not in refused]
    if asked == "all" or (asked == "native" and runs is None):
        wanted = list(known)
    elif asked == "native":
        wanted = [name for name in possible if name in (runs or ())][-1:]
    else:
        wanted = [name.strip() for name in asked.split(",")]
        if unknown := [name for name in wanted if name not in known]:
            raise ValueError(
                f"FASTCONV_BUILD_ISAS must be native, all or names among {', '.join(known)} "
                f"joined by commas, got {unknown[0]!r}"
                + (f" in {asked!r}" if len(wanted) > 1 else "")
            )
    built = tuple(name for name in possible if name in {"baseline", *wanted})
    return Selection(
        built=built,
        spare=built if spare else tuple(name for name in built[:-1] if name not in wanted),
        not_asked_for=tuple(name for name in possible if name not in built),
        refused=dict(refused),
    )
