"""The fastest algorithm that keeps within a limit and a precision, and the reason in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastconv.costs.model import AlgorithmCost
from fastconv.memory import format_bytes
from fastconv.options import ConvOptions

__all__ = ["ConvolutionCosts", "choose"]


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
        rows = [f"{name:12} {cost}" for name, cost in self.items()]
        return "\n".join([*rows, f"auto takes {self.choice}: {self.why}"])


def choose(
    costs: dict[str, AlgorithmCost], images: int, side: int, options: ConvOptions, itemsize: int
) -> tuple[str, str]:
    """Return (algorithm, reason): the fastest within the limit and the precision of `options`.

    It never takes ``im2col``, for ``im2col_tiled`` does the same in less memory, and no slower.
    The reason names Winograd's tiles, which are for kernels of `side` x `side`.  The seconds that
    it compares are those of `images` images on one thread.  Their number does not depend on the
    batch, so that neither the batch nor the number of threads decides about bits.
    """
    limit, precision = options.workspace_limit, options.precision
    allowed = {
        name: cost
        for name, cost in costs.items()
        if (limit is None or cost.least <= limit or name == "direct")
        and name != "im2col"
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
    kernel = f"{side}x{side}"
    tiles = [f"F({cost.tile}x{cost.tile}, {kernel})"] if cost.tile else []
    if cost.weight_tile:
        tiles.append(f"F({kernel}, {cost.weight_tile}x{cost.weight_tile}) for the weights")
    kind = f" as {' and '.join(tiles)}" if tiles else ""
    batch = "an image" if images == 1 else f"{images} images"
    return choice, (
        f"estimated fastest for {batch}{bound}{kind}, {cost.seconds * 1e3:.3g} ms with "
        f"{format_bytes(cost.workspace)} of workspace, against {', '.join(rest)}"
    )
