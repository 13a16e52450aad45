"""What networks for training and for inference share: a graph that runs and can be planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import batches, memory
from fastconv.arguments import as_bool, as_int, parse_bytes
from fastconv.concurrency import BoundedCache
from fastconv.errors import ArgumentError
from fastconv.models.graph import Graph, Node, inline, inputs, weights
from fastconv.models.running import Program, Schedule, give_back_packed, infer, schedule
from fastconv.models.text import explained, summarize, summary_html, unknown_attribute

if TYPE_CHECKING:  # planning is imported when a plan is asked for: many programs never do
    from fastconv.models.planning import Plan

__all__ = ["Network"]

Array = np.ndarray[Any, Any]


class Network:
    """A graph of layers that runs on arrays."""

    name: str | None
    _graph: Graph
    _learns = False
    compiled: Any = None
    _in_training: Callable[..., Any]
    _ready = True
    layout: batches.Layout | None = None

    def __getattr__(self, name: str) -> Any:
        if hasattr(type(self), name):  # a property that failed; its own error says why
            return object.__getattribute__(self, name)
        raise unknown_attribute(self, name)

    @property
    def trainable(self) -> bool:
        """No attribute of this name exists; the error says what to do instead."""
        raise unknown_attribute(self, "trainable")

    @trainable.setter
    def trainable(self, value: bool) -> None:
        raise unknown_attribute(self, "trainable")

    def _settle(self, graph: Graph, name: str | None) -> None:
        self._graph = graph
        self.name = name
        self._slots = weights.slots(graph)
        self.layout = inputs.layout(graph)
        self._cache = BoundedCache(partial(schedule, graph))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        # what another version of fastconv kept is of no use to this one
        self._cache = BoundedCache(partial(schedule, self._graph))

    def _pack(self) -> None:
        """Do before the first run what does not depend on its data."""
        for op in self._schedule(self._graph.outputs).operations:
            op.layer.pack()

    def _prepare(self) -> None:
        """Make what is made at the first use; it is called before anything runs."""

    def __call__(
        self,
        *xs: Any,
        training: bool = False,
        seed: int | None = None,
        memory_limit: int | str | None = None,
    ) -> Any:
        """Run one batch; or, given nodes of another graph, append this network's nodes to them.

        Parameters
        ----------
        *xs : array-like (N, ...), or Node
            One for each input. Arrays are cast to its dtype, but floats never to integers.
        training : bool
            Whether layers behave as in training; no weight and no statistic changes.
        seed : int, optional
            What then decides what dropout drops; by default something else each time.
        memory_limit : int or str, optional
            The most bytes, also as in ``"20 MB"``, that the run may take; see `predict`.

        Returns
        -------
        ndarray (N, ...), or a tuple of them for several outputs
            New arrays, never views of what was given.

        Raises
        ------
        ShapeError
            If a shape does not fit; the message says how to reshape.
        ArgumentTypeError
            If something is not made of real numbers.
        MemoryLimitError
            If `memory_limit` cannot be kept; the message has the least figure that could.
        """
        x = xs[0] if len(xs) == 1 else xs
        if training is not False or seed is not None:
            return self._in_training(x, training, seed, memory_limit)
        if memory_limit is not None:
            return self._predict("Model", x, None, memory_limit)
        if type(x) is not np.ndarray:
            nodes = x if isinstance(x, (tuple, list)) else (x,)
            if any(isinstance(node, Node) for node in nodes):
                self._prepare()
                return inline(self._graph, nodes)
        return self._run(inputs.cast(x, self._graph), self._graph.outputs)

    def _schedule(
        self, outputs: tuple[int, ...], *, merge: bool = True, training: bool = False
    ) -> Schedule:
        return self._cache[outputs, merge, training]  # type: ignore[no-any-return]

    def _run(self, values: list[Any], outputs: tuple[int, ...]) -> Any:
        if not self._ready:
            self._prepare()
        found = infer(self._schedule(outputs), values)
        return found[0] if len(found) == 1 else found

    def program(
        self,
        operation: str,
        memory_limit: int,
        batch_size: int,
        arrays: Sequence[Array],
        *,
        use: batches.Use = batches.PREDICTED,
        results: int | None = None,
        held: int = 0,
    ) -> Program:
        """Return how batches are run within `memory_limit`, as `fastconv.batches` asks for it."""
        self._prepare()
        results = batch_size if results is None else results
        made = inputs.bytes_made(arrays, self._graph, use.gathered)
        asked = batch_size, use.training, results, made
        program = self._plan(operation, use, *asked, memory_limit=memory_limit, held=held).program
        give_back_packed(self._schedule(self._graph.outputs, training=use.training), program)
        return program

    def cast_inputs(self, x: Any) -> tuple[Array, ...]:
        """Return one array for each input: its shape is checked, and it has the input's dtype."""
        return tuple(inputs.cast(x, self._graph))

    def predict_batch(self, xs: Sequence[Array], program: Program | None = None) -> Any:
        """Run one batch of arrays that `cast_inputs` gave, as `program` says."""
        if program is None:
            return self._run(list(xs), self._graph.outputs)
        steps = self._schedule(self._graph.outputs)
        found = memory.frugal(infer, steps, list(xs), program)
        return found[0] if len(found) == 1 else found

    @explained
    def predict(
        self, x: Any, batch_size: int = batches.BATCH_SIZE, *, memory_limit: int | str | None = None
    ) -> Any:
        """Return what the network returns, batch by batch, for any number of rows.

        Parameters
        ----------
        x : array-like (N, ...), or a tuple of them, or an iterable of batches
            An object with ``__len__`` and ``__getitem__`` is read row by row; one that also has a
            ``shape`` is given the row numbers of a batch. An iterable gives x, or (x, y).
        batch_size : int
            The most rows at a time, which changes no result; left out for an iterable of batches.
        memory_limit : int or str, optional
            The most bytes, also as in ``"20 MB"``, for activations, results, workspace, packed
            weights, and cast copies and read rows of `x` together. To keep within it, a run takes
            fewer rows at a time, takes slower algorithms, packs weights for each call, and reads
            no rows ahead. An iterable of batches has none.

        Raises
        ------
        MemoryLimitError
            If `memory_limit` cannot be kept; the message has the least figure that could.
        """
        return self._predict("predict", x, batch_size, memory_limit)

    def _predict(
        self, operation: str, x: Any, batch_size: int | None, memory_limit: int | str | None
    ) -> Any:
        given: Any = (x,)
        if type(x) is not np.ndarray or len(self._graph.input_ids) > 1:  # not the usual case
            given = inputs.stream(x, self._graph) or tuple(inputs.split(x, self._graph))
        return batches.predict(self, given, batch_size, memory_limit, operation)

    def intermediate(self, x: Any, ids: str | Sequence[str]) -> Any:
        """Return what one node makes of a batch, or a tuple of what several nodes make.

        Parameters
        ----------
        x : array-like (N, ...)
        ids : str or sequence of str
            Ids of nodes; the id of a layer's first use is the layer's name.
        """
        numbers = self._graph.numbers("intermediate", ids)
        found = self._run(inputs.cast(x, self._graph), numbers)
        return (found,) if len(numbers) == 1 and not isinstance(ids, str) else found

    def plan(
        self,
        batch_size: int = 1,
        *,
        training: bool = False,
        workspace_limit: int | str | None = None,
        memory_limit: int | str | None = None,
    ) -> Plan:
        """Return what one batch will take, node by node, without running it.

        Parameters
        ----------
        batch_size : int
        training : bool
            Whether to plan a step of `fit`, which gathers its batch in an array of its own, or
            inference.
        workspace_limit : int or str, optional
            The most bytes of workspace that a node may take, also as in ``"8 MiB"``.
        memory_limit : int or str, optional
            The most bytes for everything; the plan says how a run keeps within them.

        Returns
        -------
        Plan
            ``print`` shows a table; `Plan.to_dict` gives plain values.

        Raises
        ------
        MemoryLimitError
            If a limit cannot be kept; the message has the least figure that could.
        """
        batch_size = as_int("plan", "batch_size", batch_size, 1)
        training = as_bool("plan", "training", training)
        if training and not self._learns:
            rule = "must be False for a network made for inference"
            remedy = "plan the network it was made from"
            raise ArgumentError("plan", "training", rule, True, remedy)
        asked = batch_size, training, batch_size, inputs.bytes_gathered(self._graph, training)
        limits = {
            "workspace_limit": parse_bytes("plan", "workspace_limit", workspace_limit),
            "memory_limit": parse_bytes("plan", "memory_limit", memory_limit),
        }
        return self._plan("plan", batches.Use(training), *asked, **limits)

    def _plan(self, operation: str, use: batches.Use | None, *asked: Any, **more: Any) -> Plan:
        """Return the plan that is `asked` for, by the fields of Asked; `use` tells of outputs."""
        from fastconv.models.planning import Asked, measured_of, plan_of

        if use is not None:
            more["measured"] = measured = measured_of(self, asked[0], use)
            if "held" in more:  # of a run, whose metrics keep counts of all rows
                more["held"] += measured.kept
        return plan_of(self, Asked(*asked, **more), operation)

    def measure(
        self, batch_size: int = 1, *, training: bool = False, memory_limit: int | str | None = None
    ) -> int:
        """Run what `plan` describes twice, on random numbers; return the most bytes held at a time.

        It is the peak that a plan states, and some ten kilobytes more, which are Python's own
        objects. Weights that exist in packed form alone are counted with it. Training runs forward
        and backward, and changes no weight.

        Parameters
        ----------
        batch_size, training, memory_limit
            As in `plan`.

        Examples
        --------
        >>> import fastconv
        >>> net = fastconv.Sequential([("Conv2D", {"filters": 8, "kernel_size": 3})], (3, 64, 64))
        >>> 1.0 < net.measure(100) / net.plan(100).peak < 1.01
        True
        """
        from fastconv.models.planning import measure

        self._prepare()
        return measure(self, self.plan(batch_size, training=training, memory_limit=memory_limit))

    def _frozen(self) -> frozenset[str]:
        return frozenset(key for key, p in weights.named(self._graph).items() if not p.trainable)

    def summary(self) -> str:
        """Return a table of layers, output shapes and numbers of parameters."""
        return summarize(self._graph, self._slots, self._frozen(), self.name)

    def _repr_html_(self) -> str:
        return summary_html(self._graph, self._slots, self._frozen(), self.name)

    def count_params(self) -> int:
        """Return how many numbers the network can learn; a shared layer counts once."""
        return sum(slot.size for slot in self._slots.values() if slot.learned)
