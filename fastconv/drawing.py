"""What all pictures need from matplotlib, which is imported only when one is drawn.

No picture goes through pyplot: a figure belongs to whoever asked for it, needs no window system,
and is gone with its last name.
"""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, ParamSpec, TypeVar

from fastconv.errors import ArgumentTypeError, MissingExtraError, in_one_line
from fastconv.errors.callers import outside
from fastconv.floating import quietly

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "PURPLE",
    "VERMILION",
    "axes_for",
    "families_for",
    "label",
    "legible",
    "legend_below",
    "new_figure",
    "quiet",
]

P = ParamSpec("P")
R = TypeVar("R")

# Colours that the colour-blind can tell, and that differ in grey too (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8A5FA8"
GREY = "#777777"


@cache
def _picture() -> Any:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure of matplotlib that shows itself in a notebook, also without pyplot."""

        __module__, __qualname__ = __name__, "Picture"

        def _repr_png_(self) -> bytes:
            drawn = io.BytesIO()
            self.savefig(drawn, format="png")
            return drawn.getvalue()

    return Picture


def __getattr__(name: str) -> Any:  # as pickle asks for it
    if name == "Picture":
        return _picture()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def new_figure(
    operation: str, size: tuple[float, float], *, layout: str | None = "constrained"
) -> Any:
    """Return an empty matplotlib figure of `size` inches, which needs no window system.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.of(operation, "matplotlib", "plot") from error
    return _picture()(figsize=size, layout=layout)


def axes_for(
    operation: str, ax: Any, size: tuple[float, float], *, layout: str | None = "constrained"
) -> tuple[Any, Any]:
    """Return (figure, axes): those of `ax`, or of a new figure of `size` inches if it is None.

    Raises
    ------
    ArgumentTypeError
        If `ax` is no Axes of matplotlib, is polar or the like, or was taken from its figure.
    MissingExtraError
        If matplotlib is not installed.
    """
    if ax is None:
        figure = new_figure(operation, size, layout=layout)
        return figure, figure.subplots()
    new_figure(operation, (1, 1))  # which tells whether matplotlib is there
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        rule, remedy = "must be an Axes of matplotlib, or None", "take figure.subplots()"
        raise ArgumentTypeError(operation, "ax", rule, ax, remedy)
    figure = ax.figure
    if figure is None or ax.name != "rectilinear":  # taken away; polar, or of three dimensions
        rule, remedy = "must be plain axes of a figure", "take figure.subplots()"
        raise ArgumentTypeError(operation, "ax", rule, ax, remedy, shown=type(ax).__name__)
    return getattr(figure, "figure", figure), ax  # of a part of a figure the whole


def quiet(axes: Any, grid: str = "") -> Any:
    """Take the upper and right edge from `axes`, and give them a quiet grid; return them."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if grid:
        axes.grid(axis=grid, color="#DDDDDD", linewidth=0.7)
        axes.set_axisbelow(True)
    return axes


def legend_below(figure: Any, axes: Any, ax: Any) -> None:
    """Name what `axes` show: below a figure of its own, inside where `ax` was given."""
    handles, texts = axes.get_legend_handles_labels()
    if ax is None:
        columns = len(handles)
        style = {"ncols": columns, "frameon": False, "fontsize": "small"}
        figure.legend(handles, texts, loc="outside lower center", **style)
    else:
        axes.legend(handles, texts, loc="best", fontsize="small")


def label(text: str, most: int = 40) -> str:
    """Return a name as matplotlib shows it as it is: in one line, of at most `most` characters.

    A pair of dollars would be a formula, and what begins with ``_`` would be in no legend.
    """
    shown = in_one_line(text, max(most, 9)).replace("$", r"\$")
    return f"\N{HAIR SPACE}{shown}" if shown.startswith("_") else shown


def legible(draw: Callable[P, R]) -> Callable[P, R]:
    """Return `draw`, which returns a figure, with fonts that have the letters of all its texts.

    Names may be in any script, and matplotlib's own font has few. Beside that, NumPy's
    floating-point errors say nothing of a picture; see `fastconv.floating.quietly`.
    """

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        figure = draw(*args, **kwargs)
        from matplotlib.text import Text

        every = figure.findobj(Text)  # type: ignore[attr-defined]
        texts = [text for text in every if not text.get_text().isascii()]
        letters = "".join(sorted({letter for text in texts for letter in text.get_text()}))
        for text in texts:
            text.set_fontfamily(families_for(letters, text.get_fontfamily()))
        return figure

    return quietly(drawn)


def families_for(text: str, families: Iterable[str] | None = None) -> list[str]:
    """Return families of fonts that have the letters of `text`, the usual ones first.

    Warns
    -----
    UserWarning
        Once for the same letters, if no font of this machine has them.
    """
    from matplotlib import font_manager, rcParams

    usual = list(rcParams["font.family"] if families is None else families)
    fonts = [font_manager.findfont(font_manager.FontProperties(family=[one])) for one in usual]
    return [*usual, *_more_families(frozenset(_lacking(text, fonts)))]


def _lacking(letters: Iterable[str], paths: Iterable[str]) -> set[str]:
    """Return those of `letters` that none of the fonts in the files `paths` has."""
    from matplotlib.font_manager import get_font

    left = {letter for letter in letters if letter.isprintable() and not letter.isspace()}
    for path in paths:
        if not left:
            break
        font = get_font(path)
        left = {letter for letter in left if not font.get_char_index(ord(letter))}
    return left


@cache
def _more_families(letters: frozenset[str]) -> tuple[str, ...]:
    """Return families of installed fonts that have `letters`, the best first."""
    if not letters:
        return ()
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):  # installed after the list was written
        try:
            fontManager.addfont(path)
        except Exception:  # a font that matplotlib cannot read is none for it
            continue
    found: list[str] = []
    left = set(letters)
    plain = [e for e in fontManager.ttflist if e.style == "normal" and e.weight in (400, "normal")]
    lacking = {entry.name: _lacking(letters, [entry.fname]) for entry in plain}
    for name in sorted(lacking, key=lambda name: (len(lacking[name]), name)):
        if left - lacking[name]:
            found.append(name)
            left &= lacking[name]
    if left:
        shown = "".join(sorted(left)[:8])
        warnings.warn(
            f"plot: no font of this machine has {shown}, drawn as empty boxes; install one that "
            "has, such as Noto Sans CJK (apt install fonts-noto-cjk) for Japanese",
            UserWarning,
            stacklevel=outside(),
        )
    return tuple(found)
