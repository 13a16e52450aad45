"""A package whose kernels are not there, or not those of this Python, says how to get them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import fastconv
from fastconv.errors import FastconvError, NotCompiledError

PACKAGE = Path(fastconv.__file__).parent
SUFFIX = EXTENSION_SUFFIXES[0]


@pytest.fixture
def clone(tmp_path) -> Path:
    """A clone that was not compiled, in a folder whose name a shell would cut."""
    root = tmp_path / "a clone"
    compiled = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "build.json", "__pycache__")
    shutil.copytree(PACKAGE, root / "fastconv", ignore=compiled)
    (root / "setup.py").touch()
    return root


def last_line(path: Path, code: str = "import fastconv") -> str:
    """Import fastconv from `path`, which fails; return the last line of what is printed."""
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(path)!r}); {code}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=path.parent)
    assert done.returncode == 1 and "circular" not in done.stderr, done.stderr
    assert "During handling" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_a_clone_that_was_not_compiled_says_how_to_compile_it(clone):
    said = last_line(clone)
    assert said == (
        f"fastconv.errors.NotCompiledError: fastconv: the kernels must be compiled, got none in "
        f"{clone}/fastconv/kernels; {sys.executable} -m pip install --editable '{clone}' compiles "
        "them"
    )
    (clone / "setup.py").unlink()
    assert "pip install --force-reinstall --no-deps --no-cache-dir . (in its sources)" in (
        last_line(clone)
    )


def test_it_is_an_import_error_and_one_of_ours():
    assert issubclass(NotCompiledError, ImportError) and issubclass(NotCompiledError, FastconvError)


def test_kernels_of_another_python_are_told_apart(clone):
    for name in ("_cpu", "_pool"):
        (clone / "fastconv" / "kernels" / f"{name}.cpython-39-x86_64-linux-gnu.so").touch()
    said = last_line(clone)
    assert f"must be compiled for this Python, {sys.implementation.cache_tag}, got those for " in (
        said
    )
    assert "those for cpython-39-x86_64-linux-gnu in " in said and "pip install --editable" in said


def test_an_archive_is_told_as_such(clone, tmp_path):
    archive = tmp_path / "fastconv.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (clone / "fastconv").rglob("*.py"):
            file.write(path, path.relative_to(clone))
    said = last_line(archive)
    assert said.endswith(
        f"compiled modules must be files, which Python loads from a folder, got an archive, "
        f"{archive}; unpack it, or install it with pip"
    )


@pytest.mark.parametrize("damage", ["no library", "a module is missing", "no report", "report"])
def test_a_build_that_is_not_whole_is_told(clone, damage):
    kernels = clone / "fastconv" / "kernels"
    for path in [*(PACKAGE / "kernels").glob("*.so"), PACKAGE / "kernels" / "build.json"]:
        (kernels / path.name).symlink_to(path)
    report = kernels / "build.json"
    if damage == "no library":
        (kernels / f"_pool{SUFFIX}").unlink()
        (kernels / f"_pool{SUFFIX}").write_text("no library")
        words = f"_pool{SUFFIX}"
    elif damage == "a module is missing":
        module = sorted(kernels.glob(f"_baseline*{SUFFIX}"))[-1]
        module.unlink()
        words = module.name.removesuffix(SUFFIX)
    else:
        report.unlink()
        words = "build.json"
        if damage == "report":
            report.write_text('{"built": ["baseline"]}')
            words = "KeyError"
    code = "import os; os.environ['FASTCONV_ISA'] = 'baseline'; import fastconv; "
    said = last_line(clone, f"{code} fastconv.kernels.left_out()")
    assert "the kernels must be whole, and made of these sources, got " in said, said
    assert words in said and "pip install --editable" in said
