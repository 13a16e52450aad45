"""The handwritten digits that come with the package (UCI; licence in data/LICENSE.txt)."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["digits"]


def digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the 1,797 real 8x8 handwritten digits and their classes.

    Returns
    -------
    x : ndarray (1797, 1, 8, 8), float32
        Grey values from 0 to 1, in sixteenths.
    y : ndarray (1797,), int64
        The digit, 0 to 9.

    Notes
    -----
    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, 1998, https://doi.org/10.24432/C50P49, CC BY 4.0; scikit-learn ships the same.

    Examples
    --------
    >>> x, y = digits()
    >>> x.shape, y[:5].tolist()
    ((1797, 1, 8, 8), [0, 1, 2, 3, 4])
    """
    from importlib import resources  # not before it is needed: it takes a while to import

    with (
        resources.files("fastconv.data").joinpath("digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as stored,
    ):
        images, labels = stored["images"], stored["labels"]
    x = images[:, np.newaxis].astype(np.float32) / np.float32(16)  # (1797, 1, 8, 8)
    return x, labels.astype(np.int64)
