"""Networks that have gradients: what the loop of training asks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import memory
from fastconv.arguments import as_bool, as_int, as_plain_array, parse_bytes
from fastconv.batches import Use, count_rows, held
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.layers.base import Layer
from fastconv.layers.parameter import Parameter
from fastconv.layers.spec import Spec
from fastconv.models.graph import inputs, learning
from fastconv.models.network import Network
from fastconv.models.running import Program, differentiate, loss_gradients, overlap, rehearse
from fastconv.models.text import explained

if TYPE_CHECKING:
    from fastconv.training.compiled import Compiled
    from fastconv.training.trainable import Accept, Answer

__all__ = ["DifferentiableNetwork"]

Array = np.ndarray[Any, Any]


class DifferentiableNetwork(Network):
    """A network that runs forward and backward.

    Attributes
    ----------
    compiled : Compiled or None
        Optimizer, loss and metrics, once `compile` has chosen them.
    gradients : mapping of str to ndarray
        The gradients of the loss in the last step, by ``layer/parameter``: before the optimizer
        clipped them or added a decay.
    """

    compiled: Compiled | None
    gradients: Mapping[str, Array]
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

    def input_specs(self) -> list[Spec]:
        """Return shape without the batch, and dtype, of each input."""
        return list(self._graph.input_specs)

    def output_specs(self) -> list[Spec]:
        """Return shape without the batch, and dtype, of each output."""
        return [self._graph.specs[output] for output in self._graph.outputs]

    def _in_training(
        self, xs: Any, training: bool, seed: int | None, memory_limit: int | str | None
    ) -> Any:
        """Return what the network returns for one batch in training."""
        if not as_bool("Model", "training", training):
            rule, remedy = "must come with training=True", "or leave it out"
            raise ArgumentError("Model", "seed", rule, seed, remedy)
        self._prepare()
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 1)
        seed = as_int("Model", "seed", seed, 0, 2**63 - 1)
        limit = parse_bytes("Model", "memory_limit", memory_limit)
        given = tuple(inputs.split(xs, self._graph))
        arrays = self.cast_inputs(xs)
        rows = count_rows(arrays, self.layout)
        choosy = self._cache.found("choosy", lambda: learning.choosy(self._graph))
        least, layer = learning.least_rows(self._graph, [(step, False) for step, _ in choosy])
        if layer:  # else no rows are right too
            from fastconv.training import data

            data.check_least("Model", "x", rows, least, layer)
        steps = self._schedule(self._graph.outputs, training=True)
        run = partial(rehearse, rng_key=(seed, 0))
        if limit is None:
            results = run(steps, list(arrays))
        else:
            program = self._rehearsal(limit, rows, given, arrays)
            results = memory.frugal(partial(run, program=program), steps, list(arrays))
        own = _own(results, arrays)
        return own[0] if len(own) == 1 else own

    def _rehearsal(
        self, limit: int, rows: int, given: Sequence[Any], arrays: Sequence[Array]
    ) -> Program:
        """Return how a batch is run forward, as in training, within `limit` bytes."""
        read = [np.asarray(array) for array in given]
        made = inputs.bytes_made(read, self._graph, False)
        lists = held(tuple(given), tuple(read))
        asked = {"memory_limit": limit, "held": lists, "backward": False}
        return self._plan("Model", None, rows, True, rows, made, **asked).program

    @explained
    def loss_gradients(
        self, x: Any, y: Any, *, sample_weight: Any = None, memory_limit: int | str | None = None
    ) -> dict[str, Array]:
        """Return the gradients of the loss on one batch, without a step; nothing changes.

        They are those that `train_on_batch` would give to the optimizer next: with the same
        dropout, and with the statistics of the batch. Weights, statistics, `gradients` and the
        count of steps stay as they are.

        Parameters
        ----------
        x, y : array-like (N, ...), or a tuple of them
        sample_weight : array-like (N,), optional
            How much each row counts in the loss.
        memory_limit : int or str, optional
            The most bytes that the run may take; see `fit`.

        Returns
        -------
        dict of str to ndarray
            By ``layer/parameter``; what is frozen has none.

        Raises
        ------
        ArgumentError
            If the network is not compiled: it has no loss yet.

        Examples
        --------
        >>> import fastconv
        >>> net = fastconv.Sequential([("Dense", {"units": 2})], (3,), seed=0)
        >>> net.compile("sgd", "softmax_cross_entropy")
        >>> gradients = net.loss_gradients([[1.0, 2.0, 3.0]], [1])
        >>> sorted(gradients), gradients["dense_1/weight"].shape
        (['dense_1/bias', 'dense_1/weight'], (2, 3))
        """
        from fastconv.training import data, weighting

        operation = "loss_gradients"
        self._prepare()
        compiled = self.compiled
        if compiled is None:
            remedy = 'call net.compile(optimizer="adam", loss="softmax_cross_entropy")'
            raise ArgumentError(operation, "model", "must be compiled first", remedy=remedy)
        given = tuple(inputs.split(x, self._graph))
        arrays, targets = data.as_data(operation, self, compiled, given, y)
        rows = count_rows(arrays, self.layout)
        data.check_least(operation, "x", rows, *self.least_rows())
        weights = weighting.as_weights(operation, sample_weight, rows, "sample_weight")
        if weights is not None:
            compiled.check_weights(operation, "sample_weight")
        limit = parse_bytes(operation, "memory_limit", memory_limit)
        run = partial(loss_gradients, rng_key=(self.seed, compiled.step))
        steps = self._schedule(self._graph.outputs, training=True)
        xs = list(self.cast_inputs(arrays if len(arrays) > 1 else arrays[0]))
        dloss = compiled.loss_function(targets, weights)
        if limit is None:
            found = run(steps, xs, dloss)
        else:
            lists = held(given, arrays)
            program = self.program(
                operation, limit, rows, arrays, use=Use(training=True), held=lists
            )
            found = memory.frugal(partial(run, program=program), steps, xs, dloss)
        return found


def _own(results: Sequence[Array], xs: Sequence[Array]) -> tuple[Array, ...]:
    """Return arrays that share no memory with the inputs or with each other."""
    own: list[Array] = []
    for y in results:
        taken = any(overlap(y, other) for other in (*xs, *own))
        own.append(y.copy() if taken else y)
    return tuple(own)
