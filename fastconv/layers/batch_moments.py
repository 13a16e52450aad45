"""Statistics of a batch that is computed in pieces: what each of them gives, and what all make."""

from __future__ import annotations

import numpy as np

from fastconv import functional
from fastconv.floating import quietly

__all__ = ["gradient_of_input", "merged", "moments"]


@quietly
def moments(x: np.ndarray) -> np.ndarray:
    """Return how many numbers of x (N, C, ...) each channel has, their mean, and their spread.

    It is an array (3, C) of float64; the spread is the sum of squared distances from the mean.
    """
    channels = x.shape[1]
    one, none = np.ones(channels, x.dtype), np.zeros(channels, x.dtype)
    _, mean, variance, _ = functional.batch_norm(x, one, none, 1e-5)
    count = x.size // channels
    return np.stack([np.full(channels, float(count)), mean, variance * count])


@quietly
def merged(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return what `moments` gives of the numbers of both.

    The formula is that of Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise
    algorithm for computing sample variances": the spreads, and that of the two means.
    """
    whole = one[0] + other[0]
    apart = other[1] - one[1]
    mean = one[1] + apart * (other[0] / whole)
    return np.stack([whole, mean, one[2] + other[2] + apart**2 * (one[0] * other[0] / whole)])


@quietly
def gradient_of_input(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    of_batch: np.ndarray,
    slopes: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    """Return dx of a piece of a batch.

    Parameters
    ----------
    of_batch : ndarray (3, C)
        The moments of the whole batch.
    slopes : ndarray (2, C), float64
        The sums over the whole batch of dy, and of dy times the normalised x.

    Notes
    -----
    With z = (x - mean) * inverse: ``dx = weight * inverse * (dy - mean(dy) - z * mean(dy * z))``,
    a multiple of dy and another of z. For each there is an array of the size of x.
    """
    count, mean, spread = of_batch
    variance = spread / count
    scale = weight / np.sqrt(variance + epsilon)
    level, slope = (-scale * sums / count for sums in slopes)
    along, start = slope.astype(x.dtype), level.astype(x.dtype)
    dx = functional.batch_norm(x, along, start, epsilon, (mean, variance))[0]
    none = np.zeros_like(weight)
    of_dy = functional.batch_norm(dy, weight, -none, epsilon, (none, variance))[0]
    return np.add(dx, of_dy, out=dx)
