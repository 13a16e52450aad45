"""How these pictures look, and where their layers come from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))

from peers.cases import TABLES  # noqa: E402
from suite.shapes import MEC, NETWORKS, Layer  # noqa: E402

__all__ = [
    "COLOURS",
    "INK",
    "MB",
    "MEC",
    "NETWORKS",
    "QUIET",
    "TABLES",
    "Layer",
    "headline",
    "new",
    "plain",
    "save",
    "shape_of",
]

MB = 1e6  # as the papers count; the library prints MiB
INK, QUIET = "#222222", "#6b6b6b"
#: One colour an algorithm, in every picture; Okabe and Ito's, which the colour-blind can tell.
COLOURS = {
    "direct": "#0072B2",
    "im2col": "#D55E00",
    "im2col_tiled": "#C78A00",
    "winograd": "#009E73",
    "MEC": "#8A5FA8",
    "arrays": "#C9CED3",
}
SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "grid.color": "#E7E9EB",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 2.2,
}


def new(width: float, height: float) -> Figure:
    """Return an empty figure of inches, laid out by constraints."""
    return Figure(figsize=(width, height), layout="constrained")


def headline(figure: Figure, text: str, *, x: float = 0.008, size: float = 12.5) -> None:
    """Write above a figure, from its left edge, what it shows."""
    figure.suptitle(text, x=x, ha="left", weight="bold", size=size)


def plain(axes: Axes, grid: str = "y") -> Axes:
    """Give axes a quiet grid and no ticks; return them."""
    axes.grid(axis=grid)
    axes.tick_params(length=0, pad=6)
    return axes


def shape_of(layer: Layer) -> str:
    """Return a layer as the tables write it: ``64, 56x56 -> 64, 3x3/2``."""
    stride = f" /{layer.stride}" if layer.stride > 1 else ""
    groups = ""
    if layer.groups > 1:
        groups = ", depthwise" if layer.groups == layer.C else f", {layer.groups} groups"
    return (
        f"{layer.C}, {layer.H}\N{MULTIPLICATION SIGN}{layer.H} \N{RIGHTWARDS ARROW} {layer.K}, "
        f"{layer.R}\N{MULTIPLICATION SIGN}{layer.R}{stride}{groups}"
    )


def save(draw: Callable[[], Figure], name: str) -> Path:
    """Draw with these settings, and write ``name.png`` beside the scripts."""
    path, drawn = HERE / f"{name}.png", BytesIO()
    with rc_context(SETTINGS):
        draw().savefig(drawn, dpi=140)
    # a palette holds these few colours and their edges in a third of the bytes
    Image.open(drawn).convert("RGB").quantize(96).save(path, optimize=True)
    return path
