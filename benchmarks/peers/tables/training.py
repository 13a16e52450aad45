"""A step of training: forward, loss, backward and Adam, on a batch of 100 images of 28 by 28."""

from __future__ import annotations

import numpy as np
from suite.shapes import normal

from peers.contenders import Contender, check
from peers.networks import IMAGES, TRAINED, trained
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress
from peers.timing import race

BATCH = 100


def run(settings: Settings) -> list[Table]:
    """Return the table of steps of training."""
    if "torch" not in settings.peers:
        return []
    from peers.libraries.pytorch_networks import FUSED

    peers = ("PyTorch", FUSED)
    table = Table(
        "A step of training, batch 100, Adam",
        [
            "`net.train_on_batch` against a plain loop; the same starting weights. The losses of "
            "the first two steps are checked against each other, with dropout left out.",
            "In the ratio: the better of PyTorch plain, and channels_last with fused Adam.",
        ],
        [
            Ratio("fastconv / best of PyTorch", "fastconv", peers),
            *(Ratio(name, "fastconv", peers, tag=name) for name in TRAINED),
        ],
    )
    for name in TRAINED:
        progress(table.title, name)
        still = _contenders(name, dropout=0.0)
        for step in ("first", "second"):
            # Adam divides by the gradient's size, so a gradient near 0 may move a weight either way
            check(f"{name}, {step} step", still, 1e-4 if step == "first" else 1e-2)
        racing = _contenders(name, dropout=0.5)
        times = race({one.name: one.call for one in racing}, settings.pace)
        table.rows.append(Row(name, times, tags=frozenset({name})))
    return [table]


def _contenders(name: str, dropout: float) -> list[Contender]:
    from peers.libraries import pytorch_networks

    x, y = normal((BATCH, *IMAGES)), np.arange(BATCH) % 10
    net = trained(name, dropout)
    peers = pytorch_networks.training(net, x, y)  # before a step changes the weights
    net.compile(optimizer="adam", loss="softmax_cross_entropy")
    step = Contender(
        "fastconv", lambda: net.train_on_batch(x, y), lambda found: [np.array(found["loss"])]
    )
    return [step, *peers]
