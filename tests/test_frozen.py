"""Programs frozen by PyInstaller: its hook is found, and the program of `make test-frozen` runs."""

from __future__ import annotations

import importlib
import runpy
import sys
import tomllib
import types
from pathlib import Path

import fastconv

ROOT = Path(__file__).parents[1]
PACKAGE = Path(fastconv.__file__).parent


def test_pyinstaller_finds_the_hook_by_the_entry_point():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, function = project["entry-points"]["pyinstaller40"]["hook-dirs"].partition(":")
    (folder,) = getattr(importlib.import_module(module), function)()
    assert Path(folder) == PACKAGE / "__pyinstaller"
    assert (Path(folder) / "hook-fastconv.py").is_file()


def test_the_hook_collects_modules_data_and_names(monkeypatch):
    asked: dict[str, list] = {"modules": [], "data": [], "metadata": []}
    hooks = types.ModuleType("PyInstaller.utils.hooks")

    def collect_submodules(package, filter):
        asked["modules"].append(package)
        assert filter("fastconv.kernels._cpu") and not filter("fastconv.__pyinstaller")
        assert not filter("fastconv.sklearn.classifier")
        return [f"{package}.kernels._cpu"]

    def collect_data_files(package, excludes):
        asked["data"].append(package)
        return [(f"{package}/kernels/build.json", package)]

    def copy_metadata(distribution):
        asked["metadata"].append(distribution)
        raise importlib.metadata.PackageNotFoundError(distribution)  # a clone has none

    for function in (collect_submodules, collect_data_files, copy_metadata):
        setattr(hooks, function.__name__, function)
    monkeypatch.setitem(sys.modules, "PyInstaller", types.ModuleType("PyInstaller"))
    monkeypatch.setitem(sys.modules, "PyInstaller.utils", types.ModuleType("PyInstaller.utils"))
    monkeypatch.setitem(sys.modules, "PyInstaller.utils.hooks", hooks)
    found = runpy.run_path(str(PACKAGE / "__pyinstaller" / "hook-fastconv.py"))
    assert found["hiddenimports"] == ["fastconv.kernels._cpu"]
    assert found["datas"] == [("fastconv/kernels/build.json", "fastconv")]
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {"fastconv", *(need.partition(">")[0] for need in needed)}
    assert set(asked["metadata"]) == names


def test_the_program_that_is_frozen_runs(capsys):
    program = runpy.run_path(str(Path(__file__).parent / "frozen" / "program.py"))
    program["train"]()
    assert "saved, loaded, equal" in capsys.readouterr().out
