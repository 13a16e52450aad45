"""Every error of the package is of one form: ``pytest -s`` of this file prints them all."""

from __future__ import annotations

import ast
import re

import pytest
from errors_listed import OR, Listed, every_error, listed, pairs, raised_raw, sources, texts

#: A rule says what must hold; of what is there or not, that it is or is not.
FORM = re.compile(r"(must|may|is no|is missing|is nested) ?.*[^.]", re.DOTALL)
#: Rules that are handed over: those who hand them over are in the list, with the texts. Those with
#: a name of their own are looked at below.
HANDED_OVER = re.compile(
    r"\{(rule|rule or '.*'|(?:error|wrong)\.rule|what|str\(error\)|describe\(error\)"
    r"|[A-Z_]+_RULE)\}"
)
#: Rules of another form, each with its reason.
OTHERWISE = {
    "{'; '.join(filter(None, (first.rule, first.remedy if others else '', *others)))}": "several",
    "{_said(signature, args, error)}": "what Python says of arguments, in plain words",
    "could not be loaded: {describe(error)}": "of a plugin: whatever it raises is said",
    "is {rule}": "a setting is unknown, or is required",
    "no layer has {shorten(key)}": "said of a name in a file",
    "takes no arguments": "said of a mapping that is given for a function",
    "of one value must have one shape": "the parameter is a word of the sentence",
    "shape {shorten(shape)} of {dtype} must fill its bytes": "likewise",
    "arrays must fill the {size} bytes behind it": "likewise",
    "failed: {text}": "it says what the error of another rank says",
}
#: Caught where it is raised, and then said of its place in the configuration.
CAUGHT = {"must be a layer or a model of one output"}
#: What is raised and is no error of the package, each with its reason.
RAW = {
    "AssertionError": "check_layer and its like assert, as tests do",
    "NotImplementedError": "a method that a subclass has not written",
    "AttributeError": "what hasattr and getattr ask for",
    "SystemExit": "the exit code of the command",
    "KeyError": "of a dict of ours, where it has no such key",
    "TypeError": "caught in the same function, which says more",
    "MemoryError": "as NumPy's own, where memory is laid out by us",
    "OSError": "the system's own, with its number",
    "IsADirectoryError": "likewise",
    "FileNotFoundError": "likewise, with what to do where no checkpoint is",
    "Unreadable": "caught by whoever reads the file, who says which it is",
    "LeastBytes": "caught by the planner, which says more",
    "_Seen": "caught by whoever looks for a number that is not finite",
    "_NotFinite": "likewise",
    "_Left": "caught where the thread ends that it leaves",
}


def lacking(error: Listed) -> list[str]:
    """Return what an error does not tell, or tells in another form."""
    if "passed on" in error.parts:
        return []
    found = [] if error["rule"] else ["a rule"]
    for rule in error["rule"].split(OR) if error["rule"] else ():
        known = FORM.fullmatch(rule) or HANDED_OVER.fullmatch(rule) or rule in OTHERWISE
        found += [f"the form: {rule}"] * (not known)
    if not error["operation"] and not error["parameter"] and error["rule"] not in CAUGHT:
        found.append("what it is about")
    return found + ["no full stop"] * error["remedy"].endswith(".")


def test_every_error_says_what_must_hold():
    errors = every_error()
    assert len(errors) > 250
    for error in errors:
        print(f"{error.file}:{error.line}: {error.kind}\n    {error}")
    wrong = {f"{e.file}:{e.line}": lacking(e) for e in errors if lacking(e)}
    assert wrong == {}


def test_rules_with_a_name_are_of_the_form():
    named = {
        target.id: texts(value, ast.Call(target, [], []), ())[0]
        for _, tree in sources()
        for node in tree.body
        for target, value in pairs(node)
        if isinstance(target, ast.Name) and target.id.endswith("_RULE")
    }
    used = {
        rule[1:-1]
        for error in every_error()
        for rule in error["rule"].split(OR)
        if rule.endswith("_RULE}")
    }
    assert used <= set(named)
    assert [rule for rule in named.values() if not FORM.fullmatch(rule)] == []


def test_nothing_else_is_raised_but_for_a_reason():
    raised = {re.split(r"\W", text)[0] for _, _, text in raised_raw()}
    assert raised == set(RAW)


def test_every_exception_of_the_form_is_there():
    rules = {rule for error in every_error() for rule in error["rule"].split(OR)}
    assert set(OTHERWISE) | CAUGHT <= rules


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("ArgumentError('f', 'x', 'must be 1', x, 'take 1')", []),
        ("ArgumentError('f', 'x')", ["a rule"]),
        ("ArgumentError('f', 'x', 'wrong', x)", ["the form: wrong"]),
        ("ArgumentError('f', 'x', 'must be 1.', x)", ["the form: must be 1."]),
        ("ArgumentError('', '', 'must be 1', x)", ["what it is about"]),
        ("ArgumentError('f', 'x', 'must be 1', x, remedy='Take 1.')", ["no full stop"]),
        ("ArgumentError('f', 'x', 'must be 1' if x else 'bad', x)", ["the form: bad"]),
    ],
)
def test_what_an_error_lacks_is_seen(source, missing):
    (error,) = listed("f.py", ast.parse(f"def f(x):\n    raise {source}"))
    assert lacking(error) == missing


def test_variables_are_read_as_they_are_at_the_place():
    source = """
def f(x):
    rule = "must be 1"
    if x:
        raise ArgumentError("f", "x", rule, x)
    rule, remedy = f"must be {x}", "take 2"
    raise ArgumentError("f", "x", rule, x, remedy)
"""
    first, second = map(str, listed("f.py", ast.parse(source)))
    assert (first, second) == ("f: x must be 1, got {x}", "f: x must be {x}, got {x}; take 2")
