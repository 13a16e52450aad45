"""Builds the compiled kernels: one source, a module for each instruction set and dtype.

Environment variables:

FASTCONV_BUILD_ISAS      which instruction sets are built: ``native`` (the default), the baseline
                         and the best that this processor runs; ``all``, as for a wheel that is
                         given away; or names, such as ``avx2,avx512``, to which the baseline is
                         added.  In a cross build (``_PYTHON_HOST_PLATFORM``) native is all.
                         A baseline that is neither named nor one of ``all`` is a spare beside
                         what is better: compiled in half the time, it runs at six tenths
                         of its speed.
FASTCONV_BUILD_OPTIMIZE  ``0`` compiles in a quarter of the time what runs at a fraction of the
                         speed, with the same results of the baseline and the same memory;
                         ``spare`` in half the time, with the same results of every set
FASTCONV_VECTORS         ``0`` builds with plain numbers instead of vector types, as a compiler
                         without them does
FASTCONV_THREADS         ``0`` builds without threads
FASTCONV_ABI3            ``1`` builds modules against the stable ABI: one wheel, ``cp311-abi3``,
                         for Python 3.11 and every later one
FASTCONV_SANITIZE        ``address`` builds for the sanitizers of addresses and undefined
                         behaviour, ``thread`` for that of threads; see tests/sanitize.py
MAX_JOBS                 how many modules are compiled at once; by default as many as the
                         processors that affinity and a container's quota leave to the build
SOURCE_DATE_EPOCH        the time of the files in a source distribution and in a wheel
CFLAGS                   is obeyed but for -O and -m, which are what each module is about; without
                         a -g in it there is no debug information
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).resolve().parent))  # pip builds without it

from building import switches  # noqa: E402
from building.archive import Sdist  # noqa: E402
from building.command import BuildKernels  # noqa: E402
from building.modules import modules  # noqa: E402

setup(
    ext_modules=modules(),
    cmdclass={"build_ext": BuildKernels, "sdist": Sdist},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if switches.ABI3 else {},
)
