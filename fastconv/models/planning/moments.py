"""What is alive at each moment of a run: the memory of a plan, moment after moment."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fastconv.layers.spec import LayerCosts, PassCosts
from fastconv.models.planning.calls import forward_bytes, packing_bytes, splitting_seconds
from fastconv.models.planning.plan import Moment
from fastconv.models.planning.prices import Fitted, Prices

__all__ = ["kept_beside", "live_bytes", "moments_of", "peak_of", "seconds_of"]


def moments_of(prices: Prices, fitted: Fitted) -> tuple[Moment, ...]:
    """Return the moments of a run of `fitted`.

    Without a limit a run keeps its workspace from call to call, so the largest one counts
    everywhere.
    """
    program, costs = fitted.program, fitted.costs
    lends = [one.lends for one in program.allowances]
    kept = {op.name for op, lent in zip(prices.operations, lends, strict=True) if not lent}
    packed = packing_bytes(prices.operations, prices.resident(costs), kept)
    forward = [forward_bytes(c, lent) for c, lent in zip(costs, lends, strict=True)]
    backward = [(c.backward or c).temporary if prices.training else 0 for c in costs]
    steady, arena = prices.memory_limit is None, max([0, *forward, *backward])
    stays = arena + kept_beside(prices) if steady else 0
    calls = {"forward": forward, "again": forward, "backward": backward}
    once = _measured(prices, fitted)
    found = []
    for held, share in prices.held(fitted):
        own = once[held.phase] if held.at < 0 else 0 if steady else calls[held.phase][held.at]
        algorithm, cost = _of_phase(costs, held.phase, held.at)
        found.append(
            Moment(
                held.phase,
                held.at,
                algorithm,
                held.activations,
                held.saved,
                held.gradients,
                own + stays,
                packed,
                share * cost.seconds,
            )
        )
    return tuple(found)


def kept_beside(prices: Prices) -> int:
    """Return what losses and metrics take while the arrays of a step stay for the next one."""
    if prices.memory_limit is not None or not prices.training:
        return 0
    return max(prices.measured.fixed, prices.measured.metric_bytes(prices.batch))


def peak_of(prices: Prices, moments: Sequence[Moment]) -> tuple[int, str]:
    """Return the most bytes alive at one time, and where that is."""
    count = len(prices.operations)
    there = live_bytes(moments, ("forward", "again"), count)
    back = live_bytes(moments, ("backward",), count)
    found = []
    for op, forward, backward in zip(prices.operations, there, back, strict=True):
        found += [(forward, op.id), (backward, f"{op.id} backward")]
    found += [(moment.nbytes, f"the {moment.phase}") for moment in moments if moment.at < 0]
    peak, where = max(found, key=lambda one: one[0], default=(0, ""))
    return peak, where if peak else ""


def live_bytes(moments: Sequence[Moment], phases: Collection[str], count: int) -> list[int]:
    """Return for each of `count` operations the most bytes alive in some phases."""
    live = [0] * count
    for moment in moments:
        if moment.phase in phases:
            live[moment.at] = max(live[moment.at], moment.nbytes)
    return live


def seconds_of(prices: Prices, fitted: Fitted, moments: Sequence[Moment]) -> float:
    """Estimate the time of a run: of its calls and, in inference, of smaller runs."""
    took = sum(moment.seconds for moment in moments)
    if prices.training:
        return took

    def lent_bytes(begin: int, end: int) -> int:
        parts = zip(fitted.costs[begin:end], fitted.program.allowances[begin:end], strict=True)
        return sum(cost.packed for cost, allowed in parts if allowed.lends)

    return took + splitting_seconds(
        prices.batch, fitted.program.parts, lent_bytes, prices.row_bytes
    )


def _measured(prices: Prices, fitted: Fitted) -> dict[str, int]:
    """Return what losses and metrics take of their own."""
    measured, rows = prices.measured, prices.batch
    if not prices.training:
        return {"loss": measured.most(fitted.program.rows)}
    counted = measured.fixed if prices.memory_limit is None else 0
    return {"loss": measured.loss_bytes(rows) - counted, "metrics": measured.metric_bytes(rows)}


def _of_phase(costs: Sequence[LayerCosts], phase: str, at: int) -> tuple[str, PassCosts]:
    """Return the algorithm and the costs of the call that runs at a moment."""
    if at < 0:
        return "", PassCosts()
    cost = costs[at]
    if phase == "backward":
        return cost.backward_algorithm, cost.backward or PassCosts()
    return cost.algorithm, cost
