"""Forward convolution by layer: packed weights against all peers, arrays against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
from suite.shapes import normal

import fastconv
from peers.aims import TILED
from peers.cases import Case, gigaflops, is_winograd, may_tile, select
from peers.contenders import Contender, compare
from peers.exactness import LIMITS, errors
from peers.libraries import mnn, ncnn, ours
from peers.libraries.runtimes import NAMES, networks
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress

PYTORCH = ("PyTorch", "PyTorch channels_last")
EVERYONE = (
    *PYTORCH,
    *NAMES.values(),
    mnn.NAME,
    mnn.SMALL_TILES,
    mnn.DIRECT,
    ncnn.NAME,
    ncnn.DIRECT,
)
INDIRECT = frozenset({mnn.NAME, mnn.SMALL_TILES, ncnn.NAME})  # where tiles may be chosen


def run(settings: Settings) -> list[Table]:
    """Return a table for each table of layers that `settings.layers` names."""
    return [_table(title, layers, settings) for title, layers in select(settings.layers).items()]


def _table(title: str, layers: dict[str, Case], settings: Settings) -> Table:
    kept = "into kept memory" if settings.keep_output else "into a new array each call"
    threads = f", {settings.threads} threads" if settings.threads > 1 else ""
    table = Table(
        f"Forward convolution, layers of {title!r}{threads}",
        [
            "fastconv's weights are packed ahead (`prepare_conv2d`, as `net(x)` has them), but "
            f"for `{ours.ARRAYS}`, which packs in the call; it writes {kept}.",
            "PyTorch's tensors are in the layout that is named; what it reorders is in the call. "
            "It writes into a new tensor.",
            "ONNX Runtime and OpenVINO have packed their weights ahead and write into kept "
            "memory (bound, a request that is used again) where that is faster.",
            "MNN and ncnn have packed their weights ahead as well, keep their input, and write "
            "plain NCHW into new memory; what they reorder is in the call. By default they take "
            "large tiles of Winograd's algorithm, whose errors are below. MNN takes part once more "
            "with `small tiles` (of 2x2 results), and both without any (`direct`), which alone "
            "count beside columns of fastconv that do all multiplications too.",
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
    for algorithm in settings.algorithms:
        if algorithm != "auto":
            direct = algorithm in settings.direct_algorithms
            ratios.append(_over_everyone(algorithm, direct=direct))
    for precision in settings.precisions if "auto" in settings.algorithms else ():
        column = ours.column("auto", precision)
        direct = precision == "strict"
        ratios.append(_over_everyone(column, within=precision, direct=direct))
        narrower: dict[str, Any] = {"tag": "winograd", "where": TILED, "direct": direct}
        ratios.append(_over_everyone(column, within=precision, **narrower))
    ratios.append(Ratio("on arrays / best of PyTorch", ours.ARRAYS, PYTORCH))
    if settings.threads > 1:
        first = settings.algorithms[0]
        first = ours.column(first, settings.precisions[0] if first == "auto" else "standard")
        label = f"{first}, {settings.threads} threads / one, over 1 ms"
        ratios.append(Ratio(label, first, (ours.ONE_THREAD,), tag="long"))
    return ratios


def peers(
    layer: Case, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, settings: Settings
) -> list[Contender]:
    """Return all peers that take part, each at its best for a convolution."""
    tiles = may_tile(layer)
    direct = tiles and bool(settings.direct_algorithms)
    found = []
    if "torch" in settings.peers:
        from peers.libraries import pytorch

        found += pytorch.convolution(layer, x, weight, bias)
    if {*NAMES, "mnn"} & set(settings.peers):
        from peers.libraries import onnx_files

        file = onnx_files.convolution(layer, weight, bias)
        names = [mnn.NAME, *[mnn.SMALL_TILES] * tiles, *[mnn.DIRECT] * direct]
        found += networks(file, x, settings, names)
    if "ncnn" in settings.peers:
        names = [ncnn.NAME, *[ncnn.DIRECT] * direct]
        found += ncnn.convolution(layer, x, weight, bias, settings.threads, names)
    return found


def _over_everyone(
    column: str,
    *,
    within: str = "standard",
    direct: bool = False,
    tag: str | None = None,
    where: str = "",
) -> Ratio:
    """Compare a column with the best peer that is as exact as the precision `within` asks for."""
    label = f"{column} / best peer{where}"
    return Ratio(label, column, EVERYONE, tag, within=LIMITS[within], direct=direct)


def _row(name: str, layer: Case, settings: Settings) -> Row:
    x, weight = normal(layer.x_shape), normal(layer.weight_shape, 1)
    bias = normal((layer.K,), 2)
    racing = ours.convolutions(layer, x, weight, bias, settings)
    racing += peers(layer, x, weight, bias, settings)
    times = compare(name, racing, settings.pace)
    exact = fastconv.conv2d(*(a.astype("float64") for a in (x, weight, bias)), **layer.options)
    work = gigaflops(layer)
    facts = {"GFLOP": f"{work:.3f}"}
    if "direct" in times:
        facts["direct GFLOP/s"] = f"{work / times['direct'].median:.0f}"
    for precision in settings.precisions if "auto" in settings.algorithms else ():
        facts[f"{ours.column('auto', precision)} takes"] = ours.choice(layer, precision)
    tags = {"winograd"} if is_winograd(layer) else set()
    if ours.ONE_THREAD in times and times[ours.ONE_THREAD].median > 1e-3:
        tags.add("long")
    indirect = INDIRECT if may_tile(layer) else frozenset()
    return Row(name, times, facts, frozenset(tags), errors(racing, exact), indirect)
