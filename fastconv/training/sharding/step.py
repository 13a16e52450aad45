"""One step on a batch that is cut into pieces, some of which this rank computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from fastconv.batches import cast
from fastconv.errors import TrainingError
from fastconv.floating import quietly
from fastconv.training.batch import Pieces
from fastconv.training.compiled import Totals
from fastconv.training.finite import Wrong, check_finite, error_of, where_wrong
from fastconv.training.sharding.alike import check_learns_alike
from fastconv.training.sharding.cutting import owned
from fastconv.training.sharding.ranks import Ranks
from fastconv.training.sharding.sums import WIDE, Blocks, Sums, layout_of, statistic
from fastconv.training.sharding.travelling import Travel
from fastconv.training.sharding.tree import Node, joined, whole_nodes
from fastconv.training.trainable import Array, PieceRun, Trainable

__all__ = ["Together"]


class _Report(NamedTuple):
    """What a piece says of itself beside its gradients.

    Attributes
    ----------
    losses : dict of str to float
        What it adds to the losses, before they are divided.
    figures : dict
        The state of its `Totals`.
    given : list of str
        The statistics that its layers gave.
    """

    losses: dict[str, float]
    figures: dict[str, Any]
    given: list[str]


class _Taker:
    """Takes what this rank's pieces give; see `fastconv.training.trainable.Taker`."""

    def __init__(
        self, model: Trainable, pieces: Pieces, sums: Sums, travel: Travel | None, ranks: Ranks
    ) -> None:
        assert model.compiled is not None
        self._compiled, self._ranks = model.compiled, ranks
        self._pieces, self._sums, self._travel = pieces, sums, travel
        _, self._states = model.learned_in_order()
        self._given: list[list[str]] = []
        self.reports: list[_Report] = []

    def gradient(self, at: int, key: str, array: Array) -> None:
        self._sums.add(at, key, array)

    def statistics(self, at: int, arrays: Mapping[str, Array]) -> None:
        """Add each statistic as its rows count in the batch; what is not given stays as it is."""
        rows = self._pieces.rows
        share = rows[self._pieces.own[at]] / sum(rows)
        for key, state in self._states.items():
            self._sums.add(at, statistic(key), share * arrays.get(key, state.value).astype(WIDE))
        self._given.append(list(arrays))

    def outputs(self, at: int, outputs: tuple[Array, ...], losses: Mapping[str, float]) -> None:
        part, totals = self._pieces.parts[at], self._compiled.totals()
        self._compiled.measure(totals, {}, outputs, part.targets, part.weights)
        self.reports.append(_Report(dict(losses), totals.state(), self._given[at]))

    def together(self, arrays: Sequence[Array], merge: Callable[[Array, Array], Array]) -> Array:
        count, own = len(self._pieces.rows), self._pieces.own
        leaves = {(at, at + 1): array for at, array in zip(own, arrays, strict=True)}
        parts = {node: joined(leaves, merge, node) for node in whole_nodes(own, count)}
        found: dict[Node, Array] = {}
        for some in self._ranks.exchanged(parts):
            found.update(some)
        return joined(found, merge, (0, count))

    def poll(self) -> None:
        if self._travel is not None:
            self._travel.poll()


class Together:
    """Takes the steps of one ``fit``, together with other ranks or alone.

    Parameters
    ----------
    ranks : Ranks
    synchronised : bool
        Whether BatchNorm takes the statistics of whole batches.
    """

    def __init__(self, ranks: Ranks, synchronised: bool) -> None:
        self._ranks, self._synchronised, self._blocks = ranks, synchronised, Blocks()

    def step(
        self, model: Trainable, pieces: Pieces, totals: Totals, program: Any, stop_on_nan: bool
    ) -> None:
        """Take one step of the optimizer on a batch of which this rank has some pieces.

        All ranks call it at the same time, and all take the same step. Nothing of it depends on how
        many they are.
        """
        compiled, ranks = model.compiled, self._ranks
        assert compiled is not None
        check_learns_alike(model, ranks)
        whole = _whole(pieces, ranks)
        model.gradients = {}  # those of the last step lie where these are to be
        sums, travel = _sums(model, pieces, ranks, self._blocks)
        taker = _Taker(model, pieces, sums, travel, ranks)
        runs = [
            PieceRun(
                part.piece or 0,
                partial(cast, model, part.inputs),
                compiled.loss_function(part.targets, part.weights, whole),
            )
            for part in pieces.parts
        ]
        model.run_pieces(runs, compiled.step, taker, program, synchronised=self._synchronised)
        if travel is not None:
            travel.finish()
        reports = [one for some in ranks.exchanged(taker.reports) for one in some]
        losses = _losses(reports)
        gradients, statistics = _found(model, sums, {key for one in reports for key in one.given})
        if stop_on_nan:
            means = {name: total / (whole or 1.0) for name, total in losses.items()}
            wrong = check_finite(means, gradients, statistics)
            if wrong is not None:
                raise ranks.together(_error(model, pieces, program, ranks, wrong))
        for name, total in losses.items():
            totals.add(name, total, whole)
        for one in reports:
            totals.merge(one.figures, compiled.by_name)
        model.gradients = gradients
        model.take_statistics(statistics)
        compiled.optimizer.update(model.trainable_parameters(), model.gradients)
        compiled.step += 1


def _whole(pieces: Pieces, ranks: Ranks) -> float:
    """Return what all rows of the batch weigh; without weights, how many they are."""
    if not pieces.weighted:
        return sum(pieces.rows)
    own = [0.0 if part.weights is None else float(part.weights.sum()) for part in pieces.parts]
    return _sum([weight for some in ranks.exchanged(own) for weight in some])


def _sum(numbers: list[float]) -> float:
    """Return the sum of one number of each piece, added as gradients are."""
    leaves = {(at, at + 1): number for at, number in enumerate(numbers)}
    return joined(leaves, lambda one, other: one + other, (0, len(numbers)))


def _losses(reports: list[_Report]) -> dict[str, float]:
    """Return the sums of the losses, which are still to be divided."""
    return {name: _sum([one.losses[name] for one in reports]) for name in reports[0].losses}


def _sums(
    model: Trainable, pieces: Pieces, ranks: Ranks, blocks: Blocks
) -> tuple[Sums, Travel | None]:
    """Return where the gradients of the step are added, and how they come together."""
    layout = layout_of(model)
    count = len(pieces.rows)
    nodes = [whole_nodes(owned(count, rank, ranks.ranks), count) for rank in range(ranks.ranks)]
    own = nodes[ranks.rank]
    if ranks.ranks == 1:
        return Sums(layout, own, blocks, lambda number: None), None
    travel = Travel(ranks, layout, nodes, blocks.scratch)
    sums = Sums(layout, own, blocks, travel.final)
    travel.blocks = sums.kept
    return sums, travel


@quietly
def _found(
    model: Trainable, sums: Sums, given: set[str]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the gradients, and the statistics that layers gave."""
    result, places = sums.kept[0], sums.layout.places
    gradients = {key: places[key].of(result) for key in model.trainable_parameters()}
    statistics = {
        key: places[statistic(key)].of(result).astype(state.dtype)
        for key, state in model.learned_in_order()[1].items()
        if key in given
    }
    return gradients, statistics


def _error(
    model: Trainable, pieces: Pieces, program: Any, ranks: Ranks, wrong: Wrong
) -> TrainingError:
    """Return the error that names what was the first not to be finite, of the first such piece."""
    assert model.compiled is not None
    step, found = model.compiled.step, None
    for part in pieces.parts:
        found = found or where_wrong(model, part, cast(model, part.inputs), step, program)
    first = next((one for one in ranks.exchanged(found) if one is not None), wrong)
    return error_of("fit", pieces.epoch, pieces.number, first)
