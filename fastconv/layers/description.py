"""What there is to know about a name, as text: purpose, settings, an example of shapes."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from fastconv import registry
from fastconv.layers.base import Layer
from fastconv.layers.spec import Spec

__all__ = ["describe", "documented", "explain"]

_WIDTH, _CHOICES = 98, 28  # characters of a line, and of the column of choices in it


def describe(cls: type[Layer], title: str) -> str:
    """Return the description of a class of layers; `title` is its full name."""
    return "\n".join([*explain(cls, title, cls.__name__), *_example(cls)]).rstrip()


def explain(owner: Callable[..., Any], title: str, name: str) -> list[str]:
    """Return the lines that say what `owner` is for and which settings it has.

    The settings come from the signature. Their choices and meaning come from the docstring's
    section Parameters or, if that says nothing of a setting, from the annotation.

    Parameters
    ----------
    owner : callable
    title : str
        Its full name.
    name : str
        What stands before the settings in a call.
    """
    parameters = registry.parameters_of(owner)
    bare = [p.replace(annotation=p.empty) for p in parameters.values()]
    docstring = inspect.cleandoc(owner.__doc__ or "")
    text = re.split(r"(?:^|\n\n)[A-Z]\w+\n---", docstring)[0]
    call = textwrap.fill(f"{name}{inspect.Signature(bare)}", 96, subsequent_indent="    ")
    lines = [title, call, "", *([text, ""] if text else [])]
    if parameters:
        told = documented(docstring)
        rows = [("setting", "default", "choices", "meaning")]
        for setting, parameter in parameters.items():
            choices, meaning = told.get(setting, (_annotation(parameter), ""))
            if setting == "initializer":
                meaning += f" Registered are {', '.join(registry.initializers.names())}."
            rows.append((setting, _default(parameter), choices, meaning.strip()))
        lines += [*_folded(rows), ""]
    return lines


def documented(docstring: str) -> dict[str, tuple[str, str]]:
    """Return (choices, meaning) of each parameter in a numpydoc docstring without indentation.

    Examples
    --------
    >>> documented("Blur.\\n\\nParameters\\n----------\\nsize, step : int\\n    Pixels.")
    {'size': ('int', 'Pixels.'), 'step': ('int', 'Pixels.')}
    """
    section = re.search(
        r"(?:^|\n\n)Parameters\n-+\n(.*?)(?=\n\n[A-Z]\w+\n---|\Z)", docstring, re.DOTALL
    )
    found: dict[str, tuple[str, str]] = {}
    entries = re.finditer(
        r"^(\S[^:\n]*)(?: : (.*))?\n((?:[ \t]+\S.*\n?|\n)*)",
        f"{section[1]}\n" if section else "",
        re.MULTILINE,
    )
    for entry in entries:
        choices = re.sub(r"^\{(.*)\}$", r"\1", entry[2] or "").strip()
        for name in entry[1].split(","):
            found[name.strip(" *")] = choices, " ".join(entry[3].split())
    return found


def _annotation(parameter: inspect.Parameter) -> str:
    given = parameter.annotation
    if given is parameter.empty:
        return "any"
    return given if isinstance(given, str) else getattr(given, "__name__", str(given))


def _default(parameter: inspect.Parameter) -> str:
    return "(required)" if parameter.default is parameter.empty else repr(parameter.default)


def _folded(rows: Sequence[tuple[str, str, str, str]]) -> list[str]:
    """Return the lines of a table whose last two columns are folded."""
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    rest = max(_WIDTH - sum(wide) - _CHOICES - 8, 20)
    lines = []
    for name, default, *long in rows:
        choices, meaning = (
            textwrap.wrap(text, width) or [""]
            for text, width in zip(long, (_CHOICES, rest), strict=True)
        )
        for i in range(max(len(choices), len(meaning))):
            cells = [part[i] if i < len(part) else "" for part in (choices, meaning)]
            head = f"{name if i == 0 else '':<{wide[0]}}  {default if i == 0 else '':<{wide[1]}}"
            lines.append(f"  {head}  {cells[0]:<{_CHOICES}}  {cells[1]}".rstrip())
    return lines


def _example(cls: type[Layer]) -> list[str]:
    """Return the lines that show the shapes of the class's own example, and its parameters."""
    if not cls.example_shapes:
        return []
    layer = cls(**cls.example_config)
    specs = [Spec(shape, cls.takes[0]) for shape in cls.example_shapes]
    layer.ensure_built(0, *specs)
    settings = ", ".join(f"{key}={value!r}" for key, value in cls.example_config.items())
    inputs = " and ".join(str(spec.shape) for spec in specs)
    lines = [f"  {cls.__name__}({settings}): {inputs} -> {layer.infer(*specs).shape}"]
    for kind, group in (("parameter", layer.parameters), ("statistic", layer.states)):
        lines += [f"  {kind} {name} {p.shape}: {p.size:,} values" for name, p in group.items()]
    return lines
