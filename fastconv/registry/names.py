"""The form of registered names: ``namespace.Name.vN``, or bare lower_snake ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

__all__ = ["BARE", "VERSIONED", "newest", "newest_of", "short", "versions"]

VERSIONED = re.compile(r"[a-z][a-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*\.v[1-9][0-9]{0,3}")
BARE = re.compile(r"([a-z][a-z0-9_]*\.)?[a-z][a-z0-9_]*")


def newest(stem: str, names: Collection[str]) -> str | None:
    """Return `stem` if it is in `names`, else its highest version there, else None.

    Examples
    --------
    >>> newest("acme.Mish", ["acme.Mish.v9", "acme.Mish.v10"])
    'acme.Mish.v10'
    """
    if stem in names:
        return stem
    return max(versions(stem, names), key=_version, default=None)


def newest_of(names: Iterable[str]) -> dict[str, str]:
    """Return, for each short name of fastconv's own among `names`, the name of its newest version.

    Examples
    --------
    >>> newest_of(["fastconv.Mish.v9", "fastconv.Mish.v10", "acme.Mish.v11"])
    {'Mish': 'fastconv.Mish.v10'}
    """
    found: dict[str, str] = {}
    for name in names:
        if not name.startswith("fastconv."):
            continue
        stem = short(name)
        if stem not in found or _version(name) > _version(found[stem]):
            found[stem] = name
    return found


def versions(stem: str, names: Collection[str]) -> list[str]:
    """Return the full names among `names` that are versions of `stem`, the oldest first."""
    found = [n for n in names if n.rpartition(".v")[0] == stem and VERSIONED.fullmatch(n)]
    return sorted(set(found), key=_version)


def _version(name: str) -> int:
    return int(name.rpartition(".v")[2])


def short(name: str) -> str:
    """Return `name` without its version, and without the namespace if that is ``fastconv``."""
    stem = name.rpartition(".v")[0] if VERSIONED.fullmatch(name) else name
    return stem.removeprefix("fastconv.")
