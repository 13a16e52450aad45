"""Which algorithm `auto` takes, and why: a cost model over exact bytes and multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from . import geometry
from .geometry import Conv2DGeometry
from .memory import format_bytes

__all__ = ["AlgorithmCost", "ConvolutionCosts", "Target", "choose", "convolution_costs", "few"]

BYTES_PER_NS = 12.0  # of unfolding, and of first touching memory
PACKED_BYTES_PER_NS = 8.0  # of transforming weights
STREAM_BYTES_PER_NS = 28.0  # of weights that do not stay in the cache
FOLDED = 1.25  # how much longer a gradient of the input that is folded takes
FOLDED_TAPS, FOLDED_WIDTH = 128, 4096  # what the stack of kernels/folded.pxi holds


@dataclass(frozen=True)
class Target:
    """What the cost model has to know of the active kernels.

    Attributes
    ----------
    isa : str
    itemsize : int
        Bytes of a number.
    lanes : int
        Output channels of a panel.
    tile : int
        Pixels of a register tile.
    """

    isa: str
    itemsize: int
    lanes: int
    tile: int

    @property
    def block(self) -> int:
        """Winograd tiles that are carried through the cache together."""
        return 2 * self.tile

    @property
    def rate(self) -> float:
        """Multiply-adds a nanosecond in the register tile, measured on one thread."""
        return RATES.get(self.isa, 8.0) * 4 / self.itemsize

    @property
    def step(self) -> float:
        """How much longer vector instructions take than with 16 lanes."""
        return RATES["avx512"] / self.rate


#: The shipped table: float32 multiply-adds a nanosecond on one thread.
RATES = {"baseline": 14.0, "avx2": 55.0, "avx512": 120.0, "neon": 20.0}
#: Nanoseconds with 16 lanes: to store an output of the register tile; to transform a tile's
#: input, a channel, and output, a filter, for F(2x2) and F(4x4).
STORE = 0.08
WINOGRAD_INPUT = {2: 1.8, 4: 6.0}
WINOGRAD_OUTPUT = {2: 2.0, 4: 5.5}


@dataclass(frozen=True)
class AlgorithmCost:
    """What one algorithm takes for one convolution.

    Attributes
    ----------
    workspace, packed, output : int
        Bytes of scratch memory, of packed weights as `prepare_conv2d` keeps them (a call on
        plain weights packs no more), and of the result.
    multiply_adds : int
        Of the convolution itself, whatever the algorithm saves.
    seconds : float
        The model's estimate on one thread, good for comparing algorithms.
    least : int
        The fewest bytes of `workspace_limit` it can do with.
    tile : int
        Outputs along the side of a Winograd tile, else 0.
    """

    workspace: int
    packed: int
    output: int
    multiply_adds: int
    seconds: float
    least: int
    tile: int = 0


class ConvolutionCosts(Mapping):
    """Algorithm name to `AlgorithmCost`, with what `auto` takes and the reason.

    Attributes
    ----------
    choice : str
    why : str
    """

    def __init__(self, costs: dict[str, AlgorithmCost], choice: str, why: str):
        self._costs = costs
        self.choice = choice
        self.why = why

    def __getitem__(self, algorithm: str) -> AlgorithmCost:
        return self._costs[algorithm]

    def __iter__(self) -> Iterator[str]:
        return iter(self._costs)

    def __len__(self) -> int:
        return len(self._costs)

    def __repr__(self) -> str:
        rows = [f"{name:10} {cost}" for name, cost in self.items()]
        return "\n".join([*rows, f"auto takes {self.choice}: {self.why}"])


def choose(
    costs: dict[str, AlgorithmCost], limit: int | None, itemsize: int, precision: str
) -> tuple[str, str]:
    """Return (algorithm, reason): the fastest that keeps within `limit` bytes and `precision`.

    What is compared belongs to one image and one thread, so that neither the batch nor the
    machine's load decides about bits.
    """
    allowed = {
        name: cost
        for name, cost in costs.items()
        if (limit is None or cost.least <= limit or name == "direct")
        and (name != "winograd" or (precision != "strict" and itemsize == 4))
    }
    choice = min(allowed, key=lambda name: (allowed[name].seconds, allowed[name].workspace))
    cost = costs[choice]
    rest = [
        f"{name} {other.seconds * 1e3:.3g} ms with {format_bytes(other.workspace)}"
        + ("" if name in allowed else " (not allowed)")
        for name, other in costs.items()
        if name != choice
    ]
    bound = "" if limit is None else f" within {format_bytes(limit)}"
    kind = f" as F({cost.tile}x{cost.tile}, 3x3)" if cost.tile else ""
    return choice, (
        f"estimated fastest for an image{bound}{kind}, {cost.seconds * 1e3:.3g} ms with "
        f"{format_bytes(cost.workspace)} of workspace, against {', '.join(rest)}"
    )


def few(channels: int, lanes: int) -> bool:
    """Return whether a group has so few output channels that pixels fill the lanes instead."""
    return 4 * channels <= lanes


def folds(g: Conv2DGeometry, lanes: int) -> bool:
    """Return whether the gradient of the input is a product with all taps, folded in the cache.

    It wins where input channels would leave half of the lanes empty; the columns of a row of
    the output have to fit the kernel's stack.
    """
    return (
        2 * g.C // g.groups <= lanes
        and g.K > g.groups
        and 1 < g.R * g.S <= FOLDED_TAPS
        and g.W <= FOLDED_WIDTH
        and g.OH * g.OW >= lanes
    )


def convolution_costs(
    g: Conv2DGeometry, on: Target, direction: str, limit: int | None, precision: str, threads: int
) -> dict[str, AlgorithmCost]:
    """Return the cost of every algorithm that can compute `g`.

    `direction` is "forward", "backward", or "input" for the gradient of the input alone.
    """
    size = on.itemsize
    outputs = g.N * g.K * g.OH * g.OW
    direct = outputs * (g.taps / on.rate + STORE * on.step) * 1e-9
    unfolded = g.im2col_bytes(size)
    if direction == "forward":
        packed = unfolded_packed = _packed(g.K // g.groups, g.packed_bytes(size, on.lanes), on)
        sums, output, passes = 0, outputs * size, 1
        minimal, others = g, 0.0
    else:
        packed = _packed(g.C // g.groups, g.packed_backward_bytes(size, on.lanes), on)
        others = direct  # the gradient of the weights, by whatever algorithm
        if folds(g, on.lanes):
            packed = 0
            direct *= FOLDED
        unfolded_packed = _packed(g.taps, -(-g.taps // on.lanes) * on.lanes * g.K * size, on)
        sums = g.weight_gradient_bytes(size, on.lanes)
        if direction == "input" or few(g.K // g.groups, on.lanes):
            sums = 0
        images, weights = (g.N, g.C, g.H, g.W), (g.K, g.C // g.groups, g.R, g.S)
        output = geometry.nbytes(images, size) + geometry.nbytes(weights, size) + g.K * size
        passes = 2
        minimal = g.mirrored()
    unfolding = (2 * passes * unfolded / BYTES_PER_NS) * 1e-9
    found = {
        "direct": AlgorithmCost(
            sums, packed, output, passes * g.multiply_adds, direct + others, sums
        ),
        "im2col": AlgorithmCost(
            sums + unfolded, unfolded_packed, output, passes * g.multiply_adds,
            direct + others + unfolding, sums + unfolded,
        ),
    }  # fmt: skip
    if g.suits_winograd:
        sizes = (2, 4) if precision == "fast" else (2,)
        one = replace(minimal, N=1)  # the size of the tile must not hang on the batch
        m = min(sizes, key=lambda m: _winograd(one, m, on, None, 1).seconds)
        best = _winograd(minimal, m, on, limit, threads)
        packed, packing = best.packed, 0.0
        if direction != "forward":  # the weights change with every step: transformed in the call
            packed = minimal.winograd_packed_bytes(m, size, on.lanes)
            packing = packed / PACKED_BYTES_PER_NS * 1e-9
        found["winograd"] = AlgorithmCost(
            max(best.workspace, sums), packed, output, passes * g.multiply_adds,
            best.seconds + packing + others, max(best.least, sums), best.tile,
        )  # fmt: skip
    return found


def _packed(channels: int, nbytes: int, on: Target) -> int:
    return 0 if few(channels, on.lanes) else nbytes


def _winograd(
    g: Conv2DGeometry, m: int, on: Target, limit: int | None, threads: int
) -> AlgorithmCost:
    """F(m x m, 3x3): panels and their transform are packed, a slot of workspace a thread."""
    slot = g.winograd_slot_bytes(m, on.block, on.itemsize, on.lanes)
    transformed = g.winograd_packed_bytes(m, on.itemsize, on.lanes)
    slots = max(1, min(threads, g.winograd_blocks(m, on.block)))
    if limit is not None:
        slots = max(1, min(slots, (limit - transformed) // slot))
    tiles = g.N * g.winograd_tiles(m)
    vector = on.lanes // 2  # half a panel is multiplied where that is enough
    filters = -(-g.K // vector) * vector
    products = tiles * (m + 2) ** 2 * g.C * filters / on.rate
    transforms = tiles * (g.C * WINOGRAD_INPUT[m] + filters * WINOGRAD_OUTPUT[m]) * on.step
    stream = transformed * g.winograd_blocks(m, on.block) / STREAM_BYTES_PER_NS
    return AlgorithmCost(
        slots * slot, g.packed_bytes(on.itemsize, on.lanes) + transformed,
        geometry.nbytes(g.output_shape, on.itemsize), g.multiply_adds,
        (max(products, stream) + transforms) * 1e-9, slot + transformed, m,
    )  # fmt: skip
