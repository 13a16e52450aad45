"""The flags of the compiler."""

from __future__ import annotations

import os
import re
import shlex

from building import switches

# Each flag is tried alone, and left out if the compiler refuses it.  Without the first three, GCC
# keeps the accumulators in memory.  With predictive commoning it carries weights over the stack,
# and with loop patterns it clears the accumulators by a memset in memory.  Its last search for
# superfluous loads, after registers are allocated, takes a tenth of its time and changes next to
# no loop.  -ffast-math is never used: it breaks NaN and the process's floating-point mode.
HOT = (
    "-O3",
    "--param=max-completely-peeled-insns=4000",
    "--param=max-completely-peel-times=64",
    "-fno-predictive-commoning",
    "-fno-tree-loop-distribute-patterns",
    "-fno-gcse-after-reload",
)
#: For modules in which no loop is hot.
COLD = ("-O2",)
#: These give the same results at six tenths of the speed, and compile in less than half the time.
SPARE = ("-O1",)
#: The same for a target that fuses products and sums.  Equal bits depend on that, and GCC does it
#: in its expensive passes, which take a quarter of this time and make nothing faster.
SPARE_FUSED = (*SPARE, "-fexpensive-optimizations")
#: For builds whose speed nobody looks at: results are right, and memory is as usual.
UNOPTIMIZED = ("-O1",)
SANITIZED = (*SPARE_FUSED, "-g1")
SANITIZERS = {"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}
ALWAYS = (
    "-ffp-contract=fast",  # fused multiply-add if the target has it
    "-fno-lto",  # link-time optimisation would mix the targets' flags
    "-Wno-psabi",
    "-Wno-maybe-uninitialized",
    "-Wno-unused-function",  # parts include files of which they use only some functions
)


def wanted(level: tuple[str, ...]) -> tuple[str, ...]:
    """Return the flags that tune the code, for any target, in the order of the command line.

    Parameters
    ----------
    level : tuple of str
        `HOT`, `COLD`, `SPARE` or `SPARE_FUSED`, which is taken unless a switch says otherwise.
    """
    if switches.SANITIZE:
        return (*SANITIZED, SANITIZERS[switches.SANITIZE], *ALWAYS)
    # Python's own flags ask for debug information, which makes a module five times as large
    asked = any(
        re.match(r"-g(?!0)", word)
        for variable in ("CFLAGS", "CPPFLAGS", "CC")
        for word in shlex.split(os.environ.get(variable, ""))
    )
    return (*(level if switches.OPTIMIZE else UNOPTIMIZED), *ALWAYS, *(() if asked else ("-g0",)))
