"""Put together what Sphinx reads: ``python docs/site/stage.py build/docs/source``.

The pages of the repository with links that are right on the site, the pages that only the site
has, and those that are made from the registries and the parsers of the command line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import commands
import names
import registered
from links import rewritten
from picture import picture
from places import ROOT, pages, place

__all__ = ["Stage", "stage"]

#: Pages of the site alone.
OWN = Path(__file__).parent / "pages"
#: Folders that extensions of Sphinx fill, with a page for each public name and each script.
API, GALLERY = "reference/api", "gallery"


class Stage:
    """The folder that is written, and what has been written there.

    Files that are what they were keep their times, so Sphinx reads only what has changed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: set[Path] = set()

    def write(self, at: PurePosixPath, content: bytes) -> None:
        """Write a file; two that want one place are an error."""
        path = self.folder / at
        if path in self.written:
            raise ValueError(f"two pages want to be {at}")
        self.written.add(path)
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def keep(self, file: PurePosixPath, html: bool) -> PurePosixPath:
        """Copy what a page links; what HTML names goes to where the site is made as it is."""
        at = PurePosixPath("files") / file
        path = self.folder / ("extra" if html else "") / at
        if path not in self.written:
            self.write(PurePosixPath("extra") / at if html else at, (ROOT / file).read_bytes())
        return at

    def clear(self, filled: set[str]) -> None:
        """Remove what earlier runs alone have written, or had extensions of Sphinx write.

        Parameters
        ----------
        filled : set of str
            Names and scripts of which extensions make pages, which they may keep.
        """
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path not in self.written and not self._is_filled(path, filled):
                path.unlink()

    def _is_filled(self, path: Path, filled: set[str]) -> bool:
        top = path.relative_to(self.folder).as_posix()
        if top.startswith(f"{API}/"):
            return path.stem in filled
        return top.startswith(f"{GALLERY}/") and (
            not path.name.startswith("plot_") or path.name.split(".")[0] in filled
        )


#: What `make bench-pages` makes. Those pages fetch scripts from other hosts, so they are linked.
ASV = ROOT / "benchmarks" / ".asv" / "html"
HISTORY = """
===================
History of commits
===================

`Time and memory over the commits <../asv/index.html>`__, drawn by asv. Its pages are no part of
this site: they fetch scripts from other hosts. :doc:`benchmarks` says what is measured, and has
a picture of the bytes of all commits that were measured.
"""


def stage(folder: Path) -> Stage:
    """Write everything that Sphinx reads, but for what it makes itself."""
    made = Stage(folder)
    for file in pages():
        at = place(file)
        assert at is not None
        text = (ROOT / file).read_text(encoding="utf-8")
        made.write(at, rewritten(text, file, made.keep).encode())
    reference = names.reference()
    for page, text in _made(reference):
        made.write(PurePosixPath(page), text.encode())
    scripts = {path.stem for path in (ROOT / "docs" / "gallery").glob("plot_*.py")}
    absent = {"gallery/index"} if not scripts else set()
    if not (ROOT / "docs" / "ja").is_dir():
        absent.add("ja/index")
    for path in filter(Path.is_file, OWN.rglob("*")):
        below = PurePosixPath(path.relative_to(OWN).as_posix())
        if path.parent != names.REFERENCE and below.with_suffix("").as_posix() not in absent:
            lines = path.read_text(encoding="utf-8").splitlines()
            there = [line for line in lines if line not in absent]  # tables of contents name them
            made.write(below, "\n".join([*there, ""]).encode())
    for path in filter(Path.is_file, ASV.rglob("*")):
        made.write(PurePosixPath("extra/asv", path.relative_to(ASV).as_posix()), path.read_bytes())
    made.clear(scripts.union(*map(names.listed, reference.values())))
    (folder / "extra").mkdir(exist_ok=True)  # Sphinx wants it, though there may be nothing in it
    return made


def _made(reference: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of pages that no file has as they are."""
    for name, text in reference.items():
        yield f"reference/{name}", text
    yield "reference/names.md", registered.page()
    yield "reference/commands.md", commands.page()
    yield "picture.html", picture()
    if ASV.is_dir():
        yield "development/history.rst", HISTORY.lstrip()


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
