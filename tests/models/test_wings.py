"""Rooms and wings of fastconv.models: who may know whom, through which door, and how much."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent
MODELS = PACKAGE / "models"
#: From the top: each imports only what stands before it. The first five are wings.
WINGS = ["graph", "text", "running", "planning", "saving"]
HELD = [
    "network",
    "differentiable",
    "sharded",
    "trainable",
    "checkpointed",
    "inference",
    "model",
    "catalogue",
]
ROOMS = [*WINGS, *HELD, "__init__"]
FILES = sorted(path.relative_to(MODELS).as_posix() for path in MODELS.rglob("*.py"))
#: The most arrows from room to room, and from file to file. More need a reason.
BETWEEN_ROOMS, BETWEEN_FILES = 41, 148


def room(file: str) -> str:
    return file.split("/")[0].removesuffix(".py")


def imports(path: Path, package: str = "fastconv.models.") -> Iterator[str]:
    """Yield the dotted names below `package` that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.removeprefix(package) for name in names if name.startswith(package))


def target(name: str) -> str:
    """Return the file that has `name`: of "graph.weights" its own, of "graph.Graph" the door."""
    parts = name.split(".")
    while parts:
        stem = "/".join(parts)
        for file in (f"{stem}.py", f"{stem}/__init__.py"):
            if file in FILES:
                return file
        parts.pop()
    return "__init__.py"


def arrows() -> set[tuple[str, str]]:
    """Return (file, file it imports) of all files of fastconv.models; of other wings the doors."""
    found = set()
    for file in FILES:
        for name in imports(MODELS / file):
            other = target(name)
            if room(other) in WINGS and room(other) != room(file):
                other = f"{room(other)}/__init__.py"
            found.add((file, other))
    return {(file, other) for file, other in found if file != other}


def test_every_file_is_in_a_room():
    assert {room(file) for file in FILES} == set(ROOMS)


@pytest.mark.parametrize("file", FILES)
def test_rooms_know_those_above_them_alone(file):
    here = ROOMS.index(room(file))
    for name in imports(MODELS / file):
        there = room(target(name))
        assert there == room(file) or ROOMS.index(there) < here, f"{file} imports {name}"


def outsiders() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pyinstaller" not in path.parts)


@pytest.mark.parametrize("path", outsiders(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_wing_is_entered_by_its_door(path):
    """What its ``__init__`` names, and nothing behind it."""
    inside = room(path.relative_to(MODELS).as_posix()) if MODELS in path.parents else None
    for name in imports(path):
        wing, *rest = name.split(".")
        if wing in WINGS and wing != inside and rest:
            door = importlib.import_module(f"fastconv.models.{wing}").__all__
            assert len(rest) == 1 and rest[0] in door, f"{name} is behind the door of {wing}"
            assert len(set(door)) == len(door)


def test_no_file_leads_back_to_itself():
    above: dict[str, set[str]] = {file: set() for file in FILES}
    for file, other in arrows():
        if other != file.rpartition("/")[0] + "/__init__.py":  # a door is no part of its wing
            above[file].add(other)
    while above:
        free = {file for file, others in above.items() if not others & above.keys()}
        assert free, f"a circle among {sorted(above)}"
        above = {file: others for file, others in above.items() if file not in free}


def test_no_file_imports_the_door_of_its_own_wing():
    for file, other in arrows():
        assert other.split("/")[0] != file.split("/")[0] or not other.endswith("__init__.py")


def test_there_are_few_arrows():
    files = arrows()
    rooms = {(room(file), room(other)) for file, other in files} - {(r, r) for r in ROOMS}
    print(f"{len(rooms)} arrows between rooms, {len(files)} between {len(FILES)} files")
    assert len(rooms) <= BETWEEN_ROOMS
    assert len(files) <= BETWEEN_FILES


@pytest.mark.parametrize("file", FILES)
def test_files_are_short(file):
    assert len((MODELS / file).read_text(encoding="utf-8").splitlines()) <= 300


def gone_round(source: str) -> Iterator[str]:
    """Yield where an object is made, or given attributes, otherwise than by its class.

    Python's own protocols of copying and pickling are the exception.
    """
    tree = ast.parse(source)
    copying = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.name in ("__copy__", "__deepcopy__", "__getstate__", "__setstate__")
    ]
    allowed = {id(part) for function in copying for part in ast.walk(function)}
    for node in ast.walk(tree):
        if id(node) in allowed:
            continue
        if isinstance(node, ast.Attribute) and node.attr == "__new__":
            yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr":
            yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and node.attr in ("update", "pop"):
            if is_dict_of(node.value):
                yield ast.unparse(node)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
            if is_dict_of(node.value):
                yield ast.unparse(node)


def is_dict_of(node: ast.expr) -> bool:
    """Whether an expression is the attributes of an object: ``vars(x)``, ``x.__dict__``."""
    text = ast.unparse(node)
    return text.startswith("vars(") or text.endswith(".__dict__")


@pytest.mark.parametrize("file", FILES)
def test_no_constructor_is_gone_round_and_no_method_swapped(file):
    assert list(gone_round((MODELS / file).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "twin = object.__new__(type(layer))",
        "model = Model.__new__(Model)",
        "vars(listing).update(add_param=add_param)",
        "vars(layer)['forward'] = f",
        "setattr(layer, 'forward', f)",
        "layer.__dict__['forward'] = f",
    ],
)
def test_what_goes_round_is_found(source):
    assert len(list(gone_round(source))) == 1
