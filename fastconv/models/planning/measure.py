"""Runs what was planned on random numbers, and measures the most bytes held at one time."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import numpy as np

from fastconv import memory
from fastconv.batches import take
from fastconv.models.planning.plan import Plan

__all__ = ["measure"]


def measure(net: Any, plan: Plan) -> int:
    """Return the most bytes held at one time while what `plan` describes is run twice.

    There are two runs so that what the first keeps for the next one is counted.  The bytes are
    what tracemalloc counts: NumPy's arrays, and some ten kilobytes of Python's own objects.  A run
    of training goes forward and backward.  It changes no weight, but it does change statistics.

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

    def dloss(ys: tuple[np.ndarray, ...]) -> tuple[dict[str, float], list[np.ndarray]]:
        return {}, [np.zeros_like(y) for y in ys]

    def run() -> None:
        if not plan.training:
            net(*xs, memory_limit=plan.memory_limit)
            return
        program = None if plan.memory_limit is None else plan.program
        net.gradients = {}
        net.forward_backward(take(xs, order, net.layout), dloss, 0, program)

    run()  # to make what is made only once, such as plans and the pool of threads
    for layer in net._graph.layers.values():
        for parameter in layer.parameters.values():
            parameter.unpack()
    if plan.training:
        net.gradients = {}
    memory.release()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run()
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
        memory.release()
