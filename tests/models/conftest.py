"""Fixtures of the tests of networks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastconv import registry

PACKAGE = Path(__file__).parents[1] / "plugin_package"


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the layers of the plugin package for the time of a test."""
    monkeypatch.syspath_prepend(str(PACKAGE))
    with registry.isolated():
        from acme_layers import fusing, inputs

        assert fusing.Tint and inputs.Table
        yield
    for module in [name for name in sys.modules if name.startswith("acme_layers")]:
        del sys.modules[module]
