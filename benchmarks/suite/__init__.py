"""Time and memory of fastconv, measured by asv on any commit of its history.

Nothing here imports fastconv at the top of a module: a commit on which the import fails would
end the discovery of the whole suite.  Every `setup` gets it from `needs`.
"""

from __future__ import annotations

from operator import attrgetter
from types import ModuleType


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


class Timing:
    """How long a timed benchmark may take: two calls at least, about half a second each case."""

    version = "1"  # keeps a benchmark's history when its file is edited
    rounds = 1
    repeat = (2, 8, 0.5)
    warmup_time = 0.05
    timeout = 120
