"""Print what makes a shell complete commands, options and files.

examples:
  fastconv completion bash > ~/.local/share/bash-completion/completions/fastconv
  fastconv completion zsh > ~/.zfunc/_fastconv      (a folder in $fpath)
  fastconv completion tcsh >> ~/.tcshrc

Printing it needs the extra [completion]: pip install "fastconv[completion]". Using it needs
nothing more, and does not start fastconv.
"""

from __future__ import annotations

import argparse
from typing import Any

from fastconv.cli.paths import typed_path
from fastconv.cli.values import OneOf
from fastconv.errors import MissingExtraError

SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add SHELL."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or tcsh")


def run(arguments: argparse.Namespace) -> None:
    """Print the script of one shell."""
    print(script(arguments.shell, arguments.parser))


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """Return the script that completes the words of `parser` in a shell.

    Raises
    ------
    MissingExtraError
        If shtab is not installed.
    """
    try:
        import shtab
    except ImportError:
        raise MissingExtraError.of("completion", "shtab", "completion") from None
    for command in _commands(parser):
        for action in command._actions:
            if action.type is typed_path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif isinstance(action.type, OneOf):
                action.choices = action.type.words
    return str(shtab.complete(parser, shell))


def _commands(parser: argparse.ArgumentParser) -> list[Any]:
    """Return the parsers of all commands."""
    chosen = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return [command for action in chosen for command in action.choices.values()]
