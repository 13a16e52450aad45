"""Checks the gradients of a whole network's loss by differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.arguments import as_int
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.layers import Layer, Spec
from fastconv.models import Input, Model, Node
from fastconv.testing.arrays import require

__all__ = ["check_network"]

Array = np.ndarray[Any, Any]
Loss = Callable[[], float]

#: Steps of the differences, the largest first: a smaller one may stay on one side of a kink.
STEPS = (1e-5, 1e-6, 1e-7)
#: How far a gradient may be from the difference, relative to the largest of its parameter.
TOLERANCE = 1e-5
#: How far weights are moved first, relative to their size.
NUDGE = 0.02


def check_network(net: Model, x: Any, y: Any, *, entries: int = 8, seed: int = 0) -> None:
    """Assert that the gradients of a compiled network's loss are those of its figures.

    A copy of the network, in float64, gives the gradients of the loss on the batch. For some
    entries of every parameter that learns they are compared with the central difference of the
    loss. Layers behave as in training: dropout drops the same elements every time, and
    normalisation takes the statistics of the batch. The network itself stays as it is.

    Parameters
    ----------
    net : Model
        A network that is compiled, of layers that can be made from their settings.
    x, y : array-like (N, ...), or a tuple of them
        A few rows will do.
    entries : int
        How many entries of each parameter are looked at: half of them those with the largest
        gradients, the others at random.
    seed : int
        What decides which, and how the weights are moved.

    Raises
    ------
    AssertionError
        If a gradient is another than the difference; it names parameter and entry. Or if the loss
        is another when it is computed again, or no entry of a parameter can be looked at.
    ArgumentTypeError, ArgumentError
        If `net` is no network, or not compiled.

    Notes
    -----
    Where a ReLU or a maximum has a kink, there is no derivative. The weights of the copy are first
    moved at random by about a fiftieth of their size, since kinks lie where weights or inputs are
    zero or equal. A difference across a kink that is nearby is taken again with smaller steps. An
    entry whose slopes to both sides still differ, with the gradient between them, lies on a kink:
    it is left out, and only if all entries of a parameter are is that an error.

    Examples
    --------
    >>> import fastconv
    >>> net = fastconv.Sequential([("Dense", {"units": 4}), "Tanh", ("Dense", {"units": 2})], (3,))
    >>> net.compile("sgd", "softmax_cross_entropy")
    >>> check_network(net, [[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]], [0, 1])
    """
    operation = "check_network"
    if not isinstance(net, Model):
        rule, shown = "must be a network", type(net).__name__
        raise ArgumentTypeError(operation, "net", rule, type(net), shown=shown)
    if net.compiled is None:
        remedy = 'call net.compile("sgd", loss="softmax_cross_entropy")'
        raise ArgumentError(operation, "net", "must be compiled first", remedy=remedy)
    entries = as_int(operation, "entries", entries, 1)
    random = np.random.default_rng(as_int(operation, "seed", seed, 0, 2**64 - 1))
    twin = _in_float64(net)
    _move(twin, random)
    gradients = twin.loss_gradients(x, y)
    loss = _loss_of(twin, x, y)
    require(
        loss() == loss(),
        "check_network: the loss is another when it is computed again; layers must take their "
        "random numbers from ctx.rng",
    )
    for key, gradient in gradients.items():
        _check_parameter(twin, key, gradient, loss, entries, random)


def _in_float64(net: Model) -> Model:
    """Return the same network with layers and weights of its own, in float64."""
    graph = net._graph
    layers = {
        name: type(layer)(**layer.to_config(), name=name) for name, layer in graph.layers.items()
    }
    values: list[Node] = []
    for name, spec in zip(graph.input_ids, graph.input_specs, strict=True):
        dtype = "float64" if spec.is_float else spec.dtype
        values.append(Input(spec.shape, dtype, name=name, batch_axis=spec.batch_axis))
    for step in graph.steps:
        value = layers[step.name](*(values[source] for source in step.sources))
        values.append(_Widened()(value) if value.dtype == "float32" else value)
    inputs = values[: len(graph.input_ids)]
    twin = Model(inputs, [values[number] for number in graph.outputs], seed=net.seed)
    twin.set_weights({key: value.astype(np.float64) for key, value in net.weights().items()})
    for key in net._frozen():
        if net._slots[key].learned:
            twin.freeze(key)
    assert net.compiled is not None
    losses = list(net.compiled.losses)
    twin.compile("sgd", losses if len(losses) > 1 else losses[0])
    return twin


class _Widened(Layer):
    """Make float64 of the float32 that layers behind integers give."""

    gives = "input"

    def infer(self, *specs: Spec) -> Spec:
        (spec,) = specs
        return Spec(spec.shape, "float64", spec.batch_axis)

    def forward(self, ctx: Any, *xs: Array) -> Array:
        return xs[0].astype(np.float64)

    def backward(self, ctx: Any, dy: Array) -> Array:
        return dy.astype(np.float32)


def _move(net: Model, random: np.random.Generator) -> None:
    """Move what learns away from kinks, which lie at zeros and at equal numbers."""
    moved = {}
    for key, parameter in net.trainable_parameters().items():
        size = math.sqrt(float(np.square(parameter.value).mean())) if parameter.size else 0.0
        step = NUDGE * (size + NUDGE) * random.uniform(-1, 1, parameter.shape)
        moved[key] = parameter.value + step
    net.set_weights(moved)


def _loss_of(net: Model, x: Any, y: Any) -> Loss:
    """Return the function that computes the loss of a batch as the weights are."""
    compiled = net.compiled
    assert compiled is not None
    parts = net._parts(x)
    targets = tuple(map(np.asarray, y)) if len(compiled.losses) > 1 else (np.asarray(y),)
    dloss = compiled.loss_function(targets)

    def loss() -> float:
        outputs = net(*parts, training=True, seed=net.seed)
        return dloss(outputs if isinstance(outputs, tuple) else (outputs,))[0]["loss"]

    return loss


def _check_parameter(
    net: Model, key: str, gradient: Array, loss: Loss, entries: int, random: np.random.Generator
) -> None:
    parameter = net.trainable_parameters()[key]
    start = parameter.value.copy()

    def at(place: tuple[int, ...], step: float) -> tuple[float, float]:
        """Return the loss there, and how far that is: float32 rounds the step."""
        moved = start.copy()
        moved[place] += step
        parameter.assign(moved)
        return loss(), float(moved[place]) - float(start[place])

    middle = loss()
    largest = float(np.max(np.abs(gradient), initial=0.0))
    undecided = 0
    chosen = _chosen(gradient, entries, random)
    for place in chosen:
        exact = float(gradient[place])
        found = math.nan
        for step in STEPS:
            (up, above), (down, below) = at(place, step), at(place, -step)
            found = (up - down) / (above - below)
            # beside the tolerance, what rounding makes of so small a difference
            slack = TOLERANCE * max(largest, abs(found)) + 1e-14 * (1 + abs(middle)) / step
            if abs(found - exact) <= slack:
                break
        else:
            slopes = sorted(((up - middle) / above, (down - middle) / below))
            on_kink = slopes[1] - slopes[0] > 4 * slack
            if on_kink and slopes[0] - slack <= exact <= slopes[1] + slack:
                undecided += 1
                continue
            parameter.assign(start)
            where = place[0] if len(place) == 1 else place
            raise AssertionError(
                f"check_network: the gradient of {key} at {where} is {exact!r}, and by "
                f"differences {found!r}"
            )
    parameter.assign(start)
    require(
        not chosen or undecided < len(chosen),
        f"check_network: none of {len(chosen)} entries of {key} can be looked at, since the loss "
        "has a kink at each; take other x",
    )


def _chosen(gradient: Array, entries: int, random: np.random.Generator) -> list[tuple[int, ...]]:
    """Return the places to look at: half of them of the largest gradients."""
    order = np.argsort(-np.abs(gradient), axis=None, kind="stable")
    first, others = order[: (entries + 1) // 2], order[(entries + 1) // 2 :]
    some = random.permutation(others)[: entries - len(first)]
    return [
        tuple(int(i) for i in np.unravel_index(int(flat), gradient.shape))
        for flat in (*first, *some)
    ]
