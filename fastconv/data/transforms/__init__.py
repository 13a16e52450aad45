"""Changes of batches to learn from: ``fit(transform=...)``.

::

    transform  what all of them are
    moving     images moved, cut out and mirrored
    values     numbers changed where they stand
    compose    several, one after the other

Every transform is called with (rng, x, y) and returns (x, y); it writes to neither. Its result
follows from its settings, from rng and from the batch, and from nothing else.
"""

from fastconv.data.transforms.compose import compose
from fastconv.data.transforms.moving import crop, flip, shift
from fastconv.data.transforms.transform import Transform
from fastconv.data.transforms.values import noise, normalise

__all__ = ["Transform", "compose", "crop", "flip", "noise", "normalise", "shift"]
