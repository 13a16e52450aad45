"""Errors are made of parts, and their texts of these alone."""

from __future__ import annotations

import ast
import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import errors
from fastconv.errors import (
    ArgumentError,
    ConfigError,
    FastconvError,
    MemoryLimitError,
    MissingExtraError,
    Problem,
    ShapeError,
)

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, FastconvError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_message_is_made_of_the_parts(kind):
    error = kind("conv2d", "stride", "must be at least 1", 0, "take 1")
    assert str(error) == "conv2d: stride must be at least 1, got 0; take 1"
    parts = (error.operation, error.parameter, error.rule, error.value, error.remedy)
    assert parts == ("conv2d", "stride", "must be at least 1", 0, "take 1")


def test_parts_may_be_left_out():
    assert str(ArgumentError("fit", "model", "must be compiled first")) == (
        "fit: model must be compiled first"
    )
    assert str(ShapeError("conv2d", "x", "must have 4 axes", (2, 3), shown="shape (2, 3)")) == (
        "conv2d: x must have 4 axes, got shape (2, 3)"
    )
    assert str(ArgumentError("", "", "must be a name", None)) == "must be a name, got None"


def test_a_text_alone_is_the_message():
    error = ShapeError("my layer wants squares")
    assert (str(error), error.operation, error.rule) == (
        "my layer wants squares",
        "",
        "my layer wants squares",
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (["aeroplane", "bicycle", "boat", "camel"], "['aeroplane', 'bicycle', ..., 'camel']"),
        (("aeroplane", "bicycle", "boat", "camel"), "('aeroplane', 'bicycle', ..., 'camel')"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..., 99]"),
        (["a" * 30, "b" * 30], "['aaaaaaaaaaaaaaa ... bbbbbbbbbbbbbbb']"),
        (["boat", "camel"], "['boat', 'camel']"),
    ],
)
def test_of_a_long_list_whole_items_are_shown(value, shown):
    assert errors.shorten(value, 40) == shown


def test_a_long_value_is_shown_shortened():
    assert len(str(ArgumentError("f", "x", "must be short", "a" * 10**6))) < 120


def alike(one: FastconvError, other: FastconvError) -> bool:
    return type(one) is type(other) and str(one) == str(other) and vars(one) == vars(other)


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_copied_and_pickled(kind):
    error = kind("conv2d", "stride", "must be at least 1", (0, 1), "take 1", shown="zero")
    assert alike(copy.copy(error), error)
    assert alike(pickle.loads(pickle.dumps(error)), error)


def test_a_value_that_cannot_be_pickled_is_replaced_by_its_text():
    error = ArgumentError("f", "x", "must be a number", lambda: None)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.value.startswith("<function")


def test_an_error_keeps_no_array():
    for kind in (ArgumentError, Problem):
        error = kind("f", "x", "must be plain", np.zeros((1000, 1000)))
        assert error.value == "ndarray of shape (1000, 1000)"
        assert str(error) == "f: x must be plain, got ndarray of shape (1000, 1000)"
    assert ArgumentError("f", "x", "must be plain", np.float32(2)).value == 2


def test_a_memory_limit_has_its_least():
    error = MemoryLimitError("fit", "memory_limit", "must be at least 9 bytes", 3, least=9)
    assert error.least == pickle.loads(pickle.dumps(error)).least == 9


def test_a_configuration_has_problems_with_parts():
    first = Problem("nodes[2].config.filters", "", "must be at least 1", 0)
    error = ConfigError([first, "plain text"])
    assert error.problems == ["nodes[2].config.filters: must be at least 1, got 0", "plain text"]
    assert str(error).startswith("2 problems in the configuration:\n  nodes[2]")
    assert (error.operation, error.rule, error.value) == (first.operation, first.rule, 0)
    one = ConfigError([first])
    assert (one.operation, one.rule, one.value) == (first.operation, "must be at least 1", 0)
    again = pickle.loads(pickle.dumps(error))
    assert again.problems == error.problems and again.problems[0].value == 0


def test_a_problem_takes_over_what_an_error_says():
    error = ShapeError("Conv2D", "filters", "must be at least 1", 0, "take 1", shown="none")
    problem = Problem.of("layers[0].config.filters", error)
    assert problem == "layers[0].config.filters: must be at least 1, got none; take 1"
    assert (problem.value, problem.remedy) == (0, "take 1")


def test_an_import_error_shows_its_text():
    assert str(MissingExtraError("plot", "matplotlib", "must be installed")) == (
        "plot: matplotlib must be installed"
    )


class Mute(Exception):
    """Its text cannot be had."""

    def __init__(self, raised: BaseException):
        self.raised = raised

    def __str__(self) -> str:
        raise self.raised

    __repr__ = __str__


RAISED = [ValueError("no"), SystemExit(3), GeneratorExit(), Mute(OSError())]


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
def test_an_error_without_a_text_is_described_all_the_same(raised):
    assert errors.describe(Mute(raised)) == "Mute, which cannot be shown as a text"
    assert errors.shorten(Mute(raised)) == "<Mute>"
    assert str(ArgumentError("f", "x", "must be y", Mute(raised))) == "f: x must be y, got <Mute>"


def test_ctrl_c_is_heard_while_an_error_is_described():
    with pytest.raises(KeyboardInterrupt):
        errors.describe(Mute(KeyboardInterrupt()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("first\nsecond\r\n   third", "first second third"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("", ""),
    ],
)
def test_texts_of_others_are_shown_in_one_line(text, shown):
    assert errors.describe(ValueError(text)) == f"ValueError: {shown}".removesuffix(": ")


def test_long_texts_of_others_are_cut():
    said = errors.describe(ValueError("begin\n" + "x" * 10**7 + "\nend"))
    assert said.startswith("ValueError: begin xxx") and said.endswith("xxx end")
    assert len(said) < 700
    assert len(errors.shorten([[1, 2]] * 10**6)) <= 60
    assert "\n" not in errors.shorten(np.zeros((4, 4)))


def test_a_configuration_error_is_said_of_a_place():
    first = Problem("nodes[2].config.filters", "", "must be at least 1", 0)
    error = ConfigError([first, "plain text"]).within("net.json")
    assert error.problems == [
        "net.json: nodes[2].config.filters: must be at least 1, got 0",
        "net.json: plain text",
    ]
    assert error.problems[0].value == 0
    unknown = errors.UnknownNameError("", "layer", "must be registered", "Cov").within("load")
    assert type(unknown) is errors.UnknownNameError
    assert (str(unknown), unknown.operation, unknown.parameter) == (
        "load: layer must be registered, got 'Cov'",
        "load",
        "layer",
    )


def test_what_is_said_without_the_operation():
    assert ArgumentError("f", "x", "must be plain", 3).said == "x must be plain, got 3"
    assert ConfigError("f", "x", "must be plain", 3).said == "x must be plain, got 3"
    several = ConfigError([Problem("a", "", "is unknown"), Problem("b", "", "is unknown")])
    assert several.said == str(several) and "a: is unknown" in several.said


PACKAGE = Path(fastconv.__file__).parent
SOURCES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
CLASSES = {kind.__name__ for kind in KINDS}


def places(found: Callable[[ast.AST], bool]) -> list[str]:
    return [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)}"  # type: ignore[attr-defined]
        for path, tree in SOURCES.items()
        for node in ast.walk(tree)
        if found(node)
    ]


def is_error_of_one_text(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    texts = (ast.JoinedStr, ast.Constant, ast.BinOp)
    one = len(node.args) == 1 and not node.keywords and isinstance(node.args[0], texts)
    return node.func.id in CLASSES and one


def is_error_parsed(node: ast.AST) -> bool:
    """Whether a method is called on, or a pattern is held against, the text of an error."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    looked_at = [node.func.value]
    if isinstance(node.func.value, ast.Name) and node.func.value.id == "re":
        looked_at = list(node.args)
    return any(
        isinstance(part, ast.Call)
        and ast.unparse(part.func) == "str"
        and any("error" in ast.unparse(argument) for argument in part.args)
        for part in looked_at
    )


def test_every_error_of_the_package_has_parts():
    assert is_error_of_one_text(ast.parse("ArgumentError(f'x: {y}')").body[0].value)
    assert not is_error_of_one_text(ast.parse("ArgumentError('f', 'x', rule)").body[0].value)
    assert places(is_error_of_one_text) == []


def test_nobody_parses_the_text_of_an_error():
    for text in ("str(error).partition(': ')", "re.match('x', str(error))"):
        assert is_error_parsed(ast.parse(text).body[0].value)
    assert places(is_error_parsed) == []


def test_an_array_that_cannot_tell_its_shape_is_shown_all_the_same():
    class Closed:
        @property
        def shape(self):
            raise ValueError("the file is closed")

        def __array__(self, *args, **kwargs):
            raise ValueError("the file is closed")

    weight, net = np.ones((1, 1, 1, 1)), fastconv.Sequential(["ReLU"], (3,))
    for call in (lambda: fastconv.conv2d(Closed(), weight), lambda: net(Closed())):
        with pytest.raises(errors.ArgumentTypeError, match="x must be an array"):
            call()


def test_a_backslash_in_what_is_shown_without_quotes_stays_one():
    with pytest.raises(ConfigError, match=r"must be JSON: Invalid \\escape: line 1"):
        fastconv.from_config(r'{"layers": ["\q"]}')
