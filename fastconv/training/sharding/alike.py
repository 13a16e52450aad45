"""Whether all ranks were given the same, and are still alike.

::

    check_alike         before the first step: networks, settings, data, kernels to compute with
    check_learns_alike  before every step: which gradients are to travel
    check_still_alike   before every epoch, and at the end: all else that callbacks may change
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv import costs, kernels
from fastconv.errors import ArgumentError, shorten
from fastconv.training.callbacks import Run
from fastconv.training.checksum import checksum
from fastconv.training.described import differences, plain
from fastconv.training.sharding.ranks import Ranks
from fastconv.training.trainable import Trainable

__all__ = ["check_alike", "check_learns_alike", "check_still_alike"]

_SEED = "make the network with seed=0, or load it from one file"
_DATA = "give every rank all of the data, in the same order: fit lets each compute its own rows"
_OF_DATA = ("x", "y", "sample_weight", "validation_data")
_CHANGED = "what a callback changes, it must change on all ranks"
_REMEDIES = {
    "network": "make the same network on all ranks",
    "weights": _SEED,
    "seed": _SEED,
    "settings.seed": "give all ranks the same seed=",
    "isa": "set FASTCONV_ISA on all ranks alike, as to 'baseline'",
    "costs": "set FASTCONV_COSTS=shipped",
    **dict.fromkeys(_OF_DATA, _DATA),
    "callbacks": "give all ranks the same: those of fastconv print and write on rank 0 alone",
}
#: Groups of settings, which nobody gave under these names.
_GROUPS = ("settings", "compiled")


def check_alike(
    model: Trainable, settings: Mapping[str, Any], callbacks: list[Any], ranks: Ranks, fresh: bool
) -> None:
    """Raise on all of several ranks unless they have the same network, settings and callbacks.

    Parameters
    ----------
    settings : mapping
        What decides about the result, and fingerprints of the data.
    callbacks : list
        Names and settings.
    fresh : bool
        Whether training begins with the weights that there are, and not with those of a checkpoint.
    """
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
        own["weights"] = _weights_of(model)
        arrays = compiled.optimizer.state(copy=False)
        own["optimizer"] = {
            key: checksum(value) if isinstance(value, np.ndarray) else plain(value)
            for key, value in arrays.items()
        }
    all_of_them = ranks.exchanged(own)
    if any(other["network"] != own["network"] for other in all_of_them):
        all_of_them = ranks.exchanged({"network": model.structure()})  # which is long
    _compare(all_of_them, ranks, "give all ranks the same")


def check_learns_alike(model: Trainable, ranks: Ranks) -> None:
    """Raise on all ranks unless the same parameters learn on all of them.

    Else messages would meet others of another size. It takes one short message.
    """
    if ranks.ranks == 1:
        return
    learned = list(model.trainable_parameters())
    if not ranks.all_have(zlib.crc32("\n".join(learned).encode())):
        _compare(ranks.exchanged({"trainable": learned}), ranks, _CHANGED, remedies={})


def check_still_alike(model: Trainable, run: Run, ranks: Ranks) -> None:
    """Raise on all ranks unless callbacks have changed the same on all of them.

    Else one rank would wait for steps that others do not take, or weights would go apart.
    """
    if ranks.ranks == 1:
        return
    assert model.compiled is not None
    state = model.compiled.optimizer.state(copy=False)
    own = {
        "run.stop": bool(run.stop),
        "seed": model.seed,
        "learning_rate": plain(state["learning_rate"]),
        "schedule": plain(state["schedule"]),
        "trainable": list(model.trainable_parameters()),
        "weights": _weights_of(model),
    }
    _compare(ranks.exchanged(own), ranks, _CHANGED, remedies={})


def _weights_of(model: Trainable) -> dict[str, int]:
    """Return a checksum of each weight, frozen ones and statistics too."""
    return {key: checksum(p.value) for key, p in model.every_parameter().items()}


def _compare(
    all_of_them: list[Any], ranks: Ranks, usual: str, remedies: Mapping[str, str] = _REMEDIES
) -> None:
    """Raise on all ranks unless they have the same, with a remedy by name, or the `usual` one."""
    for rank, other in enumerate(all_of_them):
        for place, first, given in differences(all_of_them[0], other):
            name, what, shown = _described(place, first, given, rank)
            rule, remedy = "must be the same on all ranks", remedies.get(name, usual)
            raise ranks.together(ArgumentError("fit", what, rule, remedy=remedy, shown=shown))


def _described(place: str, first: Any, given: Any, rank: int) -> tuple[str, str, str]:
    """Return of what is `first` on rank 0 and `given` on another: its name, its place, and both.

    The name is that of a remedy.
    """
    name, _, rest = place.partition(".")
    what = place
    if name in _GROUPS:
        what, name = rest, re.split(r"[.\[]", rest)[0]
    if place == "settings.seed":  # and not that of the network
        name = place
    if place == "callbacks" and isinstance(first, list):  # not as many: their names tell which
        first, given = ([each[0] for each in side] for side in (first, given))
    shown = f"{shorten(first)} on rank 0 and {shorten(given)} on rank {rank}"
    if what.endswith(".checksum"):
        what = what.removesuffix(".checksum")
        shown = f"other rows on rank {rank} than on rank 0"
    elif name in ("weights", "optimizer") and place.startswith(name):
        shown = f"others on rank {rank} than on rank 0"
    elif what in _OF_DATA:
        shown = _of_kinds(first, given, rank)
    return name, what, shown


def _of_kinds(first: Any, given: Any, rank: int) -> str:
    """Return what is to be said of data of two kinds, of which these are the fingerprints."""
    if first is None or given is None:
        there, missing = (rank, 0) if first is None else (0, rank)
        return f"given on rank {there} and not on rank {missing}"
    here, other = ("batches" if "batches" in one else "rows" for one in (first, given))
    return f"{here} on rank 0 and {other} on rank {rank}"
