"""Which layers compute what is behind them too, so that fewer arrays are written and read again.

All of it keeps every bit.  Each function changes the calls that a network would make one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

from fastconv.layers.base import Layer
from fastconv.models.graph import Step

__all__ = ["OURS", "Call", "merge_activations", "merge_sums", "swap", "write_over_inputs"]

#: What the modules of fastconv's own layers begin with.
OURS = "fastconv.layers."


class Call(NamedTuple):
    """A call of a layer, which computes one step or several, from the numbers of some values.

    `over` says which of the sources it may write over.
    """

    layer: Layer
    steps: tuple[Step, ...]
    sources: tuple[int, ...]
    over: int | None = None


def swap(steps: dict[int, Step], readers: Mapping[int, int]) -> None:
    """Let a layer change places with the activation before it, if they commute.

    So ReLU runs behind max pooling, over fewer elements in both passes, and the array between the
    two is not kept.
    """
    for target, step in list(steps.items()):
        between = step.sources[0]
        before = steps.get(between)
        if (
            before is not None
            and before.layer.acts_as in step.layer.commutes_with
            and readers[between] == len(step.sources) == 1
            and (before.spec.dtype, before.spec.batch_axis)
            == (step.spec.dtype, step.spec.batch_axis)
            and not (before.layer.patched or step.layer.patched)
        ):
            steps[between] = replace(step, sources=before.sources)
            steps[target] = replace(before, sources=(between,), spec=step.spec)


def merge_sums(
    calls: dict[int, Call], readers: Mapping[int, int], outputs: Collection[int]
) -> None:
    """Let a layer in front of a sum of two add its results to the other summand, where that lies.

    So the array between them is never made, and the sum takes none of its own. The other summand
    must be memory that nobody needs any more: a new array, whose other readers have run, and have
    made new arrays too.
    """
    one_by_one = dict(calls)
    reads: dict[int, list[int]] = {}
    for target, call in one_by_one.items():
        for source in call.sources:
            reads.setdefault(source, []).append(target)
    near = -1  # the value that was made just before
    for target, call in one_by_one.items():
        before, near = near, target
        if not call.layer.is_sum or len(call.sources) != 2 or before not in call.sources:
            continue
        other = call.sources[call.sources[0] == before]
        made = calls.get(before)  # with what has been merged into it, if it is a sum too
        if (
            made is not None
            and readers[before] == 1
            and other in one_by_one
            and other not in outputs
            and other not in made.sources
            and reads[other][-1] == target
            and all(_makes_new(one_by_one[value].layer) for value in (other, *reads[other][:-1]))
            and not (made.layer.patched or call.layer.patched)
        ):
            fused = made.layer.with_addition()
            if fused is not None:
                steps, sources = (*made.steps, *call.steps), (*made.sources, other)
                calls[target] = Call(fused, steps, sources, len(sources) - 1)
                del calls[before]


def _makes_new(layer: Layer) -> bool:
    """Return whether the output in inference is a new array, not the memory of an input."""
    ours = type(layer).__module__.startswith(OURS)
    return ours and not (layer.output_is_view or layer.idle(False) or layer.patched)


def merge_activations(calls: dict[int, Call], readers: Mapping[int, int], training: bool) -> None:
    """Let a layer compute the activation behind it too, if it can.

    It keeps its own place among the calls: by that of the activation, which may run much later, a
    sum may have been written over what it reads.
    """
    places: dict[int, int] = {}  # of what is merged: the value between layer and activation
    for target, call in list(calls.items()):
        source = call.sources[0]
        before = calls.get(source)
        if (
            before is not None
            and call.layer.acts_as is not None
            and readers[source] == 1
            and source not in places
            and (before.layer.fuses_in_training or not training)
        ):
            fused = before.layer.with_activation(call.layer.acts_as)
            if fused is not None and not (before.layer.patched or call.layer.patched):
                steps = (*before.steps, *call.steps)
                calls[target] = Call(fused, steps, before.sources, before.over)
                del calls[source]
                places[target] = source
    if places:
        for _, target in sorted([(places.get(target, target), target) for target in calls]):
            calls[target] = calls.pop(target)


def write_over_inputs(calls: dict[int, Call], readers: Mapping[int, int]) -> None:
    """Let layers that can do so write over their input, where nobody else reads it."""
    for target, call in calls.items():
        source = call.sources[0]
        before = calls.get(source)
        if (
            before is not None
            and call.layer.overwrites_input
            and before.layer.output_may_be_overwritten
            and readers[source] == len(call.sources) == 1
            and len(call.steps) == len(before.steps) == 1
            and not (before.layer.patched or call.layer.patched)
        ):
            calls[target] = call._replace(over=0)
