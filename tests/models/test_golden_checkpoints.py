"""Checkpoints of earlier versions are gone on from for ever."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

import fastconv

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = sorted((GOLDEN / "training").glob("*.safetensors"))


def test_there_are_some():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_run_of_a_golden_checkpoint_comes_to_its_end(path, tmp_path, monkeypatch):
    """Its sums are those of the instruction set that it is trained on here."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(path, "run.safetensors")
    make = runpy.run_path(str(GOLDEN / "make.py"))
    net = fastconv.load("run.safetensors")
    assert "batch_norm_1/bias" not in net.trainable_parameters()
    history = net.fit(
        *make["halves"](), resume="run.safetensors", **make["settings_of_checkpoint"]()
    )
    assert (net.compiled.step, net.compiled.epoch) == (24, 4)
    assert Path("figures.csv").read_text().count("\n") == 5  # names, and four epochs
    with np.load(path.with_suffix(".npz")) as right:
        for name, figures in history.history.items():
            np.testing.assert_allclose(figures, right[f"history:{name}"], rtol=1e-9)
        for key, value in net.weights().items():
            np.testing.assert_allclose(value, right[key], rtol=1e-9, atol=1e-12)
        assert len(right.files) == len(history.history) + len(net.weights())
