"""Whether all ranks were given the same: networks, settings, data, and kernels to compute with."""

from __future__ import annotations

import json
import re
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

_SEED = "make the network with seed=0, or load it from one file"
_DATA = "give every rank all of the data, in the same order: fit lets each compute its own rows"
_REMEDIES = {
    "network": "make the same network on all ranks",
    "weights": _SEED,
    "seed": _SEED,
    "isa": "set FASTCONV_ISA on all ranks alike, as to 'baseline'",
    "costs": "set FASTCONV_COSTS=shipped",
    "x": _DATA,
    "y": _DATA,
    "sample_weight": _DATA,
    "validation_data": _DATA,
}
#: Groups of settings, which nobody gave under these names.
_GROUPS = ("settings", "compiled")


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
        "network": zlib.crc32(json.dumps(model.structure(), sort_keys=True).encode()),
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
    if any(other["network"] != own["network"] for other in all_of_them):
        all_of_them = ranks.exchanged({"network": model.structure()})  # which is long
    for rank, other in enumerate(all_of_them):
        for place, first, given in differences(all_of_them[0], other):
            raise ranks.together(_error(place, first, given, rank))


def _error(place: str, first: Any, given: Any, rank: int) -> ArgumentError:
    """Return the error that `place` is `first` on rank 0, and `given` on another one."""
    name, _, rest = place.partition(".")
    what = place
    if name in _GROUPS:
        what, name = rest, re.split(r"[.\[]", rest)[0]
    if place == "callbacks":  # not as many: their names tell which
        first, given = ([each[0] for each in side] for side in (first, given))
    shown = f"{shorten(first)} on rank 0 and {shorten(given)} on rank {rank}"
    if what.endswith(".checksum"):
        what = what.removesuffix(".checksum")
        shown = f"other rows on rank {rank} than on rank 0"
    elif name in ("weights", "optimizer") and place.startswith(name):
        shown = f"others on rank {rank} than on rank 0"
    remedy = _REMEDIES.get(name, "give all ranks the same")
    return ArgumentError("fit", what, "must be the same on all ranks", remedy=remedy, shown=shown)


def _print_of(array: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data) if array.size else 0
