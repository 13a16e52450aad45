"""Modules of benchmarks/scaling as fixtures, and a network's work that both ways of timing take."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import pytest


def module(name: str) -> Any:
    """Return a fixture of a module, which is imported for one test and forgotten after."""

    def imported(own_modules: None) -> ModuleType:
        return import_module(f"scaling.{name}")

    return pytest.fixture(name=name)(imported)


collectives = module("collectives")
constants = module("constants")
events = module("events")
failures = module("failures")
measured = module("measured")
model = module("model")
page = module("page")
simulation = module("simulation")


@pytest.fixture
def work(constants):
    return constants.Work("network", parameter_bytes=4_000_000, row=1e-3, piece=2e-3, step=3e-3)
