"""Layer, group and local response normalisation, softmax and embedding, beside PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from suite.shapes import normal

from fastconv import functional as f
from peers.contenders import Contender, compare
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress

OURS, PEER = "fastconv", "PyTorch"

#: Operation, shape, and the axis, the axes, the groups or the size of a window.
CASES: list[tuple[str, tuple[int, ...], Any]] = [
    ("local_response_norm", (1, 96, 55, 55), 5),
    ("local_response_norm", (16, 256, 27, 27), 5),
    ("local_response_norm", (100, 64, 32, 32), 5),
    ("layer_norm", (32, 196, 384), 2),
    ("layer_norm", (8, 128, 768), 2),
    ("layer_norm", (1000, 64), 1),
    ("layer_norm", (16, 64, 28, 28), 1),
    ("group_norm", (16, 64, 56, 56), 32),
    ("group_norm", (8, 256, 14, 14), 32),
    ("group_norm", (100, 32, 28, 28), 8),
    ("softmax", (100, 8, 28, 28), 1),
    ("softmax", (32, 12, 64, 64), 3),
    ("softmax", (64, 1000), 1),
    ("embedding", (100, 50), (10_000, 64)),
    ("embedding", (32, 256), (1000, 512)),
    ("embedding", (1000, 8), (50, 16)),
]


def run(settings: Settings) -> list[Table]:
    """Return the tables forward and backward, if PyTorch takes part."""
    if "torch" not in settings.peers:
        return []
    tables = [
        Table(
            f"Normalisation, softmax and embedding, {way}",
            ["Both write into new memory.", note],
            [Ratio("fastconv / PyTorch", OURS, (PEER,))],
        )
        for way, note in (
            ("forward", "PyTorch keeps nothing for a backward pass."),
            ("backward", "All gradients. PyTorch's graph is made ahead of the timing."),
        )
    ]
    for name, shape, how in CASES:
        title = f"{name} {shape}, {how}"
        progress(tables[0].title, title)
        for table, racing in zip(tables, _contenders(name, shape, how), strict=True):
            table.rows.append(Row(title, compare(title, racing, settings.pace)))
    return tables


def _contenders(name: str, shape: tuple[int, ...], how: Any) -> list[list[Contender]]:
    """Return who races forward, and who races backward."""
    from peers.libraries import pytorch

    forward, backward, parameters = OPERATIONS[name](shape, how)
    if name == "embedding":
        x = np.random.default_rng(0).integers(0, how[0], shape)
    else:
        x = normal(shape)
    values = [normal(size, 4 + i) for i, size in enumerate(parameters)]
    made = forward(x, *values)
    y = made[0] if isinstance(made, tuple) else made
    dy = normal(y.shape, 3)
    theirs, gradient = pytorch.normalization(name, how, x, values, dy)
    first = partial(forward, x, *values)
    return [
        [Contender(OURS, first, lambda made: [made[0] if isinstance(made, tuple) else made])]
        + [Contender(PEER, theirs)],
        [Contender(OURS, partial(backward, dy, x, values, made)), Contender(PEER, gradient)],
    ]


Parts = tuple[Callable[..., Any], Callable[..., Any], list[tuple[int, ...]]]


def _local_response(shape: tuple[int, ...], size: int) -> Parts:
    return (
        lambda x: f.local_response_norm(x, size),
        lambda dy, x, values, made: f.local_response_norm_backward(dy, x, size),
        [],
    )


def _layer(shape: tuple[int, ...], axis: int) -> Parts:
    return (
        lambda x, weight, bias: f.layer_norm(x, weight, bias, axis),
        lambda dy, x, values, made: f.layer_norm_backward(dy, x, values[0], *made[1:], axis),
        [shape[axis:]] * 2,
    )


def _group(shape: tuple[int, ...], groups: int) -> Parts:
    return (
        lambda x, weight, bias: f.group_norm(x, weight, bias, groups),
        lambda dy, x, values, made: f.group_norm_backward(dy, x, values[0], *made[1:]),
        [shape[1:2]] * 2,
    )


def _softmax(shape: tuple[int, ...], axis: int) -> Parts:
    return (
        lambda x: f.softmax(x, axis),
        lambda dy, x, values, made: f.softmax_backward(dy, made, axis),
        [],
    )


def _embedding(shape: tuple[int, ...], table: tuple[int, int]) -> Parts:
    return (f.embedding, lambda dy, x, values, made: f.embedding_backward(dy, x, table[0]), [table])


OPERATIONS: dict[str, Callable[[tuple[int, ...], Any], Parts]] = {
    "local_response_norm": _local_response,
    "layer_norm": _layer,
    "group_norm": _group,
    "softmax": _softmax,
    "embedding": _embedding,
}
