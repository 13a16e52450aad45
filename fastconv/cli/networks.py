"""What several commands do with files, above all with the file of a network."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastconv import models, registry
from fastconv.arguments import as_int, full_path, parse_int
from fastconv.errors import (
    ArgumentError,
    ConfigError,
    FastconvError,
    describe,
    from_signal,
    in_one_line,
    shorten,
)
from fastconv.models.saving import formats, head_of, strict_json, target_of
from fastconv.plot.figure import check_path
from fastconv.registry.spellings import either, name_offers

SUFFIX = ".safetensors"
_SUFFIXES = (SUFFIX, ".json")


FILE = "net.json, net.safetensors, or a name that `fastconv models` lists"


def add_file(parser: argparse.ArgumentParser, text: str = FILE) -> None:
    """Add FILE, the settings that go with a name, and the modules that its network may need."""
    parser.add_argument("file", metavar="FILE", type=typed_path, help=text)
    add = parser.add_argument
    add("--classes", type=int, metavar="K", help="of a network by name: how many it tells apart")
    add(
        "--input-shape",
        type=typed_shape,
        metavar="C,H,W",
        help="of a network by name: channels, rows and columns of its images, such as 3,64,64",
    )
    add_imports(parser)


def typed_shape(text: str) -> tuple[int, ...]:
    """Return the sizes that were typed, as in ``3,64,64`` or ``3x64x64``."""
    sizes = [parse_int(part) for part in re.split("[,x]", text)]
    if None in sizes:
        raise argparse.ArgumentTypeError(f"must be numbers such as 3,64,64, got {text!r}")
    return tuple(size for size in sizes if size is not None)


def typed_path(text: str) -> str:
    """Return the path that was typed; shells leave the ``~`` in ``--mnist=~/x`` as it is."""
    try:
        return full_path("", "it", text)
    except FastconvError as error:
        raise argparse.ArgumentTypeError(error.said) from None


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add ``--import MODULE``, which `main` obeys before the command runs."""
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module of this folder, or installed, that registers layers; may be repeated",
    )


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


def import_modules(names: list[str]) -> None:
    """Import modules by name, also from the working folder, as ``python -m`` would.

    Raises
    ------
    ArgumentError
        If one cannot be imported, for whatever reason.
    """
    if names and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:  # a module may end in any way
            if from_signal(error):
                raise
            remedy = f"write --import {name[:-3]}" if name.endswith(".py") else ""
            raise ArgumentError(
                "",
                "--import",
                "must name a module that can be imported",
                name,
                remedy,
                shown=f"{in_one_line(name)}, {describe(error)}",
            ) from error


def network_of(arguments: argparse.Namespace, seed: int | None = None) -> models.Model:
    """Return the model that FILE and its settings stand for; see `read_network`."""
    given = {"classes": arguments.classes, "input_shape": arguments.input_shape}
    return read_network(arguments.file, seed, {k: v for k, v in given.items() if v is not None})


def read_network(
    file: str, seed: int | None = None, settings: Mapping[str, Any] = MappingProxyType({})
) -> models.Model:
    """Return the model of a saved network, of a JSON configuration, or of a registered name.

    The first bytes tell a file's kind. A name is one if there is no such file.

    Parameters
    ----------
    file : str
    seed : int, optional
        The seed of starting weights and of dropout.
    settings : mapping
        Those of a registered name that are not to be the usual ones.

    Raises
    ------
    FormatError, ArgumentError
        If the file is wrong; it names the file, and lists every problem of a configuration. Or if
        there is none, and the name is nearly one of a network; or if a file gets settings.
    OSError
        If the file cannot be read.
    """
    if named := _named(file, seed, settings):
        return named
    for name, value in settings.items():
        option, shown = f"--{name.replace('_', '-')}", f"{shorten(value)} for {shorten(file)}"
        remedy = "a file says itself what its network is"
        raise ArgumentError(
            "", option, "must come with a network by name", remedy=remedy, shown=shown
        )
    head = head_of("", file)
    found = formats.tell(head)
    unknown = found is None and head[8:9] != b"{"  # the header of a saved network begins there
    if found is not formats.JSON and not (unknown and Path(file).suffix != SUFFIX):
        return models.load(file, seed=seed)
    with open(file, "rb") as opened:
        text = opened.read(strict_json.MAX_BYTES + 1)  # a longer file is no configuration
    try:
        return models.from_config(text, seed=seed)
    except ConfigError as error:
        raise ArgumentError("", f"{file}:", str(error)) from error


def _named(name: str, seed: int | None, settings: Mapping[str, Any]) -> models.Model | None:
    """Return the registered network of this name, or None if it can only be the name of a file."""
    if Path(name).exists() or os.path.basename(name) != name or Path(name).suffix in _SUFFIXES:
        return None
    if name in registry.models:
        return models.create_model(name, seed=seed, **settings)
    if offers := name_offers("model", name, models.list_models()):
        rule = "must be a file, or the name of a network"
        raise ArgumentError("", "FILE", rule, name, f"did you mean {either(offers)}?")
    return None


def at_least(command: str, option: str, value: int | None, least: int) -> None:
    """Refuse the number given for `option` if it is below `least`; None means not given."""
    if value is not None:
        as_int(command, option, value, least)


def has_weights(file: str) -> bool:
    """Return whether FILE holds weights, so that those of the network are not random numbers."""
    return Path(file).exists() and formats.tell(head_of("", file)) is not formats.JSON


def note(command: str, text: str) -> None:
    """Say on the standard error what is no error, and should not go unseen."""
    print(f"fastconv {command}: {text}", file=sys.stderr, flush=True)


def write(text: str) -> None:
    """Print without delay, so that whoever reads a pipe sees progress too."""
    print(text, flush=True)


def check_writable(command: str, option: str, path: str) -> None:
    """Refuse a path for which there is no folder, or none that may be written to, before time is
    spent on the file's content."""
    folder = Path(path).resolve().parent
    name = f"the folder of {option}"
    if not folder.is_dir():
        raise ArgumentError(command, name, "must exist", str(folder), "create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ArgumentError(command, name, "must be one that you may write to", str(folder))


def check_picture(command: str, option: str, path: str) -> None:
    """Refuse a path for a picture that is for another kind of file, or whose folder is missing."""
    check_path(command, option, path)
    check_writable(command, option, path)


def check_saving(command: str, option: str, path: str) -> None:
    """Refuse a path that `Model.save` would refuse, or that no command could read again."""
    if Path(path).suffix != SUFFIX:
        raise ArgumentError(command, option, f"must end in {SUFFIX}", path)
    check_writable(command, option, target_of(command, path).path)


def package() -> Any:
    """Return the package itself; modules do not import it, since it imports all of them."""
    return sys.modules["fastconv"]


def version() -> str:
    """Return the version of the package that runs, installed or not."""
    return str(package().__version__)
