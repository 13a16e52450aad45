"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import registry

Make = Callable[..., np.ndarray]
ROOT = Path(__file__).parents[1]

# The writer of PyTorch's files stands with the tests of reading them; those of networks use it too.
sys.path.append(str(ROOT / "tests" / "models"))

# A table measured on this machine would choose for itself.
os.environ["FASTCONV_COSTS"] = "shipped"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what takes minutes or gigabytes, unless it is chosen by ``-m slow``."""
    if "slow" not in config.option.markexpr:
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow: choose it with -m slow"))
    if not (ROOT / "benchmarks").is_dir():  # in a source distribution
        for item in items:
            if item.path.parent.name == "benchmarks":
                item.add_marker(pytest.mark.skip(reason="there are no benchmarks here"))


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment of a child process that imports the fastconv that is being tested."""
    paths = [str(Path(fastconv.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator seeded by the test's name: the same data alone, in a suite, in any order."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture
def integers(rng: np.random.Generator) -> Make:
    """Make arrays of whole numbers other than 0, so that sums are exact and never vacuous."""

    def make(shape: tuple[int, ...], dtype: str = "float32", largest: int = 4) -> np.ndarray:
        size = rng.integers(1, largest + 1, shape)
        return (size * rng.choice([-1, 1], shape)).astype(dtype)

    return make


@pytest.fixture
def normal(rng: np.random.Generator) -> Make:
    """Make arrays of Gaussian numbers."""

    def make(shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    return make


@pytest.fixture
def own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import from the folders of benchmarks, drawings and experiments, and forget it after."""
    before, folders = set(sys.modules), (ROOT / "benchmarks", ROOT / "docs")
    for name in ("benchmarks", "docs/drawings", "docs/gallery"):
        monkeypatch.syspath_prepend(ROOT / name)
        for path in (ROOT / name).glob("*.py"):  # tests have helpers of such names too
            monkeypatch.delitem(sys.modules, path.stem, raising=False)
    yield
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and any(folder in Path(file).parents for folder in folders):
            del sys.modules[name]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the layers of the plugin package for the time of a test."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "plugin_package"))
    with registry.isolated():
        from acme_layers import fusing, inputs

        assert fusing.Tint and inputs.Table
        yield
    for module in [name for name in sys.modules if name.startswith("acme_layers")]:
        del sys.modules[module]
