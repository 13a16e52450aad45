"""Measure fastconv beside PyTorch, ONNX Runtime, OpenVINO, MNN and ncnn, and write a report.

One process, the same arrays, equally many threads, contenders taking turns.

examples, from the folder benchmarks/:
  python -m peers                                  everything, one thread
  python -m peers --quick                          the same in a few minutes, less exact
  python -m peers --threads 2 --tables forward     both cores, forward convolutions only
  python -m peers --layers resnet50 mec "vgg*"     other layers
  python -m peers --precision standard fast --algorithms direct im2col auto
  python -m peers --peers torch --tables backward --layers rn2.3x3     one figure, at once
  python -m peers --held                           AVX2 alone, on a processor with AVX-512
  python -m peers --against v0.5.0 --layers first                      beside an older fastconv
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import fastconv
from peers import held, machine, older, report
from peers.cases import TABLES, select
from peers.settings import LAYERS, PEERS, Settings, installed
from peers.tables import ALL

REPORTS = Path(__file__).parents[2] / "docs" / "peers"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="python -m peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--threads", type=int, default=1, help="threads of every library (1)")
    add(
        "--tables", nargs="+", choices=ALL, help="which tables (all; with --against that one alone)"
    )
    add(
        "--layers",
        nargs="+",
        default=LAYERS,
        metavar="NAME",
        help=f"of {', '.join(TABLES)}, all, or layers and patterns of them ({' '.join(LAYERS)})",
    )
    add("--peers", nargs="+", choices=PEERS, default=PEERS, help="which peers (all)")
    add(
        "--algorithms",
        nargs="+",
        default=("direct", "auto"),
        metavar="NAME",
        help="columns of fastconv in the forward table (direct auto)",
    )
    add(
        "--precision",
        nargs="+",
        default=("standard",),
        choices=("strict", "standard", "fast"),
        help="of the algorithm auto, a column each (standard)",
    )
    add("--keep-output", action="store_true", help="let fastconv write into kept memory too")
    add("--quick", action="store_true", help="fewer and shorter rounds")
    add(
        "--held",
        action="store_true",
        help="hold fastconv and all peers to AVX2, on a processor with AVX-512",
    )
    add(
        "--against",
        metavar="COMMIT",
        help="measure the present fastconv beside that of a commit, which is built in build/older/",
    )
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="the report, relative to benchmarks/, JSON beside it (docs/peers/ and the name of the "
        "instruction set, and the page of all of them, docs/peers.md, is written anew; with "
        "--against build/older/ and the commit)",
    )
    return found


def settings_from(arguments: argparse.Namespace) -> Settings:
    """Return the checked settings.

    Raises
    ------
    ValueError
        If a layer, an algorithm, a commit or the number of threads is impossible.
    """
    if arguments.threads < 1:
        raise ValueError(f"threads must be at least 1, got {arguments.threads}")
    select(tuple(arguments.layers))
    for algorithm in arguments.algorithms:
        # for an unknown algorithm, its error names those that there are
        fastconv.prepare_conv2d(np.ones((1, 1, 3, 3), np.float32), algorithm=algorithm)
    asked = () if list(tables_of(arguments)) == ["against"] else arguments.peers
    return Settings(
        threads=arguments.threads,
        peers=tuple(peer for peer in asked if installed(peer)),
        left_out=tuple(peer for peer in asked if not installed(peer)),
        layers=tuple(arguments.layers),
        algorithms=tuple(arguments.algorithms),
        precisions=tuple(arguments.precision),
        keep_output=arguments.keep_output,
        quick=arguments.quick,
        against=older.resolve(arguments.against) if arguments.against else "",
    )


def tables_of(arguments: argparse.Namespace) -> Sequence[str]:
    """Return the tables to measure."""
    return arguments.tables or (["against"] if arguments.against else ALL)


def output_of(arguments: argparse.Namespace, settings: Settings) -> Path:
    """Return where the report goes; a comparison of two versions has a file of its own."""
    if arguments.output:
        return arguments.output
    isa = name_of_report()
    if settings.against:
        return older.KEPT / f"{settings.against[:12]}-{isa}.md"
    return REPORTS / f"{isa}.md"


def name_of_report() -> str:
    """Return the instruction set that fastconv runs, whether all are held to it, and whether the
    processor is AMD's, whose units and caches make another class."""
    isa = held.HELD if held.is_held() else fastconv.active_isa()
    return f"{isa}-amd" if machine.processor().startswith("AMD") else isa


def pin_threads(settings: Settings) -> None:
    """Give all libraries equally many threads; peers read environment variables when imported."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(settings.threads)
    fastconv.set_num_threads(settings.threads)
    if "torch" in settings.peers:
        from peers.libraries import pytorch

        pytorch.prepare(settings.threads)


def main() -> None:
    """Measure what the command line asks for."""
    found = parser()
    arguments = found.parse_args()
    try:
        settings = settings_from(arguments)
        if arguments.held and not held.is_held():
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], held.environment())
    except ValueError as error:
        found.error(str(error))
    start, others = time.monotonic(), machine.Others()
    pin_threads(settings)
    facts = machine.describe(settings)
    tables = []
    for name in tables_of(arguments):
        tables += importlib.import_module(f"{__package__}.tables.{name}").run(settings)
    minutes = (time.monotonic() - start) / 60
    facts["run"] = f"{minutes:.1f} minutes, {'quick' if settings.quick else 'in full'}"
    facts["quiet"] = str(others)
    isa = name_of_report()
    command = shlex.join(["python", "-m", "peers", *sys.argv[1:]])
    text = report.markdown(tables, facts, command, isa)
    output = output_of(arguments, settings)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)
    data = {
        "facts": facts,
        "summary": report.summaries(tables),
        "tables": [table.to_json() for table in tables],
    }
    output.with_suffix(".json").write_text(json.dumps(data, indent=1) + "\n")
    if output.parent == REPORTS:
        found = {path.stem: json.loads(path.read_text()) for path in sorted(REPORTS.glob("*.json"))}
        REPORTS.with_suffix(".md").write_text(report.classes(found))
    print(text)


if __name__ == "__main__":
    main()
