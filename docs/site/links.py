"""Links between files of the repository, made to lead to the same things on the site."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from places import ROOT, place

__all__ = ["rewritten"]

#: Code, in which there are no links; and a link, in Markdown or in HTML.
PARTS = re.compile(
    r"(?P<code>^(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^(?P=fence)[^\S\n]*$"
    r"|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))"
    r"|(?<=\]\()(?P<inline>[^)\s]+)"
    r"|(?P<attribute>(?:src|srcset|href)=)\"(?P<html>[^\"\s]+)\"",
    re.MULTILINE | re.DOTALL,
)

#: Takes a file that is no page, and whether HTML names it; says where the site has it.
Keep = Callable[[PurePosixPath, bool], PurePosixPath]


def rewritten(text: str, file: PurePosixPath, keep: Keep, root: Path = ROOT) -> str:
    """Return the text of a page with links that are right where the site has the page.

    Parameters
    ----------
    text : str
        Markdown.
    file : PurePosixPath
        The file that it stands in, seen from the root of the repository.
    keep : callable
        Called with every file that is linked and no page, and whether HTML names it; returns
        the place that it has on the site.
    root : Path
        Of the repository.

    Raises
    ------
    ValueError
        If a link leads to nothing, or to a folder that is no page.
    """
    at = place(file)
    assert at is not None, f"{file} is no page"

    def link(target: str, html: bool) -> str:
        path, mark, fragment = target.partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return target
        wanted = PurePosixPath(os.path.normpath(file.parent / path))
        found = place(wanted)
        if not (root / wanted).exists():
            raise ValueError(f"{file}: {target} leads to nothing")
        if found is None:
            if (root / wanted).is_dir():
                raise ValueError(f"{file}: {target} leads to a folder, which is no page")
            found = keep(wanted, html)
        elif html:
            found = found.with_suffix(".html")
        return os.path.relpath(found, at.parent) + mark + fragment

    def part(match: re.Match[str]) -> str:
        if match["code"] is not None:
            return match[0]
        if match["html"] is not None:
            return f'{match["attribute"]}"{link(match["html"], True)}"'
        return link(match[0], False)

    return PARTS.sub(part, text)
