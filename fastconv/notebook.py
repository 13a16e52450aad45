"""What objects look like in a notebook: small tables in HTML, that need nothing beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["bar", "page", "sparkline", "table"]

# Half-transparent grey on whatever is behind it, so that light and dark pages both show it.
_LINE = "1px solid rgba(128,128,128,0.35)"
_BAR = "rgba(64,140,200,0.55)"
#: So high may a table be before it scrolls.
_MOST = "30em"


def page(title: str, *parts: str) -> str:
    """Return a block of a heading and of `parts`, which are HTML; the title is escaped."""
    head = f"<div><strong>{_text(title)}</strong></div>"
    return f'<div style="color:inherit;overflow-x:auto">{head}{"".join(parts)}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, align: str, note: str = "") -> str:
    """Return a table; every text in it is escaped, but for cells that `bar` or `sparkline` made.

    Parameters
    ----------
    head : sequence of str
    rows : iterable of sequences of str
    align : str
        A ``<`` or ``>`` for each column.
    note : str
        A line below.

    Examples
    --------
    >>> print(table(["id"], [["<b>"]], align="<").split("<tbody>")[1].split("</tr>")[0])
    <tr><td style="text-align:left;padding:1px 8px">&lt;b&gt;</td>
    """
    sides = [{"<": "left", ">": "right"}[sign] for sign in align]
    lines = [
        f'<tr style="border-bottom:{_LINE}">{_cells("th", head, sides)}</tr></thead><tbody>',
        *(f"<tr>{_cells('td', row, sides)}</tr>" for row in rows),
    ]
    style = "border-collapse:collapse;background:transparent;color:inherit;font-size:90%"
    below = f'<div style="font-size:85%">{_text(note)}</div>' if note else ""
    body = f'<table style="{style}"><thead>{"".join(lines)}</tbody></table>'
    return f'<div style="max-height:{_MOST};overflow:auto">{body}</div>{below}'


class _Markup(str):
    """A text that is HTML already."""


def bar(share: float) -> str:
    """Return a bar of `share`, from 0 to 1, of the width of its column."""
    width = 100 * min(max(share, 0.0), 1.0)
    inner = f"width:{width:.1f}%;height:0.8em;background:{_BAR}"
    return _Markup(f'<div style="width:8em"><div style="{inner}"></div></div>')


def sparkline(values: Sequence[float]) -> str:
    """Return a small curve through `values`; those that are not finite are left out."""
    points = [(at, value) for at, value in enumerate(values) if abs(value) < float("inf")]
    if len(points) < 2:
        return _Markup("")
    low, high = (pick(value for _, value in points) for pick in (min, max))
    # halved, so that the difference of any two is finite
    span = high / 2 - low / 2 or 1.0
    place = " ".join(
        f"{96 * at / (len(values) - 1) + 2:.1f},{18 - 16 * ((value / 2 - low / 2) / span):.1f}"
        for at, value in points
    )
    line = f'<polyline points="{place}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
    return _Markup(f'<svg width="100" height="20" role="img">{line}</svg>')


def _cells(tag: str, texts: Sequence[str], sides: Sequence[str]) -> str:
    return "".join(
        f'<{tag} style="text-align:{side};padding:1px 8px">{_text(text)}</{tag}>'
        for text, side in zip(texts, sides, strict=True)
    )


def _text(text: str) -> str:
    from html import escape  # which takes a while to import

    return text if isinstance(text, _Markup) else escape(text)
