"""The benchmarks run, and their named layers are those that others have published."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import fastconv

FOLDER = Path(__file__).parents[1] / "benchmarks"
MODULES = sorted(path.stem for path in FOLDER.glob("suite/*.py") if path.stem != "__init__")
#: The smallest cases of the tables, so that a run of each benchmark is quick.
QUICK = {"layer": "mec.cv12", "windows": "512x28.2x2", "network": "SimpleConvNet"}
#: Megabytes of the unfolded input in table 2 of the paper on MEC (2017).
MEC_MEGABYTES = [4.39, 4.55, 7.24, 149, 3.84, 0.92, 5.32, 27.9, 6.72, 3.12, 1.33, 0.46]

pytestmark = pytest.mark.skipif(not MODULES, reason="the tests stand without the benchmarks")


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The suite as asv imports it: a package of its own, from the folder of its settings."""
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("suite")
    for name in [name for name in sys.modules if name.split(".")[0] == "suite"]:
        del sys.modules[name]


def benchmarks(module: ModuleType) -> list[tuple[type, str]]:
    """Every (class, method) of a module that asv would run."""
    kinds = ("time_", "track_", "peakmem_", "timeraw_")
    return [
        (value, name)
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
        for name in dir(value)
        if name.startswith(kinds)
    ]


def quick(parameter: str, values: list[str]) -> str:
    """A quick value of a parameter."""
    return QUICK[parameter] if QUICK.get(parameter) in values else values[0]


@pytest.mark.parametrize("name", MODULES)
def test_benchmarks_run(suite, name):
    module = importlib.import_module(f"suite.{name}")
    found = benchmarks(module)
    assert found or name == "shapes"
    for kind, method in found:
        names, params = getattr(kind, "param_names", []), getattr(kind, "params", [])
        values = [quick(*pair) for pair in zip(names, params, strict=True)]
        instance = kind()
        if hasattr(instance, "setup"):
            instance.setup(*values)
        result = getattr(instance, method)(*values)
        assert (result is None) == method.startswith(("time_", "peakmem_")), f"{kind}.{method}"
        if method.startswith("track_"):
            assert getattr(instance, method).unit
            assert instance.version


def test_a_commit_without_the_function_is_skipped(suite):
    assert suite.needs("conv2d", "memory.track") is fastconv
    with pytest.raises(NotImplementedError, match="no fastconv.memory.nothing"):
        suite.needs("memory.nothing")


def test_nothing_imports_fastconv_before_setup():
    names = ", ".join(f"suite.{name}" for name in MODULES)
    code = f"import sys, {names}; sys.exit('fastconv' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=FOLDER, check=True)


def test_layers_of_mec_unfold_to_the_published_bytes(suite):
    layers = importlib.import_module("suite.shapes").MEC
    for layer, published in zip(layers.values(), MEC_MEGABYTES, strict=True):
        costs = fastconv.conv2d_costs(layer.x_shape, layer.weight_shape, **layer.options)
        assert float(f"{costs['im2col'].workspace / 1e6:.3g}") == pytest.approx(published, abs=5e-3)
        assert costs["direct"].workspace == 0


def test_choices_are_judged_and_fitted(tmp_path, environment):
    """The script runs, keeps its times, and judges the kept ones without measuring."""
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


def test_the_networks_are_whole(suite):
    """Multiply-adds of every convolution, those of repeated blocks once."""
    shapes = importlib.import_module("suite.shapes")
    distinct = {name: len(set(layers)) for name, layers in shapes.WHOLE_NETWORKS.items()}
    assert distinct == {"ResNet-50": 23, "VGG-16": 9, "AlexNet": 5, "MobileNet-v1": 19}
