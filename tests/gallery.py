"""Runs the experiments of docs/gallery, each within a limit, and looks at what they draw.

``python tests/gallery.py`` runs all of them, ``python tests/gallery.py depth transfer`` some, and
``--pictures FOLDER`` keeps what they draw and print. A limit is a minute of each of two processor
cores: seconds of the processor, so that other programs do not count. Warnings are errors.
"""

from __future__ import annotations

import argparse
import os
import resource
import runpy
import subprocess
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GALLERY = ROOT / "docs" / "gallery"
CORES, SECONDS = 2, 60


def run(name: str, folder: Path | None) -> tuple[float, str]:
    """Run an experiment in a process; return its seconds of the processor, and what is wrong."""
    before = os.times()
    done = subprocess.run(
        [
            sys.executable,
            __file__,
            "--inside",
            name,
            *(["--pictures", str(folder)] if folder else []),
        ],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "MPLBACKEND": "agg", "PYTHONIOENCODING": "utf-8"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (CORES * SECONDS,) * 2),
    )
    after = os.times()
    if folder:
        (folder / f"{name}.txt").write_text(done.stdout, encoding="utf-8")
    taken = sum(after[2:4]) - sum(before[2:4])
    return taken, done.stderr or f"ended with {done.returncode}" if done.returncode else ""


def inside(name: str, folder: Path | None) -> None:
    """Run an experiment here, and see that it drew pictures with names on their axes."""
    import matplotlib.pyplot as plt

    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
    sys.path.insert(0, str(GALLERY))
    runpy.run_path(str(GALLERY / f"plot_{name}.py"), run_name="__main__")
    figures = [plt.figure(number) for number in plt.get_fignums()]
    assert figures, "nothing is drawn"
    for at, figure in enumerate(figures, 1):
        for axes in figure.axes:
            alike = axes.get_shared_y_axes().get_siblings(axes)  # of which one is named
            named = axes.images or any(other.get_ylabel() for other in alike)
            assert axes.has_data() and named, "axes without a name"
        if folder:
            figure.savefig(folder / f"{name}_{at}.png", dpi=100)


def main() -> int:
    """Run what the command line names, and print a line for each."""
    names = sorted(path.stem.removeprefix("plot_") for path in GALLERY.glob("plot_*.py"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *names], metavar="NAME")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument("--inside", choices=names, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.inside, options.pictures)
        return 0
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    failed, total, begin = [], 0.0, time.perf_counter()
    for name in options.names or names:
        taken, wrong = run(name, options.pictures)
        total += taken
        print(f"{name}: {taken:.1f} s of the processor", flush=True)
        if wrong:
            failed.append(name)
            print(wrong, file=sys.stderr)
    print(f"all: {total:.1f} s of the processor, in {time.perf_counter() - begin:.1f} s")
    print(f"failed: {', '.join(failed)}" if failed else "all of them ran")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
