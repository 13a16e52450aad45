"""Whether all ranks were given the same: networks, settings, data, and kernels to compute with."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv import costs, kernels
from fastconv.errors import ArgumentError, shorten
from fastconv.training.described import differences, plain
from fastconv.training.sharding.ranks import Ranks
from fastconv.training.trainable import Trainable

__all__ = ["check_alike"]

_REMEDIES = {
    "weights": "make the network with seed=0, or load it from one file",
    "seed": "make the network with seed=0, or load it from one file",
    "isa": "set FASTCONV_ISA on all ranks alike, as to 'baseline'",
    "costs": "set FASTCONV_COSTS=shipped",
}


def check_alike(
    model: Trainable, settings: Mapping[str, Any], callbacks: list[Any], ranks: Ranks, fresh: bool
) -> None:
    """Raise on all ranks unless they have the same network, settings and callbacks.

    Parameters
    ----------
    settings : mapping
        What decides about the result, and fingerprints of the data.
    callbacks : list
        Names and settings.
    fresh : bool
        Whether training begins with the weights that there are, and not with those of a checkpoint.
    """
    if ranks.ranks == 1:
        return
    compiled, isa = model.compiled, kernels.active_isa()
    assert compiled is not None
    own: dict[str, Any] = {
        "isa": isa,
        "costs": repr(costs.active(isa)),
        "compiled": compiled.chosen,
        "settings": dict(settings),
        "callbacks": callbacks,
    }
    if fresh:
        own["seed"] = model.seed
        own["steps"] = [compiled.step, compiled.epoch]
        own["weights"] = {
            key: _print_of(p.value)
            for group in model.learned_in_order()
            for key, p in group.items()
        }
        arrays = compiled.optimizer.state(copy=False)
        own["optimizer"] = {
            key: _print_of(value) if isinstance(value, np.ndarray) else plain(value)
            for key, value in arrays.items()
        }
    all_of_them = ranks.exchanged(own)
    for rank, other in enumerate(all_of_them):
        for place, first, given in differences(all_of_them[0], other):
            name, _, rest = place.partition(".")
            shown = f"{shorten(first)} on rank 0 and {shorten(given)} on rank {rank}"
            if name in ("weights", "optimizer"):
                shown = f"others on rank {rank} than on rank 0"
            remedy = _REMEDIES.get(name, "give all ranks the same")
            what = rest if name == "settings" else place
            rule = "must be the same on all ranks"
            raise ranks.together(ArgumentError("fit", what, rule, remedy=remedy, shown=shown))


def _print_of(array: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data) if array.size else 0
