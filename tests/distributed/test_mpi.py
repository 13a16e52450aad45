"""Real processes that talk by MPI; skipped where mpi4py or mpiexec is missing."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from six_networks import SIX, bits, trained

HERE = Path(__file__).parent
BESIDE = Path(sys.executable).with_name("mpiexec")
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or MPIEXEC is None,
    reason="no MPI here: pip install 'fastconv[mpi]'",
)


def run(ranks, environment, *arguments, seconds=300):
    """Run `on_ranks.py` on so many ranks; return what `subprocess.run` does."""
    assert MPIEXEC is not None
    script = [sys.executable, "-m", "mpi4py", str(HERE / "on_ranks.py"), *map(str, arguments)]
    return subprocess.run(
        [MPIEXEC, "-n", str(ranks), *script],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**environment, "FASTCONV_COSTS": "shipped"},
    )


@pytest.fixture(scope="module")
def alone():
    return {name: bits(trained(name)) for name in SIX}


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_six_networks_have_the_bits_of_one_process(ranks, environment, tmp_path, alone):
    done = run(ranks, environment, "six", tmp_path)
    assert done.returncode == 0, done.stderr
    for rank in range(ranks):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == alone


def test_synchronised_statistics(environment, tmp_path):
    due = bits(trained("convolutional", batch_norm="synchronised"))
    done = run(3, environment, "synchronised", tmp_path)
    assert done.returncode == 0, done.stderr
    for rank in range(3):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == due


def test_an_error_on_one_rank_ends_all_with_its_text(environment, tmp_path):
    done = run(3, environment, "fails", tmp_path)
    assert done.returncode != 0
    assert "[rank 1] RuntimeError: the disk of rank 1 is gone" in done.stderr


def test_an_error_on_all_ranks_can_be_caught(environment, tmp_path):
    done = run(2, environment, "caught", tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n"))[1:] == [
        "0 caught TrainingError",
        "1 caught TrainingError",
    ]


def test_the_page_takes_a_script_to_four_ranks(environment, tmp_path):
    """As docs/mpi.md says it: one line more, and one that is longer."""
    text = (HERE.parents[1] / "docs" / "mpi.md").read_text(encoding="utf-8")
    script = text.split("```python\n")[1].split("```")[0]
    assert '"net.safetensors"})])' in script
    script = script.replace('"net.safetensors"})])', '"net.safetensors"})], comm=MPI.COMM_WORLD)')
    (tmp_path / "train.py").write_text(f"from mpi4py import MPI\n{script}", encoding="utf-8")
    done = subprocess.run(
        [MPIEXEC, "-n", "4", sys.executable, "-m", "mpi4py", "train.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["epoch", f"{number}/3"] for number in (1, 2, 3)
    ]
    assert (tmp_path / "net.safetensors").exists()


def test_ranks_of_a_machine_share_its_cores(environment, tmp_path):
    free = {
        k: v for k, v in environment.items() if k not in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS")
    }
    done = run(2, free, "threads", tmp_path)
    assert done.returncode == 0, done.stderr
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    assert done.stdout.split() == [str(max(1, cores // 2))] * 2
    chosen = run(2, {**free, "FASTCONV_NUM_THREADS": "3"}, "threads", tmp_path)
    assert chosen.stdout.split() == ["3"] * 2
