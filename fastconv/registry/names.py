"""The form of registered names: ``namespace.Name.vN``, or bare lower_snake ones."""

from __future__ import annotations

import re
from collections.abc import Collection

__all__ = ["BARE", "VERSIONED", "newest", "short", "versions"]

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
