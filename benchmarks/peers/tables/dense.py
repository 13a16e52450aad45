"""Dense layers against PyTorch: forward, and each gradient alone."""

from __future__ import annotations

from functools import partial

from suite.shapes import normal

from fastconv import functional
from peers.cases import DENSE
from peers.contenders import Contender, compare
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress

OURS = "fastconv"
CASES = ("book", "rn.fc")


def run(settings: Settings) -> list[Table]:
    """Return the table of dense layers, or none without PyTorch."""
    if "torch" not in settings.peers:
        return []
    from peers.libraries.pytorch import PLAIN

    table = Table(
        "Dense layers",
        [
            "Samples x features -> units, on plain arrays: what is packed is in the call. PyTorch: "
            "`linear` and, for the gradients, the products that autograd computes."
        ],
        [
            Ratio("fastconv / PyTorch", OURS, (PLAIN,)),
            *(
                Ratio(f"{name}, {kind}", OURS, (PLAIN,), tag=f"{name}, {kind}")
                for name in CASES
                for kind in ("forward", "dx", "dweight")
            ),
        ],
    )
    for name in CASES:
        progress(table.title, name)
        for kind, racing in _contenders(*DENSE[name]).items():
            case = "{} ({}x{} -> {}), {}".format(name, *DENSE[name], kind)
            times = compare(case, racing, settings.pace)
            table.rows.append(Row(case, times, tags=frozenset({f"{name}, {kind}"})))
    return [table]


def _contenders(samples: int, features: int, units: int) -> dict[str, list[Contender]]:
    """Return the contenders by what they compute."""
    from peers.libraries import pytorch

    x, weight = normal((samples, features)), normal((units, features), 1)
    bias, dy = normal((units,), 2), normal((samples, units), 3)
    backward = partial(functional.dense_backward, dy, x, weight)
    return {
        "forward": [
            Contender(OURS, partial(functional.dense, x, weight, bias)),
            pytorch.dense(x, weight, bias),
        ],
        "dx": [
            Contender(OURS, partial(backward, needs=("x",)), lambda found: [found[0]]),
            pytorch.dense_input(dy, weight),
        ],
        "dweight": [
            Contender(OURS, partial(backward, needs=("weight",)), lambda found: [found[1]]),
            pytorch.dense_weight(dy, x),
        ],
    }
