"""Networks that learn from a batch piece by piece: what training over several processes asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastconv import memory
from fastconv.layers.parameter import Parameter, assign_all
from fastconv.models.differentiable import DifferentiableNetwork
from fastconv.models.running import Program, first_not_finite, learned, run_piece
from fastconv.training.trainable import PieceRun, Taker

__all__ = ["ShardedNetwork"]

Array = np.ndarray[Any, Any]


class ShardedNetwork(DifferentiableNetwork):
    """A network that runs forward and backward on pieces of a batch."""

    def learned_in_order(self) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
        """Return what learns, and the statistics; see `fastconv.training.Trainable`."""
        self._prepare()
        return learned(self._schedule(self._graph.outputs, training=True))

    def run_pieces(
        self, pieces: Sequence[PieceRun], step: int, taker: Taker, program: Program | None = None
    ) -> None:
        """Run pieces of a batch, one after the other; see `fastconv.training.Trainable`."""
        self._prepare()
        steps = self._schedule(self._graph.outputs, training=True)
        keep = memory.recycling if program is None else memory.frugal
        for at, piece in enumerate(pieces):
            run = partial(
                run_piece, piece=(at, piece.number), rng_key=(self.seed, step), program=program
            )
            outputs, losses = keep(run, steps, list(piece.xs()), piece.dloss, taker)
            taker.outputs(at, outputs, losses)

    def first_not_finite(
        self,
        xs: Sequence[Array],
        step: int,
        program: Program | None = None,
        piece: int | None = None,
    ) -> tuple[str, float] | None:
        """Return the first weight or output of a layer that is not finite in a step, if any."""
        self._prepare()
        steps = self._schedule(self._graph.outputs, training=True)
        key = () if piece is None else (piece,)
        look = partial(first_not_finite, rng_key=(self.seed, step), key=key, program=program)
        return memory.frugal(look, steps, list(xs))

    def take_statistics(self, arrays: Mapping[str, Array]) -> None:
        """Give statistics new values, by ``layer/parameter``."""
        _, states = self.learned_in_order()
        assign_all([(states[key], states[key].checked(a, "fit", key)) for key, a in arrays.items()])
