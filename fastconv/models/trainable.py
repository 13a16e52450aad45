"""Networks that can be trained: what the loop asks of them, and its functions as methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastconv import memory
from fastconv.arguments import as_plain_array
from fastconv.batches import count_rows
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.layers.base import Layer
from fastconv.layers.parameter import Parameter
from fastconv.layers.spec import Spec
from fastconv.models.graph import inputs, learning
from fastconv.models.network import Network
from fastconv.models.running import Program, differentiate, first_not_finite, overlap
from fastconv.models.text import explained
from fastconv.training import loop
from fastconv.training.callbacks import History
from fastconv.training.compiled import Compiled
from fastconv.training.trainable import Accept, Answer

__all__ = ["TrainableNetwork"]

Array = np.ndarray[Any, Any]


class TrainableNetwork(Network):
    """A network that has gradients and learns.

    Attributes
    ----------
    compiled : Compiled or None
        Optimizer, loss and metrics, once `compile` has chosen them.
    gradients : mapping of str to ndarray
        The gradients of the last step, by ``layer/parameter``.
    history : History or None
        The history of the last `fit`, however that ended.
    """

    compiled: Compiled | None
    gradients: Mapping[str, Array]
    history: History | None = None
    seed: int
    _learns = True

    def forward_backward(
        self,
        xs: Sequence[Array],
        dloss: Callable[..., Any],
        step: int,
        program: Program | None = None,
        *,
        accept: Accept | None = None,
    ) -> tuple[tuple[Array, ...], dict[str, float]]:
        """Run one batch forward and backward, as `fastconv.training.Trainable` asks for it."""
        self._prepare()
        self.gradients = {}  # those of the last step would only add to the peak
        steps = self._schedule(self._graph.outputs, training=True)
        run = partial(differentiate, training=True, rng_key=(self.seed, step), accept=accept)
        if program is None:
            outputs, losses, found = memory.recycling(run, steps, list(xs), dloss)
        else:
            run = partial(run, program=program)
            outputs, losses, found = memory.frugal(run, steps, list(xs), dloss)
        self.gradients = found.params
        # A network that ends in a view, or in an idle layer, may return the caller's memory.
        lent = [any(overlap(y, x) for x in xs) for y in outputs]
        own = (y.copy() if is_lent else y for y, is_lent in zip(outputs, lent, strict=True))
        return tuple(own), losses

    def first_not_finite(
        self, xs: Sequence[Array], step: int, program: Program | None = None
    ) -> tuple[str, float] | None:
        """Return the first weight or output of a layer that is not finite in a step, if any."""
        self._prepare()
        steps = self._schedule(self._graph.outputs, training=True)
        look = partial(first_not_finite, rng_key=(self.seed, step), program=program)
        return memory.frugal(look, steps, list(xs))

    def input_gradient(self, x: Any, dy: Any) -> Any:
        """Return the gradient of ``sum(dy * net(x))`` with respect to `x`, as in inference.

        Parameters
        ----------
        x : array-like (N, ...), or a tuple of them
        dy : array-like of the output's shape, or a tuple of them

        Returns
        -------
        ndarray of the shape of `x`, or a tuple of them
            None stands for an input of integers, if there are others.

        Raises
        ------
        ArgumentError
            If all inputs have integers, or an output has: those have no gradient.
        """
        self._prepare()
        graph = self._graph
        outs = [graph.specs[output] for output in graph.outputs]
        floats = [spec.is_float for spec in graph.input_specs]
        if not any(floats) or not all(spec.is_float for spec in outs):
            rule = f"must have {'every output' if any(floats) else 'one of the inputs'} of floats"
            raise ArgumentError("input_gradient", "the network", rule, shown="integers")
        xs = self.cast_inputs(x)
        several = len(graph.outputs) > 1
        dys = list(dy) if several and isinstance(dy, (tuple, list)) else [dy]
        if len(dys) != len(graph.outputs):
            rule = f"must be a tuple of {len(graph.outputs)} arrays"
            raise ArgumentTypeError("input_gradient", "dy", rule, len(dys))
        rows = count_rows(xs, self.layout)
        arrays = [
            as_plain_array("input_gradient", "dy", one, shape=spec.whole_shape(rows))
            for one, spec in zip(dys, outs, strict=True)
        ]
        _, _, found = differentiate(
            self._schedule(graph.outputs, merge=False),
            list(xs),
            lambda ys: ({}, [a.astype(y.dtype) for a, y in zip(arrays, ys, strict=True)]),
            training=False,
            rng_key=(self.seed, 0),
            needs=("inputs",),
        )
        dxs: list[Array | None] = []
        for x, is_float, dx in zip(xs, floats, found.inputs, strict=True):
            if not is_float:
                dxs.append(None)
                continue
            dx = np.zeros_like(x) if dx is None else dx
            # A layer may give one gradient to all its inputs, but users may write to theirs.
            taken = any(d is not None and overlap(dx, d) for d in dxs)
            dxs.append(dx.copy() if taken else dx)
        return dxs[0] if len(dxs) == 1 else tuple(dxs)

    def trainable_parameters(self) -> dict[str, Parameter]:
        """Return the parameters that optimizers change, by ``layer/parameter``."""
        self._prepare()
        return {
            f"{name}/{key}": parameter
            for name, layer in self._graph.layers.items()
            for key, parameter in layer.parameters.items()
            if parameter.trainable
        }

    def output_layers(self) -> list[Layer | None]:
        """Return the layer that makes each output; None if an input is returned as it is."""
        first = len(self._graph.input_specs)
        steps = self._graph.steps
        return [steps[o - first].layer if o >= first else None for o in self._graph.outputs]

    def output_answers(self) -> list[Answer]:
        """Return for each output what its numbers are, and the layer that makes them so."""
        return [learning.answer(self._graph, output) for output in self._graph.outputs]

    def normalized_inputs(self) -> list[bool]:
        """Return for each input whether the network brings it from any scale to a usual one."""
        return learning.normalized_inputs(self._graph)

    def least_rows(self) -> tuple[int, str]:
        """Return the fewest rows of a batch to learn from, and the layer that says so."""
        choosy = self._cache.found("choosy", lambda: learning.choosy(self._graph))
        return learning.least_rows(self._graph, choosy)

    def output_specs(self) -> list[Spec]:
        """Return shape without the batch, and dtype, of each output."""
        return [self._graph.specs[output] for output in self._graph.outputs]

    @explained
    def compile(self, optimizer: Any = "adam", loss: Any = None, metrics: Any = ()) -> None:
        """Choose how the network learns.

        Parameters
        ----------
        optimizer : str, (str, dict) or Optimizer
            ``adagrad``, ``adam``, ``momentum``, ``nesterov``, ``rmsprop`` or ``sgd``, with settings
            such as ``("adam", {"learning_rate": 0.01})``. An object serves only this network, and
            starts anew.
        loss : str, (str, dict) or Loss
            ``softmax_cross_entropy`` takes logits, ``cross_entropy`` probabilities,
            ``mean_squared_error`` any values. For several outputs, a list with one loss for each.
        metrics : str, or sequence of str, (str, dict) or callable
            ``accuracy``, ``mean_absolute_error``, or any function of (outputs, targets) that
            gives one figure per answer. If names are equal, the later ones are numbered.
        """
        loop.compile(self, optimizer, loss, metrics)

    @explained
    def fit(
        self,
        x: Any,
        y: Any,
        *,
        batch_size: int = 100,
        epochs: int = 10,
        validation_data: tuple[Any, Any] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        verbose: int = 1,
        callbacks: Iterable[Any] | None = (),
        stop_on_nan: bool = True,
        memory_limit: int | str | None = None,
    ) -> History:
        """Train on arrays; see `fastconv.training.loop.fit`.

        Parameters
        ----------
        x : array-like (N, ...), or a tuple of them
        y : array-like (N, ...), or a tuple of them
        batch_size, epochs : int
            A last batch with fewer rows than a layer can learn from joins the one before.
        validation_data : (x, y), optional
            The network is evaluated on it after each epoch.
        shuffle : bool
            Whether each epoch takes the rows in another order, which `seed` decides.
        verbose : {0, 1, 2}
            Nothing, a progress bar, or a line for each epoch.
        callbacks : sequence of Callback, name, (name, dict) or function; or one
            A function gets ``(run, epoch, figures)`` at the end of each epoch.
        stop_on_nan : bool
            Whether to raise TrainingError if loss, gradients or statistics are not finite,
            before they reach a weight.
        memory_limit : int or str, optional
            The most bytes, also as in ``"20 MB"``, for activations, gradients, workspace, packed
            weights and the gathered batch together. If need be, the backward pass computes
            activations again. Loss and gradients have the bits that the same algorithms give
            without a limit.

        Returns
        -------
        History
            ``.history`` has for each figure a list with one entry per epoch. The network's own
            `history` is the same object, also after an error or Ctrl-C.
        """
        if isinstance(validation_data, (tuple, list)) and len(validation_data) == 2:
            validation_data = (self._parts(validation_data[0]), validation_data[1])
        return loop.fit(
            self,
            self._parts(x),
            y,
            batch_size=batch_size,
            epochs=epochs,
            validation_data=validation_data,
            shuffle=shuffle,
            seed=seed,
            verbose=verbose,
            callbacks=callbacks,
            stop_on_nan=stop_on_nan,
            memory_limit=memory_limit,
        )

    @explained
    def train_on_batch(
        self, x: Any, y: Any, *, stop_on_nan: bool = True, memory_limit: int | str | None = None
    ) -> dict[str, float]:
        """Take one step of the optimizer; return loss and metrics of the batch before the step.

        Parameters
        ----------
        x, y : array-like (N, ...), or a tuple of them
        stop_on_nan : bool
            Whether numbers that are not finite raise TrainingError before the step; see `fit`.
        memory_limit : int or str, optional
            The most bytes that the step may take; see `fit`.
        """
        return loop.train_on_batch(
            self, self._parts(x), y, stop_on_nan=stop_on_nan, memory_limit=memory_limit
        )

    @explained
    def evaluate(
        self, x: Any, y: Any, *, batch_size: int = 100, memory_limit: int | str | None = None
    ) -> dict[str, float]:
        """Return loss and metrics over all rows, exact for any batch size.

        Parameters
        ----------
        x, y : array-like (N, ...), or a tuple of them
        batch_size : int
            The most rows that are computed at a time.
        memory_limit : int or str, optional
            The most bytes that each batch may take; see `predict`.
        """
        return loop.evaluate(
            self, self._parts(x), y, batch_size=batch_size, memory_limit=memory_limit
        )

    def _parts(self, x: Any) -> tuple[Any, ...]:
        return tuple(inputs.split(x, self._graph))
