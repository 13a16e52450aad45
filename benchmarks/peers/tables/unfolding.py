"""im2col and col2im in the book's layout, compared with unfold and fold, and with a copy."""

from __future__ import annotations

from functools import partial

import numpy as np
from suite.shapes import normal

import fastconv
from peers.cases import UNFOLDS
from peers.contenders import Contender, compare
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress

COPY = "copy of the columns"


def run(settings: Settings) -> list[Table]:
    """Return the table of unfolding and the table of folding."""
    notes = [
        "fastconv has the book's layout (N OH OW, C R S), PyTorch its own (N, C R S, OH OW), "
        "which on its input side it gets ahead of the timing. Both write into new memory.",
        f"`{COPY}`: NumPy copies the same bytes into kept memory, on one thread.",
    ]
    unfolding = Table(
        "im2col",
        notes,
        [
            Ratio("im2col / unfold", "im2col", ("PyTorch unfold",)),
            Ratio("im2col / copy", "im2col", (COPY,)),
        ],
    )
    folding = Table(
        "col2im",
        notes,
        [
            Ratio("col2im / fold", "col2im", ("PyTorch fold",)),
            Ratio("col2im / copy", "col2im", (COPY,)),
        ],
    )
    for name, pool in UNFOLDS.items():
        progress(unfolding.title, name)
        title = f"{name} ({pool.N},{pool.C},{pool.H}; {pool.R}/{pool.stride},{pool.padding})"
        x = normal(pool.x_shape)
        window = (pool.R, pool.R, pool.stride, pool.padding)
        columns = fastconv.im2col(x, *window)
        unfold = [Contender("im2col", partial(fastconv.im2col, x, *window))]
        fold = [Contender("col2im", partial(fastconv.col2im, columns, x.shape, *window))]
        if "torch" in settings.peers:
            from peers.libraries import pytorch

            unfold.append(pytorch.unfold(pool, x))
            fold.append(pytorch.fold(pool, columns))
        copy = Contender(COPY, partial(np.copyto, np.empty_like(columns), columns))
        for table, racing in ((unfolding, unfold), (folding, fold)):
            table.rows.append(Row(title, compare(title, racing, settings.pace, beside=[copy])))
    return [unfolding, folding]
