"""Where a file of the repository stands on the site.

Pages stay readable where the repository is browsed, so they lie where readers look for them
there. The site has sections instead: a guide, a gallery, a reference, pages for those who
work on fastconv, and pages in Japanese.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["ROOT", "pages", "place"]

ROOT = Path(__file__).resolve().parents[2]
#: Pages that stand in another section than their folder says, or under another name.
ELSEWHERE = {
    "README.md": "guide/overview.md",
    "docs/design.md": "development/design.md",
    "docs/gallery": "gallery/index.rst",
    "docs/gallery/GALLERY_HEADER.rst": "gallery/index.rst",
    "fastconv/kernels/README.md": "development/kernels.md",
    "benchmarks/README.md": "development/benchmarks.md",
    "benchmarks/peers/README.md": "development/peers.md",
}


def place(file: PurePosixPath) -> PurePosixPath | None:
    """Return the page that a file of the repository is, or None: it is no page.

    Examples
    --------
    >>> place(PurePosixPath("docs/training.md"))
    PurePosixPath('guide/training.md')
    >>> place(PurePosixPath("docs/ja/book.md"))
    PurePosixPath('ja/book.md')
    >>> place(PurePosixPath("docs/gallery/plot_depth.py"))  # the page that its run makes
    PurePosixPath('gallery/plot_depth.rst')
    >>> place(PurePosixPath("CHANGELOG.md"))
    PurePosixPath('development/changelog.md')
    >>> place(PurePosixPath("LICENSE")) is None
    True
    """
    name = file.as_posix()
    if name in ELSEWHERE:
        return PurePosixPath(ELSEWHERE[name])
    if file.match("docs/gallery/plot_*.py"):
        return PurePosixPath("gallery") / file.with_suffix(".rst").name
    if file.suffix != ".md" or len(file.parts) > 1 and file.parts[0] != "docs":
        return None
    if len(file.parts) == 1:
        return PurePosixPath("development") / name.lower()
    below = PurePosixPath(*file.parts[1:])
    return below if below.parts[0] == "ja" else PurePosixPath("guide") / below


def pages(root: Path = ROOT) -> Iterator[PurePosixPath]:
    """Yield the files of the repository, in Markdown, that are pages of the site."""
    own = root / "docs" / "site"
    named = [root / name for name in ELSEWHERE if name.endswith("/README.md")]
    for path in sorted({*root.glob("*.md"), *(root / "docs").rglob("*.md"), *named}):
        if own not in path.parents:
            yield PurePosixPath(path.relative_to(root).as_posix())
