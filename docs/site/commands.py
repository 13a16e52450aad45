"""The page of the command line, as its parsers say it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from types import ModuleType

from prose import escaped, table

from fastconv import cli

__all__ = ["page"]

HEAD = """# Command line

`fastconv COMMAND`, or `python -m fastconv COMMAND`. Every command explains itself with `--help`,
which prints what stands here.

"""
#: As wide as a page shows code without scrolling.
WIDTH = 84


def page() -> str:
    """Return the page, in Markdown."""
    known = cli.COMMANDS.items()
    rows = ((f"[`{name}`](#{name})", escaped(_first(module))) for name, module in known)
    sections = (_command(name, module) for name, module in known)
    return f"{HEAD}{table(('command', 'what it does'), rows)}\n\n{''.join(map(''.join, sections))}"


def _first(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().partition("\n")[0]


def _command(name: str, module: ModuleType) -> Iterator[str]:
    """Yield the parts of a command's section: purpose, usage, options, text."""
    parser = argparse.ArgumentParser(
        prog=f"fastconv {name}",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=WIDTH),
    )
    module.add_arguments(parser)
    usage = re.sub(r"\x1b\[[\d;]*m", "", parser.format_usage())  # newer Pythons colour it
    yield f"({name})=\n## {name}\n\n{escaped(_first(module))}\n\n```text\n{usage}```\n\n"
    actions = [action for action in parser._actions if "--help" not in action.option_strings]
    if actions:
        rows = ((_written(action), _told(parser, action)) for action in actions)
        yield table(("argument", "what it says"), rows) + "\n\n"
    yield _prose((module.__doc__ or "").strip().partition("\n")[2]) + "\n\n"


def _written(action: argparse.Action) -> str:
    """Return how an argument is typed."""
    value = action.metavar or (None if action.nargs == 0 else action.dest.upper())
    if isinstance(value, tuple):
        value = " ".join(value)
    if not action.option_strings:
        return f"`{value}`"
    options = action.option_strings
    return ", ".join(f"`{option} {value}`" if value else f"`{option}`" for option in options)


def _told(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = parser._get_formatter()._expand_help(action) if action.help else ""
    if action.choices:
        text += f" ({', '.join(map(str, action.choices))})"
    return escaped(text).strip()


def _prose(text: str) -> str:
    """Return paragraphs as they are, and what is indented, or a list of examples, as code."""
    parts = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        head, _, rest = block.partition("\n")
        if head == "examples:":
            parts.append(f"```text\n{_outdented(rest)}\n```")
        elif block.startswith("  "):
            parts.append(f"```text\n{_outdented(block)}\n```")
        else:
            parts.append(escaped(block))
    return "\n\n".join(parts)


def _outdented(text: str) -> str:
    return re.sub("^  ", "", text, flags=re.MULTILINE)
