"""Builds the compiled kernels: one source, a module for each instruction set and dtype.

Environment variables: ``FASTCONV_VECTORS=0`` builds with plain numbers instead of vector
types, as a compiler without them does; ``FASTCONV_THREADS=0`` builds without threads;
``FASTCONV_SANITIZE=1`` builds for the address and undefined-behaviour sanitizers;
``FASTCONV_BUILD_ISAS=baseline,avx2`` builds these alone.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


@dataclass(frozen=True)
class InstructionSet:
    """What a target needs of the compiler, and the shape of its register tile."""

    name: str
    flags: tuple[str, ...]  # required: a compiler that refuses them leaves the target out
    vector_bytes: int
    tile: int  # pixels; times 2 vectors they must fit the registers, with room to work


MACHINE = platform.machine().lower()
INSTRUCTION_SETS = {
    "x86_64": (
        # -mno-sse3 takes back every later set too that the user's CFLAGS may name
        InstructionSet("baseline", ("-march=x86-64", "-mno-sse3"), 16, 6),
        InstructionSet("avx2", ("-march=x86-64", "-mavx2", "-mfma"), 32, 6),
        InstructionSet(
            "avx512",
            ("-march=x86-64", "-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma"),
            64,
            14,
        ),
    ),
    "aarch64": (
        InstructionSet("baseline", (), 0, 6),
        InstructionSet("neon", (), 16, 12),
    ),
}
INSTRUCTION_SETS["amd64"] = INSTRUCTION_SETS["x86_64"]
INSTRUCTION_SETS["arm64"] = INSTRUCTION_SETS["aarch64"]
TARGETS = INSTRUCTION_SETS.get(MACHINE, (InstructionSet("baseline", (), 16, 6),))

# Each tried alone and left out where the compiler refuses it: without the first three GCC
# keeps the accumulators in memory, with predictive commoning it carries weights over the
# stack, and with loop patterns it clears the accumulators by a memset in memory.  -ffast-math
# is never used: it breaks NaN and the process's floating-point mode.
TUNING_FLAGS = (
    "-O3",
    "--param=max-completely-peeled-insns=4000",
    "--param=max-completely-peel-times=64",
    "-fno-predictive-commoning",
    "-fno-tree-loop-distribute-patterns",
    "-ffp-contract=fast",  # fused multiply-add where the target has it
    "-fno-lto",  # link-time optimisation would mix the targets' flags
    "-Wno-psabi",
    "-Wno-maybe-uninitialized",
    "-g0",
)
DTYPES = (("f32", ()), ("f64", (("FC_DOUBLE", "1"),)))
KERNELS = Path("fastconv") / "kernels"
SANITIZE = os.environ.get("FASTCONV_SANITIZE") == "1"


def switched_off(variable: str) -> bool:
    """Return whether a build switch is "0"; anything but 0 and 1 is an error."""
    value = os.environ.get(variable, "1")
    if value not in ("0", "1"):
        sys.exit(f"setup.py: {variable} must be 0 or 1, got {value!r}")
    return value == "0"


VECTORS = not switched_off("FASTCONV_VECTORS")
THREADS = not switched_off("FASTCONV_THREADS")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class BuildKernels(build_ext):
    """Finds out what the compiler can do, then builds the modules it can."""

    def refusal(self, flags: tuple[str, ...], source: str) -> str:
        """Return "" if the compiler takes `flags` and `source`, else the reason."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "probe.c"
            path.write_text(source)
            command = [*self.compiler.compiler_so, *flags, "-Werror", "-c", str(path)]
            done = subprocess.run(
                [*command, "-o", str(path.with_suffix(".o"))], capture_output=True, text=True
            )
        lines = done.stderr.strip().splitlines() or ["the compiler failed without a word"]
        return "" if done.returncode == 0 else lines[-1] if len(lines) == 1 else lines[0]

    def build_extensions(self) -> None:
        unix = self.compiler.compiler_type == "unix"
        vectors = unix and VECTORS
        if vectors:
            probe = "typedef float v __attribute__((vector_size(16))); v f(v a) { return a + a; }"
            reason = self.refusal((), probe)
            vectors = not reason
        left_out: dict[str, str] = {}
        tuning = [f for f in TUNING_FLAGS if unix and not self.refusal((f,), "int x;")]
        if SANITIZE:
            # GCC contracts products and sums, on which equal bits rest, in its expensive passes
            tuning = ["-O1", "-g", "-fsanitize=address,undefined", "-ffp-contract=fast",
                      "-fexpensive-optimizations"]  # fmt: skip
        for target in TARGETS:
            if not unix:
                reason = "" if target.name == "baseline" else "needs GCC or Clang"
            elif target.name != "baseline" and not vectors:
                reason = "the build uses no vector types"
            else:
                reason = self.refusal(target.flags, "int x;")
            if reason:
                left_out[target.name] = reason
        kept = []
        for extension in self.extensions:
            target = extension.fastconv_target
            if target.name in left_out:
                continue
            if unix:
                extension.extra_compile_args = [*tuning, *target.flags]
            if SANITIZE:
                extension.extra_link_args = ["-fsanitize=address,undefined"]
            if sys.platform != "win32":
                extension.extra_link_args += ["-pthread"]
            size = target.vector_bytes if vectors else 0
            extension.define_macros += [("FC_BYTES", str(size)), ("FC_TILE", str(target.tile))]
            kept.append(extension)
        self.extensions = kept
        for name, reason in left_out.items():
            print(f"fastconv: the instruction set {name} is left out: {reason}")
        built = sorted({e.fastconv_target.name for e in kept}, key=[t.name for t in TARGETS].index)
        self.report = json.dumps({"built": built, "left_out": left_out}, indent=1) + "\n"
        write(Path(self.build_lib) / KERNELS / "build.json", self.report)
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        write(KERNELS / "build.json", self.report)


def extensions() -> list[Extension]:
    """Return every module that this kind of machine could have."""
    macros = [] if THREADS else [("FC_NO_THREADS", "1")]
    wanted = os.environ.get("FASTCONV_BUILD_ISAS")
    names = {t.name for t in TARGETS}
    chosen = set(wanted.split(",")) | {"baseline"} if wanted else names
    if chosen - names:
        sys.exit(f"setup.py: FASTCONV_BUILD_ISAS knows {sorted(names)}, got {wanted!r}")
    headers = [str(KERNELS / name) for name in sorted(os.listdir(KERNELS))
               if name.endswith((".h", ".pxi", ".pxd"))]  # fmt: skip
    modules = []
    for target in TARGETS:
        if target.name not in chosen:
            continue
        for dtype, dtype_macros in DTYPES:
            modules.append((f"_{target.name}_{dtype}", target, list(dtype_macros)))
    modules += [(name, TARGETS[0], list(macros)) for name in ("_cpu", "_pool")]
    result = []
    for name, target, defines in modules:
        extension = Extension(
            f"fastconv.kernels.{name}",
            [str(KERNELS / f"{name}.pyx")],
            include_dirs=[str(KERNELS)],
            define_macros=defines,
            depends=headers,
        )
        extension.fastconv_target = target
        result.append(extension)
    return result


def cythonized() -> list[Extension]:
    """Translate to C, only what has changed, on all cores."""
    from Cython.Build import cythonize

    modules = extensions()
    targets = {module.name: module.fastconv_target for module in modules}
    done = cythonize(
        modules,
        nthreads=0 if sys.platform == "win32" else os.cpu_count() or 1,
        quiet=True,
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            "freethreading_compatible": True,
        },
    )
    for module in done:
        module.fastconv_target = targets[module.name]
    return done


building = any(not word.startswith("-") for word in sys.argv[1:]) and not {
    "build_py", "egg_info", "sdist", "clean", "dist_info",
} & set(sys.argv[1:])  # fmt: skip
setup(ext_modules=cythonized() if building else extensions(),
      cmdclass={"build_ext": BuildKernels})  # fmt: skip
