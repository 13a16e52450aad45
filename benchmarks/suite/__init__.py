"""Time and memory of fastconv, measured by asv on any commit of its history.

Nothing here imports fastconv at the top of a module: a commit on which the import fails would
end the discovery of the whole suite.  Every `setup` gets it from `needs`, and what `setup` does
is never measured.
"""

from __future__ import annotations

from operator import attrgetter
from types import ModuleType
from typing import Any

from suite.shapes import Layer


def needs(*names: str) -> ModuleType:
    """Return fastconv; on a commit that lacks one of `names` asv skips the benchmark.

    Parameters
    ----------
    *names : str
        Dotted names inside the package, such as ``"memory.track"``.

    Raises
    ------
    NotImplementedError
        Which asv takes for "not applicable" when it comes out of a `setup`.
    """
    import fastconv

    for name in names:
        try:
            attrgetter(name)(fastconv)
        except AttributeError:
            raise NotImplementedError(f"this commit has no fastconv.{name}") from None
    return fastconv


def stated(case: Layer, algorithm: str, direction: str = "forward") -> Any:
    """Return what `conv2d_costs` states for a layer and an algorithm, ``"auto"`` included.

    Raises
    ------
    NotImplementedError
        If the layer has no such algorithm on this commit.
    """
    fastconv = needs("conv2d_costs")
    costs = fastconv.conv2d_costs(
        case.x_shape, case.weight_shape, direction=direction, **case.options
    )
    if algorithm == "auto":
        return costs[costs.choice]
    if algorithm not in costs:
        raise NotImplementedError(f"this layer has no algorithm {algorithm} on this commit")
    return costs[algorithm]


class Timing:
    """How long a timed benchmark may take: two calls at least, about 0.3 s each case."""

    version = "1"  # keeps a benchmark's history when its file is edited
    rounds = 1
    repeat = (2, 8, 0.3)
    warmup_time = 0.05
    timeout = 120
