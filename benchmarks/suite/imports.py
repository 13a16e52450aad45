"""Time of ``import fastconv`` in a new process, after NumPy."""

from __future__ import annotations


class Import:
    """asv runs the first text and times it, after the second."""

    version = "1"
    rounds = 1
    repeat = 7
    number = 1
    warmup_time = 0

    def timeraw_import(self) -> tuple[str, str]:
        return "import fastconv", "import numpy"
