"""Every module imports only what stands above it in the map of docs/design.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent
ORDER = (
    "errors concurrency floating arguments notebook drawing geometry options step_memory arena "
    "memory batches threads kernels reference engines costs functional tuning registry activations "
    "initializers layers training models serving zoo data plot explain compat sklearn dask testing "
    "cli"
).split()
# What knows the package as a whole, for its version and its public names.
KNOW_THE_WHOLE = {"threads.py", "cli/about.py"}
# What a module sets in another, which no import of that other shows. Each is a fact for a room
# above that could not know it; none is a function of a room below, which would be an arrow upwards.
TOLD = {
    ("kernels/__init__.py", "threads.slice_work"),  # how much work this instruction set does
    ("layers/base.py", "registry.layers.requires"),  # of which class registered layers are
}
# The reference is the specification: it may lean on nothing that it specifies.
ALONE = {"reference": {"geometry", "errors", "floating"}}
OPTIONAL = {"dask", "matplotlib", "onnx", "pandas", "PIL", "safetensors", "sklearn", "tqdm"}
# What a room is made of: it is imported as soon as the room is, and not with the package.
MADE_OF = {"sklearn": {"sklearn"}}
# What PyInstaller reads and the package does not import.
HOOKS = "__pyinstaller"
MODULES = sorted(
    path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if HOOKS not in path.parts
)


def unit(path: Path) -> str:
    """Return the entry of the map that a file of the package belongs to."""
    return path.parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of everything that a file imports, relative names resolved."""
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    package = ("fastconv", *path.parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, node.module or "")).strip(".")
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, (ast.Call, ast.Subscript)):
            yield from ((node.lineno, name) for name in looked_up(node))


def looked_up(node: ast.Call | ast.Subscript) -> Iterator[str]:
    """Yield the module of the package that is imported or found without an import statement."""
    by = ast.unparse(node.func if isinstance(node, ast.Call) else node.value)
    if by in (
        "importlib.import_module",
        "import_module",
        "__import__",
        "sys.modules.get",
        "sys.modules",
    ):
        names = node.args[:1] if isinstance(node, ast.Call) else [node.slice]
        for name in names:
            text = name.value if isinstance(name, ast.Constant) else None
            if isinstance(text, str) and text.split(".")[0] == "fastconv":
                yield text


def told(source: str) -> Iterator[str]:
    """Yield what a module sets in modules, or objects of modules, that it imports."""
    tree = ast.parse(source)
    known = set()
    for node in ast.walk(tree):
        ours = isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or "").split(".")[0] == "fastconv"
        )
        for alias in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else ():
            if ours or alias.name.split(".")[0] == "fastconv":
                known.add(alias.asname or alias.name.split(".")[0])
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
            targets = [node.target]
        elif isinstance(node, ast.Call) and node.args and ast.unparse(node.func) == "setattr":
            targets = [ast.Attribute(node.args[0], "...")]
        elif isinstance(node, ast.Attribute) and node.attr == "update":
            if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "vars":
                targets = [ast.Attribute(part, "...") for part in node.value.args]
        for target in targets:
            root = target
            while isinstance(root, (ast.Attribute, ast.Subscript)):
                root = root.value
            # a name alone is a variable of the module's own
            if root is not target and isinstance(root, ast.Name) and root.id in known:
                yield ast.unparse(target)


def at_import(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports as soon as it is imported itself."""
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def test_every_module_is_on_the_map():
    units = {unit(path) for path in MODULES} - {"__init__", "__main__"}
    assert {"errors", "geometry", "reference", "functional", "layers"} <= units
    assert units <= set(ORDER), f"not in the order of the map: {sorted(units - set(ORDER))}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_go_downwards_only(path):
    here = unit(path)
    if here in {"__init__", "__main__"}:
        pytest.skip("it imports everything")
    allowed = ALONE.get(here, set(ORDER[: ORDER.index(here)]) - {"testing"}) | {here}
    wrong = []
    for line, name in imported(path):
        parts = name.split(".")
        if parts[0] != "fastconv" or (parts[1:] == [] and path.as_posix() in KNOW_THE_WHOLE):
            continue
        if len(parts) == 1 or parts[1] not in ORDER:
            wrong.append(f"{path}:{line} imports {name}: import the module it is defined in")
        elif parts[1] not in allowed:
            wrong.append(f"{path}:{line} imports {name}, which stands below {here}")
    assert not wrong, "\n".join(wrong)


def test_no_module_sets_what_another_calls():
    """Such a hook would be an arrow upwards that no import shows."""
    found = {
        (path.as_posix(), name)
        for path in MODULES
        for name in told((PACKAGE / path).read_text(encoding="utf-8"))
    }
    assert found == TOLD


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from fastconv.layers import base\nbase._connect = connect", "base._connect"),
        ("from fastconv.layers.base import Layer\nLayer.call = connect", "Layer.call"),
        ("import fastconv.layers\ndef f(): fastconv.layers.x = 1", "fastconv.layers.x"),
        ("from fastconv import registry\nregistry.hooks['a'] = f", "registry.hooks['a']"),
        ("from fastconv import memory\nsetattr(memory, 'f', g)", "memory...."),
        ("from fastconv import memory\nvars(memory).update(f=g)", "memory...."),
        ("from fastconv import memory\nmemory.count += 1", "memory.count"),
    ],
)
def test_hooks_are_seen(source, name):
    assert list(told(source)) == [name]


@pytest.mark.parametrize(
    "source",
    [
        "importlib.import_module('fastconv.models')",
        "__import__('fastconv.models')",
        "sys.modules['fastconv.models']",
        "sys.modules.get('fastconv.models')",
    ],
)
def test_imports_without_a_statement_are_seen(source):
    (call,) = (n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.Call, ast.Subscript)))
    assert list(looked_up(call)) == ["fastconv.models"]


def test_kernels_import_nothing_but_kernels():
    sources = [*PACKAGE.glob("kernels/*.pyx"), *PACKAGE.glob("kernels/*.px[id]")]
    if not sources:
        pytest.skip("the sources of the kernels are not installed")
    pattern = re.compile(r"^\s*(?:from|cimport|import)\s+(fastconv[\w.]*)", re.MULTILINE)
    for source in sources:
        for name in pattern.findall(source.read_text(encoding="utf-8")):
            assert name.startswith("fastconv.kernels"), f"{source.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_only_numpy_is_imported_at_once(path):
    """What is optional or slow is imported where it is used."""
    for name in at_import(path):
        root = name.split(".")[0]
        known = {"numpy", "fastconv", ""} | sys.stdlib_module_names | MADE_OF.get(unit(path), set())
        assert root in known, f"{path}: {name}"


def test_importing_fastconv_loads_no_optional_package(environment):
    code = "import sys, fastconv; print(*{name.split('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    loaded = set(run.stdout.split())
    assert "fastconv" in loaded
    assert not loaded & OPTIONAL


def test_importing_fastconv_loads_nothing_slow(environment):
    """What takes milliseconds to import, and few programs need, waits until it is used."""
    code = "import sys, numpy; before = set(sys.modules); import fastconv; "
    code += "print(*(set(sys.modules) - before))"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    slow = {
        "csv",
        "difflib",
        "gzip",
        "hashlib",
        "importlib.metadata",
        "importlib.resources",
        "numpy.ma",
        "numpy.random",
        "pathlib",
        "random",
        "shutil",
        "tempfile",
        "fastconv.cli",
        "fastconv.compat",
        "fastconv.dask",
        "fastconv.data",
        "fastconv.explain",
        "fastconv.models.planning",
        "fastconv.plot",
        "fastconv.sklearn",
        "fastconv.training",
        "fastconv.testing",
    }
    assert not slow & set(run.stdout.split())


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("Conv2D", "it is fastconv.layers.Conv2D"),
        ("softmax", "it is fastconv.functional.softmax"),
        ("Adam", "it is fastconv.training.Adam"),
        ("conv2D", "did you mean fastconv.conv2d?"),
        ("sequential", "did you mean fastconv.Sequential?"),
        ("ploot", "did you mean fastconv.plot?"),
        ("MaxPooling2D", "did you mean fastconv.layers.MaxPool2D?"),
    ],
)
def test_a_name_that_is_not_here_is_told_where_it_is(name, remedy):
    with pytest.raises(AttributeError) as caught:
        getattr(fastconv, name)
    assert str(caught.value) == f"fastconv: {name} is no name of the package; {remedy}"
    for nothing in ("nothing_like_it", "__wrapped__", "", "x" * 10**4):
        assert not hasattr(fastconv, nothing)


@pytest.mark.parametrize(
    "first",
    [
        "fastconv.registry.losses.get('huber')",
        "assert 'adam' in fastconv.registry.optimizers",
        "assert 'accuracy' in fastconv.registry.metrics.names()",
        "assert 'csv_log' in list(fastconv.registry.callbacks)",
        "fastconv.registry.schedules.entries['cosine']",
        "fastconv.training.History",
        "from fastconv.training import loop",
        "fastconv.models.Plan",
        "from fastconv.models import PlannedNode",
        "import pickle; pickle.loads(b'cfastconv.models.plan\\nPlan\\n.')",
        "fastconv.data.digits()",
    ],
)
def test_what_waits_is_there_when_it_is_first_named(first, environment):
    subprocess.run([sys.executable, "-c", f"import fastconv; {first}"], check=True, env=environment)
