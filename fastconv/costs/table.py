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
        Bytes a nanosecond of packed weights, and of those transformed for Winograd.
    input2, output2, input4, output4 : float
        Nanoseconds to transform the input of a Winograd tile, a channel, and its output, a
        filter: F(2x2, 3x3) and F(4x4, 3x3).
    gradient2, gradient4 : float
        The same for the gradient of the weights, a channel or filter: F(3x3, 2x2) and F(3x3, 4x4).
    written : float
        Bytes a nanosecond of the gradient of the weights, when its sums are known.
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
    gradient2: float
    gradient4: float
    written: float


#: Measured by ``python benchmarks/choices.py --fit`` on one machine; neon is an estimate.
SHIPPED = {
    "baseline": Table(
        rate=21, few=0.9, store=0.25, stream=11.9, unfold=17.6, fold=7.74, memory=29.3, pack=2.35,
        transform=2.61, input2=8.45, output2=5.33, input4=26.4, output4=18.2,
        gradient2=5, gradient4=16, written=3,
    ),
    "avx2": Table(
        rate=59.3, few=9.64, store=0.16, stream=19.8, unfold=14.4, fold=4.67, memory=148, pack=3.17,
        transform=5.05, input2=3.65, output2=4.24, input4=15.2, output4=9.16,
        gradient2=2, gradient4=6, written=6,
    ),
    "avx512": Table(
        rate=123, few=7.69, store=0.0231, stream=15.8, unfold=13.1, fold=5.18, memory=201,
        pack=4.63, transform=11.6, input2=1.99, output2=2.16, input4=8.32, output4=6.09,
        gradient2=1.1, gradient4=3.3, written=11,
    ),
    "neon": Table(
        rate=24, few=2, store=0.6, stream=14, unfold=9, fold=4, memory=50, pack=1.6,
        transform=3.2, input2=7, output2=6, input4=20, output4=20,
        gradient2=5, gradient4=16, written=5,
    ),
}  # fmt: skip
