"""Whole networks in inference: ResNet-50 on one image."""

from __future__ import annotations

from functools import partial

from suite.shapes import normal

from peers.contenders import Contender, compare
from peers.exactness import LIMITS, errors
from peers.libraries import ours
from peers.libraries.runtimes import NAMES, networks
from peers.networks import resnet50
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress
from peers.tables.forward import EVERYONE

FROZEN, PLAIN = "for_inference()", "net(x)"


def run(settings: Settings) -> list[Table]:
    """Return the table of whole networks."""
    frozen = {ours.column(FROZEN, precision): precision for precision in settings.precisions}
    table = Table(
        "Whole networks, inference, batch 1",
        [
            "ResNet-50, 3x224x224, the same made-up weights everywhere; BatchNorm is folded into "
            f"the convolutions by all but `{PLAIN}`. Weights are packed ahead but in PyTorch."
        ],
        [
            *(
                Ratio(
                    ours.column("frozen", precision) + " / best peer",
                    name,
                    EVERYONE,
                    within=LIMITS[precision],
                )
                for name, precision in frozen.items()
            ),
            Ratio("net(x) / best peer", PLAIN, EVERYONE, within=LIMITS["standard"]),
        ],
    )
    progress(table.title, "ResNet-50")
    net = resnet50()
    x = normal((1, 3, 224, 224))
    racing = [
        Contender(name, partial(resnet50(precision=precision).for_inference(), x))
        for name, precision in frozen.items()
    ]
    racing.append(Contender(PLAIN, partial(net, x)))
    if "torch" in settings.peers:
        from peers.libraries import pytorch_networks

        racing += pytorch_networks.inference(net, x)
    if {*NAMES, "mnn"} & set(settings.peers):
        from peers.libraries import onnx_files

        racing += networks(onnx_files.network(net, x.shape), x, settings)
    times = compare("ResNet-50", racing, settings.pace)
    doubled = resnet50(dtype="float64")
    doubled.set_weights({name: array.astype("float64") for name, array in net.weights().items()})
    found = errors(racing, doubled(x.astype("float64")))
    table.rows.append(Row("ResNet-50", times, errors=found))
    return [table]
