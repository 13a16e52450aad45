"""The names and signatures of other libraries and books, made by fastconv's public means.

::

    deep_learning_from_scratch    the layers, networks and optimizers of Saito's book

Nothing here is imported before it is named.
"""

import importlib
from types import ModuleType

__all__ = ["deep_learning_from_scratch"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
