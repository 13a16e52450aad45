"""The benchmarks run, and their named layers are those that others have published."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import zlib
from math import prod
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import fastconv
from fastconv import functional

pytestmark = pytest.mark.usefixtures("own_modules")
FOLDER = Path(__file__).parents[2] / "benchmarks"
MODULES = sorted(path.stem for path in FOLDER.glob("suite/*.py") if path.stem != "__init__")
TABLES = ("networks", "shapes")
#: The smallest cases of the tables, so that a run of each benchmark is quick.
QUICK = {"layer": "mec.cv12", "windows": "512x28.2x2", "network": "SimpleConvNet", "maps": "64x112"}
#: Megabytes of the unfolded input in table 2 of the paper on MEC (2017).
MEC_MEGABYTES = [4.39, 4.55, 7.24, 149, 3.84, 0.92, 5.32, 27.9, 6.72, 3.12, 1.33, 0.46]
KINDS = ("time_", "track_", "peakmem_", "timeraw_")


def suite(name: str) -> ModuleType:
    """A module of the suite as asv imports it."""
    return importlib.import_module(f"suite.{name}")


def benchmarks(module: ModuleType) -> list[tuple[type, str]]:
    """Every (class, method) of a module that asv would run."""
    return [
        (value, name)
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
        for name in dir(value)
        if name.startswith(KINDS)
    ]


def quick(parameter: str, values: list[str]) -> str:
    """A quick value of a parameter."""
    return QUICK[parameter] if QUICK.get(parameter) in values else values[0]


def configuration(name: str) -> dict:
    """A configuration of asv, which allows comments in JSON."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))


@pytest.mark.parametrize("name", MODULES)
def test_benchmarks_run(name):
    found = benchmarks(suite(name))
    assert bool(found) == (name not in TABLES)
    for kind, method in found:
        names, params = getattr(kind, "param_names", []), getattr(kind, "params", [])
        values = [quick(*pair) for pair in zip(names, params, strict=True)]
        instance = kind()
        if hasattr(instance, "setup"):
            instance.setup(*values)
        result = getattr(instance, method)(*values)
        assert (result is None) == method.startswith(("time_", "peakmem_")), f"{kind}.{method}"
        assert instance.version
        if method.startswith("track_"):
            assert getattr(instance, method).unit


@pytest.mark.parametrize("name", MODULES)
def test_a_peak_has_an_empty_twin(name):
    for kind, method in benchmarks(suite(name)):
        if method.startswith("peakmem_") and not method.endswith("_reference"):
            twin = getattr(kind, f"{method}_reference")
            assert twin(kind(), *(values[0] for values in getattr(kind, "params", []))) is None


def test_every_operation_has_a_benchmark():
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("suite/*.py"))
    left_out = {"PackedWeight"}
    missing = {name for name in functional.__all__ if not re.search(rf"\b{name}\b", text)}
    assert missing == left_out


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_every_algorithm_of_a_layer_has_a_benchmark(direction):
    shapes = suite("shapes")
    assert direction in shapes.DIRECTIONS
    for name, layer in shapes.LAYERS.items():
        costs = fastconv.conv2d_costs(
            layer.x_shape, layer.weight_shape, direction=direction, **layer.options
        )
        assert set(costs) <= set(shapes.ALGORITHMS), name


def test_a_workspace_that_was_not_stated_fails():
    case = suite("memory").Memory()
    case.setup("mec.cv12", "im2col", "forward")
    assert case.track_workspace_bytes("mec.cv12", "im2col", "forward") == case.stated.workspace
    case.stated = SimpleNamespace(workspace=case.stated.workspace - 1)
    with pytest.raises(AssertionError, match="states 460799 bytes .* measured 460800"):
        case.track_workspace_bytes("mec.cv12", "im2col", "forward")


def test_what_a_commit_lacks_is_skipped():
    package, layer = importlib.import_module("suite"), suite("shapes").LAYERS["mec.cv1"]
    assert package.needs("conv2d", "memory.track") is fastconv
    with pytest.raises(NotImplementedError, match="no fastconv.memory.nothing"):
        package.needs("memory.nothing")
    assert package.stated(layer, "direct").workspace == 0
    with pytest.raises(NotImplementedError, match="no algorithm winograd"):
        package.stated(layer, "winograd")


def test_nothing_imports_fastconv_before_setup():
    names = ", ".join(f"suite.{name}" for name in MODULES)
    code = f"import sys, {names}; sys.exit('fastconv' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=FOLDER, check=True)


def test_layers_of_mec_unfold_to_the_published_bytes():
    layers = suite("shapes").MEC
    for layer, published in zip(layers.values(), MEC_MEGABYTES, strict=True):
        costs = fastconv.conv2d_costs(layer.x_shape, layer.weight_shape, **layer.options)
        assert float(f"{costs['im2col'].workspace / 1e6:.3g}") == pytest.approx(published, abs=5e-3)
        assert costs["direct"].workspace == 0


def test_layers_have_the_outputs_of_the_library():
    for name, layer in suite("shapes").LAYERS.items():
        costs = fastconv.conv2d_costs(layer.x_shape, layer.weight_shape, **layer.options)
        assert costs["direct"].output == 4 * prod(layer.y_shape), name


def test_names_keep_their_meaning():
    shapes, networks = suite("shapes"), suite("networks")
    tables = (shapes.NETWORKS, shapes.MEC, shapes.POOLS, shapes.UNFOLDS, shapes.MAPS, shapes.DENSE)
    lengths = (20, 12, 4, 5, 3, 4)  # of the tables so far; what is appended may be added here
    kept = [list(table.items())[:n] for table, n in zip(tables, lengths, strict=True)]
    kept = [(name, tuple(case)) for table in kept for name, case in table]
    assert zlib.crc32(repr(kept).encode()) == 868504490
    assert zlib.crc32(repr(list(networks.ROWS.items())[:4]).encode()) == 999761923


def test_both_configurations_build_alike():
    usual, exact = configuration("asv.conf.json"), configuration("asv.exact.conf.json")
    assert usual["matrix"]["req"] == exact["matrix"]["req"]
    differing = {key for key in usual.keys() | exact.keys() if usual.get(key) != exact.get(key)}
    assert differing == {"matrix", "build_cache_size", "regressions_thresholds"}
    assert exact["matrix"]["env"] == {
        "FASTCONV_BUILD_ISAS": ["baseline"],
        "FASTCONV_BUILD_OPTIMIZE": ["0"],
    }
    pinned = exact["matrix"]["env_nobuild"]
    assert {name: pinned[name] for name in ("FASTCONV_ISA", "FASTCONV_NUM_THREADS")} == {
        "FASTCONV_ISA": ["baseline"],
        "FASTCONV_NUM_THREADS": ["1"],
    }
