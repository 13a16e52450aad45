"""The layers that are measured: the first table, and whole networks layer by layer.

The first table and MEC's are those of asv's suite, so that one name is one layer everywhere.
"""

from __future__ import annotations

from fnmatch import fnmatch

from suite.shapes import MEC, NETWORKS, POOLS, UNFOLDS, Layer, Pool

__all__ = ["TABLES", "POOL_CASES", "UNFOLDS", "Layer", "Pool", "gigaflops", "is_winograd", "select"]


def _square(*rows: tuple[int, ...]) -> dict[str, Layer]:
    """Name layers (C, H, K, R, stride, padding, groups) as the papers write them."""
    table = {}
    for row in rows:
        layer = Layer(*row)
        groups = f" groups {layer.groups}" if layer.groups > 1 else ""
        name = f"{layer.C},{layer.H}->{layer.K},{layer.R}/{layer.stride},{layer.padding}{groups}"
        table[name] = layer
    return table


RESNET50 = _square(
    (3, 224, 64, 7, 2, 3),
    (64, 56, 256, 1), (64, 56, 64, 1), (64, 56, 64, 3, 1, 1), (256, 56, 64, 1),
    (256, 56, 512, 1, 2), (256, 56, 128, 1), (128, 56, 128, 3, 2, 1), (128, 28, 128, 3, 1, 1),
    (128, 28, 512, 1), (512, 28, 128, 1),
    (512, 28, 1024, 1, 2), (512, 28, 256, 1), (256, 28, 256, 3, 2, 1), (256, 14, 256, 3, 1, 1),
    (256, 14, 1024, 1), (1024, 14, 256, 1),
    (1024, 14, 2048, 1, 2), (1024, 14, 512, 1), (512, 14, 512, 3, 2, 1), (512, 7, 512, 3, 1, 1),
    (512, 7, 2048, 1), (2048, 7, 512, 1),
)  # fmt: skip

VGG16 = _square(
    *((c, h, k, 3, 1, 1) for c, h, k in (
        (3, 224, 64), (64, 224, 64), (64, 112, 128), (128, 112, 128), (128, 56, 256),
        (256, 56, 256), (256, 28, 512), (512, 28, 512), (512, 14, 512),
    ))
)  # fmt: skip

ALEXNET = _square(
    (3, 227, 96, 11, 4), (96, 27, 256, 5, 1, 2, 2), (256, 13, 384, 3, 1, 1),
    (384, 13, 384, 3, 1, 1, 2), (384, 13, 256, 3, 1, 1, 2),
)  # fmt: skip

MOBILENET = _square(
    (3, 224, 32, 3, 2, 1),
    *((c, h, c, 3, s, 1, c) for c, h, s in (
        (32, 112, 1), (64, 112, 2), (128, 56, 1), (128, 56, 2), (256, 28, 1), (256, 28, 2),
        (512, 14, 1), (512, 14, 2), (1024, 7, 1),
    )),
    *((c, h, k, 1) for c, h, k in (
        (32, 112, 64), (64, 56, 128), (128, 56, 128), (128, 28, 256), (256, 28, 256),
        (256, 14, 512), (512, 14, 512), (512, 7, 1024), (1024, 7, 1024),
    )),
)  # fmt: skip

TABLES: dict[str, dict[str, Layer]] = {
    "first": NETWORKS,
    "resnet50": RESNET50,
    "vgg16": VGG16,
    "alexnet": ALEXNET,
    "mobilenet": MOBILENET,
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
