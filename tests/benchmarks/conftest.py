"""The benchmarks as their own commands import them: from the folder of their settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip these tests where there are no benchmarks: in a source distribution."""
    if not (ROOT / "benchmarks").is_dir():
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="the tests stand without the benchmarks"))


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import from the folders of benchmarks and gallery, and forget it after."""
    before, folders = set(sys.modules), (ROOT / "benchmarks", ROOT / "docs")
    for name in ("benchmarks", "docs/gallery"):
        monkeypatch.syspath_prepend(ROOT / name)
    yield
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and any(folder in Path(file).parents for folder in folders):
            del sys.modules[name]
