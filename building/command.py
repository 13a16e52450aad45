"""The command build_ext: finds out what the compiler can do, and builds what it can."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from setuptools import Extension
from setuptools.command.build_ext import build_ext

from . import flags, processor, store, switches, targets

KERNELS = Path("fastconv") / "kernels"
DTYPES = {"f32": (), "f64": (("FC_DOUBLE", "1"),)}
#: Built once, for any processor.
COMMON = ("_cpu", "_pool")
VECTOR_TYPES = "typedef float v __attribute__((vector_size(16))); v f(v a) { return a + a; }"
DIRECTIVES = (
    "boundscheck=False",
    "wraparound=False",
    "initializedcheck=False",
    "cdivision=True",
    "freethreading_compatible=True",
)


def extensions() -> list[Extension]:
    """Return every module that the target could have, the slowest to compile first."""
    modules = [
        (f"_{target.name}_{dtype}", target, list(macros))
        for target in reversed(targets.instruction_sets())
        for dtype, macros in DTYPES.items()
    ]
    baseline = targets.instruction_sets()[0]
    modules += [(name, baseline, flags.macros(threads_matter=True)) for name in COMMON]
    result = []
    for name, target, macros in modules:
        extension = Extension(
            f"fastconv.kernels.{name}",
            [(KERNELS / f"{name}.pyx").as_posix()],
            include_dirs=[str(KERNELS)],
            define_macros=[*macros, *flags.macros(threads_matter=False)],
        )
        extension.fastconv_target = target
        result.append(extension)
    return result


class BuildKernels(build_ext):
    """Builds what ``FASTCONV_BUILD_ISAS`` asks for, and nothing that was built before."""

    def refusal(self, words: tuple[str, ...], source: str) -> str:
        """Return "" if the compiler takes the flags and the source, else the reason."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "probe.c"
            path.write_text(source)
            command = [*self.compiler.compiler_so, *words, "-Werror", "-c", str(path)]
            done = subprocess.run(
                [*command, "-o", str(path.with_suffix(".o"))], capture_output=True, text=True
            )
        lines = done.stderr.strip().splitlines() or ["the compiler failed without a word"]
        return "" if done.returncode == 0 else lines[0]

    def build_extensions(self) -> None:
        self.unix = self.compiler.compiler_type == "unix"
        self.vectors = self.unix and switches.VECTORS and not self.refusal((), VECTOR_TYPES)
        selection = self.select()
        self.tuning = [f for f in flags.wanted() if self.unix and not self.refusal((f,), "int x;")]
        self.extensions = [e for e in self.extensions if e.fastconv_target.name in selection.built]
        for extension in self.extensions:
            self.complete(extension)
        self.report = (
            json.dumps(
                {
                    "asked": switches.ASKED,
                    "built": selection.built,
                    "not_asked_for": selection.not_asked_for,
                    "refused": selection.refused,
                },
                indent=1,
            )
            + "\n"
        )
        self.remove_stale(Path(self.build_lib) / KERNELS)
        self.write_report(Path(self.build_lib))
        self.store = store.Store(Path("build") / "kernels")
        self.tools = self.name_tools()
        self.parallel = self.parallel or switches.jobs()
        super().build_extensions()

    def select(self) -> targets.Selection:
        """Return which instruction sets are built; what is wrong with them ends the build."""
        known = targets.instruction_sets()
        runs = None
        if switches.ASKED == "native" and self.unix:
            runs = self.ask_processor()
        try:
            selection = targets.select(
                switches.ASKED, [t.name for t in known], dict(self.refused()), runs
            )
        except ValueError as error:
            sys.exit(f"setup.py: {error}")
        if "baseline" not in selection.built:
            sys.exit(f"setup.py: the compiler cannot build for the target "
                     f"{sysconfig.get_platform()}: {selection.refused['baseline']}")  # fmt: skip
        print(f"fastconv: building the kernels of {', '.join(selection.built)}")
        for name in selection.not_asked_for:
            print(f"fastconv: {name} is left out: not asked for by "
                  f"{switches.ISAS}={switches.ASKED}")  # fmt: skip
        for name, reason in selection.refused.items():
            print(f"fastconv: {name} is left out: {reason}")
        return selection

    def ask_processor(self) -> list[str] | None:
        """Return what the processor runs, or None if it is not known."""
        if targets.cross_building():
            why = f"{sysconfig.get_platform()} may be another machine than this one"
        else:
            runs, why = processor.runs(self.compiler.compiler)
        if why:
            print(f"fastconv: which instruction sets are native is not known ({why}): all are "
                  f"built; {switches.ISAS}=baseline,... chooses")  # fmt: skip
            return None
        return runs

    def refused(self) -> Iterator[tuple[str, str]]:
        """Yield the instruction sets that cannot be built, each with the reason."""
        for target in targets.instruction_sets():
            if not self.unix:
                reason = "" if target.name == "baseline" else "needs GCC or Clang"
            elif target.name != "baseline" and not self.vectors:
                reason = "the build uses no vector types"
            else:
                reason = self.refusal(target.flags, "int x;")
            if reason:
                yield target.name, reason

    def complete(self, extension: Extension) -> None:
        """Set flags and macros that hang on the compiler."""
        target = extension.fastconv_target
        if self.unix:
            extension.extra_compile_args = [*self.tuning, *target.flags]
        if switches.SANITIZE:
            extension.extra_link_args = [flags.SANITIZERS[switches.SANITIZE]]
        if sys.platform != "win32":
            extension.extra_link_args += ["-pthread"]
        size = target.vector_bytes if self.vectors else 0
        extension.define_macros += [("FC_BYTES", str(size)), ("FC_TILE", str(target.tile))]

    def name_tools(self) -> list[object]:
        """Return what names the compiler, Python and Cython, for the keys of the store."""
        from Cython import __version__ as cython  # a source distribution is made without it

        tools: list[object] = [sys.version, cython, DIRECTIVES]
        if self.unix:
            said = subprocess.run(
                [*self.compiler.compiler, "--version"], capture_output=True, text=True
            )
            tools += [self.compiler.compiler_so, self.compiler.linker_so, said.stdout]
        return [*tools, self.compiler.include_dirs, self.compiler.library_dirs]

    def build_extension(self, ext: Extension) -> None:
        path = Path(self.get_ext_fullpath(ext.name))
        source = Path(ext.sources[0])
        recipe = [ext.name, ext.define_macros, ext.extra_compile_args, ext.extra_link_args]
        key = store.digest(store.sources_of(source), [*recipe, self.tools])
        found = None if self.force else self.store.find(path.name, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # distutils would keep one that is new enough
        if found:
            shutil.copyfile(found, path)
            return
        objects = self.compiler.compile(
            [self.translate(source)],
            output_dir=self.build_temp,
            macros=ext.define_macros,
            include_dirs=ext.include_dirs,
            extra_postargs=ext.extra_compile_args,
        )
        self.compiler.link_shared_object(
            objects,
            str(path),
            libraries=self.get_libraries(ext),
            export_symbols=self.get_export_symbols(ext),
            extra_postargs=ext.extra_link_args,
            build_temp=self.build_temp,
            target_lang="c",
        )
        self.store.keep(path, key)

    def translate(self, source: Path) -> str:
        """Translate to C, in a process of its own: modules are built side by side."""
        path = Path(self.build_temp) / source.with_suffix(".c")
        path.parent.mkdir(parents=True, exist_ok=True)
        options = [word for directive in DIRECTIVES for word in ("-X", directive)]
        command = [sys.executable, "-m", "cython", "-3", *options, str(source), "-o", str(path)]
        subprocess.run(command, check=True)
        return str(path)

    def remove_stale(self, folder: Path) -> None:
        """Remove modules of this Python that are not built now, lest a wheel takes them along."""
        expected = {Path(self.get_ext_filename(e.name)).name for e in self.extensions}
        suffix = Path(self.get_ext_filename("x")).name.removeprefix("x")
        for path in folder.glob(f"_*{suffix}"):
            if path.name not in expected:
                path.unlink()

    def write_report(self, root: Path) -> None:
        (root / KERNELS).mkdir(parents=True, exist_ok=True)
        (root / KERNELS / "build.json").write_text(self.report)

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        self.remove_stale(KERNELS)
        self.write_report(Path())
