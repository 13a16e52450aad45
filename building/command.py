"""The command build_ext: finds out what the compiler can do, and builds what it can."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from setuptools.command.build_ext import build_ext, get_abi3_suffix

from building import flags, processor, store, switches, targets, translation
from building.modules import KERNELS, PARTS, Module

VECTOR_TYPES = "typedef float v __attribute__((vector_size(16))); v f(v a) { return a + a; }"


class BuildKernels(build_ext):
    """Builds what ``FASTCONV_BUILD_ISAS`` asks for, except what was built before."""

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
        self.extensions = [e for e in self.extensions if e.target.name in selection.built]
        self.complete(selection.spare)
        report = {
            "asked": switches.ASKED,
            "built": selection.built,
            "spare": selection.spare,
            "parts": PARTS,
            "not_asked_for": selection.not_asked_for,
            "refused": selection.refused,
        }
        self.report = json.dumps(report, indent=1) + "\n"
        self.remove_stale(Path(self.build_lib) / KERNELS)
        self.write_report(Path(self.build_lib))
        self.parallel = self.parallel or switches.jobs()
        self.store = store.Store(Path("build") / "kernels")
        tools = self.name_tools()
        self.keys = {e.name: self.key(e, tools) for e in self.extensions}
        missing = {e.source for e in self.extensions if not self.found(e)}
        self.translated = translation.translate(
            missing, Path(self.build_temp) / "translated", self.store, tools[:2], self.parallel
        )
        super().build_extensions()

    def select(self) -> targets.Selection:
        """Return which instruction sets are built; end the build if the choice is wrong."""
        known = targets.instruction_sets()
        runs = None
        if switches.ASKED == "native" and self.unix:
            runs = self.ask_processor()
        try:
            selection = targets.select(
                switches.ASKED, [t.name for t in known], dict(self.refused()), runs, switches.SPARE
            )
        except ValueError as error:
            sys.exit(f"setup.py: {error}")
        if "baseline" not in selection.built:
            sys.exit(
                f"setup.py: the compiler cannot build for the target "
                f"{sysconfig.get_platform()}: {selection.refused['baseline']}"
            )
        print(f"fastconv: building the kernels of {', '.join(selection.built)}")
        for name in selection.not_asked_for:
            print(
                f"fastconv: {name} is left out: not asked for by {switches.ISAS}={switches.ASKED}"
            )
        for name, reason in selection.refused.items():
            print(f"fastconv: {name} is left out: {reason}")
        return selection

    def ask_processor(self) -> list[str] | None:
        """Return the instruction sets that the processor runs, or None if they are not known."""
        if targets.cross_building():
            why = f"{sysconfig.get_platform()} may be another machine than this one"
        else:
            runs, why = processor.runs(self.compiler.compiler)
        if why:
            print(
                f"fastconv: which instruction sets are native is not known ({why}): all are "
                f"built; {switches.ISAS}=baseline,... chooses"
            )
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

    def complete(self, spare: Collection[str]) -> None:
        """Set the flags and macros that depend on the compiler and on which sets are `spare`."""
        wanted = {e.name: flags.wanted(e.level(spare)) for e in self.extensions}
        taken = {
            flag: self.unix and not self.refusal((flag,), "int x;")
            for flag in {flag for each in wanted.values() for flag in each}
        }
        for module in self.extensions:
            if self.unix:
                tuning = [flag for flag in wanted[module.name] if taken[flag]]
                module.extra_compile_args = [*tuning, *module.target.flags]
            if switches.SANITIZE:
                module.extra_link_args = [flags.SANITIZERS[switches.SANITIZE]]
            if sys.platform != "win32":
                module.extra_link_args += ["-pthread"]
            size = module.target.vector_bytes if self.vectors else 0
            tile = module.target.tile
            module.define_macros += [("FC_BYTES", str(size)), ("FC_TILE", str(tile))]

    def name_tools(self) -> list[object]:
        """Return what identifies Python, Cython and the compiler, for the keys of the store."""
        from Cython import __version__ as cython  # a source distribution is made without it

        tools: list[object] = [sys.version, cython]
        if self.unix:
            said = subprocess.run(
                [*self.compiler.compiler, "--version"], capture_output=True, text=True
            )
            tools += [self.compiler.compiler_so, self.compiler.linker_so, said.stdout]
        # An environment has a folder of headers of its own.  The kernels include Python's alone.
        folders = [
            path for path in self.compiler.include_dirs if (Path(path) / "Python.h").exists()
        ]
        return [*tools, folders, self.compiler.library_dirs]

    def key(self, module: Module, tools: list[object]) -> str:
        """Return a key that names everything that `module` is made of."""
        recipe = [module.name, module.define_macros, module.extra_compile_args]
        recipe += [module.extra_link_args, translation.RECIPE, tools]
        return store.digest(store.sources_of(module.source, KERNELS), recipe)

    def found(self, module: Module) -> Path | None:
        """Return the file of `module` if it was built before, else None."""
        if self.force:
            return None
        name = Path(self.get_ext_filename(module.name)).name
        return self.store.find(name, self.keys[module.name])

    def build_extension(self, ext: Module) -> None:
        path = Path(self.get_ext_fullpath(ext.name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # not overwritten: a program may have loaded it
        if found := self.found(ext):
            shutil.copyfile(found, path)
            return
        objects = self.compiler.compile(
            [str(self.translated[ext.source])],
            output_dir=str(Path(self.build_temp) / ext.name),  # others are made of the same C
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
        self.store.keep(path, self.keys[ext.name])

    def remove_stale(self, folder: Path) -> None:
        """Remove modules for this Python that are not built now, so that no wheel has them."""
        expected = {Path(self.get_ext_filename(e.name)).name for e in self.extensions}
        own = Path(self.get_ext_filename("x")).name.removeprefix("x")
        for path in folder.glob("_*"):
            suffix = "." + path.name.partition(".")[2]
            if suffix in (own, get_abi3_suffix()) and path.name not in expected:
                path.unlink()

    def write_report(self, root: Path) -> None:
        (root / KERNELS).mkdir(parents=True, exist_ok=True)
        (root / KERNELS / "build.json").write_text(self.report)

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        self.remove_stale(KERNELS)
        self.write_report(Path())
