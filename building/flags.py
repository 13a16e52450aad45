"""What the compiler is told."""

from __future__ import annotations

import os
import re
import shlex

from building import switches

# Each tried alone and left out where the compiler refuses it: without the first three GCC
# keeps the accumulators in memory, with predictive commoning it carries weights over the
# stack, and with loop patterns it clears the accumulators by a memset in memory.  To look once
# more for loads that are superfluous, when registers are given out, is a tenth of the compiler's
# time and changes next to no loop.  -ffast-math is never used: it breaks NaN and the process's
# floating-point mode.
HOT = (
    "-O3",
    "--param=max-completely-peeled-insns=4000",
    "--param=max-completely-peel-times=64",
    "-fno-predictive-commoning",
    "-fno-tree-loop-distribute-patterns",
    "-fno-gcse-after-reload",
)
#: Where nothing is hot.
COLD = ("-O2",)
#: The same results in less than half the time to compile, at six tenths of the speed.
SPARE = ("-O1",)
#: The same for a target that fuses products and sums, on which equal bits rest: GCC does so in its
#: expensive passes, which are a quarter of this time and make nothing faster.
SPARE_FUSED = (*SPARE, "-fexpensive-optimizations")
#: Results are right, and memory is what it is; the speed is not looked at.
UNOPTIMIZED = ("-O1",)
SANITIZED = (*SPARE_FUSED, "-g1")
SANITIZERS = {"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}
ALWAYS = (
    "-ffp-contract=fast",  # fused multiply-add where the target has it
    "-fno-lto",  # link-time optimisation would mix the targets' flags
    "-Wno-psabi",
    "-Wno-maybe-uninitialized",
    "-Wno-unused-function",  # a part includes files that it uses in part
)


def wanted(level: tuple[str, ...]) -> tuple[str, ...]:
    """Return the flags that tune the code, for any target, in the order of the command line.

    Parameters
    ----------
    level : tuple of str
        `HOT`, `COLD`, `SPARE` or `SPARE_FUSED`: what holds unless a switch says otherwise.
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
