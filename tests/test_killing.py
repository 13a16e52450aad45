"""Training that is killed, or whose disk is full, goes on to the same bits; see `killing.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killing.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and limits of POSIX")
def test_ten_runs_that_are_ended_somewhere_end_alike(environment):
    command = [sys.executable, str(SCRIPT), "--kills", "7", "--full", "3"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "7 killed, 3 with a full disk: all ended alike" in run.stdout
