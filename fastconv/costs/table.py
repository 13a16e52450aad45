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
        The same for each input channel of the gradient of an input that has few channels.
    store : float
        Nanoseconds to store a result of the register tile.
    stream : float
        Bytes a nanosecond of transformed weights that do not stay in the cache between two blocks.
    unfold, fold : float
        Bytes a nanosecond of the unfolded matrix, made, and added up again, a slab at a time.
    memory : float
        Bytes a nanosecond to and from main memory, where the whole batch is unfolded.
    pack, transform : float
        Bytes a nanosecond of packed weights, and of those transformed for Winograd.
    input2, output2, input4, output4 : float
        Nanoseconds to transform one channel of the input of a Winograd tile, and one filter of
        its output, for F(2x2, 3x3) and F(4x4, 3x3).  F(2x2, 5x5) takes input4 and half of output4,
        F(4x4, 5x5) 2.2 times input4 and twice output4.
    gradient2, gradient4 : float
        The same for the gradient of the weights, a channel or filter: F(3x3, 2x2) and F(3x3, 4x4).
    sums, written : float
        Bytes a nanosecond, again for the gradient of the weights: of the sums of its Winograd
        tiles, which every block reads and writes if they do not stay in the cache; and of the
        gradient itself, written once its sums are known.
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
    sums: float
    written: float


#: Fitted by ``python benchmarks/choices.py --fit``; neon is an estimate.  Those of baseline are
#: older: they were fitted before the input of Winograd's algorithm was transformed with channels in
#: the lanes.  Those of avx2 are of an AMD processor with AVX2 and no AVX-512 (family 25, model 1),
#: from two runs together.
SHIPPED = {
    "baseline": Table(
        rate=23.2,
        few=0.9,
        store=0.175,
        stream=16.1,
        unfold=13.6,
        fold=5.03,
        memory=45.1,
        pack=12.8,
        transform=4.12,
        input2=7.26,
        output2=3.21,
        input4=18.5,
        output4=12.4,
        gradient2=2.22,
        gradient4=11.2,
        sums=82,
        written=8.27,
    ),
    "avx2": Table(
        rate=30.7,
        few=9.64,
        store=0.398,
        stream=14.3,
        unfold=3.38,
        fold=3.28,
        memory=148,
        pack=2.23,
        transform=4.8,
        input2=6.7,
        output2=7.93,
        input4=16.8,
        output4=20.6,
        gradient2=4.48,
        gradient4=16.9,
        sums=34.1,
        written=5.16,
    ),
    "avx512": Table(
        rate=60.4,
        few=7.69,
        store=0.0355,
        stream=9.51,
        unfold=3.43,
        fold=3.27,
        memory=201,
        pack=4.77,
        transform=8.53,
        input2=1.6,
        output2=4.4,
        input4=12.2,
        output4=13.4,
        gradient2=2.41,
        gradient4=9.09,
        sums=390,
        written=6.13,
    ),
    "neon": Table(
        rate=24,
        few=2,
        store=0.6,
        stream=14,
        unfold=9,
        fold=4,
        memory=50,
        pack=1.6,
        transform=3.2,
        input2=7,
        output2=6,
        input4=20,
        output4=20,
        gradient2=5,
        gradient4=16,
        sums=84,
        written=5,
    ),
}
