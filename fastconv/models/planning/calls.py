"""What calls of layers take beside what their workspace limit counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

from fastconv.layers.spec import LayerCosts, PassCosts
from fastconv.models.running import Operation, Stage

__all__ = ["beside", "forward_bytes", "packing_bytes", "splitting_seconds"]

# These figures serve only to compare ways that all keep within a limit.
PACKED_BYTES_PER_SECOND = 8e9
GATHERED_BYTES_PER_SECOND = 1e10
SECONDS_A_CALL = 8e-6


def packing_bytes(
    operations: Sequence[Operation], costs: Sequence[LayerCosts], kept: Collection[str]
) -> int:
    """Return the bytes of packed weights of the layers `kept`; a shared layer counts once."""
    by_name: dict[str, int] = {}
    for op, cost in zip(operations, costs, strict=True):
        if op.name in kept:
            by_name[op.name] = max(by_name.get(op.name, 0), cost.packed)
    return sum(by_name.values())


def beside(cost: PassCosts) -> int:
    """Return the bytes of a call that its ``workspace_limit`` does not count: packed weights."""
    return cost.temporary - cost.lowest_limit


def forward_bytes(cost: LayerCosts, lends: bool) -> int:
    """Return the temporary bytes of a forward pass, without packed weights that are kept.

    A layer that states none may pack for each call, whoever lends: `together` has it.
    """
    return cost.temporary if lends or not cost.packed else cost.workspace


def splitting_seconds(
    batch: int,
    stages: Sequence[Stage],
    lent_bytes: Callable[[int, int], int],
    row_bytes: Callable[[tuple[int, ...]], int],
) -> float:
    """Estimate the seconds of all calls, of packing for each call, and of gathering rows.

    Parameters
    ----------
    batch : int
    stages : sequence of Stage
    lent_bytes : callable
        Returns for the first operation and the one after the last what they pack for each call.
    row_bytes : callable
        Returns the bytes of one row of some values.
    """
    total = 0.0
    for at, stage in enumerate(stages):
        runs = math.ceil(batch / stage.rows)
        calls = (stage.end - stage.begin) * SECONDS_A_CALL
        total += runs * (calls + lent_bytes(stage.begin, stage.end) / PACKED_BYTES_PER_SECOND)
        if at and stages[at - 1].rows < stage.rows:
            total += batch * row_bytes(stage.sources) / GATHERED_BYTES_PER_SECOND
    return total
