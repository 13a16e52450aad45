"""What the book's functions take as numbers: arrays of any dtype of numbers, and lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array

__all__ = ["floats"]

Array = np.ndarray[Any, Any]


def floats(operation: str, parameter: str, value: Any, like: Array | None = None) -> Array:
    """Return `value` in the dtype of `like`, else in its own if that is float32, else float64.

    The book's code mixes float32 images and float64 weights, and images of uint8; so what is
    computed with weights has their dtype.
    """
    array = as_plain_array(operation, parameter, value)
    if like is not None and like.dtype.kind == "f":
        dtype = like.dtype
    else:
        dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.dtype(np.float64)
    return array.astype(dtype.newbyteorder("="), copy=False)
