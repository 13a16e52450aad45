"""Two versions of fastconv, each in a process of its own, which take turns."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from peers.contenders import Contender, check
from peers.timing import Pace, Times

__all__ = ["Lacking", "Version", "compare"]

FOLDER = Path(__file__).parents[1]
RANDOM = ("training",)  # kinds whose results differ from version to version: dropout


class Lacking(Exception):
    """A version cannot do what it was asked for."""

    def __init__(self, version: Version, reason: str) -> None:
        super().__init__(reason)
        self.version = version


class Version:
    """A process that has imported one version.

    Parameters
    ----------
    name : str
        The name of the column.
    threads : int
    package : Path, optional
        The folder that holds the version; by default the one that this process would import from.

    Attributes
    ----------
    about : dict
        Its version, file and instruction set.
    """

    def __init__(self, name: str, threads: int, package: Path | None = None) -> None:
        self.name = name
        paths = [str(package)] if package else []
        paths += filter(None, [os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "peers.worker", str(threads)],
            cwd=FOLDER,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self.about = self._hear()
        if package and package not in Path(self.about["file"]).parents:
            self.close()
            raise RuntimeError(
                f"the older fastconv was imported from {self.about['file']}, not from {package}"
            )

    def make(self, kind: str, name: str, variant: str, save: Path | None) -> None:
        """Make a call, and save its first result.

        Raises
        ------
        Lacking
            If the version cannot do that.
        """
        found = self.ask({"make": [kind, name, variant], "save": str(save) if save else None})
        if "lacks" in found:
            raise Lacking(self, found["lacks"])

    def turn(self, seconds: float) -> list[float]:
        """Return the samples of a turn."""
        found: list[float] = self.ask({"turn": seconds})["samples"]
        return found

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: the process ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def compare(
    versions: Sequence[Version], kind: str, name: str, variant: str, pace: Pace
) -> dict[str, Times]:
    """Compare the results of the versions, and time them in turns.

    Raises
    ------
    Lacking
        If one of them has no such function.
    """
    with TemporaryDirectory() as folder:
        files = [
            None if kind in RANDOM else Path(folder) / f"{i}.npy" for i in range(len(versions))
        ]
        results = []
        for version, file in zip(versions, files, strict=True):
            version.make(kind, name, variant, file)
            if file:
                results.append(Contender(version.name, lambda file=file: np.load(file)))
        if results:
            check(f"{kind} {name} {variant}".strip(), results)
    order = random.Random(0)
    turns = list(versions)
    samples: dict[str, list[float]] = {version.name: [] for version in versions}
    for _ in range(pace.rounds):
        order.shuffle(turns)
        for version in turns:
            time.sleep(pace.pause)
            samples[version.name] += version.turn(pace.block)
    return {name: Times.of(found) for name, found in samples.items()}
