"""Building: what is chosen, what is told to the compiler, and that nothing is built twice.

A compiler and a Cython that do nothing take the place of the real ones, so that a whole build
takes a second; tests/test_packaging.py builds in earnest.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from fastconv import kernels

ROOT = Path(__file__).parents[1]
#: Three sets to choose from, whatever the targets have; and those of the targets.
SETS = ("baseline", "avx2", "avx512")
ARM = ("baseline", "neon")
X86 = tuple(isa for isa in kernels.KNOWN if isa not in ARM[1:])
OLD = {"avx512": "gcc: error: unrecognized command-line option '-mavx512f'"}
# Makes empty files of whatever is asked for, and notes the words; where the processor is asked
# it makes a program that prints what RUNS says.
COMPILER = r"""#!/bin/sh
for word in "$@"; do
    if [ "$word" = "$REFUSED" ]; then
        echo "unrecognized command-line option '$word'" >&2
        exit 1
    fi
    [ "$before" = -o ] && out=$word
    case $word in */probe.c) probe=1;; esac
    before=$word
done
[ -z "$out" ] && exit
: > "$out"
case $out in */processor.exe) printf '#!/bin/sh\necho %s\n' "$RUNS" > "$out"; chmod +x "$out";; esac
[ -n "$probe" ] || echo "$*" >> LOG
"""
TRANSLATOR = """
import sys
with open("LOG", "a") as log:
    print("cython", sys.argv[-1].rpartition("=")[2], file=log)
open(sys.argv[-1].rpartition("=")[2], "w").close()
"""


@pytest.fixture
def building(monkeypatch):
    """Import a module of the folder `building`."""
    if not (ROOT / "building").is_dir():
        pytest.skip("the tests stand without the sources")
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"building.{name}")


class Tree:
    """A copy of the sources of the kernels, built by a compiler that does nothing."""

    def __init__(self, folder: Path):
        self.folder, self.log = folder, folder / "log"
        self.kernels = folder / "fastconv" / "kernels"
        made = shutil.ignore_patterns("*.so", "*.c", "build.json", "__pycache__")
        for name in ("building", "fastconv/kernels"):
            shutil.copytree(ROOT / name, folder / name, ignore=made)
        shutil.copy(ROOT / "setup.py", folder)
        (folder / "tools").mkdir()
        self.compiler = folder / "tools" / "cc"
        self.compiler.write_text(COMPILER.replace("LOG", str(self.log)))
        self.compiler.chmod(self.compiler.stat().st_mode | stat.S_IXUSR)
        (folder / "tools" / "cython.py").write_text(TRANSLATOR.replace("LOG", str(self.log)))

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Build in place for x86-64, unless the `variables` of the environment say otherwise."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FASTCONV_", "PYTHON", "_PYTHON", "MAX_JOBS"))
            and name not in ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "LDSHARED")
        }
        kept |= {"CC": str(self.compiler), "PYTHONPATH": str(self.folder / "tools")}
        if "RUNS" not in variables:  # as in a cross build, which asks no processor
            kept["_PYTHON_HOST_PLATFORM"] = "linux-x86_64"
        self.log.unlink(missing_ok=True)
        command = [sys.executable, "setup.py", "build_ext", "--inplace", *words]
        return subprocess.run(
            command, cwd=self.folder, env=kept | variables, capture_output=True, text=True
        )

    def build(self, *words: str, **variables: str) -> dict:
        """Build, which must work, and return the report."""
        done = self.run(*words, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads((self.kernels / "build.json").read_text())

    def compiled(self) -> dict[str, list[str]]:
        """The words of the last build's compilations by module."""
        if not self.log.exists():
            return {}
        found = {}
        for words in map(str.split, self.log.read_text().splitlines()):
            if "-c" in words:
                renamed = [word for word in words if word.startswith("-DPyInit_")]
                module = renamed[0].partition("=PyInit_")[2] if renamed else ""
                found[module or Path(words[words.index("-c") + 1]).stem] = words
        return found

    def translated(self) -> set[str]:
        """What the last build translated."""
        lines = map(str.split, self.log.read_text().splitlines()) if self.log.exists() else ()
        return {Path(words[1]).stem for words in lines if words[0] == "cython"}

    def modules(self) -> set[str]:
        """The modules beside the sources."""
        return {path.name.partition(".")[0] for path in self.kernels.glob("*.so")}


def make_tree(folder: Path) -> Tree:
    """Copy the sources, where a build can be tried at all."""
    pytest.importorskip("Cython", reason="building needs Cython")
    pytest.importorskip("setuptools", minversion="77", reason="building needs setuptools")
    if not (ROOT / "building").is_dir():
        pytest.skip("the tests stand without the sources")
    if sys.platform == "win32":
        pytest.skip("the compiler that does nothing is a script of POSIX")
    return Tree(folder)


@pytest.fixture
def tree(tmp_path) -> Tree:
    return make_tree(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Tree:
    """A tree whose baseline is built."""
    tree = make_tree(tmp_path_factory.mktemp("built"))
    assert tree.build(FASTCONV_BUILD_ISAS="baseline")["built"] == ["baseline"]
    assert set(tree.compiled()) == names("baseline")
    return tree


@pytest.fixture
def built(shared) -> Tree:
    """A tree whose baseline is built; what a test changes in it, it changes back."""
    shared.build(FASTCONV_BUILD_ISAS="baseline")
    assert shared.compiled() == {}
    return shared


PARTS = {path.stem for path in (ROOT / "fastconv" / "kernels" / "parts").glob("*.pyx")}
DTYPES = tuple(kernels.DTYPES.values())
COMMON = {"_cpu", "_pool", "_memoryviews"}


def variants(*sets: str, parts: Iterable[str] = PARTS) -> set[str]:
    """The modules of some instruction sets."""
    return {f"_{isa}_{dtype}_{p}" for isa in sets for dtype in DTYPES for p in parts}


def names(*sets: str) -> set[str]:
    """The modules of a build for some instruction sets."""
    return variants(*sets) | COMMON


@pytest.mark.parametrize(
    "asked, refused, runs, built",
    [
        ("native", {}, ["baseline"], ["baseline"]),
        ("native", {}, ["baseline", "avx2"], ["baseline", "avx2"]),
        ("native", {}, ["baseline", "avx2", "avx512"], ["baseline", "avx512"]),
        ("native", OLD, ["baseline", "avx2", "avx512"], ["baseline", "avx2"]),
        ("native", {}, None, ["baseline", "avx2", "avx512"]),
        ("native", OLD, None, ["baseline", "avx2"]),
        ("all", {}, ["baseline"], ["baseline", "avx2", "avx512"]),
        ("all", OLD, None, ["baseline", "avx2"]),
        ("avx512", {}, ["baseline"], ["baseline", "avx512"]),
        ("avx512, avx2", {}, ["baseline"], ["baseline", "avx2", "avx512"]),
        ("baseline", {}, ["baseline", "avx2"], ["baseline"]),
        ("avx2,avx512", OLD, None, ["baseline", "avx2"]),
    ],
)
def test_what_is_built(building, asked, refused, runs, built):
    found = building("targets").select(asked, SETS, refused, runs)
    assert list(found.built) == built
    assert found.refused == refused
    assert list(found.not_asked_for) == [name for name in SETS if name not in {*built, *refused}]


@pytest.mark.parametrize(
    "asked, runs, spare",
    [
        ("native", ["baseline", "avx2"], ["baseline"]),
        ("native", ["baseline"], []),  # it is the best
        ("native", None, []),
        ("all", ["baseline", "avx2"], []),
        ("avx2", ["baseline"], ["baseline"]),
        ("avx2,avx512", ["baseline", "avx2", "avx512"], ["baseline"]),
        ("baseline", ["baseline", "avx2"], []),
        ("baseline,avx2", ["baseline", "avx2"], []),
    ],
)
def test_a_baseline_that_nobody_named_is_a_spare(building, asked, runs, spare):
    assert list(building("targets").select(asked, SETS, {}, runs).spare) == spare


def test_a_spare_is_compiled_in_less_time(tree):
    tree.build(FASTCONV_BUILD_ISAS="avx2")
    levels = {name: last(words, "-O") for name, words in tree.compiled().items()}
    assert {levels[name] for name in variants("baseline")} == {"-O1"}
    assert {levels[name] for name in variants("avx2")} == {"-O3"}
    tree.build(FASTCONV_BUILD_ISAS="baseline,avx2")
    assert {last(words, "-O") for words in tree.compiled().values()} == {"-O3"}
    report = tree.build(FASTCONV_BUILD_ISAS="baseline,avx2", FASTCONV_BUILD_OPTIMIZE="spare")
    assert report["spare"] == ["baseline", "avx2"]
    compiled = tree.compiled()
    assert set(compiled) == variants("avx2")  # the others are as the first build made them
    assert all("-fexpensive-optimizations" in words for words in compiled.values())
    done = tree.run(FASTCONV_BUILD_OPTIMIZE="2")
    assert "FASTCONV_BUILD_OPTIMIZE must be 0, 1 or spare, got '2'" in done.stderr


@pytest.mark.parametrize("asked", ["avx", "AVX2", "baseline,sse9", "native,avx2", ",", "avx2,"])
def test_a_name_that_the_target_does_not_have(building, asked):
    with pytest.raises(ValueError) as caught:
        building("targets").select(asked, SETS, {}, SETS)
    text = str(caught.value)
    assert text.startswith("FASTCONV_BUILD_ISAS must be native, all or names among baseline, avx2,")
    assert repr(asked) in text


@pytest.mark.parametrize(
    "platform, sets",
    [
        ("linux-x86_64", X86),
        ("win-amd64", X86),
        ("mingw_x86_64", X86),
        ("macosx-11.0-x86_64", X86),
        ("linux-aarch64", ARM),
        ("macosx-11.0-arm64", ARM),
        ("win-arm64", ARM),
        ("macosx-11.0-universal2", ("baseline",)),
        ("linux-armv7l", ("baseline",)),
        ("linux-i686", ("baseline",)),
        ("win32", ("baseline",)),
    ],
)
def test_the_target_is_that_of_the_settings(building, monkeypatch, platform, sets):
    targets = building("targets")
    monkeypatch.setattr(targets.sys, "maxsize", 2**63 - 1)
    monkeypatch.setattr(targets.sysconfig, "get_platform", lambda: platform)
    assert tuple(each.name for each in targets.instruction_sets()) == sets


def test_a_32_bit_python_on_a_64_bit_machine(building, monkeypatch):
    targets = building("targets")
    monkeypatch.setattr(targets.sysconfig, "get_platform", lambda: "linux-x86_64")
    monkeypatch.setattr(targets.sys, "maxsize", 2**31 - 1)
    monkeypatch.delenv("_PYTHON_HOST_PLATFORM", raising=False)
    assert [each.name for each in targets.instruction_sets()] == ["baseline"]


def test_a_32_bit_python_that_builds_for_another_machine(building, monkeypatch):
    targets = building("targets")
    monkeypatch.setattr(targets.sysconfig, "get_platform", lambda: "linux-aarch64")
    monkeypatch.setattr(targets.sys, "maxsize", 2**31 - 1)
    monkeypatch.setenv("_PYTHON_HOST_PLATFORM", "linux-aarch64")
    assert tuple(each.name for each in targets.instruction_sets()) == ARM


def test_the_build_and_the_package_know_the_same_sets(building):
    targets = building("targets")
    every = [[each.name for each in sets] for sets in (*targets.MACHINES.values(), targets.OTHER)]
    assert {name for sets in every for name in sets} == set(kernels.KNOWN)
    for sets in every:  # the slowest first
        assert sets == sorted(sets, key=kernels.KNOWN.index)
        assert sets[0] == "baseline"


def test_every_part_is_built(building):
    assert set(building("modules").PARTS) == PARTS


def test_the_processor_is_asked_alike_before_and_after(building):
    processor = building("processor")
    found, why = processor.runs(processor.usual_compiler())
    assert not why
    assert found == [isa for isa in kernels.KNOWN if kernels._cpu.supports(isa)]


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false", "true"])
def test_a_processor_that_cannot_be_asked(building, compiler):
    found, why = building("processor").runs([compiler])
    assert found == [] and why


def test_native_is_the_baseline_and_the_best(tree, building):
    known = [each.name for each in building("targets").instruction_sets()]
    if len(known) == 1:
        pytest.skip("this machine has the baseline alone")
    report = tree.build(RUNS=" ".join(known))
    assert set(report.pop("parts")) == PARTS
    assert report == {
        "asked": "native",
        "built": [known[0], known[-1]],
        "spare": known[:1],
        "not_asked_for": known[1:-1],
        "refused": {},
    }
    assert tree.modules() == names(known[0], known[-1])
    report = tree.build(RUNS=" ".join(known[:-1]))
    assert report["built"] == list(dict.fromkeys([known[0], known[-2]]))
    assert tree.modules() == names(*report["built"])  # what is not built now has gone


def test_what_the_compiler_refuses_is_left_out_with_its_words(tree):
    report = tree.build(REFUSED="-mavx512bw", FASTCONV_BUILD_ISAS="all")
    assert report["built"] == [isa for isa in X86 if isa != "avx512"]
    assert list(report["refused"]) == ["avx512"]
    assert "unrecognized command-line option '-mavx512bw'" in report["refused"]["avx512"]


def test_a_compiler_for_another_target_ends_the_build(tree):
    done = tree.run(REFUSED="-march=x86-64")
    assert done.returncode
    assert "the compiler cannot build for the target linux-x86_64" in done.stderr
    assert "-march=x86-64" in done.stderr


def test_a_cross_build_is_for_the_target_and_asks_no_processor(tree):
    done = tree.run()
    assert done.returncode == 0
    assert "linux-x86_64 may be another machine than this one" in done.stdout
    assert tree.modules() == names(*X86)
    report = tree.build(_PYTHON_HOST_PLATFORM="linux-aarch64")
    assert report["built"] == list(ARM)
    assert set(tree.compiled()) >= variants(*ARM)
    assert not [w for words in tree.compiled().values() for w in words if w.startswith("-m")]


def test_an_unknown_name_ends_the_build_and_lists_the_names(tree):
    done = tree.run(FASTCONV_BUILD_ISAS="baseline,sse9")
    assert done.returncode
    assert done.stderr.splitlines()[-1] == (
        f"setup.py: FASTCONV_BUILD_ISAS must be native, all or names among {', '.join(X86)} "
        "joined by commas, got 'sse9' in 'baseline,sse9'"
    )
    assert tree.modules() == set()


def test_what_follows_the_functions_of_a_module_is_compiled_as_cold(
    building, tmp_path, monkeypatch
):
    """Cython names the places in its C as we know them."""
    pytest.importorskip("Cython", reason="building needs Cython")
    translate, kept = building("translation").translate, building("store").Store(tmp_path / "kept")
    monkeypatch.chdir(ROOT)
    source = Path("fastconv/kernels/_cpu.pyx")
    made = translate({source}, tmp_path / "c", kept, (), 1)
    hot, cold = made[source].read_text().split('#pragma GCC optimize("O1")')
    ours, helpers = "/* Python wrapper */", "static void __Pyx_AddTraceback("
    assert ours in hot and ours not in cold
    assert helpers in cold.partition("Code section: utility_code_def")[2]


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
def test_jobs_are_a_number(tree, value):
    done = tree.run(MAX_JOBS=value)
    assert done.returncode
    assert f"MAX_JOBS must be a number from 1 to 9999, got {value!r}" in done.stderr


def test_jobs_are_the_builders(building, monkeypatch):
    switches = building("switches")
    monkeypatch.setenv("MAX_JOBS", "7")
    assert switches.jobs() == 7
    monkeypatch.delenv("MAX_JOBS")
    assert 1 <= switches.jobs() <= os.cpu_count()


@pytest.mark.parametrize(
    ("files", "jobs"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "1600000 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu.max": "100000 0\n"}, 8),
    ],
)
def test_jobs_stay_within_what_the_container_is_granted(
    building, monkeypatch, tmp_path, files, jobs
):
    switches = building("switches")
    monkeypatch.setattr(switches.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert switches.granted_processors(tmp_path) == jobs


def test_jobs_of_a_system_without_affinity_are_its_processors(building, monkeypatch, tmp_path):
    switches = building("switches")
    monkeypatch.delattr(switches.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(switches.os, "cpu_count", lambda: 5)
    assert switches.granted_processors(tmp_path) == 5


def last(words: list[str], start: str) -> str:
    """The word that the compiler obeys among those of one kind."""
    return [word for word in words if word.startswith(start)][-1]


@pytest.mark.parametrize(
    ("value", "flag"),
    [("1", "address,undefined"), ("address", "address,undefined"), ("thread", "thread")],
)
def test_a_sanitizer_is_asked_for_by_name(tree, value, flag):
    tree.build(FASTCONV_SANITIZE=value)
    for words in tree.compiled().values():
        assert [word for word in words if "sanitize" in word] == [f"-fsanitize={flag}"]
        assert last(words, "-O") == "-O1"
    done = tree.run(FASTCONV_SANITIZE="memory")
    assert "FASTCONV_SANITIZE must be 0, address or thread, got 'memory'" in done.stderr


def test_debug_flags_are_the_builders(tree):
    tree.build(FASTCONV_BUILD_ISAS="avx2")
    assert {last(words, "-g") for words in tree.compiled().values()} == {"-g0"}
    user = "-g3 -fno-omit-frame-pointer -O0 -march=native"
    tree.build(FASTCONV_BUILD_ISAS="avx2", CFLAGS=user)
    compiled = tree.compiled()
    assert set(compiled) == names("baseline", "avx2")
    for words in compiled.values():
        assert last(words, "-g") == "-g3"
        assert "-fno-omit-frame-pointer" in words
        assert last(words, "-march=") == "-march=x86-64"
        assert last(words, "-O") in ("-O1", "-O2", "-O3")
    tree.build(FASTCONV_BUILD_ISAS="avx2", FASTCONV_BUILD_OPTIMIZE="0")
    assert {last(words, "-O") for words in tree.compiled().values()} == {"-O1"}


def test_variables_of_a_build_are_those_that_setup_lists():
    """Where they are told, and where make looks whether they have changed."""
    if not (ROOT / "setup.py").is_file():
        pytest.skip("the tests stand without the sources")
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([A-Z][A-Z_0-9]+)  ", text, re.MULTILINE))
    assert {"FASTCONV_BUILD_ISAS", "FASTCONV_ABI3", "MAX_JOBS", "CFLAGS"} <= listed
    ours = {name for name in listed if name.startswith("FASTCONV_")}
    read = {
        name
        for path in (ROOT / "building").glob("*.py")
        for name in re.findall(r"\bFASTCONV_[A-Z_0-9]+", path.read_text(encoding="utf-8"))
    }
    assert ours == read - {"FASTCONV_ISA", "FASTCONV_COSTS"}  # those of digits.py are of a run
    for name in ("docs/packagers.md", "pyproject.toml"):
        if (ROOT / name).is_file():
            told = re.findall(r"\bFASTCONV_[A-Z_0-9]+", (ROOT / name).read_text(encoding="utf-8"))
            assert told and set(told) <= ours, name
    if (ROOT / "Makefile").is_file():
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        (watched,) = re.findall(r"^SETTINGS := (.*)$", makefile, re.MULTILINE)
        assert all(re.match(watched, f"{name}=") for name in ours | {"CFLAGS"})


LIMITED = "-DPy_LIMITED_API=0x030B0000"


def test_modules_of_the_stable_abi_take_the_place_of_those_of_one_python(tree):
    def suffixes() -> set[str]:
        return {path.name.partition(".")[2] for path in tree.kernels.glob("_*.so")}

    tree.build(FASTCONV_BUILD_ISAS="baseline")
    (own,) = suffixes()
    assert own != "abi3.so"
    assert not [words for words in tree.compiled().values() if LIMITED in words]
    other = tree.kernels / "_cpu.cpython-399-x86_64-linux-gnu.so"
    other.touch()
    tree.build(FASTCONV_BUILD_ISAS="baseline", FASTCONV_ABI3="1")
    assert set(tree.compiled()) == names("baseline")
    assert all(LIMITED in words for words in tree.compiled().values())
    assert suffixes() == {"abi3.so", other.name.partition(".")[2]}  # an import would prefer own
    assert tree.modules() == names("baseline")
    tree.build(FASTCONV_BUILD_ISAS="baseline")
    assert tree.compiled() == {}
    assert suffixes() == {own, other.name.partition(".")[2]}


def test_a_wheel_of_the_stable_abi_is_named_so(tree):
    (tree.folder / "pyproject.toml").write_text(
        '[project]\nname = "fastconv"\nversion = "1"\n[tool.setuptools]\npackages = ["fastconv"]\n'
    )
    own = f"cp{sys.version_info.major}{sys.version_info.minor}"
    for value, tag in ("1", "-cp311-abi3-"), ("0", f"-{own}-{own}"):
        words = ("bdist_wheel", "--dist-dir", f"wheel{value}")
        done = tree.run(*words, FASTCONV_ABI3=value, FASTCONV_BUILD_ISAS="baseline")
        assert done.returncode == 0, done.stderr
        (wheel,) = (tree.folder / f"wheel{value}").glob("*.whl")
        assert tag in wheel.name


def test_a_python_without_a_lock_has_no_such_abi(building, monkeypatch):
    switches = building("switches")
    monkeypatch.setenv("FASTCONV_ABI3", "1")
    monkeypatch.setattr(switches.sysconfig, "get_config_var", lambda name: 0)
    assert switches.abi3()
    monkeypatch.setattr(switches.sysconfig, "get_config_var", lambda name: 1)
    with pytest.raises(SystemExit, match="FASTCONV_ABI3=1 needs a Python with a global lock"):
        switches.abi3()
    monkeypatch.setenv("FASTCONV_ABI3", "0")
    assert not switches.abi3()


def test_a_spare_fuses_products_and_sums_as_the_others_where_the_target_can(tree):
    tree.build(FASTCONV_BUILD_ISAS="avx2")
    words = tree.compiled()["_baseline_f32_pooling"]
    assert last(words, "-O") == "-O1" and "-fexpensive-optimizations" not in words
    tree.build(FASTCONV_BUILD_ISAS="neon", _PYTHON_HOST_PLATFORM="linux-aarch64")
    words = tree.compiled()["_baseline_f32_pooling"]
    assert last(words, "-O") == "-O1" and "-fexpensive-optimizations" in words


def test_nothing_is_built_twice(tree):
    tree.build(FASTCONV_BUILD_ISAS="avx2")
    assert set(tree.compiled()) == names("baseline", "avx2")
    assert tree.translated() == PARTS | COMMON  # each part once, for all that are made of it
    tree.build(FASTCONV_BUILD_ISAS="avx2")
    assert tree.compiled() == {} and tree.translated() == set()
    tree.build(FASTCONV_BUILD_ISAS="avx2,avx512")
    assert set(tree.compiled()) == variants("avx512") and tree.translated() == set()
    shutil.rmtree(tree.folder / "build" / "lib", ignore_errors=True)
    elsewhere = ("--build-lib", "elsewhere", "--build-temp", "elsewhere")
    tree.build(*elsewhere, FASTCONV_BUILD_ISAS="avx2,avx512")
    assert tree.compiled() == {}


def test_headers_of_an_environment_build_nothing_anew_unless_they_are_pythons(tree):
    include = tree.folder / "environment" / "include"
    include.mkdir(parents=True)
    (include / "mpi.h").touch()
    tree.build(FASTCONV_BUILD_ISAS="baseline")
    tree.build(f"--include-dirs={include}", FASTCONV_BUILD_ISAS="baseline")
    assert tree.compiled() == {}
    (include / "Python.h").touch()
    tree.build(f"--include-dirs={include}", FASTCONV_BUILD_ISAS="baseline")
    assert set(tree.compiled()) == names("baseline")


def test_a_changed_directive_of_cython_builds_anew(tree):
    tree.build(FASTCONV_BUILD_ISAS="baseline")
    path = tree.folder / "building" / "translation.py"
    path.write_text(path.read_text().replace('"cdivision=True"', '"cdivision=False"'))
    tree.build(FASTCONV_BUILD_ISAS="baseline")
    assert tree.translated() == PARTS | COMMON
    assert set(tree.compiled()) == names("baseline")


@pytest.mark.parametrize(
    "changed, compiled",
    [
        ("simd/vec.pxi", PARTS),
        ("simd/vec_lanes.h", PARTS),
        ("pooling/max_lines.pxi", {"pooling"}),
        ("parts/winograd.pyx", {"winograd"}),
        ("pool.h", {"_pool"}),
        ("cpu.h", {"_cpu"}),
        ("_pool.pxd", PARTS | {"_pool"}),
        ("README.md", set()),
    ],
)
def test_a_changed_file_is_built_into_what_includes_it(built, changed, compiled):
    path = built.kernels / changed
    before, times = path.read_text(), path.stat()
    path.write_text(before + "\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # a copy may keep the time
    built.build(FASTCONV_BUILD_ISAS="baseline")
    path.write_text(before)
    assert built.translated() == compiled
    parts = variants("baseline", parts=compiled - COMMON)
    assert set(built.compiled()) == parts | compiled & COMMON


@pytest.mark.parametrize(
    "variable, value, all_of_them",
    [
        ("CFLAGS", "-g", True),
        ("CPPFLAGS", "-DX", True),
        ("FASTCONV_VECTORS", "0", True),
        ("FASTCONV_THREADS", "0", False),
        ("LDFLAGS", "-s", True),
        ("FASTCONV_SANITIZE", "address", True),
        ("FASTCONV_SANITIZE", "thread", True),
        ("FASTCONV_BUILD_OPTIMIZE", "0", True),
        ("FASTCONV_ABI3", "1", True),
        ("MAX_JOBS", "1", None),
    ],
)
def test_a_changed_variable_builds_anew(built, variable, value, all_of_them):
    built.build(FASTCONV_BUILD_ISAS="baseline", **{variable: value})
    compiled = {True: names("baseline"), False: {"_cpu", "_pool"}, None: set()}[all_of_them]
    assert built.translated() == set()
    assert set(built.compiled()) == compiled


def test_what_was_built_before_the_last_change_is_still_there(built):
    built.build("--force", FASTCONV_BUILD_ISAS="baseline")
    assert set(built.compiled()) == names("baseline")
    built.build(FASTCONV_BUILD_ISAS="baseline", CFLAGS="-g1")
    assert set(built.compiled()) == names("baseline")
    built.build(FASTCONV_BUILD_ISAS="baseline")
    assert built.compiled() == {}
