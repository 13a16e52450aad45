"""The weights that come with the package, trained on the bundled digits by building/digits.py."""

from __future__ import annotations

import os
from typing import Any

from fastconv.registry.trained import Trained

__all__ = ["digits"]

FOLDER = os.path.join(os.path.dirname(__file__), "weights")


def digits(network: str, **settings: Any) -> Trained:
    """Return the weights that a network with `settings` learned from the bundled digits."""
    text = "the bundled digits, three quarters of them; images (1, 8, 8), 10 classes"
    path = os.path.join(FOLDER, f"{network}.digits.safetensors")
    return Trained(path, {"classes": 10, "input_shape": (1, 8, 8), **settings}, text)
