"""Networks that learn from a batch piece by piece: what training over several processes asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import memory
from fastconv.arguments import as_bool, as_choice, as_int, parse_bytes
from fastconv.batches import BATCH_NORM, Use
from fastconv.errors import ArgumentError
from fastconv.layers.base import made_of
from fastconv.layers.parameter import Parameter, assign_all
from fastconv.models.differentiable import DifferentiableNetwork
from fastconv.models.graph import inputs, learning, weights
from fastconv.models.running import (
    Program,
    first_not_finite,
    learned,
    run_piece,
    run_together,
    synchronising,
)

if TYPE_CHECKING:  # what knows training is imported where it is used
    from fastconv.models.planning import Plan
    from fastconv.training.trainable import PieceRun, Taker

__all__ = ["ShardedNetwork"]

Array = np.ndarray[Any, Any]


class ShardedNetwork(DifferentiableNetwork):
    """A network that runs forward and backward on pieces of a batch."""

    def structure(self) -> dict[str, Any]:
        """Return what the network is made of; see `fastconv.training.Trainable`."""
        from fastconv.training.described import plain

        self._prepare()
        ids, layers = self._graph.ids, {}
        for step in self._graph.steps:
            name, settings = made_of(step.layer)
            frozen = [key for key, p in step.layer.parameters.items() if not p.trainable]
            given = {"from": [ids[source] for source in step.sources], "frozen": frozen}
            layers[step.id] = [name, {**plain(settings), **given}]
        return {"layers": layers, "outputs": [ids[output] for output in self._graph.outputs]}

    def every_parameter(self) -> dict[str, Parameter]:
        """Return all parameters and statistics; see `fastconv.training.Trainable`."""
        self._prepare()
        return weights.named(self._graph)

    def learned_in_order(self) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
        """Return what learns, and the statistics; see `fastconv.training.Trainable`."""
        self._prepare()
        return learned(self._schedule(self._graph.outputs, training=True))

    def plan(
        self,
        batch_size: int = 1,
        *,
        training: bool = False,
        workspace_limit: int | str | None = None,
        memory_limit: int | str | None = None,
        shards: int | None = None,
        batch_norm: str = "by_piece",
    ) -> Plan:
        """Return what one batch will take, node by node, without running it.

        Parameters
        ----------
        batch_size : int
        training : bool
            Whether to plan a step of `fit`, which gathers its batch in an array of its own, or
            inference.
        workspace_limit : int or str, optional
            The most bytes of workspace that a node may take, also as in ``"8 MiB"``.
        memory_limit : int or str, optional
            The most bytes for everything; the plan says how a run keeps within them.
        shards, batch_norm
            As `fit` takes them. The plan is that of a process that runs all pieces: nodes are those
            of the largest one, and sums of gradients, and the rows of the others, are in the peak.

        Returns
        -------
        Plan
            ``print`` shows a table; `Plan.to_dict` gives plain values.

        Raises
        ------
        MemoryLimitError
            If a limit cannot be kept; the message has the least figure that could.
        """
        synchronised = as_choice("plan", "batch_norm", batch_norm, BATCH_NORM) == "synchronised"
        if shards is None:
            return super().plan(
                batch_size,
                training=training,
                workspace_limit=workspace_limit,
                memory_limit=memory_limit,
            )
        from fastconv.training.settings import MOST_SHARDS
        from fastconv.training.sharding.cutting import Cutter
        from fastconv.training.sharding.sums import bytes_of_sums

        batch_size = as_int("plan", "batch_size", batch_size, 1)
        if not as_bool("plan", "training", training):
            remedy = "or leave shards out: inference is not cut"
            raise ArgumentError("plan", "training", "must be True with shards", False, remedy)
        self._prepare()
        cutter = Cutter(as_int("plan", "shards", shards, 1, MOST_SHARDS), synchronised)
        cutter.check(self, batch_size, "plan")
        rows, made = cutter.largest(self, [batch_size]), inputs.bytes_gathered(self._graph, True)
        sums, specs = bytes_of_sums(self, cutter.shards), self._graph.input_specs
        a_row = sum(n for n, spec in zip(made, specs, strict=True) if spec.batch_axis is not None)
        plan = self._plan(
            "plan",
            Use(training=True),
            rows,
            True,
            rows,
            made,
            workspace_limit=parse_bytes("plan", "workspace_limit", workspace_limit),
            memory_limit=parse_bytes("plan", "memory_limit", memory_limit),
            held=sums + (batch_size - rows) * a_row,
        )
        return plan.cut(batch_size, sums)

    def least_rows_of_piece(self, operation: str = "fit") -> int:
        """Return the fewest rows of a piece where statistics are of whole batches.

        Raises
        ------
        ArgumentError
            If a layer keeps statistics, and cannot take those of a whole batch.
        """
        for name, layer in self._graph.layers.items():
            if layer.states and not layer.frozen and not layer.synchronises:
                rule = f"must be 'by_piece' for {name}, whose statistics do not synchronise"
                remedy = "the traits of layers say how they would"
                raise ArgumentError(operation, "batch_norm", rule, "synchronised", remedy)
        choosy = self._cache.found("choosy", lambda: learning.choosy(self._graph))
        own = [(step, cut_off) for step, cut_off in choosy if not step.layer.synchronises]
        return learning.least_rows(self._graph, own)[0]

    def run_pieces(
        self,
        pieces: Sequence[PieceRun],
        step: int,
        taker: Taker,
        program: Program | None = None,
        *,
        synchronised: bool = False,
    ) -> None:
        """Run pieces of a batch; see `fastconv.training.Trainable`."""
        self._prepare()
        steps = self._schedule(self._graph.outputs, training=True)
        keep = memory.recycling if program is None else memory.frugal
        if synchronised and synchronising(steps):
            together = partial(
                run_together,
                numbers=[piece.number for piece in pieces],
                rng_key=(self.seed, step),
                program=program,
            )
            values = [list(piece.xs()) for piece in pieces]
            dlosses = [piece.dloss for piece in pieces]
            found = keep(together, steps, values, dlosses, taker)
            for at, (outputs, figures) in enumerate(found):
                taker.outputs(at, outputs, figures)
            return
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
