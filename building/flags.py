"""What the compiler is told."""

from __future__ import annotations

import os
import re
import shlex

from . import switches

# Each tried alone and left out where the compiler refuses it: without the first three GCC
# keeps the accumulators in memory, with predictive commoning it carries weights over the
# stack, and with loop patterns it clears the accumulators by a memset in memory.  -ffast-math
# is never used: it breaks NaN and the process's floating-point mode.
OPTIMIZED = (
    "-O3",
    "--param=max-completely-peeled-insns=4000",
    "--param=max-completely-peel-times=64",
    "-fno-predictive-commoning",
    "-fno-tree-loop-distribute-patterns",
)
#: Results are right, and memory is what it is; the speed is not looked at.
UNOPTIMIZED = ("-O1",)
#: GCC contracts products and sums, on which equal bits rest, in its expensive passes.
SANITIZED = ("-O1", "-g1", "-fexpensive-optimizations")
SANITIZERS = {"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}
ALWAYS = (
    "-ffp-contract=fast",  # fused multiply-add where the target has it
    "-fno-lto",  # link-time optimisation would mix the targets' flags
    "-Wno-psabi",
    "-Wno-maybe-uninitialized",
)


def wanted() -> tuple[str, ...]:
    """Return the flags that tune the code, for any target, in the order of the command line."""
    if switches.SANITIZE:
        return (*SANITIZED, SANITIZERS[switches.SANITIZE], *ALWAYS)
    # Python's own flags ask for debug information, which makes a module five times as large
    asked = any(
        re.match(r"-g(?!0)", word)
        for variable in ("CFLAGS", "CPPFLAGS", "CC")
        for word in shlex.split(os.environ.get(variable, ""))
    )
    debug = () if asked else ("-g0",)
    return (*(OPTIMIZED if switches.OPTIMIZE else UNOPTIMIZED), *ALWAYS, *debug)


def macros(threads_matter: bool) -> list[tuple[str, str]]:
    """Return the macros that stand for switches; `threads_matter` for the pool of threads."""
    found = []
    if threads_matter and not switches.THREADS:
        found.append(("FC_NO_THREADS", "1"))
    if not switches.OPTIMIZE:
        found.append(("FC_UNOPTIMIZED", "1"))
    return found
