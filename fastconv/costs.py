"""Which algorithm `auto` takes, and why: a cost model over exact bytes and multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import geometry
from .memory import format_bytes

__all__ = ["AlgorithmCost", "ConvolutionCosts", "choose"]

#: The shipped table, measured: multiply-adds and bytes of traffic a nanosecond, one thread.
MULTIPLY_ADDS_PER_NS = {"baseline": 8.0, "avx2": 50.0, "avx512": 100.0, "neon": 12.0}
BYTES_PER_NS = 12.0


@dataclass(frozen=True)
class AlgorithmCost:
    """What one algorithm takes for one convolution.

    Attributes
    ----------
    workspace, packed, output : int
        Bytes of scratch memory, of packed weights, and of the result.
    multiply_adds : int
    seconds : float
        The model's estimate on one thread, good for comparing algorithms.
    """

    workspace: int
    packed: int
    output: int
    multiply_adds: int
    seconds: float


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


def estimate_seconds(multiply_adds: int, traffic: int, itemsize: int, isa: str) -> float:
    """Return the modelled time: arithmetic at the tile's rate, then memory traffic."""
    rate = MULTIPLY_ADDS_PER_NS.get(isa, 8.0) * 4 / itemsize
    return (multiply_adds / rate + traffic / BYTES_PER_NS) * 1e-9


def choose(costs: dict[str, AlgorithmCost], limit: int | None) -> tuple[str, str]:
    """Return (algorithm, reason): the fastest whose workspace keeps within `limit` bytes."""
    allowed = {
        name: cost for name, cost in costs.items() if limit is None or cost.workspace <= limit
    }
    if not allowed:
        allowed = {"direct": costs["direct"]}
    choice = min(allowed, key=lambda name: (allowed[name].seconds, allowed[name].workspace))
    cost = costs[choice]
    rest = [f"{name} {other.seconds * 1e3:.3g} ms with {format_bytes(other.workspace)}"
            for name, other in costs.items() if name != choice]  # fmt: skip
    bound = "" if limit is None else f" within {format_bytes(limit)}"
    return choice, (
        f"estimated fastest{bound}, {cost.seconds * 1e3:.3g} ms with "
        f"{format_bytes(cost.workspace)} of workspace, against {', '.join(rest)}"
    )


def convolution_costs(
    g: geometry.Conv2DGeometry, itemsize: int, lanes: int, isa: str, direction: str
) -> dict[str, AlgorithmCost]:
    """Return the cost of every algorithm that can compute `g`; `direction` as in conv2d_costs."""
    backward = direction == "backward"
    plain_forward = few(g.K // g.groups, lanes)
    unfolded = g.im2col_bytes(itemsize)
    if backward:
        plain = few(g.C // g.groups, lanes)
        packed = {
            "direct": 0 if plain else g.packed_backward_bytes(itemsize, lanes),
            "im2col": packed_unfolded_backward(g, itemsize, lanes),
        }
        base = 0 if plain_forward else g.weight_gradient_bytes(itemsize, lanes)
        output = geometry.nbytes((g.N, g.C, g.H, g.W), itemsize)
        output += geometry.nbytes((g.K, g.C // g.groups, g.R, g.S), itemsize) + g.K * itemsize
        multiply_adds = 2 * g.multiply_adds
    else:
        same = 0 if plain_forward else g.packed_bytes(itemsize, lanes)
        packed = {"direct": same, "im2col": same}
        base, output = 0, geometry.nbytes(g.output_shape, itemsize)
        multiply_adds = g.multiply_adds
    passes = 2 if backward else 1
    return {
        "direct": AlgorithmCost(
            base, packed["direct"], output, multiply_adds,
            estimate_seconds(multiply_adds, output, itemsize, isa),
        ),
        "im2col": AlgorithmCost(
            base + unfolded, packed["im2col"], output, multiply_adds,
            estimate_seconds(multiply_adds, output + 2 * passes * unfolded, itemsize, isa),
        ),
    }  # fmt: skip


def few(channels: int, lanes: int) -> bool:
    """Return whether a group has so few output channels that pixels fill the lanes instead."""
    return 4 * channels <= lanes


def packed_unfolded_backward(g: geometry.Conv2DGeometry, itemsize: int, lanes: int) -> int:
    """Bytes of the weights packed for the unfolded gradient: panels of C/groups R S columns."""
    if few(g.taps, lanes):
        return 0
    return -(-g.taps // lanes) * lanes * g.K * itemsize
