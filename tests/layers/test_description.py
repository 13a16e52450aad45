"""`describe_layer`: every setting with its choices and what it means."""

from __future__ import annotations

import inspect
import re

import pytest

import fastconv
from fastconv import registry
from fastconv.layers import Conv2D, Layer
from fastconv.layers.description import documented
from fastconv.options import ALGORITHMS, PRECISIONS

BUILT_IN = [name for name in registry.layers.names() if "." not in name]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_setting_is_explained(name):
    cls = registry.layers.get(name)
    text = fastconv.describe_layer(name)
    told = documented(inspect.cleandoc(cls.__doc__))
    assert set(inspect.signature(cls).parameters) == set(told)
    assert all(choices and meaning for choices, meaning in told.values())
    for setting in told:
        assert f"\n  {setting}  " in text
    assert max(map(len, text.splitlines())) <= 100


def test_choices_are_those_that_are_taken():
    told = documented(inspect.cleandoc(Conv2D.__doc__))
    for setting, choices in (("algorithm", ALGORITHMS), ("precision", PRECISIONS)):
        assert told[setting][0] == ", ".join(f'"{choice}"' for choice in choices)


def test_all_initializers_are_named():
    words = re.findall(r"\w+", fastconv.describe_layer("Dense"))
    assert set(registry.initializers.names()) <= set(words)


def test_compile_names_every_choice():
    text = fastconv.Model.compile.__doc__
    for where in (registry.optimizers, registry.losses, registry.metrics):
        for name in where.names():
            assert f"``{name}``" in text or "." in name


def test_a_layer_without_docstring_shows_its_annotations():
    class Plain(Layer):
        def __init__(self, size: int, step=2):
            pass

    with registry.isolated():
        fastconv.register_layer("acme.Plain.v1")(Plain)
        lines = [line.split() for line in fastconv.describe_layer("acme.Plain").splitlines()]
    assert ["size", "(required)", "int"] in lines and ["step", "2", "any"] in lines
