"""Plans a network for many limits, and makes the page that shows the plans."""

from __future__ import annotations

from typing import Any

from fastconv import models
from fastconv.arguments import as_bool, as_int
from fastconv.errors import ArgumentError, ArgumentTypeError, MemoryLimitError
from fastconv.memory import parse_bytes
from fastconv.models import Plan
from fastconv.plot.page.document import document
from fastconv.plot.page.figures import figures_of

__all__ = ["LIMITS", "plan_page"]

#: How many limits are planned, the least and what is taken freely among them.
LIMITS = 24


def plan_page(
    net: models.Model | models.InferenceModel,
    batch_size: int = 1,
    *,
    training: bool = False,
    workspace_limit: int | str | None = None,
    memory_limit: int | str | None = None,
) -> str:
    """Return a page of HTML that shows what a network takes within every memory limit.

    The page needs nothing beside itself: no server, no other file, no network. It has bars of
    what is alive at each moment and while each layer runs, what each algorithm would take for
    each convolution, and a slider. The slider stops at 24 limits, which divide what lies between
    the least possible and what a run takes freely into equal ratios, and at no limit at all. Each
    stop shows a plan: algorithms, rows at a time, layers that are computed again, and the price.

    Parameters
    ----------
    net : Model or InferenceModel
    batch_size : int
    training : bool
        Whether to plan a step of training, or inference.
    workspace_limit : int or str, optional
        The most bytes of workspace that a node may take, in all these plans.
    memory_limit : int or str, optional
        Where the slider stands at first, which is then one more stop. By default there is no limit.

    Returns
    -------
    str
        A whole document, of ASCII alone.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If an argument is wrong, or a network made for inference is to be trained.
    MemoryLimitError
        If a limit cannot be kept; the message has the least figure that could.

    Examples
    --------
    >>> import fastconv
    >>> net = fastconv.Sequential([("Conv2D", {"filters": 8, "kernel_size": 3})], (3, 64, 64))
    >>> page = plan_page(net, batch_size=10)
    >>> page.startswith("<!DOCTYPE html>"), "://" in page
    (True, False)
    """
    operation = "plan_page"
    if not isinstance(net, (models.Model, models.InferenceModel)):
        rule, remedy = "must be a network", "give it what fastconv.load or Sequential returned"
        raise ArgumentTypeError(operation, "net", rule, net, remedy, shown=type(net).__name__)
    batch_size = as_int(operation, "batch_size", batch_size, 1)
    if as_bool(operation, "training", training) and isinstance(net, models.InferenceModel):
        rule = "must be False for a network made for inference"
        remedy = "give it the network that this was made from"
        raise ArgumentError(operation, "training", rule, True, remedy)
    workspace = parse_bytes(operation, "workspace_limit", workspace_limit)
    chosen = parse_bytes(operation, "memory_limit", memory_limit)

    def plan(limit: int | None) -> Plan:
        return net.plan(
            batch_size, training=training, workspace_limit=workspace, memory_limit=limit
        )

    try:
        free = plan(None)
        least = _least(plan)
        limits = _spread(least, free.peak)
        if chosen is not None:
            limits = sorted({*limits, chosen})
        plans = [*map(plan, limits), free]
    except MemoryLimitError as error:
        parts = error.parameter, error.rule, error.value, error.remedy
        raise MemoryLimitError(operation, *parts, least=error.least) from None
    start = len(limits) if chosen is None else limits.index(chosen)
    return document(figures_of(net.name or type(net).__name__, plans, start))


def _least(plan: Any) -> int:
    """Return the smallest limit for which there is a plan."""
    try:
        return int(plan(0).peak)
    except MemoryLimitError as error:
        if error.parameter != "memory_limit":
            raise
        return error.least


def _spread(least: int, most: int) -> list[int]:
    """Return whole numbers from `least` to `most`, each as many times the one before it."""
    ratio = most / max(1, least)
    between = (round(least * ratio ** (at / (LIMITS - 1))) for at in range(1, LIMITS - 1))
    return sorted({least, most, *(min(max(least, limit), most) for limit in between)})
