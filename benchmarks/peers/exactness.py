"""How exact a contender is, and beside which precision of fastconv it counts.

By their own rules, libraries choose between direct sums and Winograd's algorithm with tiles of
several sizes. Whatever they do inside, the measured error counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from peers.contenders import Contender

__all__ = ["LIMITS", "errors", "shown"]

#: The largest error, over the largest element, with which a contender counts.  Plain float32 sums
#: of 4,608 Gaussian products have errors of 4e-6, F(2x2, 3x3) has 1e-6 and F(4x4, 3x3) with the
#: usual points has 2e-5.  A column that is no precision of fastconv is held to the standard one.
LIMITS = {"strict": 5e-6, "standard": 5e-6, "fast": 2e-5}


def errors(contenders: Sequence[Contender], exact: np.ndarray) -> dict[str, float]:
    """Return for each contender the largest error of its only result, over the largest element.

    Parameters
    ----------
    contenders : sequence of Contender
    exact : ndarray, float64
    """
    largest = float(np.max(np.abs(exact)))
    found = {}
    for contender in contenders:
        (result,) = contender.arrays(contender.call())
        found[contender.name] = float(np.max(np.abs(result - exact))) / largest
    return found


def shown(error: float) -> str:
    """Return an error as text, with the class that it belongs to unless it is the standard one."""
    text = f"{error:.1e}"
    if error <= LIMITS["standard"]:
        return text
    return f"{text} (fast)" if error <= LIMITS["fast"] else f"**{text}** (counts nowhere)"
