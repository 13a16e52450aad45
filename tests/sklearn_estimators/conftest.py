"""Small data that networks learn within some epochs."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def images(rng):
    """240 images of (1, 6, 6) with a bar that lies or stands, and a word for each."""
    words = np.array(["stands", "lies"])[rng.integers(0, 2, 240)]
    x = rng.normal(0.0, 0.3, (240, 1, 6, 6)).astype(np.float32)
    for row, (word, place) in enumerate(zip(words, rng.integers(0, 6, 240), strict=True)):
        if word == "lies":
            x[row, 0, place] += 1
        else:
            x[row, 0, :, place] += 1
    return x, words
