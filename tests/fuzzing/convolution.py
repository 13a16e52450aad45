"""conv2d, conv2d_backward, prepare_conv2d and what conv2d_costs states, for every algorithm."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastconv
from fastconv import costs, memory, reference
from fastconv.functional.choosing import decide
from fastconv.geometry import Conv2DGeometry
from fastconv.options import as_options
from fastconv.threads import get_num_threads
from fuzzing.case import Case, plain
from fuzzing.compare import close, same
from fuzzing.geometries import draw_convolution, draw_limit

EXACT = ("direct", "im2col", "im2col_tiled")
#: Those that are tried in a direction of a case, at most.
ALGORITHMS = 3
#: Roundings that a sum by minimal filtering may cost, by the inputs a side of its tile.
ROUNDINGS = {4: 60, 6: 600, 8: 6000}


def check(case: Case) -> None:
    """Forward and backward by every algorithm against the reference, and against each other."""
    x_shape, weight_shape, options = draw_convolution(case.rng, 10 ** case.rng.uniform(3, 6))
    if case.chance(0.03):
        x_shape = (0, *x_shape[1:])
    case.notes |= {"x": x_shape, "weight": weight_shape, **options}
    x, weight = case.array(x_shape), case.array(weight_shape)
    bias = case.array(weight_shape[:1]) if case.chance(0.6) else None
    g = Conv2DGeometry.make("fuzz", x_shape, weight_shape, **options)
    algorithms = ["auto", *EXACT, *(["winograd"] * 4 if g.suits_winograd else [])]
    forward = _Forward(case, g, options, x, weight, bias)
    for algorithm in {case.pick(*algorithms): None for _ in range(ALGORITHMS)}:
        forward.check(algorithm)
    backward = _Backward(case, g, options, case.array(g.output_shape), x, weight)
    for algorithm in {case.pick(*algorithms): None for _ in range(ALGORITHMS)}:
        backward.check(algorithm)


@dataclass
class _Bound:
    """How far a result may be from the reference where it is not the same to the bit."""

    sizes: np.ndarray  # sums of the magnitudes of what an element adds up
    products: int  # of an element
    largest: float  # a product


class _Direction:
    """What forward and backward share: how to run an algorithm, and how to compare."""

    operation: str

    def __init__(self, case: Case, g: Conv2DGeometry, options: dict[str, Any]):
        self.case, self.g, self.options = case, g, options
        self.exact = case.values != "real"
        self.first: dict[str, np.ndarray] = {}  # results that others must repeat to the bit
        self.weight_shape = (g.K, g.C // g.groups, g.R, g.S)

    def decide(self, algorithm: str, direction: str) -> tuple[dict[str, Any], costs.AlgorithmCost]:
        """Return the options of a call by `algorithm`, at times with a limit, and its cost."""
        case, x_shape = self.case, (self.g.N, self.g.C, self.g.H, self.g.W)
        precision = case.pick("strict", "standard", "fast")
        if algorithm == "winograd" and precision == "strict":
            precision = "fast"
        limit = draw_limit(
            case.rng, algorithm, x_shape, self.weight_shape, case.dtype, self.options, direction
        )
        chosen = {
            **self.options,
            "algorithm": algorithm,
            "precision": precision,
            "workspace_limit": limit,
        }

        def cost() -> costs.AlgorithmCost:
            options = as_options(self.operation, **chosen)
            return case.call(
                decide,
                self.operation,
                direction,
                x_shape,
                self.weight_shape,
                np.dtype(case.dtype),
                options,
                get_num_threads(),
            ).cost

        if case.chance(0.2):
            chosen["workspace_limit"] = cost().least
        return chosen, cost()

    def check_memory(self, call: Any, cost: costs.AlgorithmCost, chosen: dict[str, Any]) -> Any:
        """Call, and hold the workspace against the limit and what was stated.

        It may be another where what is not finite is computed again.
        """
        with memory.track() as used:
            found = call()
        limit = chosen["workspace_limit"]
        usual = self.g.N and self.case.values != "special"
        if usual and used.workspace_peak != cost.workspace:
            raise AssertionError(
                f"{used.workspace_peak} bytes of workspace, and {cost.workspace} were stated: "
                f"{chosen}"
            )
        if limit is not None and used.workspace_peak > limit:
            raise AssertionError(f"{used.workspace_peak} bytes of workspace: {chosen}")
        return found

    def compare(self, what: str, how: str, found: Any, right: Any, bound: _Bound, tile: int):
        """Compare with the reference, and without minimal filtering with other algorithms."""
        what_how = f"{what} {how}"
        case = self.case
        edge = self.g.winograd_edge(tile) if tile else 0
        if self.exact and edge < 6:
            same(what_how, found, right.astype(case.dtype, copy=False))
            return
        if tile:
            with np.errstate(all="ignore"):
                finite = np.abs(right[np.isfinite(right)])
            size = bound.largest * bound.products**0.5 + float(np.max(finite, initial=0))
            allowed = case.bound(ROUNDINGS[edge] + bound.products, size)
        else:
            allowed = case.bound(2 * bound.products, bound.sizes)
        close(what_how, found, right, allowed, case.dtype)
        if not tile:
            same(f"{what_how} beside others", found, self.first.setdefault(what, found))

    def wide(self, array: Any) -> Any:
        """Return what the reference computes with: numbers with room where sums would round."""
        return array if array is None or self.exact else array.astype(np.float64)

    def largest(self, *arrays: np.ndarray) -> float:
        """Return the largest product of finite elements, one of each array."""
        return float(np.prod([np.max(np.abs(a[np.isfinite(a)]), initial=0) for a in arrays]))


class _Forward(_Direction):
    operation = "conv2d"

    def __init__(self, case, g, options, x, weight, bias):
        super().__init__(case, g, options)
        self.x, self.weight, self.bias = x, weight, bias
        self.plain = plain(x), plain(weight), None if bias is None else plain(bias)
        wide = [self.wide(a) for a in self.plain]
        with np.errstate(all="ignore"):
            self.y = reference.conv2d(*wide, **options)
            sizes = self.y if self.exact else reference.conv2d(*map(_sizes, wide), **options)
        self.bound = _Bound(sizes, g.taps + 1, self.largest(*self.plain[:2]))
        if not self.exact:
            with case.alone():
                self.first["y"] = fastconv.conv2d(*self.plain, algorithm="direct", **options)
                self.first["relu"] = np.maximum(self.first["y"], 0)

    def check(self, algorithm: str) -> None:
        case = self.case
        chosen, cost = self.decide(algorithm, "forward")
        activation = "relu" if case.chance(0.25) else None
        weight = self.weight
        if case.chance(0.3):
            weight = case.call(fastconv.prepare_conv2d, weight, **self.options)
            same("unpacked", weight.unpacked(), self.plain[1])
            if case.chance(0.2):
                weight = pickle.loads(pickle.dumps(weight))
        out = case.output(self.y.shape) if case.chance(0.4) else None

        def call(x: np.ndarray = self.x, out: np.ndarray | None = out) -> np.ndarray:
            return case.call(
                fastconv.conv2d, x, weight, self.bias, activation=activation, out=out, **chosen
            )

        y = self.check_memory(call, cost, chosen)
        if out is not None and y is not out:
            raise AssertionError("conv2d: out is not what is returned")
        right = self.y
        if activation:
            with np.errstate(all="ignore"):
                right = np.maximum(right, right.dtype.type(0))
        self.compare(activation or "y", f"of {chosen}", y, right, self.bound, cost.tile)
        if not self.exact and len(y):
            n = int(case.rng.integers(len(y)))
            same(f"image {n} for itself by {chosen}", call(self.x[n : n + 1], None)[0], y[n])


class _Backward(_Direction):
    operation = "conv2d_backward"

    def __init__(self, case, g, options, dy, x, weight):
        super().__init__(case, g, options)
        self.arrays = dy, x, weight
        self.plain = [plain(a) for a in self.arrays]
        wide = [self.wide(a) for a in self.plain]
        with np.errstate(all="ignore"):
            self.right = reference.conv2d_backward(*wide, **options)
            sizes = self.right
            if not self.exact:
                sizes = reference.conv2d_backward(*map(_sizes, wide), **options)
        dy, x, weight = self.plain
        pixels = g.N * g.OH * g.OW + 1
        self.bounds = (
            _Bound(sizes[0], g.K // g.groups * g.R * g.S + 1, self.largest(dy, weight)),
            _Bound(sizes[1], pixels, self.largest(dy, x)),
            _Bound(sizes[2], pixels, self.largest(dy)),
        )
        if not self.exact:
            with case.alone():
                found = fastconv.conv2d_backward(*self.plain, algorithm="direct", **options)
                self.first.update(zip(("dx", "dweight", "dbias"), found, strict=True))

    def check(self, algorithm: str) -> None:
        case = self.case
        needs = case.pick(("x", "weight", "bias"), ("weight", "x"), ("x",), ("bias", "weight"))
        alone = "weight" if "weight" in needs else "input"
        both = "weight" in needs and "x" in needs
        chosen, cost = self.decide(algorithm, "backward" if both else alone)
        dy, x, weight = self.arrays
        if case.chance(0.1):
            weight = case.call(fastconv.prepare_conv2d, weight, **self.options)

        def call() -> Any:
            return case.call(fastconv.conv2d_backward, dy, x, weight, needs=needs, **chosen)

        found = self.check_memory(call, cost, chosen)
        tiles = cost.tile, cost.weight_tile, 0
        for i, name in enumerate(("x", "weight", "bias")):
            if (found[i] is None) != (name not in needs):
                raise AssertionError(f"d{name} is {found[i]!r:.20} where {needs} is needed")
            if found[i] is not None:
                how = f"of {chosen}"
                self.compare(f"d{name}", how, found[i], self.right[i], self.bounds[i], tiles[i])


def _sizes(array: Any) -> Any:
    return None if array is None else np.abs(array)
