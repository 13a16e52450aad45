"""The layers that are measured: the first table, and whole networks layer by layer.

All tables are those of asv's suite, so that one name is one layer everywhere.
"""

from __future__ import annotations

from fnmatch import fnmatch

from suite.shapes import MEC, NETWORKS, POOLS, UNFOLDS, WHOLE_NETWORKS, Layer, Pool

__all__ = ["TABLES", "POOL_CASES", "UNFOLDS", "Layer", "Pool", "gigaflops", "is_winograd", "select"]


def _named(layers: list[Layer]) -> dict[str, Layer]:
    """Name layers as the papers write them: C,H->K,R/stride,padding."""
    table = {}
    for layer in layers:
        groups = f" groups {layer.groups}" if layer.groups > 1 else ""
        name = f"{layer.C},{layer.H}->{layer.K},{layer.R}/{layer.stride},{layer.padding}{groups}"
        table[name] = layer
    return table


TABLES: dict[str, dict[str, Layer]] = {
    "first": NETWORKS,
    "resnet50": _named(WHOLE_NETWORKS["ResNet-50"]),
    "vgg16": _named(WHOLE_NETWORKS["VGG-16"]),
    "alexnet": _named(WHOLE_NETWORKS["AlexNet"]),
    "mobilenet": _named(WHOLE_NETWORKS["MobileNet-v1"]),
    "mec": MEC,
}

POOL_CASES = POOLS | {
    "96x55.3x3": Pool(1, 96, 55, 3, 2),  # AlexNet's first
    "deep": Pool(100, 16, 28, 2, 2),
}


def select(words: tuple[str, ...]) -> dict[str, dict[str, Layer]]:
    """Return the tables, or parts of them, that `words` name: tables, "all", layers, patterns.

    Raises
    ------
    ValueError
        If a word names nothing.
    """
    chosen: dict[str, dict[str, Layer]] = {}
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


def gigaflops(layer: Layer) -> float:
    """Return 1e9 operations of a layer; what falls in the padding is none."""
    size = (layer.H + 2 * layer.padding - layer.R) // layer.stride + 1
    starts = (i * layer.stride - layer.padding for i in range(size))
    taps = sum(min(start + layer.R, layer.H) - max(start, 0) for start in starts)
    return 2e-9 * layer.N * layer.K * (layer.C // layer.groups) * taps * taps


def is_winograd(layer: Layer) -> bool:
    """Whether fewer multiplications are worth their transforms here, as the aims have it."""
    plain = layer.R == 3 and layer.stride == 1 and layer.groups == 1
    return plain and min(layer.C, layer.K) >= 64 and layer.H >= 14
