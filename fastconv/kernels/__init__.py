"""The compiled kernels: one pair of modules (float32, float64) per instruction set.

Chosen once, at import: the best set that was built and that the processor can run, or the
one that the environment variable ``FASTCONV_ISA`` names.  If that one cannot be used, whatever
needs a kernel raises, but not the import: ``fastconv doctor`` then says what is wrong.
"""

from __future__ import annotations

import importlib
import json
import os
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np

from .. import threads
from ..errors import InstructionSetError
from . import _cpu, _pool

__all__ = ["active_isa", "available_isas", "built_isas", "lanes", "left_out", "load", "module"]

#: From the slowest to the fastest of one kind of machine.
KNOWN = ("baseline", "avx2", "avx512", "neon")
#: Multiply-adds that take at most some 50 ms on the slowest path, see `threads.run`.
SLICE_WORK = {"avx2": 250_000_000, "avx512": 500_000_000}
DTYPES: dict[np.dtype, str] = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}


@lru_cache(maxsize=1)
def _report() -> dict:
    """What setup.py wrote about this build."""
    return json.loads((Path(__file__).parent / "build.json").read_text())


def built_isas() -> list[str]:
    """Return the instruction sets that this installation has kernels for."""
    return list(_report()["built"])


def left_out() -> dict[str, str]:
    """Return the instruction sets that the build left out, each with the compiler's reason."""
    return dict(_report()["left_out"])


def available_isas() -> list[str]:
    """Return the instruction sets that are built and can run here, the fastest last.

    Examples
    --------
    >>> "baseline" in available_isas()
    True
    """
    return [isa for isa in built_isas() if _cpu.supports(isa)]


def active_isa() -> str:
    """Return the instruction set whose kernels are in use.

    Raises
    ------
    InstructionSetError
        If ``FASTCONV_ISA`` names one that is unknown, was not built, or cannot run here.
    """
    if refusal:
        raise InstructionSetError(refusal)
    return _active


def load(isa: str) -> dict[np.dtype, ModuleType]:
    """Import and return the modules of `isa` by dtype; nothing is imported for the others.

    Raises
    ------
    InstructionSetError
        If `isa` is unknown, was not built, or cannot run on this processor.
    """
    if isa not in KNOWN:
        raise InstructionSetError(f"FASTCONV_ISA must be one of {', '.join(KNOWN)}, got {isa!r}")
    if isa not in built_isas():
        reason = left_out().get(isa, "not an instruction set of this kind of machine")
        raise InstructionSetError(
            f"FASTCONV_ISA={isa}: this installation has no kernels for it ({reason}); "
            f"it has {', '.join(built_isas())}"
        )
    if not _cpu.supports(isa):
        raise InstructionSetError(
            f"FASTCONV_ISA={isa}: this processor cannot run it; it can run "
            f"{', '.join(available_isas())}"
        )
    return {
        dtype: importlib.import_module(f"{__name__}._{isa}_{suffix}")
        for dtype, suffix in DTYPES.items()
    }


def module(dtype: np.dtype) -> ModuleType:
    """Return the active kernels for `dtype`, float32 or float64."""
    return _modules[dtype]


def lanes(dtype: np.dtype) -> int:
    """Return the output channels in a panel of packed weights of `dtype`."""
    return _modules[np.dtype(dtype)].lanes


def pool_kind() -> str:
    """Return ``"pthreads"``, or ``"none"`` where kernels run on the caller's thread alone."""
    return _pool.pool_kind()


class _Refused(dict[np.dtype, ModuleType]):
    """Takes the place of modules that cannot be used."""

    def __missing__(self, dtype: np.dtype) -> ModuleType:
        raise InstructionSetError(refusal)


_asked = os.environ.get("FASTCONV_ISA") or available_isas()[-1]
_active = _asked.lower() if _asked.lower() in KNOWN else _asked  # load says what is wrong
#: Why the instruction set that was asked for cannot be used, or empty.
refusal = ""
try:
    _modules: dict[np.dtype, ModuleType] = load(_active)
except InstructionSetError as error:
    refusal, _modules = str(error), _Refused()
threads.slice_work = SLICE_WORK.get(_active, threads.slice_work)
