"""The command ``fastconv``; every subcommand is one file here.

A command module has a docstring, whose first line is the help in the overview and the rest
the text of its own ``--help``, ``add_arguments(parser)`` and ``run(arguments)``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from fastconv import kernels, threads
from fastconv.cli import demo, describe, doctor, layers, plan, summary, train
from fastconv.cli.networks import import_modules, version
from fastconv.errors import FastconvError

__all__ = ["main"]

COMMANDS = {
    "demo": demo,
    "layers": layers,
    "describe": describe,
    "summary": summary,
    "plan": plan,
    "train": train,
    "doctor": doctor,
}


# What begins the message of a function, which whoever typed a command never called.
OPERATIONS = {
    "compile", "create_layer", "describe_layer", "evaluate", "filters_png", "fit", "from_config",
    "load", "mnist", "plan", "save", "summary",
}  # fmt: skip
# Remedies in Python, and what they are here.
INSTEAD = {
    "fastconv.list_layers() shows all": "`fastconv layers` shows all",
    "import the module that registers it, or": "name the module that registers it by --import, or",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 2 after a user's error, 130 after Ctrl-C.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who called us: `fastconv layers >&-`
            setattr(sys, name, open(os.devnull, "w"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a file name may not fit the terminal's encoding
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        if chosen.run is not doctor.run:  # which says what is wrong with it, and what else there is
            kernels.active_isa(), threads.get_num_threads()
        import_modules(getattr(chosen, "imports", []))
        chosen.run(chosen)
        sys.stdout.flush()
    except BrokenPipeError:  # `fastconv layers | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (FastconvError, OSError) as error:
        print(f"fastconv {chosen.command}: {_said(chosen.command, error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nfastconv {chosen.command}: stopped", file=sys.stderr)
        return 130
    return 0


def _said(command: str, error: Exception) -> str:
    """Return the message of an error as whoever typed `command` can read it."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    text = str(error).removeprefix("fastconv: ")
    operation, found, rest = text.partition(": ")
    if found and operation in {command, *OPERATIONS}:
        text = rest
    for python, here in INSTEAD.items():
        text = text.replace(python, here)
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastconv",
        description="Convolutional networks on the CPU, with memory you can see.",
        epilog="New here? Run `fastconv demo`. Every command explains itself with --help.",
    )
    parser.add_argument("--version", action="version", version=f"fastconv {version()}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    for name, module in COMMANDS.items():
        first, _, rest = (module.__doc__ or "").strip().partition("\n")
        command = commands.add_parser(
            name,
            help=first.rstrip("."),
            description=f"{first}\n{rest}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
