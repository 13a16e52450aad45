"""An image on its way through a network: what the layers make of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.arguments import as_int, as_list
from fastconv.drawing import label, legible, new_figure
from fastconv.errors import ArgumentError
from fastconv.models.graph import Graph
from fastconv.plot.mosaic import columns_for, scaled, show_mosaic
from fastconv.plot.networks import as_image, as_network, finishes, graph_of

__all__ = ["feature_maps"]

Array = np.ndarray[Any, Any]

#: So many nodes are drawn if none are named.
_USUAL = 11


@legible
def feature_maps(
    net: Any, image: Any, layers: Sequence[str] | None = None, *, channels: int = 16
) -> Any:
    """Draw what the layers make of an image: the maps of each, on one scale for the layer.

    Parameters
    ----------
    net : Model or InferenceModel
    image : array-like (C, H, W)
        One example, as the network takes it.
    layers : sequence of str, optional
        Ids of nodes, as `Model.intermediate` takes them. By default those that give maps, without
        those that an activation or normalization follows; of many some, evenly.
    channels : int
        The most maps that are drawn of a layer: the first ones.

    Returns
    -------
    matplotlib.figure.Figure
        The input, and then axes for each layer; the bar beside each has the unit of its maps. The
        number of a channel is that of its row plus that of its column.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        If there is no such layer, or the image is of another shape.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.

    Examples
    --------
    >>> import fastconv
    >>> net = fastconv.create_model("SimpleConvNet", weights="digits")
    >>> x, _ = fastconv.data.digits()
    >>> feature_maps(net, x[0], ["conv1"]).axes[1].get_title().split(":")[0]
    'conv1'
    """
    operation = "feature_maps"
    as_network(operation, net)
    batch = as_image(operation, net, image)
    most = as_int(operation, "channels", channels, 1, 1024)
    if layers is None:
        names = _usual(net, graph_of(net))
    else:
        given = [layers] if isinstance(layers, str) else layers
        rule = "must be ids of nodes"
        names = as_list(operation, "layers", given, rule, 'such as ["conv1"]', most=100)
        graph = graph_of(net)
        for name, number in zip(names, graph.numbers(operation, names), strict=True):
            if graph.specs[number].batch_axis != 0:
                rule = "must be of nodes with the batch first"
                raise ArgumentError(operation, "layers", rule, name)
    if not names:
        rule, remedy = "must be at least one", "name them: layers=[...]"
        raise ArgumentError(operation, "layers", rule, shown="none", remedy=remedy)
    found = [("input", batch), *zip(names, net.intermediate(batch, names), strict=True)]
    wide = min(len(found), 4)
    high = -(-len(found) // wide)
    figure = new_figure(operation, (3.1 * wide, 3.0 * high))
    panels = list(figure.subplots(high, wide, squeeze=False).flat)
    for axes, (name, values) in zip(panels, found, strict=False):
        _draw(figure, axes, name, values[0], most)
    for axes in panels[len(found) :]:
        axes.remove()
    return figure


def _usual(net: Any, graph: Graph) -> list[str]:
    """Return the ids of nodes that give maps; of an activation and its like those behind it."""
    first = len(graph.input_specs)
    readers: dict[int, list[Any]] = {}
    for step in graph.steps:
        for source in step.sources:
            readers.setdefault(source, []).append(step)
    names = []
    for number, step in enumerate(graph.steps, first):
        behind = readers.get(number, [])
        # what has as many channels, rows and columns again and reads nothing else is a finish
        finished = len(behind) == 1 and behind[0].spec == step.spec and finishes(net, behind[0])
        if len(step.spec.shape) == 3 and not finished:
            names.append(step.id)
    if len(names) <= _USUAL:
        return names
    taken = {round(at * (len(names) - 1) / (_USUAL - 1)) for at in range(_USUAL)}
    return [name for at, name in enumerate(names) if at in taken]


def _draw(figure: Any, axes: Any, name: str, values: Array, most: int) -> None:
    """Draw the maps (C, H, W) of a node, or its numbers as maps of one pixel."""
    shape = values.shape
    if values.ndim < 3:
        values = values.reshape(-1, 1, 1)
    elif values.ndim > 3:
        values = values.reshape(-1, *values.shape[-2:])
    shown = values[:most].astype(np.float64)
    low, high = float(shown.min()), float(shown.max())
    drawn = show_mosaic(axes, scaled(shown, low, high), columns_for(len(shown), 32), "viridis")
    sizes = " \N{MULTIPLICATION SIGN} ".join(map(str, shape))
    axes.set_title(f"{label(name, 24)}: {sizes}", fontsize="medium")
    if len(shown) < len(values):
        axes.set_xlabel(f"channels 0 to {len(shown) - 1} of {len(values)}", fontsize="small")
    bar = figure.colorbar(drawn, ax=axes, shrink=0.75, aspect=14, pad=0.02)
    bar.set_ticks([0.0, 1.0], labels=[f"{low:.3g}", f"{high:.3g}"])
    bar.ax.tick_params(length=0, labelsize="small")
