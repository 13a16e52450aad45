"""What trained and frozen networks have in common: a graph that runs and can be planned."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from fastconv import memory
from fastconv.arguments import as_bool, as_int, as_text, is_sequence, parse_bytes
from fastconv.errors import ArgumentError, ArgumentTypeError, nearest
from fastconv.models import execute, inputs, weights
from fastconv.models.graph import Graph, Node, connect
from fastconv.models.measure import measure
from fastconv.models.plan import Plan
from fastconv.models.planning import make_plan
from fastconv.models.prices import Shared
from fastconv.models.program import Program
from fastconv.models.schedule import Schedule, schedule
from fastconv.models.summary import summarize
from fastconv.models.words import explained, unknown_attribute
from fastconv.threads import get_num_threads
from fastconv.training import loop

__all__ = ["Network"]

Array = np.ndarray[Any, Any]
T = TypeVar("T")


class BoundedCache(dict[Hashable, Any]):
    """The results made last; copies of it are empty.

    There is no lock: each step is one operation on a dict, and threads that come at once may
    both make what is not there, of which the first is kept.

    Parameters
    ----------
    make : callable
        Makes of a key, a tuple of arguments, what `found` was not given a function for.
    size : int
        The most entries.
    """

    def __init__(self, make: Callable[..., Any], size: int = 32) -> None:
        super().__init__()
        self._make, self._size = make, size

    def __missing__(self, key: tuple[Any, ...]) -> Any:
        return self.found(key, partial(self._make, *key))

    def found(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the entry of `key`, made by `make` when it is not there."""
        entry = self.get(key)
        if entry is None:
            entry = self.setdefault(key, make())
            for oldest in list(self.keys())[: -self._size]:
                self.pop(oldest, None)
        return entry  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return BoundedCache, (self._make, self._size)


class Network:
    """A graph of layers that runs on arrays."""

    name: str | None
    _graph: Graph
    _learns = False
    _ready = True

    def __getattr__(self, name: str) -> Any:
        if hasattr(type(self), name):  # a property that failed says why
            return object.__getattribute__(self, name)
        raise unknown_attribute(self, name)

    @property
    def trainable(self) -> bool:
        """Nothing here has this name; the error says what is meant by it."""
        raise unknown_attribute(self, "trainable")

    @trainable.setter
    def trainable(self, value: bool) -> None:
        raise unknown_attribute(self, "trainable")

    def _settle(self, graph: Graph, name: str | None) -> None:
        self._graph = graph
        self.name = name
        self._slots = weights.slots(graph)
        self._cache = BoundedCache(partial(schedule, graph))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        # what an earlier version kept is no use to this one
        self._cache = BoundedCache(partial(schedule, self._graph))

    def _pack(self) -> None:
        """Do ahead of the first run what does not depend on its data."""
        for op in self._schedule(self._graph.outputs).operations:
            op.layer.pack()

    def _prepare(self) -> None:
        """Make what is made on first use; called before anything runs."""

    def __call__(self, *xs: Any, memory_limit: int | str | None = None) -> Any:
        """Run one batch, or put the network's nodes behind nodes of another graph.

        Parameters
        ----------
        *xs : array-like (N, ...), or Node
            One for each input; they are cast to the network's dtype.
        memory_limit : int or str, optional
            Bytes, or such as ``"20 MB"``, that the run keeps within; see `predict`.

        Returns
        -------
        ndarray (N, ...), or a tuple of them for several outputs
            Arrays of their own, never views of what was given.

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
        if memory_limit is not None:
            return self._predict("Model", x, None, memory_limit)
        if type(x) is not np.ndarray:
            nodes = x if isinstance(x, (tuple, list)) else (x,)
            if any(isinstance(node, Node) for node in nodes):
                return self._inline(nodes)
        graph = self._graph
        return self._run(inputs.cast(x, graph), graph.outputs)

    def _inline(self, nodes: Sequence[Any]) -> Any:
        graph = self._graph
        if len(nodes) != len(graph.input_ids) or not all(isinstance(n, Node) for n in nodes):
            count = len(graph.input_ids)
            raise ArgumentError("Model", "nodes", f"must be one for each of {count} inputs", nodes)
        self._prepare()
        values = list(nodes)
        for step in graph.steps:
            sources = (values[source] for source in step.sources)
            values.append(connect(step.layer, *sources, name=step.id))
        made = tuple(values[output] for output in graph.outputs)
        return made[0] if len(made) == 1 else made

    def _schedule(
        self, outputs: tuple[int, ...], *, merge: bool = True, training: bool = False
    ) -> Schedule:
        return self._cache[outputs, merge, training]  # type: ignore[no-any-return]

    def _run(self, values: list[Any], outputs: tuple[int, ...]) -> Any:
        if not self._ready:
            self._prepare()
        found = execute.infer(self._schedule(outputs), values)
        return found[0] if len(found) == 1 else found

    def program(
        self,
        operation: str,
        memory_limit: int,
        batch_size: int,
        arrays: Sequence[Array],
        *,
        training: bool = False,
        gathered: bool = False,
        results: int | None = None,
        held: int = 0,
    ) -> Program:
        """Return how batches are run within `memory_limit`, which `operation` was given.

        Parameters
        ----------
        operation : str
        memory_limit : int
        batch_size : int
        arrays : sequence of ndarray
            All rows of each input, before they are cast.
        training : bool
        gathered : bool
            Whether the rows of a batch are copied together first.
        results : int, optional
            Rows of results that are made in all.
        held : int
            Bytes of `arrays` that are no arrays of the caller, but made of lists.
        """
        self._prepare()
        made = [
            (0 if array.dtype == spec.numpy_dtype else spec.nbytes)
            + (array.itemsize * spec.size if gathered else 0)
            for array, spec in zip(arrays, self._graph.input_specs, strict=True)
        ]
        program = self._plan(
            operation, batch_size, training=training, memory_limit=memory_limit,
            results=results, input_bytes=made, held=held,
        ).program  # fmt: skip
        execute.give_back_packed(self._schedule(self._graph.outputs, training=training), program)
        return program

    def cast_inputs(self, x: Any) -> tuple[Array, ...]:
        """Return one array for each input, of the network's dtype and checked shape."""
        return tuple(inputs.cast(x, self._graph))

    def predict_batch(self, xs: Sequence[Array], program: Program | None = None) -> Any:
        """Run one batch of arrays that `cast_inputs` gave, as `program` says."""
        if program is None:
            return self._run(list(xs), self._graph.outputs)
        steps = self._schedule(self._graph.outputs)
        found = memory.frugal(execute.infer, steps, list(xs), program)
        return found[0] if len(found) == 1 else found

    @explained
    def predict(
        self, x: Any, batch_size: int = 100, *, memory_limit: int | str | None = None
    ) -> Any:
        """Return what the network returns, batch by batch, for any number of rows.

        Parameters
        ----------
        x : array-like (N, ...), or a tuple of them
        batch_size : int
            Rows computed at a time, at most; the result does not depend on it.
        memory_limit : int or str, optional
            Bytes, or such as ``"20 MB"``, that activations, results, workspace, packed weights
            and cast copies of `x` keep within; fewer rows at a time, slower algorithms and
            packing for each call are taken where needed.

        Raises
        ------
        MemoryLimitError
            If `memory_limit` cannot be kept; the message has the least figure that could.
        """
        return self._predict("predict", x, batch_size, memory_limit)

    def _predict(
        self, operation: str, x: Any, batch_size: int | None, memory_limit: int | str | None
    ) -> Any:
        runner: Any = self  # predicting needs no gradients
        return loop.predict(
            runner, tuple(inputs.split(x, self._graph)), batch_size=batch_size,
            memory_limit=memory_limit, operation=operation,
        )  # fmt: skip

    def intermediate(self, x: Any, ids: str | Sequence[str]) -> Any:
        """Return what one node, or a tuple of what several, make of a batch.

        Parameters
        ----------
        x : array-like (N, ...)
        ids : str or sequence of str
            Ids of nodes; that of a layer's first use is the layer's name.
        """
        known = {name: number for number, name in enumerate(self._graph.ids)}
        if not is_sequence(ids) and not isinstance(ids, str):
            rule = "must be the id of a node, or a list of them"
            raise ArgumentTypeError("intermediate", "ids", rule, ids)
        asked = [ids] if isinstance(ids, str) else list(ids)
        for name in asked:
            as_text("intermediate", "ids", name)
            if name not in known:
                there = f"there are {', '.join(nearest(name, known) or list(known)[:8])}"
                raise ArgumentError("intermediate", "ids", "must be of nodes", name, there)
        values = inputs.cast(x, self._graph)
        found = self._run(values, tuple(known[name] for name in asked))
        return (found,) if len(asked) == 1 and not isinstance(ids, str) else found

    def plan(
        self,
        batch_size: int = 1,
        *,
        training: bool = False,
        workspace_limit: int | str | None = None,
        memory_limit: int | str | None = None,
    ) -> Plan:
        """Return what one batch takes, node by node, before it runs.

        Parameters
        ----------
        batch_size : int
        training : bool
            Whether of a step of `fit`, which gathers its batch in an array of its own, or of
            inference.
        workspace_limit : int or str, optional
            Bytes, or such as ``"8 MiB"``: the most workspace a node may take.
        memory_limit : int or str, optional
            The most bytes of all; the plan says how a run keeps within them.

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
            raise ArgumentError(
                "plan", "training", "must be False for a network made for inference", True,
                "plan the network it was made from",
            )  # fmt: skip
        rows = [spec.nbytes for spec in self._graph.input_specs] if training else None
        return self._plan(
            "plan", batch_size, training=training, input_bytes=rows,
            workspace_limit=parse_bytes("plan", "workspace_limit", workspace_limit),
            memory_limit=parse_bytes("plan", "memory_limit", memory_limit),
        )  # fmt: skip

    def _plan(
        self,
        operation: str,
        batch_size: int,
        *,
        training: bool,
        workspace_limit: int | None = None,
        memory_limit: int | None = None,
        results: int | None = None,
        input_bytes: Sequence[int] | None = None,
        held: int = 0,
    ) -> Plan:
        results = batch_size if results is None else results
        given = tuple(input_bytes or [0] * len(self._graph.input_specs))
        frozen = self._frozen() if training else frozenset()
        mode = (training, workspace_limit, get_num_threads(), frozen)

        def make() -> Plan:
            return make_plan(
                self._graph,
                self._schedule(self._graph.outputs, training=training),
                self._slots,
                frozen,
                batch_size,
                training=training,
                workspace_limit=workspace_limit,
                memory_limit=memory_limit,
                results=results,
                input_bytes=given,
                held=held,
                shared=self._cache.found(("shared", *mode), Shared),
                operation=operation,
            )

        key = ("plan", *mode, batch_size, memory_limit, results, given, held)
        return self._cache.found(key, make)

    def measure(
        self,
        batch_size: int = 1,
        *,
        training: bool = False,
        memory_limit: int | str | None = None,
    ) -> int:
        """Run what `plan` is of twice, on random numbers; return the most bytes held at one time.

        What a plan states is this figure, but for some ten kilobytes of Python's own objects,
        which are in it too. Training runs forward and backward and changes no weight.

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
        self._prepare()
        return measure(self, self.plan(batch_size, training=training, memory_limit=memory_limit))

    def _frozen(self) -> frozenset[str]:
        return frozenset(key for key, p in weights.named(self._graph).items() if not p.trainable)

    def summary(self) -> str:
        """Return a table of layers, output shapes and numbers of parameters."""
        return summarize(self._graph, self._slots, self._frozen(), self.name)

    def count_params(self) -> int:
        """Return how many numbers the network learns, frozen or not; a shared layer counts once."""
        return sum(slot.size for slot in self._slots.values() if slot.learned)
