"""What each ratio should reach, by the class of the processor, table and ratio.

Reports and the page of all classes print them, and docs/performance.md sets them beside what
bounds them.  They are looked up as a page is written, so that it holds reports of older versions
against the present ones.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["TILED", "Aim", "aim_of"]


class Aim(NamedTuple):
    """The geometric mean, and the largest single ratio, to be reached; None where none is set."""

    mean: float | None = None
    largest: float | None = None


#: Layers for which Winograd's algorithm pays.
TILED = ", 3x3 stride 1, C, K >= 64, maps >= 14"
#: By table and ratio, for processors with AVX2 and with AVX-512; one where both have the same.
AIMS: dict[str, dict[str, tuple[Aim, Aim] | Aim]] = {
    "Forward convolution, layers of 'first'": {
        "direct / best peer": (Aim(0.93, 1.03), Aim(0.90, 1.02)),
        "auto / best peer": (Aim(0.76, 1.03), Aim(0.74, 1.02)),
        f"auto / best peer{TILED}": Aim(0.65),
        "auto fast / best peer": (Aim(0.66, 1.03), Aim(0.66, 1.01)),
        f"auto fast / best peer{TILED}": Aim(0.50),
        "on arrays / best of PyTorch": (Aim(0.72, 1.05), Aim(0.60, 1.02)),
    },
    "Forward convolution, layers of 'others'": {"auto / best peer": Aim(0.82, 1.05)},
    "Forward convolution, layers of 'first', 2 threads": {
        "auto / best peer": (Aim(0.80, 1.10), Aim(0.78, 1.10)),
        f"auto / best peer{TILED}": Aim(0.65),
        f"auto fast / best peer{TILED}": Aim(0.50),
        "auto, 2 threads / one, over 1 ms": Aim(1 / 1.85),
    },
    "Backward convolution, layers of 'first'": {
        "fastconv / best of PyTorch": (Aim(0.58, 0.98), Aim(0.50, 0.95)),
        "fastconv fast / best of PyTorch": (Aim(0.50), Aim(0.45)),
    },
    "Backward convolution, layers of 'others'": {"fastconv / best of PyTorch": Aim(0.55, 1.05)},
    "Max pooling, forward": {"fastconv / best peer": (Aim(0.50), Aim(0.45))},
    "Max pooling, backward": {"fastconv / best of PyTorch": (Aim(0.55), Aim(0.45))},
    "Max pooling, 5x5 to 13x13 of stride 1, forward": {"fastconv / best peer": Aim(0.60)},
    "Max pooling, 5x5 to 13x13 of stride 1, backward": {"fastconv / best of PyTorch": Aim(0.60)},
    "Average pooling, 5x5 to 13x13 of stride 1, forward": {"fastconv / best peer": Aim(0.60)},
    "Average pooling, 5x5 to 13x13 of stride 1, backward": {
        "fastconv / best of PyTorch": Aim(0.60)
    },
    "Dense layers": {"book, forward": Aim(0.95), "book, dx": Aim(0.95), "book, dweight": Aim(0.95)},
    "im2col": {"im2col / unfold": (Aim(0.20), Aim(0.16)), "im2col / copy": Aim(largest=4.0)},
    "col2im": {"col2im / fold": (Aim(0.35), Aim(0.25)), "col2im / copy": Aim(largest=4.0)},
    "A step of training, batch 100, Adam": {
        "SimpleConvNet": (Aim(0.38), Aim(0.33)),
        "DeepConvNet": Aim(0.65),
        "conv 128, pool, dense": (Aim(0.15), Aim(0.11)),
    },
    "Whole networks, inference, batch 1": {
        "frozen / best peer": Aim(0.85),
        "frozen fast / best peer": Aim(0.75),
    },
    "The price of a call": {"auto / best of PyTorch": Aim(1.5)},
    "One of two cores busy with another process": {"busy / quiet": Aim(largest=1.10)},
    **{
        f"{operation}, {direction}": {"fastconv / PyTorch": Aim(1.0)}
        for operation in (
            "Normalisation, softmax and embedding",
            "Activations",
            "Transposed convolution",
            "Up-sampling, nearest",
            "Up-sampling, bilinear",
            "Zeros around maps",
            "Convolution of signals",
            "Maxima of whole maps",
        )
        for direction in ("forward", "backward")
    },
}
NONE = Aim()


def aim_of(table: str, ratio: str, isa: str) -> Aim:
    """Return what a ratio of a table should reach, in a report by the name of `isa`."""
    found = AIMS.get(table, {}).get(ratio, NONE)
    if isinstance(found, Aim):
        return found
    return found[isa.startswith("avx512")]
