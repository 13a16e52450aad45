"""A network as boxes and arrows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastconv.drawing import axes_for, families_for, label, legible, new_figure
from fastconv.errors import in_one_line
from fastconv.models.graph import Graph, Step
from fastconv.plot.layering import layered
from fastconv.plot.networks import as_network, finishes, graph_of, weight_shape

__all__ = ["graph"]

#: Of a box in inches, and of its letters in points.
HEIGHT, LETTERS, MARGIN = 0.5, 7.0, 0.12
#: Light enough for black letters; the text says what they mean.
_FILTERS, _WEIGHTS, _POOLS, _MERGES = "#CFE4F7", "#FBE3C0", "#CDEBDD", "#E6DBF0"
_OTHERS, _INPUTS = "#EEEEEE", "#FFFFFF"


@dataclass
class _Box:
    """What one box stands for: an input, or a layer and those that finish its output."""

    name: str
    kinds: list[str]
    shape: str
    colour: str
    sources: list[int] = field(default_factory=list)


@legible
def graph(net: Any, *, ax: Any = None) -> Any:
    """Draw the graph of a network: a box for each layer, and arrows from those that it reads.

    An activation, a normalization and the like share the box of the layer whose output they
    finish. Branches stand side by side. Long networks are drawn in several columns.

    Parameters
    ----------
    net : Model or InferenceModel
    ax : matplotlib.axes.Axes, optional
        Where to draw, instead of a figure of its own, which is as large as it must be for all
        text to be read.

    Returns
    -------
    matplotlib.figure.Figure
        Each box has the layer's name, what it is, and the shape of its output without the batch.

    Raises
    ------
    ArgumentTypeError
        If `net` is no network.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.

    Examples
    --------
    >>> import fastconv
    >>> figure = graph(fastconv.create_model("LeNet5"))
    >>> figure.axes[0].texts[1].get_text().splitlines()[0]
    'conv1'
    """
    operation = "graph"
    as_network(operation, net)
    new_figure(operation, (1, 1))  # which tells whether matplotlib is there
    boxes = _boxes(net, graph_of(net))
    texts = [_text(box) for box in boxes]
    widths = [max(map(_width, text.splitlines())) + 2 * MARGIN for text in texts]
    found = layered(widths, [box.sources for box in boxes], HEIGHT)
    size = found.size[0] + 2 * MARGIN, found.size[1]
    figure, axes = axes_for(operation, ax, size, layout=None)
    if ax is None:
        axes.set_position((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(-MARGIN, found.size[0] + MARGIN)
    axes.set_ylim(found.size[1], 0.0)
    axes.set_aspect("equal")
    scale = 1.0 if ax is None else _scale(figure, axes, size)
    for *_, corners in found.arrows:
        _arrow(axes, corners, scale)
    for box, text, width, place in zip(boxes, texts, widths, found.places, strict=True):
        _box(axes, box.colour, text, width, place, scale)
    return figure


def _boxes(net: Any, network: Graph) -> list[_Box]:
    """Return the boxes in running order; a step that finishes the output before it is in its."""
    names = [label(name, 28) for name in network.ids]
    boxes = [
        _Box(name, ["Input"], _shape(spec.shape), _INPUTS)
        for name, spec in zip(names, network.input_specs, strict=False)
    ]
    first = len(boxes)
    at = list(range(first))  # the box of each value
    readers: list[int] = [0] * len(names)
    for number in (*network.outputs, *(s for step in network.steps for s in step.sources)):
        readers[number] += 1
    for number, step in enumerate(network.steps, first):
        kind = label(_kind(step), 24)
        source = step.sources[0] if step.sources else -1
        alone = len(step.sources) == 1 and source >= first and readers[source] == 1
        if alone and step.spec == network.specs[source] and finishes(net, step):
            at.append(at[source])
            boxes[at[source]].kinds.append(kind)
            continue
        at.append(len(boxes))
        sources = [at[source] for source in step.sources]
        boxes.append(
            _Box(
                names[number],
                [kind],
                _shape(step.spec.shape),
                _colour(step, weight_shape(net, step)),
                sources,
            )
        )
    return boxes


def _kind(step: Step) -> str:
    """Return the class of a layer, and the size of its window where it has one."""
    config, kind = step.layer.config, type(step.layer).__name__
    window = config.get("kernel_size", config.get("pool_size"))
    if isinstance(window, int):
        kind += f" {window}" if kind.endswith("1D") else f" {window}\N{MULTIPLICATION SIGN}{window}"
    elif window is not None:
        kind += " " + "\N{MULTIPLICATION SIGN}".join(map(str, window))
    stride = config.get("stride")
    if isinstance(stride, int) and stride > 1:
        kind += f" /{stride}"
    return kind if step.id == step.name else f"{kind} of {step.name}"


def _colour(step: Step, weight: tuple[int, ...]) -> str:
    if len(step.sources) > 1:
        return _MERGES
    if "Pool" in type(step.layer).__name__:
        return _POOLS
    if len(weight) > 1:
        return _FILTERS if len(weight) > 2 else _WEIGHTS
    return _OTHERS


def _shape(shape: tuple[int, ...]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(map(str, shape)) or "one number"


def _text(box: _Box) -> str:
    kinds = ", ".join(box.kinds)
    return f"{box.name}\n{in_one_line(kinds, 44)}\n{box.shape}"


def _width(text: str) -> float:
    """Return how wide a line is, in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    letters = FontProperties(family=families_for(text))
    path = TextPath((0, 0), text, LETTERS, prop=letters, usetex=False)
    return float(path.vertices[:, 0].max(initial=0.0)) / 72


def _scale(figure: Any, axes: Any, size: tuple[float, float]) -> float:
    """Return by how much less room `axes` has than the picture needs, in either direction."""
    figure.draw_without_rendering()  # so that it has been laid out
    extent = axes.get_window_extent()
    return float(min(extent.width / size[0], extent.height / size[1]) / figure.dpi)


def _arrow(axes: Any, corners: list[tuple[float, float]], scale: float) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    axes.add_patch(
        FancyArrowPatch(
            path=Path(corners),
            arrowstyle=f"-|>,head_length={2.6 * scale:.3f},head_width={1.3 * scale:.3f}",
            color="#555555",
            linewidth=0.8 * scale,
            shrinkA=0,
            shrinkB=0,
            joinstyle="round",
        )
    )


def _box(
    axes: Any, colour: str, text: str, width: float, place: tuple[float, float], scale: float
) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = place
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - HEIGHT / 2),
            width,
            HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=colour,
            edgecolor="#555555",
            linewidth=0.7 * scale,
        )
    )
    axes.text(
        x,
        y,
        text,
        ha="center",
        va="center",
        fontsize=LETTERS * scale,
        color="black",
        linespacing=1.15,
    )
