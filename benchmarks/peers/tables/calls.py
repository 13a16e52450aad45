"""The price of a call: a convolution so small that it takes little more than the call itself."""

from __future__ import annotations

from suite.shapes import Layer, normal

from peers.contenders import compare
from peers.libraries import ours
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress
from peers.tables.forward import PYTORCH, peers

LAYER = Layer(1, 8, 1, 3)
NAME = "(1,1,8,8), 3x3"


def run(settings: Settings) -> list[Table]:
    """Return the table of the smallest calls."""
    table = Table(
        "The price of a call",
        ["Weights prepared ahead for the algorithms; `conv2d on arrays` takes plain ones."],
        [
            Ratio("auto / best of PyTorch", "auto", PYTORCH),
            Ratio("on arrays / best of PyTorch", ours.ARRAYS, PYTORCH),
        ],
    )
    progress(table.title, NAME)
    x, weight, bias = normal(LAYER.x_shape), normal(LAYER.weight_shape, 1), normal((1,), 2)
    racing = [
        one
        for one in ours.convolutions(LAYER, x, weight, bias, settings)
        if one.name != ours.ONE_THREAD
    ]
    racing += peers(LAYER, x, weight, bias, settings)
    table.rows.append(Row(NAME, compare(NAME, racing, settings.pace)))
    return [table]
