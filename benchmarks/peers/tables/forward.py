"""Forward convolution by layer: packed ahead against all peers, on arrays against PyTorch."""

from __future__ import annotations

from suite.shapes import normal

from ..cases import Layer, gigaflops, is_winograd, select
from ..contenders import compare
from ..libraries import ours
from ..libraries.runtimes import NAMES, contenders
from ..settings import Settings
from ..table import Ratio, Row, Table
from . import progress

PYTORCH = ("PyTorch", "PyTorch channels_last")
EVERYONE = (*PYTORCH, *NAMES.values())
AUTO_AIMS = {"standard": (0.80, 0.65), "fast": (0.75, 0.50)}  # all layers; where Winograd pays


def run(settings: Settings) -> list[Table]:
    """Return one table for each that `settings.layers` names."""
    return [_table(title, layers, settings) for title, layers in select(settings.layers).items()]


def _table(title: str, layers: dict[str, Layer], settings: Settings) -> Table:
    kept = "into kept memory" if settings.keep_output else "into a new array each call"
    table = Table(
        f"Forward convolution, layers of {title!r}",
        [
            "fastconv's weights are packed ahead (`prepare_conv2d`, as `net(x)` has them), but "
            f"for `{ours.ARRAYS}`, which packs in the call; it writes {kept}.",
            "PyTorch's tensors are in the layout that is named; what it reorders is in the call. "
            "It writes into a new tensor.",
            "ONNX Runtime and OpenVINO have packed their weights ahead and write into kept "
            "memory (bound, a request that is used again) where that is faster.",
            "All add a bias. NCHW in and out, PyTorch channels_last apart. GFLOP: operations "
            "that fall in the padding are not counted.",
        ],
        _ratios(settings),
    )
    for name, layer in layers.items():
        progress(table.title, name)
        table.rows.append(_row(name, layer, settings))
    return table


def _ratios(settings: Settings) -> list[Ratio]:
    ratios = []
    if "direct" in settings.algorithms:
        ratios.append(Ratio("direct / best peer", "direct", EVERYONE, 0.90, 1.05))
    for algorithm in settings.algorithms:
        if algorithm not in ("direct", "auto"):
            ratios.append(Ratio(f"{algorithm} / best peer", algorithm, EVERYONE))
    for precision in settings.precisions if "auto" in settings.algorithms else ():
        column = ours.column("auto", precision)
        every, winograd = AUTO_AIMS.get(precision, (None, None))
        ratios.append(Ratio(f"{column} / best peer", column, EVERYONE, every))
        label = f"{column} / best peer, 3x3 stride 1, C, K >= 64, maps >= 14"
        ratios.append(Ratio(label, column, EVERYONE, winograd, tag="winograd"))
    ratios.append(Ratio("on arrays / best of PyTorch", ours.ARRAYS, PYTORCH, 0.60))
    if settings.threads > 1:
        first = settings.algorithms[0]
        first = ours.column(first, settings.precisions[0] if first == "auto" else "standard")
        label = f"{first}, {settings.threads} threads / one, over 1 ms"
        aim = 1 / 1.85 if settings.threads == 2 else None
        ratios.append(Ratio(label, first, (ours.ONE_THREAD,), aim, tag="long"))
    return ratios


def _row(name: str, layer: Layer, settings: Settings) -> Row:
    x, weight = normal(layer.x_shape), normal(layer.weight_shape, 1)
    bias = normal((layer.K,), 2)
    racing = ours.convolutions(layer, x, weight, bias, settings)
    if "torch" in settings.peers:
        from ..libraries import pytorch

        racing += pytorch.convolution(layer, x, weight, bias)
    if set(NAMES) & set(settings.peers):
        from ..libraries import onnx_files

        racing += contenders(onnx_files.convolution(layer, weight, bias), x, settings)
    times = compare(name, racing, settings.pace)
    work = gigaflops(layer)
    facts = {"GFLOP": f"{work:.3f}"}
    if "direct" in times:
        facts["direct GFLOP/s"] = f"{work / times['direct'].median:.0f}"
    for precision in settings.precisions if "auto" in settings.algorithms else ():
        facts[f"{ours.column('auto', precision)} takes"] = ours.choice(layer, precision)
    tags = {"winograd"} if is_winograd(layer) else set()
    if ours.ONE_THREAD in times and times[ours.ONE_THREAD].median > 1e-3:
        tags.add("long")
    return Row(name, times, facts, frozenset(tags))
