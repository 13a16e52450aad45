"""The choices script runs, keeps its times, and judges the kept ones without measuring."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("own_modules")
FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_choices_are_judged_and_fitted(tmp_path):
    root = str(FOLDER.parent)
    environment = {**os.environ, "PYTHONPATH": root}
    script, kept = [sys.executable, "choices.py"], str(tmp_path / "times.json")
    given = {"env": environment, "cwd": FOLDER, "capture_output": True, "text": True}
    first = subprocess.run(
        [*script, "--only", "mec.cv12", "--rounds", "1", "--save", kept, "--fit"], **given
    )
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("of 1 layers") == 6 and "F(4x4)" in first.stdout
    assert "rate=" in first.stdout
    again = subprocess.run([*script, "--load", kept], **given)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines() == first.stdout.splitlines()[: len(again.stdout.splitlines())]


def test_the_networks_are_whole(monkeypatch):
    """Multiply-adds of every convolution, those of repeated blocks once."""
    monkeypatch.syspath_prepend(str(FOLDER))
    shapes = importlib.import_module("suite.shapes")
    distinct = {name: len(set(layers)) for name, layers in shapes.WHOLE_NETWORKS.items()}
    assert distinct == {
        "ResNet-50": 23,
        "VGG-16": 9,
        "AlexNet": 5,
        "MobileNet-v1": 19,
        "DeepConvNet": 6,
        "ResNet-20": 6,
    }
