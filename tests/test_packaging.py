"""What users install: contents of wheel and source distribution, and the code in the modules."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

import fastconv
from fastconv import kernels
from fastconv.kernels import built

ROOT = Path(__file__).parents[1]
INSTALLED = Path(kernels.__file__).parent
LARGEST_WHEEL = 4_000_000
# the first releases of 3.11 do not know filters
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
#: Accumulators of the register tile that setup.py asks for: pixels times 2 vectors.
ACCUMULATORS = {"avx2": ("ymm", 6 * 2), "avx512": ("zmm", 14 * 2)}
DTYPES = tuple(kernels.DTYPES.values())
PARTS = {path.stem for path in (ROOT / "fastconv" / "kernels" / "parts").glob("*.pyx")}
COMMON = {"_cpu", "_pool", "_memoryviews"}
WIDE_REGISTER = re.compile(r"%[yz]mm\d")
BACKEND = "import sys; from setuptools import build_meta; build_meta.build_{}(sys.argv[1])"


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a command without the caller's build switches, and return what it printed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FASTCONV_", "PYTHON"))}
    kept = {k: v for k, v in kept.items() if k not in ("CFLAGS", "CPPFLAGS", "LDFLAGS")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=kept | variables, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def build(source: Path, *words: str, **variables: str) -> None:
    """Build the modules of a copy of the sources in place."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", *words]
    run(*command, cwd=source, **variables)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources without anything that was built from them."""
    pytest.importorskip("Cython", reason="building needs Cython")
    pytest.importorskip("setuptools", minversion="77", reason="building needs setuptools")
    if not (ROOT / "setup.py").exists():
        pytest.skip("the tests stand without the sources")
    folder = tmp_path_factory.mktemp("sources") / "fastconv-copy"
    built = shutil.ignore_patterns(
        "*.so", "*.pyd", "_*.c", "build.json", "__pycache__", "*.egg-info", ".asv"
    )
    folder.mkdir()
    for name in ("benchmarks", "building", "docs", "fastconv", "tests"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=built)
    for path in ROOT.iterdir():
        if path.suffix in (".toml", ".py", ".md", ".in", ".cff"):
            shutil.copy2(path, folder)
        elif path.name in ("LICENSE", "Makefile"):
            shutil.copy2(path, folder)
    return folder


@pytest.fixture
def copy(sources: Path, tmp_path: Path) -> Path:
    """A copy of the sources to build in."""
    return Path(shutil.copytree(sources, tmp_path / "copy"))


@pytest.fixture(scope="module")
def sdist(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built from a tree that holds leftovers of a build."""
    tree = tmp_path_factory.mktemp("tree") / "tree"
    shutil.copytree(sources, tree)
    for leftover in ("_cpu.c", "_cpu.cpython-311-x86_64-linux-gnu.so", "build.json"):
        (tree / "fastconv" / "kernels" / leftover).write_text("{}")
    return make_sdist(tree, tmp_path_factory.mktemp("sdist"))


def make_sdist(tree: Path, out: Path, **variables: str) -> Path:
    """Make the source distribution of a copy of the sources."""
    run(sys.executable, "-c", BACKEND.format("sdist"), out, cwd=tree, **variables)
    (archive,) = out.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of every instruction set that the compiler takes, built from the sdist."""
    tree, out = tmp_path_factory.mktemp("unpacked"), tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(tree, **SAFELY)
    (source,) = tree.iterdir()
    run(sys.executable, "-c", BACKEND.format("wheel"), out, cwd=source, FASTCONV_BUILD_ISAS="all")
    (found,) = out.glob("*.whl")
    return found


def names_in(archive: Path) -> set[str]:
    """The files of a source distribution, its leading folder removed."""
    with tarfile.open(archive) as tar:
        return {"/".join(m.name.split("/")[1:]) for m in tar if m.isfile()}


def test_sdist_holds_the_sources_and_nothing_built(sdist):
    names = names_in(sdist)
    kernel_sources = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.pyx", "*.pxi", "*.pxd", "*.pyi", "*.h", "README.md")
        for path in (ROOT / "fastconv" / "kernels").rglob(pattern)
    }
    assert {PurePosixPath(name).suffix for name in kernel_sources} >= {".pyx", ".pxi", ".pxd", ".h"}
    assert kernel_sources <= names
    assert {"pyproject.toml", "setup.py", "LICENSE", "README.md"} <= names
    assert {f"building/{path.name}" for path in (ROOT / "building").glob("*.py")} <= names
    assert {"fastconv/py.typed", "fastconv/data/digits.npz", "tests/conftest.py"} <= names
    built = [name for name in names if re.search(r"\.(c|so|pyd|py[cod])$|build\.json$", name)]
    assert sorted(built) == ["benchmarks/peers/held.c", "tests/sanitizers/pool_stress.c"]


def test_sdist_holds_what_packagers_run_and_give_along(sdist):
    names = names_in(sdist)
    asked = ["git", "ls-files", "--", "docs", "tests", "benchmarks"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode or not listed.stdout:
        pytest.skip("only a clone knows what belongs to it")
    assert set(listed.stdout.splitlines()) <= names
    assert {"Makefile", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff"} <= names
    assert not [name for name in names if name.startswith((".github/", ".ci/"))]


def test_equal_sources_make_equal_sdists(sources, sdist, tmp_path):
    """Times, permissions and the order of a folder are those of whoever unpacked the sources."""
    tree = shutil.copytree(sources, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    for number, path in enumerate(sorted(tree.rglob("*"), reverse=True)):
        if path.is_file():
            path.chmod(0o600)
            os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
    again = make_sdist(tree, tmp_path / "again")
    assert again.name == sdist.name
    assert again.read_bytes() == sdist.read_bytes()
    dated = make_sdist(tree, tmp_path / "dated", SOURCE_DATE_EPOCH="1700000000")
    with tarfile.open(dated) as archive:
        assert {member.mtime for member in archive} == {1_700_000_000}
    assert names_in(dated) == names_in(sdist)


def test_the_command_makes_its_own_folder(sdist, copy):
    run(sys.executable, "setup.py", "-q", "sdist", cwd=copy)
    assert (copy / "dist" / sdist.name).read_bytes() == sdist.read_bytes()


def test_a_source_date_is_a_number(sources, tmp_path):
    command = [sys.executable, "setup.py", "-q", "sdist", "--dist-dir", str(tmp_path)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "yesterday"}
    done = subprocess.run(command, cwd=sources, env=environment, capture_output=True, text=True)
    assert done.returncode
    assert "SOURCE_DATE_EPOCH must be seconds since 1970, got 'yesterday'" in done.stderr


def test_python_files_of_the_wheel(copy, tmp_path):
    """What does not need a compiler: packages, stubs and data, and no sources of kernels."""
    out = tmp_path / "lib"
    run(sys.executable, "setup.py", "-q", "build_py", "--build-lib", out, cwd=copy)
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    check_package_files(names)
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "fastconv").rglob("*.py")}
    assert modules <= names


def check_package_files(names: set[str]) -> None:
    """Assert that data and stubs are there, and that sources and leftovers are not."""
    stubs = {f"fastconv/kernels/{path.name}" for path in INSTALLED.glob("*.pyi")}
    assert {"_cpu.pyi", "_pool.pyi", "_kernels.pyi"} <= {PurePosixPath(name).name for name in stubs}
    assert stubs <= names
    assert {"fastconv/py.typed", "fastconv/data/digits.npz", "fastconv/data/LICENSE.txt"} <= names
    assert "fastconv/zoo/weights/DigitsNet.digits.safetensors" in names
    unwanted = {".c", ".h", ".pyx", ".pxd", ".pxi", ".o", ".html"}
    assert not [name for name in names if PurePosixPath(name).suffix in unwanted]
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "building/"))]


def modules_of(*isas: str, parts: Iterable[str] = ()) -> set[str]:
    """The names of the modules of instruction sets."""
    parts = list(parts) or built.parts()
    return {f"_{isa}_{dtype}_{part}" for isa in isas for dtype in DTYPES for part in parts}


def test_installed_modules_are_those_of_the_report():
    parted = [path.name.partition(".") for path in INSTALLED.iterdir()]
    found = {name for name, _, suffix in parted if f".{suffix}" in EXTENSION_SUFFIXES}
    assert found == modules_of(*kernels.built_isas()) | COMMON
    assert not PARTS or set(built.parts()) == PARTS


def test_every_variant_offers_what_the_stub_says():
    text = (INSTALLED / "_kernels.pyi").read_text()
    found = re.findall(
        r"^def (\w+)|^(\w+): (?:int|list\[str\]|tuple\[str, \.\.\.\])$", text, re.MULTILINE
    )
    offered = {function or constant for function, constant in found}
    for isa in kernels.available_isas():
        for dtype, module in kernels.load(isa).items():
            assert {name for name in vars(module) if not name.startswith("_")} == offered, dtype


@pytest.mark.slow
def test_wheel(wheel):
    assert wheel.name.startswith(f"fastconv-{fastconv.__version__}-")
    assert wheel.stat().st_size < LARGEST_WHEEL
    with zipfile.ZipFile(wheel) as archive:
        names = {info.filename for info in archive.infolist()}
        report = json.loads(archive.read("fastconv/kernels/build.json"))
    check_package_files(names)
    modules = modules_of(*report["built"], parts=report["parts"])
    found = {PurePosixPath(n).name.split(".")[0] for n in names if n.endswith((".so", ".pyd"))}
    assert found == modules | COMMON
    assert "baseline" in report["built"]
    assert report["not_asked_for"] == [] and report["asked"] == "all"
    assert not set(report["built"]) & set(report["refused"])
    assert any(re.search(r"dist-info/(licenses/)?LICENSE$", name) for name in names)


@pytest.mark.slow
def test_wheel_of_the_sdist_imports_and_computes(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert set(smoke(tmp_path / "site", tmp_path)["built"]) >= set(kernels.built_isas())


SMOKE = """
import json, sys
import numpy as np
import fastconv
from fastconv import kernels, reference

assert fastconv.__file__.startswith(sys.argv[1]), fastconv.__file__
rng = np.random.default_rng(0)
cases = [  # C, K, R, groups, options
    (3, 5, 3, 1, dict(padding=1)), (4, 70, 3, 1, dict(stride=2, padding=((0, 1), (2, 0)))),
    (8, 8, 3, 8, dict(padding=1)), (33, 40, 1, 1, dict()), (6, 9, 2, 3, dict(dilation=2)),
]
for dtype in ("float32", "float64"):
    for c, k, r, groups, options in cases:
        options["groups"] = groups
        x = rng.integers(-3, 4, (2, c, 11, 13)).astype(dtype)
        w = rng.integers(-3, 4, (k, c // groups, r, r)).astype(dtype)
        y = reference.conv2d(x, w, **options)
        assert np.count_nonzero(y) > y.size // 2
        for algorithm in ("direct", "im2col"):
            found = fastconv.conv2d(x, w, algorithm=algorithm, **options)
            np.testing.assert_array_equal(found, y)
            found = fastconv.conv2d_backward(y, x, w, algorithm=algorithm, **options)
            for a, b in zip(found, reference.conv2d_backward(y, x, w, **options)):
                np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        fastconv.max_pool2d(x, 3, stride=2, padding=1),
        reference.max_pool2d(x, 3, stride=2, padding=1))
    np.testing.assert_array_equal(
        fastconv.im2col(x, 3, 3, 1, 1), reference.im2col(x, 3, 3, 1, 1))
print(json.dumps({"built": kernels.built_isas(), "left_out": kernels.left_out(),
                  "lanes": kernels.lanes("float32"), "pool": kernels.pool_kind()}))
"""


def smoke(package: Path, cwd: Path) -> dict:
    """Compute with the package below `package` in a new process, and return what it says."""
    printed = run(sys.executable, "-c", SMOKE, package, cwd=cwd, PYTHONPATH=str(package))
    return json.loads(printed)


@pytest.mark.slow
def test_build_without_vector_types(copy, tmp_path):
    build(copy, FASTCONV_VECTORS="0", FASTCONV_BUILD_ISAS="baseline")
    said = smoke(copy, tmp_path)
    assert said["built"] == ["baseline"]
    assert said["lanes"] == 2  # a "vector" is one number
    tests = ROOT / "tests" / "functional" / "test_tiles.py"
    run(
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        tests,
        cwd=tmp_path,
        PYTHONPATH=str(copy),
        FASTCONV_ISA="baseline",
    )


@pytest.mark.slow
def test_build_without_threads(copy, tmp_path):
    build(copy, FASTCONV_THREADS="0", FASTCONV_BUILD_ISAS="baseline")
    assert smoke(copy, tmp_path)["pool"] == "none"


@pytest.mark.slow
def test_build_of_the_stable_abi(copy, tmp_path):
    """Under other Pythons it is run by tests/pythons.py."""
    build(copy, FASTCONV_ABI3="1", FASTCONV_BUILD_ISAS="baseline", FASTCONV_BUILD_OPTIMIZE="spare")
    found = {path.name for path in (copy / "fastconv" / "kernels").glob("_*.so")}
    assert found == {f"{name}.abi3.so" for name in modules_of("baseline") | COMMON}
    assert smoke(copy, tmp_path)["built"] == ["baseline"]


@pytest.mark.parametrize("variable", ["FASTCONV_VECTORS", "FASTCONV_THREADS", "FASTCONV_ABI3"])
def test_switches_refuse_other_values(sources, variable):
    command = [sys.executable, "setup.py", "--version"]
    environment = os.environ | {variable: "maybe"}
    done = subprocess.run(command, cwd=sources, env=environment, capture_output=True, text=True)
    assert done.returncode
    assert f"{variable} must be 0 or 1, got 'maybe'" in done.stderr


class Instruction(NamedTuple):
    """A line of a disassembly."""

    address: int
    operation: str
    operands: str
    function: str


LINE = re.compile(r"\s*([0-9a-f]+)(?: <(.*)>:|:\t(?:\{\w+\} )?(\S+)\s*(.*))")


@pytest.fixture(scope="module")
def objdump():
    """Disassemble a module: a list of instructions."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("the registers looked for are those of x86-64")
    program = shutil.which("objdump")
    if not program or sys.platform != "linux":
        pytest.skip("objdump of the GNU binutils is not installed")

    def disassemble(path: Path) -> list[Instruction]:
        text = run(program, "-d", "--no-show-raw-insn", path, cwd=path.parent)
        found = [match for match in map(LINE.fullmatch, text.splitlines()) if match]
        assert len(found) > 100, f"{path.name} holds next to no code"
        name, code = "", []
        for address, function, operation, operands in (match.groups() for match in found):
            name = function or name
            if not function:
                code.append(Instruction(int(address, 16), operation, operands, name))
        return code

    return disassemble


def module_file(folder: Path, name: str) -> Path:
    """The compiled module `name`; skipped where the build has none."""
    found = list(folder.glob(f"{name}.*.so"))
    if not found:
        pytest.skip(f"this build has no {name}")
    return found[0]


def backward_jumps(code: list[Instruction]) -> Iterator[tuple[int, int]]:
    """Yield where each loop begins and ends, in the order of their ends."""
    index = {instruction.address: i for i, instruction in enumerate(code)}
    for last, (_, operation, operands, _) in enumerate(code):
        target = re.match(r"[0-9a-f]+\b", operands) if operation.startswith("j") else None
        first = index.get(int(target[0], 16)) if target else None
        if first is not None and first <= last:
            yield first, last


def inner_loops(code: list[Instruction]) -> list[list[Instruction]]:
    """The bodies of all loops that hold no other loop."""
    loops, latest = [], -1  # in the order of their ends; where the latest of them begins
    for first, last in backward_jumps(code):
        if first > latest:  # no loop that ends before begins inside
            loops.append(code[first : last + 1])
        latest = max(latest, first)
    return loops


@pytest.mark.parametrize("part", ["convolution", "weight_gradient", "winograd"])
@pytest.mark.parametrize("dtype, suffix", [("f32", "ps"), ("f64", "pd")])
@pytest.mark.parametrize("isa", ACCUMULATORS)
def test_register_tile_stays_in_registers(objdump, isa, dtype, suffix, part):
    """Some inner loop is the whole tile: an FMA per accumulator, and no vector is stored."""
    register, accumulators = ACCUMULATORS[isa]
    whole, largest = 0, 0
    for body in inner_loops(objdump(module_file(INSTALLED, f"_{isa}_{dtype}_{part}"))):
        fmas = [
            rest
            for _, operation, rest, _ in body
            if re.fullmatch(rf"vfn?m(add|sub)\d+{suffix}", operation) and f"%{register}" in rest
        ]
        stores = [rest for _, _, rest, _ in body if re.search(r"%[xyz]mm\d+,.*\(%", rest)]
        largest = max(largest, len(fmas))
        whole += bool(fmas) and len(fmas) % accumulators == 0 and not stores  # or unrolled
    assert whole, f"no loop of {accumulators} FMAs without a store; the most FMAs were {largest}"


#: Functions in whose inner loops a sum is stored and loaded again, with what is known of the cost:
#: their time beside that of version 0.3.0 or of PyTorch, or where it does not matter.
SPILLS = {
    "avx2": {
        "spread_planes": "0.8 to 1.0 of the time of 0.3.0, though only the sides of maps spill",
        "narrow_edges_of": "one of twelve sums, in maps of two panels; its cost was not measured",
        "(dot|depth)_quads_of_three(_apart|_back)?": "one to three sums, in the two vectors at the "
        "sides of a row alone: 0.51 to 0.58 of the time of 0.20.0, and 0.87 to 0.95",
        "multiply_panel|transform_(input|block|channels)": "6x6 or 8x8 numbers in 16 registers, "
        "once a tile beside Winograd's products, or once in all",
    },
    "avx512": {
        "narrow(_line)?_(tile|edges)_of": "one of 28 sums, at 0.76 to 0.82 of the peak",
        "wide_edges_of": "up to three sums, at the sides of maps, at 0.9 of the peak",
        "point_tile_of": "one of 24 sums, once in four channels; without it as fast",
        "dot_(three|five)(_apart)?": "in maps that fit a vector: 0.64 to 0.83 of PyTorch's time",
        "multiply_panel|transform_(input|block|channels)": "once a tile, beside Winograd's "
        "products, or once in all: the 30 or 40 numbers of a 5x5 kernel between its two axes",
    },
}


def spilled(body: list[Instruction], register: str) -> set[str]:
    """The places of the stack where a loop of fused multiply-adds puts sums that it takes up.

    A register holds a sum if the last that wrote to it, in this turn of the loop or the one before,
    was a multiply-add, or a move or an addition of such a register.
    """
    place = r"-?(?:0x)?[0-9a-f]*\(%r[sb]p\)"
    if sum(bool(re.match(r"vfn?m(add|sub)\d+p", line.operation)) for line in body) < 4:
        return set()
    sums, stored = set[str](), set[str]()
    for _, operation, rest, _ in body * 2:
        if match := re.fullmatch(rf"(%{register}\d+),({place})", rest):
            stored |= {match[2]} if match[1] in sums else set()
        elif match := re.search(rf"(%{register}\d+)(\{{.*)?$", rest):
            read = set(re.findall(rf"%{register}\d+", rest[: match.start()]))
            keeps = re.match(r"vmova|v(add|sub)p", operation) and read & sums
            fused = re.match(r"vfn?m(add|sub)\d+p", operation)
            sums = sums | {match[1]} if keeps or fused else sums - {match[1]}
    return {
        match[1] for _, _, rest, _ in body if (match := re.match(rf"({place}),.*%{register}", rest))
    } & stored


@pytest.mark.parametrize("part", sorted(PARTS - {"elementwise"}))  # polynomials, no sums
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("isa", ACCUMULATORS)
def test_no_sum_lives_on_the_stack(objdump, isa, dtype, part):
    """The compiler finds a register for every sum of every inner loop, a few known ones aside."""
    register, _ = ACCUMULATORS[isa]
    found: dict[str, set[str]] = {}
    for body in inner_loops(objdump(module_file(INSTALLED, f"_{isa}_{dtype}_{part}"))):
        if places := spilled(body, register):
            found.setdefault(body[0].function, set()).update(places)
    unknown = {
        name: places
        for name, places in found.items()
        if not any(re.search(rf"_(?:{known})(\.\w+)*$", name) for known in SPILLS[isa])
    }
    assert not unknown


def test_few_functions_have_sums_on_the_stack():
    assert all(len(known) <= 5 for known in SPILLS.values())


def test_a_sum_on_the_stack_is_seen():
    """The test above looks for what it should."""
    loop = """vmovaps 0x20(%rsp),%ymm3
        vfmadd231ps %ymm1,%ymm2,%ymm3
        vfmadd231ps %ymm1,%ymm2,%ymm4
        vfmadd231ps %ymm1,%ymm2,%ymm5
        vfmadd231ps 0x40(%rsp),%ymm2,%ymm6
        vmovaps %ymm3,0x20(%rsp)"""
    words = [line.split(maxsplit=1) for line in loop.splitlines()]
    body = [Instruction(i, *pair, "f") for i, pair in enumerate(words)]
    assert spilled(body, "ymm") == {"0x20(%rsp)"}
    assert spilled(body[1:], "ymm") == spilled(body[:-1], "ymm") == set()
    other = Instruction(9, "vmovups", "(%rax),%ymm3", "f")  # what is stored then is no sum
    assert spilled([*body[:-1], other, body[-1]], "ymm") == set()
    moved = [
        Instruction(9, "vmovaps", "%ymm3,%ymm7", "f"),
        body[-1]._replace(operands="%ymm7,0x20(%rsp)"),
    ]
    assert spilled([*body[:-1], *moved], "ymm") == {"0x20(%rsp)"}


#: The tiles of sums, whose loops over channels and rows lie around the loop of multiply-adds.
TILES = re.compile(r"_(wide|slim|narrow|part|walking|flat|channels)_(edges|stretches|tile)_of$")


def multiplications(code: list[Instruction]) -> dict[str, set[str]]:
    """Return by function the multiplications of integers in loops around multiply-adds."""
    found: dict[str, set[str]] = {}
    for first, last in backward_jumps(code):
        body = code[first : last + 1]
        fused = sum(bool(re.match(r"vfn?m(add|sub)\d+p", line.operation)) for line in body)
        products = {line.operands for line in body if re.match(r"i?mul", line.operation)}
        if fused >= 4 and products:
            found.setdefault(code[last].function, set()).update(products)
    return found


@pytest.mark.parametrize("part", ["convolution", "weight_gradient", "winograd"])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_no_tile_multiplies_for_an_address(objdump, dtype, part):
    """With AVX2 one of the two units of multiply-adds is the only one that multiplies integers.
    What waits for it is late: loads of the next channel began when the last one's sums were done,
    which took a seventh of the time of 3x3 kernels."""
    found = multiplications(objdump(module_file(INSTALLED, f"_avx2_{dtype}_{part}")))
    assert not {name: places for name, places in found.items() if TILES.search(name)}


def test_a_multiplication_around_a_tile_is_seen():
    """The test above looks for what it should."""
    text = """imul %r11,%rax
        vfmadd231ps %ymm1,%ymm2,%ymm3
        vfmadd231ps %ymm1,%ymm2,%ymm4
        vfmadd231ps %ymm1,%ymm2,%ymm5
        vfmadd231ps %ymm1,%ymm2,%ymm6
        jne 1
        jne 0"""
    words = [line.split(maxsplit=1) for line in text.splitlines()]
    code = [Instruction(i, *pair, "wide_tile_of") for i, pair in enumerate(words)]
    assert multiplications(code) == {"wide_tile_of": {"%r11,%rax"}}
    assert multiplications(code[:-1]) == {}  # before the loop it does not matter


def from_vectors(body: list[Instruction]) -> set[str]:
    """Return what a loop of multiply-adds moves from vectors or masks to general registers."""
    if sum(bool(re.match(r"vfn?m(add|sub)\d+p", line.operation)) for line in body) < 4:
        return set()
    return {
        line.operands
        for line in body
        if re.match(r"vmov[dq]|vpextr[dq]|kmov", line.operation)
        and re.search(r"%(xmm\d+|k\d),%[re]", line.operands)
    }


@pytest.mark.parametrize("part", ["convolution", "matrices", "winograd"])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_no_tile_takes_an_address_from_a_vector(objdump, dtype, part):
    """Where GCC lacks registers it puts numbers into registers of vectors or masks.  They come back
    through a unit of the multiply-adds, and loads wait for them: gradients of weights took up to a
    fifth longer, and a row of taps that began so a seventh."""
    found = {
        body[0].function
        for body in inner_loops(objdump(module_file(INSTALLED, f"_avx512_{dtype}_{part}")))
        if body[0].function.endswith("_tile_of") and from_vectors(body)
    }
    assert not found


def test_an_address_from_a_vector_is_seen():
    """The test above looks for what it should."""
    text = """vmovq %xmm31,%r10
        kmovq %k2,%rax
        vmovq %rax,%xmm3
        vfmadd231ps %zmm1,%zmm2,%zmm3
        vfmadd231ps %zmm1,%zmm2,%zmm4
        vfmadd231ps %zmm1,%zmm2,%zmm5
        vfmadd231ps %zmm1,%zmm2,%zmm6"""
    words = [line.split(maxsplit=1) for line in text.splitlines()]
    body = [Instruction(i, *pair, "f") for i, pair in enumerate(words)]
    assert from_vectors(body) == {"%xmm31,%r10", "%k2,%rax"}
    assert from_vectors(body[2:]) == from_vectors(body[:-1]) == set()


def test_no_module_leaves_the_unit_of_long_doubles_in_disorder(objdump):
    """MMX registers are those of long doubles, which are NaN from there on in that thread."""
    for path in INSTALLED.glob("_*.so"):
        used = [line for line in objdump(path) if re.search(r"%mm[0-7]\b", line.operands)]
        assert not used, f"{path.name}: {len(used)} instructions, the first {used[0]}"


def check_no_wide_registers(objdump, folder: Path) -> None:
    """Assert that modules which must run on any processor use 128-bit registers alone."""
    for name in modules_of("baseline") | COMMON:
        code = objdump(module_file(folder, name))
        wide = [
            line
            for line in code
            if WIDE_REGISTER.search(line.operands) or line.operation.startswith("v")
        ]
        assert not wide, f"{name} needs AVX: {len(wide)} instructions, the first {wide[0]}"


def test_modules_for_any_processor_use_no_avx(objdump):
    check_no_wide_registers(objdump, INSTALLED)


@pytest.mark.slow
@pytest.mark.parametrize("flags", ["-O2 -march=native", "-O2 -mavx2 -mfma"])
def test_flags_of_the_user_do_not_reach_the_baseline(objdump, copy, flags):
    build(copy, FASTCONV_BUILD_ISAS="baseline", CFLAGS=flags)
    check_no_wide_registers(objdump, copy / "fastconv" / "kernels")
