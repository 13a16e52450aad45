"""What the tests with real engines share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fastconv


@pytest.fixture(scope="session")
def net() -> fastconv.Model:
    """A network of which every rounding shows: float32, with a normalisation."""
    layers = [
        ("Conv2D", {"filters": 8, "kernel_size": 3, "padding": "same"}),
        "BatchNorm",
        "ReLU",
        ("MaxPool2D", {"pool_size": 2}),
        "Flatten",
        ("Dense", {"units": 10}),
    ]
    return fastconv.Sequential(layers, (1, 8, 8), seed=0)


@pytest.fixture(scope="session")
def path(net, tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("networks") / "net.safetensors"
    net.save(found)
    return found


@pytest.fixture(scope="session")
def x() -> np.ndarray:
    """Ten thousand images (10000, 1, 8, 8)."""
    return np.random.default_rng(0).standard_normal((10_000, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="session")
def expected(net, x) -> np.ndarray:
    """What one process says of them, (10000, 10)."""
    return net.predict(x)
