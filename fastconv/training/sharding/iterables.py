"""Iterables of batches, of which each rank has its own: they must give the same."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any

from fastconv.errors import ArgumentError
from fastconv.training.batch import Batch, Pieces
from fastconv.training.sharding.ranks import Ranks

__all__ = ["batches_alike", "check_batches"]


def batches_alike(batches: Iterator[Batch | Pieces], ranks: Ranks) -> Generator[Batch | Pieces]:
    """Yield the batches of an iterable, as long as all ranks have the same.

    An error of what makes a batch is raised on all ranks.
    """
    while True:
        made = [ranks.agreed(partial(next, batches, None))]
        check_batches("x", [getattr(made[0], "fingerprint", None)], ranks)
        if made[0] is None:
            return
        yield made.pop()  # so that nothing of it is kept here


def check_batches(
    name: str, fingerprints: Sequence[Any], ranks: Ranks, own: Any = None
) -> list[Any]:
    """Raise on all ranks unless they were given the same batches; return what each has as `own`.

    Parameters
    ----------
    name : str
        Of what gave them.
    fingerprints : sequence
        Those of the next batches (`Table.fingerprint`), and None behind the last.
    own : object
        What this rank tells the others beside.
    """
    found = ranks.exchanged((list(fingerprints), own))
    first = found[0][0]
    for rank, (other, _) in enumerate(found):
        if other != first:
            raise ranks.together(_differing(name, first, other, rank))
    return [told for _, told in found]


def _differing(name: str, first: list[Any], other: list[Any], rank: int) -> ArgumentError:
    """Return the error that says how the batches of `rank` differ from those of rank 0."""
    pairs = ((_rows(a), _rows(b)) for a, b in zip(first, other, strict=False) if a != b)
    here, there = next(pairs, (f"{len(first)} more", f"{len(other)} more"))
    shown = f"{here} on rank 0 and {there} on rank {rank}"
    remedy = "each rank runs through all of it, and takes its own rows"
    if here == there:
        shown = f"{here} with other numbers on rank {rank} than on rank 0"
        remedy += "; let all that is random in it follow from one seed"
    rule = "must give the same batches on all ranks"
    return ArgumentError("fit", name, rule, remedy=remedy, shown=shown)


def _rows(fingerprint: Any) -> str:
    """Return what is to be said of a batch: how many rows it has."""
    return "the end" if fingerprint is None else f"a batch of {fingerprint[0]} rows"
