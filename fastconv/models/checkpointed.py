"""Networks that are written to files, with their training too, and that go on from there."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from fastconv.arguments import as_bool, as_int
from fastconv.errors import ArgumentError, CheckpointWarning
from fastconv.errors.callers import outside
from fastconv.layers.parameter import assign_all, exclusively
from fastconv.models.graph import weights
from fastconv.models.saving import (
    PRIVATE,
    Target,
    network_bytes,
    target_of,
    write_checkpoint,
    write_network,
    write_weights,
)
from fastconv.models.trainable import TrainableNetwork

if TYPE_CHECKING:  # what knows training is imported where it is used
    from fastconv.models.saving import checkpoints

__all__ = ["CheckpointedNetwork"]


class CheckpointedNetwork(TrainableNetwork):
    """A network that can be saved, with its training or without."""

    def save(self, path: str | os.PathLike[str], *, training: bool = False, keep: int = 2) -> None:
        """Write weights and configuration to one safetensors file; `fastconv.load` reads it.

        The weights are those of one moment, whatever other threads do meanwhile. The file notes
        what is frozen. Whoever reads it sees the old file or the new one, never a part.

        Parameters
        ----------
        path : str or path
        training : bool
            Whether to write a checkpoint, from which ``fit(resume=path)`` goes on: it also has
            the state of the optimizer, the place in the data, the state of the callbacks, the
            seeds and the figures so far, under names that no layer can have. Writing it takes
            hardly any memory, for no weight is copied; threads that change weights wait.
        keep : int
            How many checkpoints there are to be. The one before is at ``path + ".1"``, older ones
            at ``".2"`` and so on. Each has a checksum.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            If `path` is no path, has the suffix of another format, or exists but is no file. Or
            if a checkpoint is asked for, but the network has not been compiled.
        ConfigError
            If a layer or setting cannot be written.
        OSError
            If the file cannot be written. Those that were there are still there then.

        Warns
        -----
        CheckpointWarning
            If the last step of `fit` was interrupted in the middle, or the weights were changed
            after it: a run that goes on from there ends with other bits.
        """
        target = target_of("save", path)
        keep = as_int("save", "keep", keep, 1, 1000)
        if as_bool("save", "training", training):
            if self.compiled is None:
                remedy = "call net.compile(...), or leave training=True out"
                raise ArgumentError("save", "the network", "must be compiled", remedy=remedy)
            self._prepare()
            if not exclusively(self._write_checkpoint, target, keep):
                warnings.warn(
                    "save: the weights are not those that the last step of fit left; a run that "
                    "goes on from this checkpoint ends with other bits than one that never stopped",
                    CheckpointWarning,
                    stacklevel=outside(),
                )
            return
        write_network(target, self.to_config(), self.weights(), self._learned_frozen())

    def to_bytes(self) -> bytes:
        """Return the bytes of the file that `save` writes; `fastconv.load` takes them too.

        They are the same for the same network, wherever they are made.

        Raises
        ------
        ConfigError
            If a layer or setting cannot be written.
        """
        return network_bytes(self.to_config(), self.weights(), self._learned_frozen())

    def _write_checkpoint(self, target: Target, keep: int) -> bool:
        """Write a checkpoint, while nothing changes weights; return whether it is of one moment."""
        from fastconv.models.saving import states
        from fastconv.training.resuming import capture

        checkpoint, whole = capture(self)
        text, arrays = states.flattened(checkpoint.state(), PRIVATE)
        arrays |= {key: p.value for key, p in weights.named(self._graph).items()}
        config, frozen = self.to_config(), self._learned_frozen()
        write_checkpoint(target, config, arrays, frozen, text, keep)
        return whole

    def _learned_frozen(self) -> list[str]:
        return [key for key in self._frozen() if self._slots[key].learned]

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write only the weights to a safetensors file; the errors are those of `save`."""
        write_weights(target_of("save_weights", path), self.weights())

    # What training asks for

    def versions(self) -> int:
        """Return a number that every change of a weight or a statistic raises."""
        layers = self._graph.layers.values()
        groups = (group for layer in layers for group in (layer.parameters, layer.states))
        return sum(parameter.version for group in groups for parameter in group.values())

    def read_checkpoint(self, operation: str, path: Any) -> checkpoints.Saved:
        """Return a checkpoint of this network, checked; see `fastconv.training.Trainable`."""
        from fastconv.models.saving import checkpoints

        return checkpoints.newest(operation, path, self._graph)

    def take_over(self, saved: checkpoints.Saved) -> None:
        """Take weights, frozen flags and seed of a checkpoint that `read_checkpoint` returned."""
        self._prepare()
        named = weights.named(self._graph)
        assign_all(
            [(named[key], named[key].checked(a, "fit", key)) for key, a in saved.arrays.items()]
        )
        frozen = set(saved.frozen)
        for key, parameter in named.items():
            if self._slots[key].learned:
                parameter.trainable = key not in frozen
        self.seed = saved.checkpoint.seed
        self._pack()
