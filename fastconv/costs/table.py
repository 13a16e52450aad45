"""The constants of the cost model, for each instruction set: shipped, or measured here."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SHIPPED", "Table"]


@dataclass(frozen=True)
class Table:
    """What the kernels take on one thread of one machine, float32.

    Attributes
    ----------
    rate : float
        Multiply-adds a nanosecond in the register tile.
    few : float
        The same for an input channel of the gradient of an input with few of them.
    store : float
        Nanoseconds to store a result of the register tile.
    stream : float
        Bytes a nanosecond of transformed weights, which leave the cache between two blocks.
    unfold, fold : float
        Bytes a nanosecond of the unfolded matrix, made and added up again, a slab at a time.
    memory : float
        Bytes a nanosecond that come and go where the whole batch is unfolded.
    pack, transform : float
        Bytes a nanosecond of packed weights, and of those mirrored and transformed.
    input2, output2, input4, output4 : float
        Nanoseconds to transform the input of a Winograd tile, a channel, and its output, a
        filter: F(2x2, 3x3) and F(4x4, 3x3).
    """

    rate: float
    few: float
    store: float
    stream: float
    unfold: float
    fold: float
    memory: float
    pack: float
    transform: float
    input2: float
    output2: float
    input4: float
    output4: float


#: Measured by ``python benchmarks/choices.py --fit`` on one machine; neon is an estimate.
SHIPPED = {
    "baseline": Table(
        rate=14, few=0.9, store=1.4, stream=17, unfold=14, fold=5.3, memory=87, pack=2.8,
        transform=6.5, input2=45, output2=22, input4=160, output4=60,
    ),
    "avx2": Table(
        rate=55, few=9.64, store=0.36, stream=17, unfold=15.5, fold=5.3, memory=172, pack=2.17,
        transform=4.56, input2=4.04, output2=4.46, input4=17.2, output4=10.7,
    ),
    "avx512": Table(
        rate=108, few=7.69, store=0.167, stream=17, unfold=14.1, fold=5.31, memory=87, pack=2.79,
        transform=6.47, input2=5.63, output2=2.71, input4=20.2, output4=7.27,
    ),
    "neon": Table(
        rate=20, few=1.3, store=1.0, stream=17, unfold=14, fold=5.3, memory=87, pack=2.8,
        transform=6.5, input2=33, output2=16, input4=120, output4=44,
    ),
}  # fmt: skip
