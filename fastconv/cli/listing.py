"""What the commands have in common that list names: layers, networks."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from fastconv.cli.modules import add_imports
from fastconv.errors import ArgumentError
from fastconv.registry.spellings import either, name_offers

__all__ = ["add_pattern", "print_names"]


def add_pattern(parser: argparse.ArgumentParser) -> None:
    """Add PATTERN, which names are to match."""
    parser.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="default: *")
    add_imports(parser)


def print_names(kind: str, pattern: str, names: Callable[[str], list[str]]) -> None:
    """Print what `names`, the function that lists a `kind` of names, says to `pattern`."""
    anywhere = not any(sign in pattern for sign in "*?[")
    found = names(f"*{pattern}*" if anywhere else pattern)
    if not found:
        remedy = f"`fastconv {kind}s` lists all of them"
        if offers := name_offers(kind, pattern, names("*")):
            remedy = f"did you mean {either(offers)}?"
        raise ArgumentError(f"{kind}s", "pattern", f"must match a {kind}", pattern, remedy)
    print("\n".join(found))
