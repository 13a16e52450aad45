"""All three gradients of a convolution against PyTorch."""

from __future__ import annotations

from functools import partial

from suite.shapes import normal

import fastconv
from peers.cases import Case, select
from peers.contenders import Contender, compare
from peers.libraries import ours
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress
from peers.tables.forward import PYTORCH


def run(settings: Settings) -> list[Table]:
    """Return a table for each table of layers that `settings.layers` names."""
    if "torch" not in settings.peers:
        return []
    tables = []
    for title, layers in select(settings.layers).items():
        table = Table(
            f"Backward convolution, layers of {title!r}",
            [
                "Gradients of input, weight and bias. fastconv's `conv2d_backward` on plain "
                "arrays, what it packs is in the call; PyTorch's operator "
                "`convolution_backward`, without autograd. New arrays and tensors each call."
            ],
            [
                Ratio(f"{column} / best of PyTorch", column, PYTORCH)
                for precision in settings.precisions
                for column in [ours.column("fastconv", precision)]
            ],
        )
        for name, layer in layers.items():
            progress(table.title, name)
            table.rows.append(_row(name, layer, settings))
        tables.append(table)
    return tables


def _row(name: str, layer: Case, settings: Settings) -> Row:
    from peers.libraries import pytorch

    x, weight = normal(layer.x_shape), normal(layer.weight_shape, 1)
    dy = normal(fastconv.conv2d(x, weight, **layer.options).shape, 3)
    call = partial(fastconv.conv2d_backward, dy, x, weight, **layer.options)
    racing = [
        Contender(ours.column("fastconv", precision), partial(call, precision=precision))
        for precision in settings.precisions
    ]
    racing += pytorch.backward(layer, dy, x, weight)
    return Row(name, compare(name, racing, settings.pace))
