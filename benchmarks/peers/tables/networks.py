"""Whole networks in inference: ResNet-50 on one image."""

from __future__ import annotations

from functools import partial

from suite.shapes import normal

from ..contenders import Contender, compare
from ..libraries.runtimes import NAMES, contenders
from ..networks import resnet50
from ..settings import Settings
from ..table import Ratio, Row, Table
from . import progress
from .forward import EVERYONE

FROZEN, PLAIN = "for_inference()", "net(x)"


def run(settings: Settings) -> list[Table]:
    """Return the table of whole networks."""
    table = Table(
        "Whole networks, inference, batch 1",
        [
            "ResNet-50, 3x224x224, the same made-up weights everywhere; BatchNorm is folded into "
            f"the convolutions by all but `{PLAIN}`. Weights are packed ahead but in PyTorch.",
        ],
        [
            Ratio("frozen / best peer", FROZEN, EVERYONE),
            Ratio("net(x) / best peer", PLAIN, EVERYONE),
        ],
    )
    progress(table.title, "ResNet-50")
    net = resnet50()
    x = normal((1, 3, 224, 224))
    racing = [
        Contender(FROZEN, partial(net.for_inference(), x)),
        Contender(PLAIN, partial(net, x)),
    ]
    if "torch" in settings.peers:
        from ..libraries import pytorch_networks

        racing += pytorch_networks.inference(net, x)
    if set(NAMES) & set(settings.peers):
        from ..libraries import onnx_files

        racing += contenders(onnx_files.network(net, x.shape), x, settings)
    table.rows.append(Row("ResNet-50", compare("ResNet-50", racing, settings.pace)))
    return [table]
