"""Which instruction sets the processor of this machine runs.

Python cannot tell, so a program of a loop around kernels/cpu.h is compiled and run.

    python building/processor.py        prints them: baseline,avx2

It needs nothing but the standard library and a C compiler, so that a Makefile can call it before
anything is installed.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

KERNELS = Path(__file__).resolve().parents[1] / "fastconv" / "kernels"
SOURCE = """
#include <stdio.h>
#include "cpu.h"
int main(void) {
    int i;
    for (i = 0; i < FC_SETS; i++)
        if (fc_sets[i].runs()) puts(fc_sets[i].name);
    return 0;
}
"""


def usual_compiler() -> list[str]:
    """Return the command of the C compiler that a build takes by default."""
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def runs(compiler: Sequence[str]) -> tuple[list[str], str]:
    """Return the sets that this processor runs, the fastest last, or none and the reason.

    Parameters
    ----------
    compiler : sequence of str
        The command of the compiler, without names of files.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "processor.c", Path(folder) / "processor.exe"
        source.write_text(SOURCE)
        command = [*compiler, f"-I{KERNELS}", str(source), "-o", str(program)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
            printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        except subprocess.CalledProcessError as error:
            lines = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
            return [], lines[0]
        except OSError as error:  # no compiler, or a program for another machine
            return [], str(error)
    return printed.split(), ""


if __name__ == "__main__":
    better = [name for name in runs(usual_compiler())[0] if name != "baseline"]
    print(",".join(better or ["baseline"]))
