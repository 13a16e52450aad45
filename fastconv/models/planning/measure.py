"""Runs what was planned on random numbers, and measures the most bytes held at one time."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import memory
from fastconv.batches import Use, take
from fastconv.models.planning.plan import Plan
from fastconv.models.planning.subject import measured_of

__all__ = ["measure"]

LEARNED = Use(training=True)


def _losses(net: Any, rows: int) -> Callable[[Any], Any]:
    """Return what `forward_backward` takes for losses: the network's own, if it is compiled."""
    from fastconv.training.losses.blockwise import BlockwiseLoss

    compiled = net.compiled
    if compiled is not None and all(isinstance(one, BlockwiseLoss) for one in compiled.losses):
        shapes = [spec.whole_shape(rows) for spec in net.output_specs()]
        targets = tuple(np.zeros(shape) for shape in shapes)
        for target in targets:  # right for every such loss; for classes the shares of the first
            target[:, :1] = 1
        made: Callable[[Any], Any] = compiled.loss_function(targets, np.ones(rows))
        return made

    def like(ys: tuple[np.ndarray, ...]) -> tuple[dict[str, float], list[np.ndarray]]:
        """Take the memory of losses that nobody can call, since their targets are unknown."""
        gradients = [memory.empty(y.shape, y.dtype) for y in ys]
        for gradient in gradients:
            gradient.fill(0)
        beside = measured_of(net, rows, LEARNED).loss_bytes(rows) - sum(y.nbytes for y in ys)
        memory.empty(max(0, beside), np.uint8)
        return {}, gradients

    return like


def measure(net: Any, plan: Plan) -> int:
    """Return the most bytes held at one time while what `plan` describes is run twice.

    There are two runs so that what the first keeps for the next one is counted.  The bytes are
    what tracemalloc counts: NumPy's arrays, and some ten kilobytes of Python's own objects; and
    weights that exist in packed form alone, which were there before.  A run of training goes
    forward and backward.  It changes no weight, but it does change statistics.

    Parameters
    ----------
    net : fastconv.Model or fastconv.InferenceModel
    plan : Plan
        A plan of `net` without a workspace limit.
    """
    rng = np.random.default_rng(0)
    rows = plan.batch_size
    specs = net._graph.input_specs
    xs = tuple(
        rng.standard_normal(spec.whole_shape(rows)).astype(spec.dtype)
        if spec.is_float
        else np.zeros(spec.whole_shape(rows), spec.dtype)  # 0 is the number of a row in any table
        for spec in specs
    )
    order = np.arange(rows)

    dloss = _losses(net, rows) if plan.training else None

    def run() -> None:
        if not plan.training:
            net(*xs, memory_limit=plan.memory_limit)
            return
        program = None if plan.memory_limit is None else plan.program
        net.gradients = {}
        gathered = take(xs, order, net.layout)  # which the loop holds to the end of a step
        outputs = net.forward_backward(gathered, dloss, 0, program)
        np.empty(rows * measured_of(net, rows, LEARNED).metrics, np.uint8)
        del outputs  # which metrics are of

    run()  # to make what is made only once, such as plans and the pool of threads
    there = 0
    for layer in net._graph.layers.values():
        for parameter in layer.parameters.values():
            parameter.unpack()
            there += parameter.packed_nbytes  # it can be made of nothing else
    if plan.training:
        net.gradients = {}
    memory.release()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run()
        run()
        return tracemalloc.get_traced_memory()[1] - before + there
    finally:
        tracemalloc.stop()
        memory.release()
