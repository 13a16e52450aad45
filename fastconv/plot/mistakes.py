"""What a classifier takes for what: the confusion matrix, and the images that are mistaken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import training
from fastconv.arguments import as_int, as_list, as_plain_array, as_text
from fastconv.drawing import GREY, axes_for, label, legible, new_figure
from fastconv.errors import ArgumentError, ShapeError
from fastconv.plot.mosaic import framed, scaled
from fastconv.plot.networks import as_network

__all__ = ["confusion_matrix", "misclassified"]

Array = np.ndarray[Any, Any]

#: Up to so many classes have their counts written; more would overlap.
_WRITTEN = 25


@legible
def confusion_matrix(
    y: Any, predicted: Any, *, names: Sequence[str] | None = None, ax: Any = None
) -> Any:
    """Draw how often each class was taken for each.

    Parameters
    ----------
    y, predicted : array-like
        As `fastconv.training.confusion_matrix` takes them: labels, or what ``net.predict`` gave.
    names : sequence of str, optional
        What the classes are called, instead of their numbers.
    ax : matplotlib.axes.Axes, optional
        Where to draw, instead of a figure of its own.

    Returns
    -------
    matplotlib.figure.Figure
        Row i, column j: the count of class i said to be j, and as its colour the share of class i.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        As `fastconv.training.confusion_matrix`; or if there are more classes than names.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.

    Examples
    --------
    >>> figure = confusion_matrix([0, 0, 1, 2], [0, 2, 1, 2])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '0', '1', '0', '1', '0', '0', '0', '1']
    """
    operation = "confusion_matrix"
    matrix = training.confusion_matrix(y, predicted)
    count = len(matrix)
    if not matrix.sum():
        raise ArgumentError(operation, "y", "must hold at least one answer", shown="none")
    shown = _names(operation, names, count)
    side = min(max(2.2 + 0.42 * count, 3.6), 13.0)
    figure, axes = axes_for(operation, ax, (side + 1.2, side))
    rows = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(rows, 1)
    drawn = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    every = -(-count // 40)
    places = range(0, count, every)
    long = max(len(shown[at]) for at in places) > 3
    axes.set_xticks(places, [shown[at] for at in places], rotation=90 if long else 0)
    axes.set_yticks(places, [shown[at] for at in places])
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    right = matrix.trace() / matrix.sum()
    axes.set_title(f"{100 * right:.1f} % of {matrix.sum():,} right", fontsize="medium")
    if count <= _WRITTEN:
        for (row, column), number in np.ndenumerate(matrix):
            colour = "white" if shares[row, column] > 0.55 else "black"
            size = 9 if number < 1000 else 6
            axes.text(
                column, row, str(number), ha="center", va="center", color=colour, fontsize=size
            )
    if ax is None:
        bar = figure.colorbar(drawn, ax=axes, shrink=0.8)
        bar.set_label("share of the true class")
    return figure


@legible
def misclassified(
    net: Any, x: Any, y: Any, *, names: Sequence[str] | None = None, most: int = 20
) -> Any:
    """Draw the images that a network takes for another class, in the order of their rows.

    Parameters
    ----------
    net : Model or InferenceModel
        A classifier: its output is (N, K).
    x : array-like (N, C, H, W)
        Images of one channel are drawn in grey, of three in colours, of others as the mean of
        their channels; each from its smallest number to its largest.
    y : array-like (N,), or (N, K) of shares
        The right classes.
    names : sequence of str, optional
        What the classes are called, instead of their numbers.
    most : int
        The most images that are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Axes for each image, whose title has its row, its class, and what was said.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        If the network gives no classes, or the shapes do not fit.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.

    Examples
    --------
    >>> import fastconv
    >>> net = fastconv.create_model("SimpleConvNet", weights="digits")
    >>> x, y = fastconv.data.digits()
    >>> figure = misclassified(net, x, y, most=3)
    >>> len(figure.axes), figure.get_suptitle().split()[-2:]
    (3, ['first', '3'])
    """
    operation = "misclassified"
    as_network(operation, net)
    most = as_int(operation, "most", most, 1, 100)
    images = as_plain_array(operation, "x", x)
    outputs = net.predict(images)
    if not isinstance(outputs, np.ndarray) or outputs.ndim != 2 or outputs.shape[1] < 2:
        rule, shown = "must give one output (N, K) of at least 2 classes", "another output"
        raise ArgumentError(operation, "net", rule, shown=shown)
    right = as_plain_array(operation, "y", y)
    training.confusion_matrix(right, outputs)  # which says what does not fit
    right = right.argmax(axis=1) if right.ndim == 2 else right.astype(np.int64)
    said = outputs.argmax(axis=1)
    known = _names(operation, names, outputs.shape[1])
    if images.ndim != 4:
        rule = "must have shape (N, C, H, W)"
        raise ShapeError(operation, "x", rule, images.shape, shown=f"shape {images.shape}")
    (wrong,) = np.nonzero(right != said)
    rows = wrong[:most]
    across = min(max(len(rows), 1), 5)
    down = max(-(-len(rows) // across), 1)
    figure = new_figure(operation, (max(1.75 * across, 4.4), 2.15 * down + 0.5))
    for at, row in enumerate(rows):
        axes = figure.add_subplot(down, across, at + 1)
        _show(axes, images[row])
        true, taken = (label(known[number], 18) for number in (right[row], said[row]))
        axes.set_title(f"row {row}: {true}\nsaid to be {taken}", fontsize="small")
    title = f"{len(wrong):,} of {len(images):,} misclassified"
    figure.suptitle(f"{title}, the first {most}" if len(wrong) > most else title)
    if not len(wrong):
        figure.text(0.5, 0.4, "no image to show", ha="center", va="center", color=GREY)
    return figure


def _show(axes: Any, image: Array) -> None:
    """Draw an image (C, H, W), from its smallest number to its largest."""
    whole = scaled(image[None])[0]
    shown = whole.transpose(1, 2, 0) if len(image) == 3 else whole.mean(axis=0)
    axes.imshow(shown, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    framed(axes)


def _names(operation: str, names: Any, count: int) -> list[str]:
    """Return a name for each of `count` classes, as matplotlib shows it."""
    if names is None:
        return [str(number) for number in range(count)]
    rule = "must be the names of the classes"
    found = as_list(operation, "names", names, rule, 'such as ["cat", "dog"]', most=100_000)
    if len(found) < count:
        rule = f"must be at least {count}, one for each class"
        raise ArgumentError(operation, "names", rule, len(found))
    return [label(as_text(operation, "names", name), 24) for name in found[:count]]
