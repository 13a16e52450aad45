"""Fuzz every function on arrays against guard pages: ``python tests/fuzz.py --isa avx2``.

A case is its number: ``python tests/fuzz.py --first NUMBER --cases 1`` runs one again.
"""

from __future__ import annotations

import argparse
import sys
import time

from fuzzing import runner

import fastconv

#: Without -P it would import the fastconv of the folder that it is started in.
WORKER = [sys.executable, "-P", "-m", "fuzzing.runner"]


def main(arguments: list[str] | None = None) -> int:
    """Run the cases on each instruction set that is asked for; return 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of a case")
    parser.add_argument("--cases", type=int, default=200_000, metavar="N")
    parser.add_argument("--isa", default="all", help="an instruction set, or all that run here")
    parser.add_argument("--jobs", type=int, default=runner.usable_jobs(), metavar="N")
    parser.add_argument("--most", type=int, default=20, metavar="N", help="failures to end after")
    parser.add_argument(
        "--patience", type=float, default=300.0, metavar="SECONDS", help="after which a case hangs"
    )
    given = parser.parse_args(arguments)
    isas = fastconv.available_isas() if given.isa == "all" else [given.isa]
    failed = 0
    for isa in isas:
        begun = time.monotonic()
        done, wrong = runner.run(
            WORKER,
            given.first,
            given.cases,
            jobs=given.jobs,
            most=given.most,
            patience=given.patience,
            environment=runner.environment(isa),
        )
        seconds = time.monotonic() - begun
        print(
            f"{isa}: {done} cases, {wrong} failures, {seconds:.0f} s, "
            f"{done / seconds:.0f} cases a second"
        )
        failed += wrong
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
