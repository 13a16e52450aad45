"""threadpoolctl's limits on our pool: ``threadpool_limits(1)`` as `set_num_threads` would.

threadpoolctl is no dependency.  Where it is loaded, scikit-learn for one loads it, our pool is
made known to it: at the import of fastconv, or else at the first large operation after.
"""

from __future__ import annotations

import sys
from typing import Any

from . import threads

__all__ = ["introduce"]


def introduce() -> None:
    """Make the pool known to threadpoolctl, now if that is loaded, else when it is."""
    loaded: Any = sys.modules.get("threadpoolctl")
    threads.introduce = introduce if loaded is None else None
    if loaded is None or not hasattr(loaded, "register"):  # it can since 3.2
        return

    class Controller(loaded.LibController):  # type: ignore[misc]
        """Our pool, found by the library that holds it."""

        user_api = "fastconv"
        internal_api = "fastconv"
        filename_prefixes = ("_pool.",)
        check_symbols = ("fastconv_pool",)

        def get_num_threads(self) -> int:
            return threads.get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            threads.set_num_threads(num_threads)

        def get_version(self) -> str | None:
            # asked at run time: modules do not import the package, which imports them all
            return getattr(sys.modules.get("fastconv"), "__version__", None)

    loaded.register(Controller)
