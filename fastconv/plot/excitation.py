"""Inputs that excite a layer most, found by gradient ascent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastconv.arguments import as_int, as_list
from fastconv.drawing import axes_for, label, legible, new_figure
from fastconv.errors import ArgumentError
from fastconv.models import Model
from fastconv.plot.mosaic import columns_for, framed
from fastconv.plot.networks import as_network, graph_of

__all__ = ["activation_maximization"]

Array = np.ndarray[Any, Any]

#: The channels that are drawn if none are named, and the most that may be.
_USUAL, _MOST = 12, 64
#: How far a step goes, as a share of the range of the input: the root of the mean square.
_RATE = 0.05


@legible
def activation_maximization(
    net: Any,
    layer: str,
    channels: int | Sequence[int] | None = None,
    *,
    steps: int = 60,
    seed: int = 0,
    ax: Any = None,
) -> Any:
    """Draw, for each channel of a layer, an input that makes its mean activation large.

    Parameters
    ----------
    net : Model
        A network of one input (C, H, W), whose numbers are from 0 to 1.
    layer : str
        The id of a node, which may be the last one: then channels are classes. Of a convolution
        take the node before its rectifier, where there are gradients everywhere.
    channels : int or sequence of int, optional
        By default the first 12.
    steps : int
        How many steps of gradient ascent are done.
    seed : int
        The seed of the noise that it starts from.
    ax : matplotlib.axes.Axes, optional
        Where to draw, instead of a figure of its own; only for one channel.

    Returns
    -------
    matplotlib.figure.Figure
        Axes for each channel; the title has its mean activation on the start and on what is drawn.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If there is no such node or channel, or the network takes no image of floats.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.

    Notes
    -----
    From grey with a little noise, steps go along the gradient of the mean of the channel's map,
    divided by the root of its mean square, and stay from 0 to 1. The rate falls evenly to a tenth.
    So the same seed gives the same picture. Images of one channel are grey, of three in colours,
    of others the mean of their channels.

    After D. Erhan et al., Visualizing Higher-Layer Features of a Deep Network, 2009.

    Examples
    --------
    >>> import fastconv
    >>> net = fastconv.create_model("SimpleConvNet", weights="digits")
    >>> figure = activation_maximization(net, "conv1", [3, 5], steps=5)
    >>> [axes.get_title().split(":")[0] for axes in figure.axes]
    ['channel 3', 'channel 5']
    """
    operation = "activation_maximization"
    as_network(operation, net, learns=True)
    part = _up_to(operation, net, layer)
    found = _channels(operation, part, channels)
    steps = as_int(operation, "steps", steps, 1, 100_000)
    seed = as_int(operation, "seed", seed, 0)
    if ax is not None and len(found) > 1:
        raise ArgumentError(operation, "channels", "must be one where ax is given", found)
    if ax is None:
        across = columns_for(len(found))
        down = -(-len(found) // across)
        figure = new_figure(operation, (max(1.9 * across, 3.0), 2.2 * down + 0.3))
        panels = list(figure.subplots(down, across, squeeze=False).flat)
        figure.suptitle(f"what excites {label(layer)}", fontsize="medium")
    else:
        figure, axes = axes_for(operation, ax, (1, 1))
        panels = [axes]
    images, before, after = _climb(part, found, steps, seed)
    for at, axes in enumerate(panels):
        axes.set_xticks([])
        axes.set_yticks([])
        framed(axes)
        if at >= len(found):
            axes.remove()
        else:
            _show(axes, images[at])
            text = f"channel {found[at]}: {before[at]:.2g} \N{RIGHTWARDS ARROW} {after[at]:.2g}"
            axes.set_title(text, fontsize="small")
    return figure


def _up_to(operation: str, net: Model, layer: Any) -> Model:
    """Return the part of a network that leads to a node; it shares the layers."""
    graph = graph_of(net)
    net._prepare()  # so that the part has its weights
    (number,) = graph.numbers(operation, [layer] if isinstance(layer, str) else layer)[:1] or (-1,)
    spec = graph.input_specs[0]
    if len(graph.input_specs) > 1 or not spec.is_plain or len(spec.shape) != 3:
        rule = "must have one input of floats, (C, H, W)"
        raise ArgumentError(operation, "net", rule, spec.shape, shown=f"input {spec.shape}")
    if number < 1 or not graph.specs[number].is_plain:
        rule = "must be a layer that gives floats, with the batch first"
        raise ArgumentError(operation, "layer", rule, layer)
    return Model(replace(graph, outputs=(number,)), seed=net.seed)


def _channels(operation: str, part: Model, channels: Any) -> list[int]:
    """Return the channels that were asked for; each must be one of the layer."""
    count = part.output_specs()[0].shape[0]
    if channels is None:
        return list(range(min(count, _USUAL)))
    if isinstance(channels, (int, np.integer)):
        channels = [channels]
    rule = "must be numbers of channels"
    given = as_list(operation, "channels", channels, rule, "such as [0, 1]", most=_MOST)
    if not given:
        raise ArgumentError(operation, "channels", "must be at least one", shown="none")
    return [as_int(operation, "channels", one, 0, count - 1) for one in given]


def _climb(
    part: Model, channels: Sequence[int], steps: int, seed: int
) -> tuple[Array, list[float], list[float]]:
    """Return images (K, C, H, W), one for each channel, and the means before and after."""
    spec = part._graph.input_specs[0]
    rng = np.random.default_rng(seed)
    noise = rng.uniform(-0.05, 0.05, spec.shape)  # the same for each channel, to compare them
    x = np.repeat((0.5 + noise)[None], len(channels), axis=0).astype(spec.numpy_dtype)
    rows = np.arange(len(channels))
    y = part(x)
    dy = np.zeros_like(y)
    dy[rows, channels] = 1.0 / np.prod(y.shape[2:], dtype=np.float64)
    before = _means(y, rows, channels)
    axes = tuple(range(1, x.ndim))
    for step in range(steps):
        slope = part.input_gradient(x, dy).astype(np.float64)
        size = np.sqrt((slope * slope).mean(axis=axes, keepdims=True))
        rate = _RATE * (1 - 0.9 * step / steps)
        # where nothing changes the channel, the image stays
        moved = x + rate * np.where(size > 0, slope / np.where(size > 0, size, 1), 0)
        x = np.clip(moved, 0, 1).astype(x.dtype)
    return x, before, _means(part(x), rows, channels)


def _means(y: Array, rows: Array, channels: Sequence[int]) -> list[float]:
    taken = y[rows, channels].astype(np.float64)
    return [float(one.mean()) for one in taken]


def _show(axes: Any, image: Array) -> None:
    shown = image.transpose(1, 2, 0) if len(image) == 3 else image.mean(axis=0)
    axes.imshow(shown, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
