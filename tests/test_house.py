"""How long functions are, how much they take, and how modules name what they import."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


def files_of(*folders: str) -> list[str]:
    """Return the project's own files: none of hidden folders, such as asv's environments."""
    found = (path.relative_to(ROOT) for name in folders for path in (ROOT / name).rglob("*.py"))
    return sorted(
        path.as_posix() for path in found if not any(part[0] == "." for part in path.parts)
    )


FILES = files_of("fastconv", "building", "benchmarks")
#: Parameters of a function, `self` and `cls` aside, and its lines of code.
MOST_PARAMETERS, MOST_LINES = 8, 60
BOOK = "fastconv/compat/deep_learning_from_scratch"
#: Signatures that users see, which stay as they are: what they take travels on as one object.
PUBLIC = {
    ("fastconv/functional/conv2d.py", "conv2d"): "a convolution and its options",
    ("fastconv/functional/conv2d.py", "conv2d_backward"): "the options of conv2d",
    ("fastconv/functional/choosing.py", "conv2d_costs"): "the options of conv2d",
    ("fastconv/functional/transposed.py", "conv2d_transpose"): "the options of conv2d",
    ("fastconv/functional/transposed.py", "conv2d_transpose_backward"): "the options of conv2d",
    ("fastconv/reference/transposed.py", "conv2d_transpose"): "the twin's",
    ("fastconv/reference/transposed.py", "conv2d_transpose_backward"): "the twin's",
    ("fastconv/layers/conv1d.py", "Conv1D.__init__"): "the same",
    ("fastconv/layers/conv2d.py", "Conv2D.__init__"): "the configuration of a layer",
    ("fastconv/layers/conv2d_transpose.py", "Conv2DTranspose.__init__"): "the same",
    ("fastconv/layers/depthwise_conv2d.py", "DepthwiseConv2D.__init__"): "the same",
    ("fastconv/models/trainable.py", "TrainableNetwork.fit"): "the settings of training",
    ("fastconv/training/loop.py", "fit"): "the same, for whatever is Trainable",
    ("fastconv/sklearn/classifier.py", "CNNClassifier.__init__"): "what get_params returns",
    ("fastconv/sklearn/estimator.py", "NetworkEstimator.__init__"): "likewise",
    (f"{BOOK}/conv_nets.py", "DeepConvNet.__init__"): "the book's signature",
    (f"{BOOK}/multi_layer_nets.py", "MultiLayerNetExtend.__init__"): "likewise",
    (f"{BOOK}/trainer.py", "Trainer.__init__"): "likewise",
}
#: What no line of code is made of.
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def source(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@cache
def parsed(file: str) -> ast.Module:
    return ast.parse(source(file))


def functions(node: ast.AST, within: str = "") -> Iterator[tuple[str, Function]]:
    """Yield (qualified name, definition) of every function below `node`."""
    for child in ast.iter_child_nodes(node):
        name = within
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = f"{within}.{child.name}".strip(".")
            if not isinstance(child, ast.ClassDef):
                yield name, child
        yield from functions(child, name)


def parameters(function: Function) -> int:
    """Return how many parameters there are, ``*args`` and ``**options`` one each."""
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args)]
    own = names[:1] in (["self"], ["cls"])
    return len(names) - own + len(given.kwonlyargs) + bool(given.vararg) + bool(given.kwarg)


def lines_of_code(text: str) -> set[int]:
    """Return the numbers of the lines that are neither blank nor comments alone."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            found.update(range(token.start[0], token.end[0] + 1))
    return found


def length(function: Function, code: set[int]) -> int:
    """Return the lines of code of a function, its docstring left out."""
    assert function.end_lineno is not None
    own = code & set(range(function.lineno, function.end_lineno + 1))
    if ast.get_docstring(function, clean=False) is not None:
        text = function.body[0]
        assert text.end_lineno is not None
        own -= set(range(text.lineno, text.end_lineno + 1))
    return len(own)


def test_the_files_are_found():
    assert {"fastconv/options.py", "building/flags.py", "benchmarks/gate.py"} <= set(FILES)


def test_functions_take_few_parameters():
    found = {
        (file, name)
        for file in FILES
        for name, function in functions(parsed(file))
        if parameters(function) > MOST_PARAMETERS
    }
    assert found == set(PUBLIC), "pass what belongs together as one object"


def test_functions_are_short():
    found = []
    for file in FILES:
        code = lines_of_code(source(file))
        for name, function in functions(parsed(file)):
            count = length(function, code)
            if count > MOST_LINES:
                found.append(f"{file}:{function.lineno} {name} has {count} lines of code")
    assert not found, "\n".join(found)


def relative(tree: ast.AST) -> list[int]:
    """Return the lines of imports whose name begins with a dot."""
    return [n.lineno for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]


def test_modules_are_imported_by_their_full_names():
    """One style: the name that the map of docs/design.md has, wherever it is imported from."""
    files = FILES + files_of("tests", "docs")
    found = [f"{file}:{line}" for file in files for line in relative(parsed(file))]
    assert not found, f"write the name of the module in full: {', '.join(found)}"


def test_relative_imports_are_seen():
    text = "from fastconv import a\nimport b\nfrom . import c\nif x:\n    from ..d import e"
    assert relative(ast.parse(text)) == [3, 5]


def test_the_counts_are_right():
    text = '''
class Layer:
    def call(self, a, /, b, *rest, c=1, **options):
        """Text
        of two lines."""

        # a comment
        def inner(x): return x
        return (
            inner
        )
'''
    found = dict(functions(ast.parse(text)))
    code = lines_of_code(text)
    assert {name: parameters(f) for name, f in found.items()} == {
        "Layer.call": 5,
        "Layer.call.inner": 1,
    }
    assert {name: length(f, code) for name, f in found.items()} == {
        "Layer.call": 5,
        "Layer.call.inner": 1,
    }


def test_the_formatter_is_told_to_look_away_nowhere():
    marker = "fmt" + ":"
    assert not [file for file in FILES if marker in source(file)]
