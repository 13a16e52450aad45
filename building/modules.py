"""The compiled modules, each listed once: what each is made of, and its flags.

Every instruction set and dtype has a module for each part of the kernels (kernels/parts/*.pyx).
A part is translated to C only once.  This C is compiled for each instruction set and dtype, in
which vec.h gives another meaning to the names of the vector type and its operations.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from setuptools import Extension

from building import flags, switches, targets

KERNELS = Path("fastconv") / "kernels"
PACKAGE = ".".join(KERNELS.parts)
#: The slowest to compile comes first, so that no processor has to wait for it at the end.
PARTS = ("convolution", "pooling", "weight_gradient", "matrices", "winograd", "elementwise", "maps")
DTYPES = {"f32": (), "f64": (("FC_DOUBLE", "1"),)}
#: Modules that are built once, for any processor.
COMMON = ("_cpu", "_pool")
#: The code for memoryviews, which all modules share. Cython writes it; it has no source.
SHARED = "_memoryviews"
#: The oldest Python of the stable ABI: 3.11 is the first whose memoryviews belong to it.
OLDEST = "0x030B0000"


class Module(Extension):
    """A module to compile.

    Parameters
    ----------
    name : str
        Its name below ``fastconv.kernels``.
    source : Path
        The file that is translated; for `SHARED`, the file that Cython makes without a source.
    target : InstructionSet
        The instruction set that it is for.
    macros : list of (str, str)
        Macros besides those of the target.
    part : str
        Which of `PARTS` it is, or "".
    """

    def __init__(
        self,
        name: str,
        source: Path,
        target: targets.InstructionSet,
        macros: list[tuple[str, str]],
        part: str = "",
    ):
        super().__init__(
            f"{PACKAGE}.{name}",
            [source.as_posix()],
            include_dirs=[str(KERNELS)],
            define_macros=[
                *macros,
                *([] if switches.OPTIMIZE else [("FC_UNOPTIMIZED", "1")]),
                *([("Py_LIMITED_API", OLDEST)] if switches.ABI3 else []),
            ],
            py_limited_api=switches.ABI3,
        )
        self.target, self.part = target, part

    @property
    def source(self) -> Path:
        """The file that is translated."""
        return Path(self.sources[0])

    def level(self, spare: Collection[str]) -> tuple[str, ...]:
        """Return how hard the compiler is to try; it tries less for sets that are `spare`."""
        if not self.part:
            return flags.COLD
        if self.target.name not in spare:
            return flags.HOT
        return flags.SPARE_FUSED if self.target.fuses else flags.SPARE


def modules() -> list[Module]:
    """Return every module that the target could have, the slowest to compile first."""
    sets = targets.instruction_sets()
    result = []
    for part in PARTS:
        source = KERNELS / "parts" / f"{part}.pyx"
        for target in reversed(sets):
            for dtype, macros in DTYPES.items():
                name = f"_{target.name}_{dtype}_{part}"
                # in the C of a part, the module has the part's name
                own = (f"PyInit_{part}", f"PyInit_{name}")
                result.append(Module(name, source, target, [own, *macros], part))
    macros = [] if switches.THREADS else [("FC_NO_THREADS", "1")]
    result += [Module(name, KERNELS / f"{name}.pyx", sets[0], macros) for name in COMMON]
    return [*result, Module(SHARED, KERNELS / f"{SHARED}.c", sets[0], [])]
