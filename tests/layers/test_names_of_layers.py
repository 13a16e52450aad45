"""Whoever connects, plans, trains and runs layers knows none by name, class or setting."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastconv
from fastconv import registry

PACKAGE = Path(fastconv.__file__).parent
# The demo's network is what it is; all other rooms here take what layers say of themselves.
FILES = sorted(
    path.relative_to(PACKAGE)
    for room in ("models", "training", "cli")
    for path in (PACKAGE / room).rglob("*.py")
    if path.name != "demo.py"
)
CLASSES = {
    name.rpartition(".")[2]: registry.layers.get(name)
    for name in registry.layers
    if "." not in name
}
SETTINGS = {key for cls in CLASSES.values() for key in registry.parameters_of(cls)} - {"name"}
VERSIONED = re.compile(rf"fastconv\.({'|'.join(CLASSES)})\.v\d+")


def documentation(tree: ast.AST) -> set[int]:
    """Return the places of docstrings and of texts that stand alone."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def is_layer(node: ast.expr) -> bool:
    """Whether an expression is called as layers are: `layer`, `step.layer`, `norm_layer`."""
    name = getattr(node, "attr", None) or getattr(node, "id", "")
    return name.endswith("layer") or name in ("norm", "conv", "relu", "pool")


def found(source: str) -> Iterator[str]:
    """Yield what a source knows of single layers."""
    tree = ast.parse(source)
    texts = documentation(tree)
    for node in ast.walk(tree):
        where = f"line {getattr(node, 'lineno', '?')}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
            if node.value in CLASSES or VERSIONED.search(node.value):
                yield f"{where}: the name {node.value!r}"
        elif isinstance(node, (ast.Name, ast.alias, ast.Attribute)):
            name = getattr(node, "id", None) or getattr(node, "name", None)
            name = name or getattr(node, "attr", "")
            if name in CLASSES:
                yield f"{where}: the class {name}"
            elif isinstance(node, ast.Attribute) and is_layer(node.value):
                if name in SETTINGS or name == "config":
                    yield f"{where}: the setting {name} of a layer"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("getattr", "hasattr") and is_layer(node.args[0]):
                known = [a.value for a in node.args[1:] if isinstance(a, ast.Constant)]
                if set(map(str, known)) & SETTINGS:
                    yield f"{where}: the setting {known[0]} of a layer"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_layers_are_known_by_what_they_say_alone(path):
    assert list(found((PACKAGE / path).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        '_RELU = "fastconv.ReLU.v1"',
        'kind == "Flatten"',
        "from fastconv.layers import Conv2D",
        "isinstance(layer, layers.BatchNorm)",
        'op.layer.config["rate"]',
        'before.layer.config.get("activation")',
        'getattr(op.layer, "activation", None)',
        "step.layer.rate",
    ],
)
def test_what_must_not_be_known_is_found(source):
    assert len(list(found(source))) == 1


def test_the_table_has_what_it_looks_for():
    assert {"Conv2D", "ReLU", "Flatten", "BatchNorm", "Dropout"} <= set(CLASSES)
    assert {"activation", "rate", "epsilon", "filters", "bias"} <= SETTINGS
    assert len(FILES) > 40
