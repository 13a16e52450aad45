"""Every error of the package, read from its sources: ``python tests/errors_listed.py`` prints them.

An error is listed as a user would see it, with ``{...}`` for what is known only when it is raised.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fastconv
from fastconv import errors

PACKAGE = Path(fastconv.__file__).parent
CLASSES = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, (errors.FastconvError, errors.Problem))
}
#: Between the texts that a part may be.
OR = " | "
PARTS = ("operation", "parameter", "rule", "value", "remedy")
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True)
class Listed:
    """One place where an error is made, its parts as texts."""

    file: str
    line: int
    kind: str
    parts: dict[str, str]

    def __getitem__(self, part: str) -> str:
        return self.parts.get(part, "")

    def __str__(self) -> str:
        said = " ".join(filter(None, (self["parameter"], self["rule"])))
        text = f"{self['operation']}: {said}" if self["operation"] else said
        got = self["shown"] or self["value"]
        text += f", got {got}" if got else ""
        return f"{text}; {self['remedy']}" if self["remedy"] else text


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Yield every file of the package, by its path in it, and its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def listed(file: str, tree: ast.Module) -> Iterator[Listed]:
    """Yield the errors that a file makes of parts, in the order of its lines."""
    found = []
    for node, inside in calls(tree, ()):
        kind = ast.unparse(node.func).rpartition(".")[2]
        if kind in CLASSES and not (file == "errors/__init__.py" and inside):
            found.append(Listed(file, node.lineno, kind, parts(node, inside)))
    yield from sorted(found, key=lambda error: error.line)


def calls(node: ast.AST, inside: tuple[Function, ...]) -> Iterator[tuple[ast.Call, tuple]]:
    """Yield every call below `node`, with the functions it stands in, the innermost last."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child, inside
        yield from calls(child, (*inside, child) if isinstance(child, Function) else inside)


def parts(call: ast.Call, inside: tuple[Function, ...]) -> dict[str, str]:
    """Return the parts of an error as texts; of one that is passed on, what is."""
    given: dict[str, ast.expr] = {}
    names = list(PARTS)
    for argument in call.args:
        values = [argument]
        if isinstance(argument, ast.Starred):
            taken = assigned(ast.unparse(argument.value), call, inside)
            if not taken or not isinstance(taken[0], ast.Tuple):
                return {"passed on": ast.unparse(argument.value)}
            values = taken[0].elts
        for value in values:
            given[names.pop(0)] = value
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if list(given) == ["operation"]:
        return {"passed on": ast.unparse(call.args[0])}
    return {name: OR.join(texts(value, call, inside)) for name, value in given.items()}


def assigned(name: str, call: ast.Call, inside: tuple[Function, ...]) -> list[ast.expr]:
    """Return what the function gave to a variable before the call.

    That is what it was given last, and what else since the raise before: of several branches each
    has its own.
    """
    nodes = list(ast.walk(inside[-1])) if inside else []
    raises = [n.lineno for n in nodes if isinstance(n, ast.Raise) and n.lineno < call.lineno - 1]
    found = [
        (value.lineno, value)
        for node in nodes
        for target, value in pairs(node)
        if isinstance(target, ast.Name) and target.id == name and value.lineno <= call.lineno
    ]
    found.sort(key=lambda pair: pair[0])
    since = [value for line, value in found if line > max(raises, default=0)]
    return since or [value for _, value in found[-1:]]


def pairs(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """Return the variables that a statement sets, each with its value."""
    if isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)) and node.value:
        return [(node.target, node.value)]
    found: list[tuple[ast.expr, ast.expr]] = []
    for target in node.targets if isinstance(node, ast.Assign) else ():
        value = node.value  # type: ignore[attr-defined]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            found += zip(target.elts, value.elts, strict=True)
        else:
            found.append((target, value))
    return found


def texts(value: ast.expr, call: ast.Call, inside: tuple[Function, ...]) -> list[str]:
    """Return the texts that an expression may be, ``{...}`` for what is not known here."""
    if isinstance(value, ast.Constant):
        return [str(value.value)]
    if isinstance(value, ast.JoinedStr):
        return [
            "".join(
                part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
                for part in value.values
            )
        ]
    if isinstance(value, ast.IfExp):
        return texts(value.body, call, inside) + texts(value.orelse, call, inside)
    if isinstance(value, ast.Name) and (given := assigned(value.id, call, inside)):
        return [text for one in given for text in texts(one, call, ())]
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        right = texts(value.right, call, inside)
        return [one + other for one in texts(value.left, call, inside) for other in right]
    return [f"{{{ast.unparse(value)}}}"]


def every_error() -> list[Listed]:
    """Return every error of the package."""
    return [error for file, tree in sources() for error in listed(file, tree)]


def raised_raw() -> Iterator[tuple[str, int, str]]:
    """Yield the file, line and text of what is raised without being an error of the package.

    What was caught and is raised again, or made by a function, is not told: its place is elsewhere.
    """
    for file, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and node.exc is not None:
                exc = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                name = ast.unparse(exc).rpartition(".")[2]
                if name not in CLASSES and name.lstrip("_")[:1].isupper():
                    yield file, node.lineno, ast.unparse(node.exc)


if __name__ == "__main__":
    for error in every_error():
        print(f"{error.file}:{error.line}: {error.kind}\n    {error}")
