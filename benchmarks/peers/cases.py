"""The layers that are measured: the first table, and whole networks layer by layer.

All tables but `others` are those of asv's suite, so that one name is one layer everywhere.
"""

from __future__ import annotations

from fnmatch import fnmatch

from suite.shapes import DENSE, MEC, NETWORKS, POOLS, UNFOLDS, WHOLE_NETWORKS, Layer, Pool

from peers.others import OTHERS, WIDE_POOLS, Oblong, pair

__all__ = [
    "DENSE",
    "POOL_CASES",
    "TABLES",
    "UNFOLDS",
    "WIDE_POOLS",
    "Case",
    "Layer",
    "Pool",
    "gigaflops",
    "is_winograd",
    "may_tile",
    "pair",
    "select",
]

Case = Layer | Oblong


def _named(layers: list[Layer]) -> dict[str, Layer]:
    """Name layers as the papers write them: C,H->K,R/stride,padding."""
    table = {}
    for layer in layers:
        groups = f" groups {layer.groups}" if layer.groups > 1 else ""
        name = f"{layer.C},{layer.H}->{layer.K},{layer.R}/{layer.stride},{layer.padding}{groups}"
        table[name] = layer
    return table


TABLES: dict[str, dict[str, Case]] = {
    "first": NETWORKS,
    "resnet50": _named(WHOLE_NETWORKS["ResNet-50"]),
    "vgg16": _named(WHOLE_NETWORKS["VGG-16"]),
    "alexnet": _named(WHOLE_NETWORKS["AlexNet"]),
    "mobilenet": _named(WHOLE_NETWORKS["MobileNet-v1"]),
    "mec": MEC,
    "others": OTHERS,
}

POOL_CASES = POOLS | {
    "96x55.3x3": Pool(1, 96, 55, 3, 2),  # AlexNet's first
    "deep": Pool(100, 16, 28, 2, 2),
}


def select(words: tuple[str, ...]) -> dict[str, dict[str, Case]]:
    """Return the tables, or parts of them, that `words` name: tables, "all", layers, patterns.

    Raises
    ------
    ValueError
        If a word names nothing.
    """
    chosen: dict[str, dict[str, Case]] = {}
    for word in words:
        found = False
        for title, table in TABLES.items():
            whole = word in (title, "all")
            part = {n: layer for n, layer in table.items() if whole or fnmatch(n, word)}
            if part:
                chosen.setdefault(title, {}).update(part)
                found = True
        if not found:
            raise ValueError(f"layers must be of {', '.join(TABLES)}, or in them, got {word!r}")
    return chosen


def gigaflops(layer: Case) -> float:
    """Return how many 1e9 operations a layer takes; those that fall in the padding do not count."""
    filters, channels, *window = layer.weight_shape
    batch, _, *maps = layer.x_shape
    work = 2e-9 * batch * filters * channels
    for size, taps, stride, padding in zip(
        maps, window, pair(layer.stride), pair(layer.padding), strict=True
    ):
        starts = range(-padding, size + padding - taps + 1, stride)
        work *= sum(min(start + taps, size) - max(start, 0) for start in starts)
    return work


def may_tile(layer: Case) -> bool:
    """Whether an algorithm with tiles of results, such as Winograd's, may be chosen."""
    depthwise = layer.groups > 1 and layer.weight_shape[1] == 1
    return layer.weight_shape[2:] != (1, 1) and layer.stride == 1 and not depthwise


def is_winograd(layer: Case) -> bool:
    """Whether, for the aims, Winograd's fewer multiplications are worth their transforms here."""
    filters, channels, *window = layer.weight_shape
    plain = window == [3, 3] and layer.stride == 1 and layer.groups == 1
    return plain and min(channels, filters) >= 64 and min(layer.x_shape[2:]) >= 14
