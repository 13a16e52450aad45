"""The compiled kernels: a pair of modules (float32, float64) for each instruction set.

Chosen once, at import: the best set that was built and that the processor can run, or the
one that the environment variable ``FASTCONV_ISA`` names.  If that one cannot be used, whatever
needs a kernel raises, but not the import: ``fastconv doctor`` then says what is wrong.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from copy import copy
from types import ModuleType

import numpy as np

from fastconv import threads
from fastconv.errors import InstructionSetError, InstructionSetWarning
from fastconv.kernels.missing import not_compiled

try:
    from fastconv.kernels import _cpu, _pool
except ImportError as error:
    raise not_compiled(error) from None
from fastconv.kernels.built import (
    KNOWN,
    available_isas,
    better_isa,
    built_isas,
    left_out,
    parts,
    remedy,
    spare_isas,
)

__all__ = [
    "active_isa",
    "available_isas",
    "better_isa",
    "built_isas",
    "lanes",
    "left_out",
    "load",
    "module",
    "remedy",
    "spare_isas",
]

#: What to do about a wrong instruction set, unless it can be built.
UNSET = "unset it, and the fastest that this processor runs is taken"
#: Multiply-adds that take at most some 50 ms on the slowest path, see `threads.run`.
SLICE_WORK = {"avx2": 250_000_000, "avx512": 500_000_000}
DTYPES: dict[np.dtype, str] = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}


def active_isa() -> str:
    """Return the instruction set whose kernels are in use.

    Raises
    ------
    InstructionSetError
        If ``FASTCONV_ISA`` names one that is unknown, was not built, or cannot run here.
    """
    if refusal is not None:
        raise copy(refusal)  # one error alone would hold what every caller holds
    return _active


def load(isa: str) -> dict[np.dtype, ModuleType]:
    """Import and return the modules of `isa` by dtype; nothing is imported for the others.

    Raises
    ------
    InstructionSetError
        If `isa` is unknown, was not built, or cannot run on this processor.
    """
    named = "fastconv", "the environment variable FASTCONV_ISA"
    if isa not in KNOWN:
        raise InstructionSetError(*named, f"must be one of {', '.join(KNOWN)}", isa, UNSET)
    if isa not in built_isas():
        known = isa in left_out()
        reason = left_out()[isa] if known else "not an instruction set of this kind of machine"
        raise InstructionSetError(
            *named,
            f"must name kernels that this installation has, {', '.join(built_isas())}",
            isa,
            remedy(isa) if known else UNSET,
            shown=f"{isa!r} ({reason})",
        )
    if not _cpu.supports(isa):
        rule = f"must name what this processor can run, {', '.join(available_isas())}"
        raise InstructionSetError(*named, rule, isa, UNSET)
    try:
        return {dtype: _join(f"_{isa}_{suffix}") for dtype, suffix in DTYPES.items()}
    except ImportError as error:
        raise not_compiled(error) from None


def _join(name: str) -> ModuleType:
    """Return one module with all that the compiled parts of `name` offer; see _kernels.pyi."""
    whole = ModuleType(f"{__name__}.{name}", "The kernels of one instruction set and dtype.")
    for part in parts():
        found = vars(importlib.import_module(f"{whole.__name__}_{part}"))
        vars(whole).update({key: found[key] for key in found if not key.startswith("_")})
        sys.modules.pop(f"{__name__}.parts.{part}", None)  # the name in the C that all share
    return whole


def module(dtype: np.dtype) -> ModuleType:
    """Return the active kernels for `dtype`, float32 or float64."""
    return _modules[dtype]


def lanes(dtype: np.dtype) -> int:
    """Return the output channels in a panel of packed weights of `dtype`."""
    return _modules[np.dtype(dtype)].lanes


def cache_bytes() -> tuple[int, int]:
    """Return the bytes of data in the L1 and the L2 of a core, for which work is cut."""
    return load(active_isa())[np.dtype(np.float32)].caches()


def pool_kind() -> str:
    """Return ``"pthreads"``, or ``"none"`` where kernels run on the caller's thread alone."""
    return _pool.pool_kind()


class _Refused(dict[np.dtype, ModuleType]):
    """Takes the place of modules that cannot be used."""

    def __missing__(self, dtype: np.dtype) -> ModuleType:
        active_isa()  # raises
        raise KeyError(dtype)


class _Unused(dict[np.dtype, ModuleType]):
    """Holds modules until the first of them is used, and then says that there are better ones.

    Parameters
    ----------
    loaded : dict of dtype to module
        What it holds from the first use on.
    """

    def __init__(self, loaded: dict[np.dtype, ModuleType]):
        self.loaded = loaded

    def __missing__(self, dtype: np.dtype) -> ModuleType:
        module = self.loaded[dtype]
        self.update(self.loaded)  # said once, also where a warning is an error
        isa = better_isa()
        warnings.warn(
            f"fastconv: this processor can run {isa}, for which this installation has no kernels "
            f"({left_out()[isa]}): {_active} is used, which is slower; {remedy(isa)}; or say by "
            f"FASTCONV_ISA={_active} that it is meant",
            InstructionSetWarning,
            stacklevel=2,
        )
        return module


_asked = os.environ.get("FASTCONV_ISA")
_active = _asked or available_isas()[-1]
_active = _active.lower() if _active.lower() in KNOWN else _active  # load says what is wrong
#: Why the instruction set that was asked for cannot be used, or None.
refusal: InstructionSetError | None = None
try:
    _modules: dict[np.dtype, ModuleType] = load(_active)
except InstructionSetError as error:
    refusal, _modules = error, _Refused()
else:
    if not _asked and better_isa():
        _modules = _Unused(_modules)
threads.slice_work = SLICE_WORK.get(_active, threads.slice_work)
