"""The network that a command works on: a file, or a name with settings."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastconv import models, registry
from fastconv.arguments import parse_int
from fastconv.cli.modules import add_imports
from fastconv.cli.paths import check_writable, typed_path
from fastconv.errors import ArgumentError, ConfigError, shorten
from fastconv.models.saving import formats, head_of, strict_json, target_of
from fastconv.registry.spellings import either, name_offers

__all__ = ["add_file", "check_saving", "has_weights", "network_of", "read_network", "typed_shape"]

#: The ending of saved networks.
SUFFIX = ".safetensors"

#: What help texts say that FILE is.
FILE = "net.json, net.safetensors, or a name that `fastconv models` lists"

_SUFFIXES = (SUFFIX, ".json")


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


def has_weights(file: str) -> bool:
    """Return whether FILE holds weights, so that those of the network are not random numbers."""
    return Path(file).exists() and formats.tell(head_of("", file)) is not formats.JSON


def check_saving(command: str, option: str, path: str) -> None:
    """Refuse a path that `Model.save` would refuse, or that no command could read again."""
    if Path(path).suffix != SUFFIX:
        raise ArgumentError(command, option, f"must end in {SUFFIX}", path)
    check_writable(command, option, target_of(command, path).path)
