"""Runs the operations of a schedule forward and backward, as a program decides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastconv import memory
from fastconv.errors import ShapeError
from fastconv.floating import quietly
from fastconv.layers.context import Context
from fastconv.layers.parameter import Parameter, assign_all
from fastconv.models.running import calls
from fastconv.models.running.program import Allowance, Program, Segment, whole
from fastconv.models.running.schedule import Operation, Schedule

if TYPE_CHECKING:
    from fastconv.training.trainable import Accept

__all__ = ["Gradients", "Pass", "Sums", "differentiate"]

Array = np.ndarray[Any, Any]
Losses = Callable[[tuple[Array, ...]], tuple[dict[str, float], Sequence[Array]]]
_FREELY = Allowance()


class Gradients(NamedTuple):
    """The gradients of parameters, by ``layer/parameter``, and of each input, or None for it."""

    params: dict[str, Array]
    inputs: list[Array | None]


@quietly
def differentiate(
    schedule: Schedule,
    values: list[Any],
    dloss: Losses,
    *,
    training: bool,
    rng_key: tuple[int, int],
    needs: Collection[str] = ("params",),
    program: Program | None = None,
    accept: Accept | None = None,
) -> tuple[tuple[Array, ...], dict[str, float], Gradients]:
    """Run forward, ask for the gradients of the outputs, and run backward.

    A value that several operations read gets the sum of their gradients. They are added from the
    last reader to the first, an order that the network fixes. Those of a shared layer are too.

    Parameters
    ----------
    schedule, values
        As `infer` takes them.
    dloss : callable
        Maps the outputs to (losses by name, one gradient for each output).
    training : bool
        Whether layers behave as in training; their new statistics then replace the old ones.
    rng_key : (int, int)
        Seed and step of the random numbers.
    needs : collection of str
        Which gradients are asked for: those of ``"inputs"``, ``"params"`` or both. No gradient is
        computed for a value that leads to none of them.
    program : Program, optional
        What each operation may take, and what is computed again. Without a program, an operation
        takes what it likes, and nothing is computed again.
    accept : callable, optional
        It is called with the gradients and the new statistics, by ``layer/parameter``. If it
        raises, the statistics stay as they are.
    """
    run = Pass(schedule, program, training, rng_key, needs)
    results, losses, found = run.gradients(values, dloss)
    statistics = run.new_statistics()
    if accept is not None:
        accept(found.params, {key: value for key, (_, value) in statistics.items()})
    if statistics:
        assign_all(list(statistics.values()))
    return results, losses, found


class Pass:
    """One pass forward and backward, segment by segment."""

    def __init__(
        self,
        schedule: Schedule,
        program: Program | None,
        training: bool,
        rng_key: tuple[int, int],
        needs: Collection[str],
    ) -> None:
        self.schedule, self.training, self.rng_key = schedule, training, rng_key
        self.params = "params" in needs
        made = schedule.values - schedule.inputs
        self.needs = ["inputs" in needs] * schedule.inputs + [False] * made
        for number in schedule.integers:
            self.needs[number] = False
        #: What the random numbers are keyed by beside seed, step and node.
        self.key: tuple[int, ...] = ()
        #: What layers that synchronise take of the whole batch, by operation.
        self.moments: dict[int, Array] = {}
        self.segments = whole(schedule) if program is None else program.segments
        self.allowances = None if program is None else program.allowances
        self.contexts: list[Context | None] = [None] * len(schedule.operations)
        self.checkpoints: dict[Segment, dict[int, Array]] = {}
        self.statistics: list[tuple[Operation, dict[str, Array]]] = []

    def gradients(
        self, values: list[Any], dloss: Losses
    ) -> tuple[tuple[Array, ...], dict[str, float], Gradients]:
        """Return outputs, losses and gradients; no parameter and no statistic changes."""
        results = self.forward(values)
        losses, sums = self.slopes_of(results, dloss)
        by_param = self.backward(sums)
        dxs = [sums.arrays.get(number) for number in range(self.schedule.inputs)]
        return results, losses, Gradients(by_param, dxs)

    def slopes_of(self, results: tuple[Array, ...], dloss: Losses) -> tuple[dict[str, float], Sums]:
        """Return the losses, and the gradients of the outputs."""
        losses, dys = dloss(results)
        sums = Sums()
        for number, y, dy in zip(self.schedule.outputs, results, dys, strict=True):
            if dy.shape != y.shape:
                raise ShapeError("backward", "dy", f"must have the shape {y.shape}", dy.shape)
            sums.add(number, dy)
        return losses, sums

    def forward(
        self, values: list[Any], watch: Callable[[Operation, Array], None] | None = None
    ) -> tuple[Array, ...]:
        """Return the outputs; keep contexts, or the values to compute a segment again from.

        `watch` is called with each operation and its output.
        """
        self.begin(values)
        for segment in self.segments:
            for at in range(segment.begin, segment.end):
                self.go_on(segment, at, values)
                if watch is not None:
                    op = self.schedule.operations[at]
                    watch(op, values[op.target])
                self.drop(at, values)
        return self.results(values)

    def begin(self, values: list[Any]) -> None:
        """Make room for all values behind the inputs."""
        values.extend([None] * (self.schedule.values - len(values)))

    def go_on(self, segment: Segment, at: int, values: list[Any]) -> None:
        """Run one operation of a segment forward."""
        if segment.recomputed and at == segment.begin:
            self.checkpoints[segment] = {v: values[v] for v in segment.sources}
        op = self.schedule.operations[at]
        ctx = self._run(at, values)
        if ctx.new_state and ctx.training:
            self.statistics.append((op, ctx.new_state))
        if self.needs[op.target] and not segment.recomputed:
            self.contexts[at] = ctx

    def drop(self, at: int, values: list[Any]) -> None:
        """Let go what nobody reads behind operation `at`."""
        for number in self.schedule.operations[at].drops:
            values[number] = None

    def results(self, values: list[Any]) -> tuple[Array, ...]:
        """Return the outputs; let go all values."""
        results = tuple(values[number] for number in self.schedule.outputs)
        values.clear()
        return results

    def new_statistics(self) -> dict[str, tuple[Parameter, Array]]:
        """Return each statistic that the layers gave, by ``layer/parameter``, and its new value."""
        return {
            f"{op.name}/{name}": calls.new_state(op, name, value)
            for op, new_state in self.statistics
            for name, value in new_state.items()
        }

    def backward(self, sums: Sums) -> dict[str, Array]:
        """Return the gradients of the parameters; leave those of the inputs in `sums`."""
        by_param = Sums()
        for segment in reversed(self.segments):
            if segment.recomputed:
                self.again(segment)
            for at in reversed(range(segment.begin, segment.end)):
                self.back(at, sums, by_param)
                self.passed(at, by_param.arrays)
        return by_param.arrays

    def passed(self, at: int, by_param: dict[str, Array]) -> None:
        """Do what is to be done behind operation `at` of the backward pass; here nothing."""

    def back(self, at: int, sums: Sums, by_param: Sums) -> None:
        """From the gradient of one output, compute those of its inputs and parameters.

        This is a function of its own so that no local name keeps an array alive for longer.
        """
        op = self.schedule.operations[at]
        ctx, self.contexts[at] = self.contexts[at], None
        if op.target not in sums.arrays:
            return
        dy, owned = sums.pop(op.target)
        if ctx is None:
            return
        ctx.may_overwrite = owned
        if self.allowances is not None:
            ctx.workspace_limit = self.allowances[at].backward
        for source, dx in zip(op.sources, calls.backward(op, ctx, dy), strict=True):
            if self.needs[source]:
                # if a layer returns dy itself, that is ours only if dy was
                new = op.layer.new_gradients and (owned or not calls.overlap(dx, dy))
                sums.add(source, dx, owned=new)
        for name, gradient in ctx.grads.items():
            by_param.add(f"{op.name}/{name}", gradient)

    def again(self, segment: Segment) -> None:
        """Compute again the contexts of a segment; its new statistics are known already."""
        values = self.checkpoints.pop(segment)
        for at, drops in zip(range(segment.begin, segment.end), segment.drops, strict=True):
            ctx = self._run(at, values)
            if self.needs[self.schedule.operations[at].target]:
                self.contexts[at] = ctx
            del ctx
            for number in drops:
                del values[number]

    def _run(self, at: int, values: Any) -> Context:
        """Compute one operation into `values`; return its context."""
        op = self.schedule.operations[at]
        allowed = _FREELY if self.allowances is None else self.allowances[at]
        sources: tuple[bool, ...] = ()
        learns: frozenset[str] = frozenset()
        if op.has_gradient:
            sources = tuple(self.needs[source] for source in op.sources)
            learns = self._learns(op)
        ctx = Context(
            self.training and not op.layer.frozen,
            needs=sources,
            needs_params=learns,
            rng_key=(*self.rng_key, op.number, *self.key),
            workspace_limit=allowed.forward,
            lends=allowed.lends and self.allowances is not None,
        )
        ctx.may_overwrite = op.over is not None
        ctx.moments = self.moments.get(at)
        ctx.given = [(values[source].shape, values[source].dtype) for source in op.sources]
        values[op.target] = calls.forward(op, ctx, values)
        self.needs[op.target] = ctx.differentiated
        return ctx

    def _learns(self, op: Operation) -> frozenset[str]:
        named = op.layer.parameters.items()
        return frozenset(name for name, p in named if p.trainable and self.params)


class Sums:
    """Adds up arrays by key; it writes only to arrays that nobody else reads."""

    def __init__(self) -> None:
        self.arrays: dict[Any, Array] = {}
        self._owned: set[Any] = set()

    def add(self, key: Any, array: Array | None, owned: bool = False) -> None:
        """Add `array` to the sum of `key`; `owned` says that nobody else reads `array`."""
        assert array is not None
        before = self.arrays.get(key)
        if before is None:
            self.arrays[key] = array
            if owned:
                self._owned.add(key)
        elif before.shape != array.shape:
            shown = f"{before.shape} and {array.shape}"
            rule = "of one value must have one shape"
            raise ShapeError("backward", "gradients", rule, array.shape, shown=shown)
        else:
            out = before if key in self._owned else memory.empty(before.shape, before.dtype)
            self.arrays[key] = np.add(before, array, out=out)
            self._owned.add(key)

    def pop(self, key: Any) -> tuple[Array, bool]:
        """Return and forget the sum of `key`, and whether it may be written to."""
        owned = key in self._owned
        self._owned.discard(key)
        return self.arrays.pop(key), owned
