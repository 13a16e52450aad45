"""The command ``fastconv``; every subcommand is one file here.

The module of a command has a docstring, ``add_arguments(parser)`` and ``run(arguments)``. The
first line of the docstring is the help in the overview; the rest is the text of its ``--help``.

Beside the commands stand what they share::

    networks  FILE: the network that a command works on
    datasets  --data and the like: the examples
    goal      --loss and --metric
    modules   --import
    values    what options take: words, names with settings, numbers
    paths     files that are typed, to read or to write
    logs      what the callback csv_log has written
    listing   how names are listed
    output    what is said while a command runs
    about     the package itself, and its version
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from fastconv import data, errors, kernels, models, threads
from fastconv.cli import (
    completion,
    demo,
    describe,
    doctor,
    evaluate,
    explain,
    layers,
    names,
    plan,
    plot,
    predict,
    summary,
    train,
)
from fastconv.cli.about import package, version
from fastconv.cli.modules import import_modules
from fastconv.errors import ArgumentError, FastconvError, TrainingError, did_you_mean, in_one_line

__all__ = ["main"]

COMMANDS = {
    "demo": demo,
    "layers": layers,
    "models": names,
    "describe": describe,
    "summary": summary,
    "plan": plan,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "explain": explain,
    "plot": plot,
    "doctor": doctor,
    "completion": completion,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code.

    It is 0, or 1 where figures are infinite or NaN, 2 after a user's error, or 130 after Ctrl-C.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words behind the name of the program; by default those of `sys.argv`.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller has closed it: `fastconv layers >&-`
            setattr(sys, name, open(os.devnull, "w"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a file name may not fit the terminal's encoding
    words = list(sys.argv[1:] if arguments is None else arguments)
    who = "fastconv"
    try:
        _check_command(words)
        parser, commands = _parsers()
        _check_values(words, commands)
        chosen, unknown = parser.parse_known_args(words)
        who = f"fastconv {chosen.command}"
        _check_known(unknown, commands[chosen.command])
        if chosen.run is not doctor.run:  # the doctor says itself what is wrong here
            kernels.active_isa(), threads.get_num_threads()
        import_modules(getattr(chosen, "imports", []))
        chosen.run(chosen)
        sys.stdout.flush()
    except BrokenPipeError:  # `fastconv layers | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (FastconvError, OSError) as error:
        print(f"{who}: {_said(error)}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError) else 2
    except MemoryError as error:
        print(f"{who}: there is not enough memory; {errors.describe(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{who}: stopped", file=sys.stderr)
        return 130
    return 0


def _said(error: Exception) -> str:
    """Return the message of an error in words for somebody who typed a command."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, FastconvError) and _is_python(error.operation):
        return error.said
    return str(error)


def _is_python(operation: str) -> bool:
    """Whether `operation` is a name in Python, which nobody typed here, and no command."""
    modules = (package(), data, package().explain, package().plot)
    named = {"fastconv", *COMMANDS, *(name for module in modules for name in module.__all__)}
    return operation in named or callable(getattr(models.Model, operation, None))


def _check_command(words: list[str]) -> None:
    """Refuse a mistyped command and offer the nearest; no option before a command has a value."""
    word = next((word for word in words if not word.startswith("-")), None)
    if word is not None and word not in COMMANDS:
        remedy = did_you_mean(word, COMMANDS) or "`fastconv --help` tells what each does"
        raise ArgumentError("", "the command", f"must be {_either(COMMANDS)}", word, remedy)


def _check_values(words: list[str], commands: Mapping[str, argparse.ArgumentParser]) -> None:
    """Refuse an option that has no value behind it, and say which value it takes."""
    at = next((at for at, word in enumerate(words) if word in commands), len(words))
    taking = {
        option: action
        for action in (commands[words[at]]._actions if at < len(words) else ())
        if action.nargs is None
        for option in action.option_strings
    }
    for word, behind in zip_longest(words[at + 1 :], words[at + 2 :], fillvalue="--"):
        if word == "--":
            return
        if word in taking and behind.startswith("--"):
            value = taking[word].metavar or taking[word].dest.upper()
            remedy = f"write {word} {value}: {taking[word].help}"
            raise ArgumentError("", word, "must have a value behind it", remedy=remedy)


def _check_known(unknown: list[str], command: argparse.ArgumentParser) -> None:
    """Refuse what a command does not take; for an option, offer the nearest one."""
    if not unknown:
        return
    option = next((word for word in unknown if word.startswith("-")), None)
    if option is None:
        rule = "must be left out, for the command takes no more"
        raise ArgumentError("", in_one_line(unknown[0]), rule)
    known = [word for action in command._actions for word in action.option_strings]
    typed = option.partition("=")[0]
    remedy = did_you_mean(typed, known) or f"it has {', '.join(w for w in known if w[:2] == '--')}"
    raise ArgumentError("", "an option", "must be one that the command has", typed, remedy)


def _either(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}"


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the parser of everything, and that of each command."""
    parser = argparse.ArgumentParser(
        prog="fastconv",
        description="Convolutional networks on the CPU, with memory you can see.",
        epilog="New here? Run `fastconv demo`. Every command explains itself with --help.",
    )
    parser.add_argument("--version", action="version", version=f"fastconv {version()}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    made = {}
    for name, module in COMMANDS.items():
        first, _, rest = (module.__doc__ or "").strip().partition("\n")
        made[name] = commands.add_parser(
            name,
            help=first.rstrip("."),
            description=f"{first}\n{rest}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(made[name])
        made[name].set_defaults(run=module.run)
    made["completion"].set_defaults(parser=parser)
    return parser, made
