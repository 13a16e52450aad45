"""How often `auto` takes the fastest algorithm: each layer of well-known networks, timed.

Every algorithm that can compute a layer is timed on one thread, on packed weights.  Rounds
interleave the algorithms, and the least time of all rounds counts.  `auto` is right where the
algorithm it takes is within 5 % of the fastest that the precision allows.  The two gradients of a
backward pass are timed one by one and added, for minimal filtering may serve only one of them.
They are timed for at least as many images as `auto` compares algorithms for, but on maps of more
than 56 by 56 pixels for one, since there it makes no difference.

    python benchmarks/choices.py                        # or: make choices
    python benchmarks/choices.py --direction backward
    FASTCONV_ISA=avx2 python benchmarks/choices.py      # another instruction set
    python benchmarks/choices.py --save times.json      # to judge later: --load times.json
    python benchmarks/choices.py --fit                  # the constants that fit these times

The times are processor time of the thread, so that other work on the machine disturbs little.
Layers near 5 % may still be right in one run and wrong in the next.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from suite.shapes import MEC, NETWORKS, WHOLE_NETWORKS, Layer

import fastconv
from fastconv.costs import ACCURATE, SHIPPED, TILES, compared
from fastconv.geometry import Conv2DGeometry
from fastconv.tuning import DIRECTIONS, Sample, contenders, fit, measure

PRECISIONS = ("strict", "standard", "fast")
JOINED = "+"  # between the algorithms of the two gradients
NEAR = 1.05
LARGE = 56  # pixels a side of a map whose gradients are timed for one image
SECONDS = 2.0  # for all rounds of a layer, of which there are LEAST_ROUNDS at least
LEAST_ROUNDS = 3


def layers() -> dict[str, Layer]:
    """Return each layer of the tables once, under the first of its names."""
    named = {
        f"{network}.{at + 1}": layer
        for network, found in WHOLE_NETWORKS.items()
        for at, layer in enumerate(found)
    }
    once: dict[Layer, str] = {}
    for name, layer in (named | MEC | NETWORKS).items():
        once.setdefault(layer, name)
    return {name: layer for layer, name in once.items()}


def taken(layer: Layer, direction: str, precision: str) -> str:
    """Return the label of the algorithm that `auto` takes."""
    costs = fastconv.conv2d_costs(
        layer.x_shape, layer.weight_shape, **layer.options, direction=direction, precision=precision
    )
    if costs.choice != "winograd":
        return costs.choice
    cost = costs[costs.choice]
    tiles = (cost.tile,) if direction == "forward" else (cost.tile, cost.weight_tile)
    return JOINED.join(f"F({tile}x{tile})" if tile else "direct" for tile in tiles)


def largest_tile(label: str) -> int:
    """Return the side of the largest tile in a label, or 0 if there is no minimal filtering."""
    return max(int(part[2]) if part[0] == "F" else 0 for part in label.split(JOINED))


def largest_allowed(layer: Layer, direction: str, precision: str) -> int:
    """Return the side of the largest tile of Winograd that a precision allows."""
    tiles = {"strict": {}, "standard": ACCURATE, "fast": TILES}[precision].get(layer.R, {})
    parts = ("forward",) if direction == "forward" else ("input", "weight")
    return max((max(tiles[part]) for part in parts if tiles), default=0)


def together(of_input: dict[str, float], of_weight: dict[str, float]) -> dict[str, float]:
    """Return the seconds of both gradients, by one algorithm or minimal filtering of either."""
    found = {}
    for first, left in of_input.items():
        for second, right in of_weight.items():
            if first == second and first[0] != "F":
                found[first] = left + right
            elif {first[0], second[0]} <= {"d", "F"}:
                found[first + JOINED + second] = left + right
    return found


def judge(samples: dict[str, Sample], direction: str) -> None:
    """Print a line for each layer, and how often `auto` was right."""
    known = layers()
    right = dict.fromkeys(PRECISIONS, 0)
    print(f"{'layer':17}{'C,H -> K, R/stride,padding':28}", end="")
    print(*(f"{precision:22}" for precision in PRECISIONS), "milliseconds")
    for name, sample in samples.items():
        layer, marks = known[name], []
        for precision in PRECISIONS:
            best = largest_allowed(layer, direction, precision)
            allowed = {
                label: seconds
                for label, seconds in sample.seconds.items()
                if largest_tile(label) <= best
            }
            label = taken(layer, direction, precision)
            ratio = allowed[label] / min(allowed.values())
            right[precision] += ratio <= NEAR
            marks.append(f"{label:14}{ratio:5.2f}{' ' if ratio <= NEAR else '!'}  ")
        shape = f"{layer.C},{layer.H} -> {layer.K}, {layer.R}/{layer.stride},{layer.padding}"
        text = "  ".join(f"{label} {1e3 * each:.3g}" for label, each in sample.seconds.items())
        print(f"{name:17}{shape:28}", *marks, text)
    for precision, count in right.items():
        print(f"{precision}: auto within 5 % of the best for {count} of {len(samples)} layers")


def measured(direction: str, rounds: int, only: str) -> dict[str, Sample]:
    """Time every algorithm for the layers whose name contains `only`."""
    found = {}
    for name, layer in layers().items():
        if only in name:
            g = geometry_of(layer, direction)
            calls = contenders(g, direction)
            once = sum(measure(calls, 1).values())
            fitting = max(LEAST_ROUNDS, min(rounds, round(SECONDS / once)))
            found[name] = Sample(g, direction, measure(calls, fitting))
    return found


def geometry_of(layer: Layer, direction: str) -> Conv2DGeometry:
    """Return all sizes of a layer, with as many images as it is timed for."""
    shapes = layer.x_shape, layer.weight_shape
    g = Conv2DGeometry.make("choices", *shapes, dilation=1, **layer.options)
    images = 1 if layer.H > LARGE else compared(g, direction).N
    return replace(g, N=max(images, layer.N))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--direction", choices=("forward", "backward"), help="one, not both")
    parser.add_argument("--rounds", type=int, default=15, help="of a layer, at most")
    parser.add_argument("--only", default="", help="layers whose name contains this")
    parser.add_argument("--save", type=Path, help="write the times as JSON")
    parser.add_argument("--load", type=Path, help="judge these times instead of measuring")
    parser.add_argument("--fit", action="store_true", help="fit the cost model's constants")
    chosen = parser.parse_args()
    fastconv.set_num_threads(1)
    isa = fastconv.active_isa()
    samples: dict[str, dict[str, Sample]] = {}
    loaded = json.loads(chosen.load.read_text()) if chosen.load else {}
    directions = {"forward": ("forward",), "backward": ("input", "weight")}
    for direction in directions.get(chosen.direction, DIRECTIONS):
        if chosen.load:
            known = layers()
            samples[direction] = {
                name: Sample(geometry_of(known[name], direction), direction, seconds)
                for name, seconds in loaded[direction].items()
            }
        else:
            samples[direction] = measured(direction, chosen.rounds, chosen.only)
    judged = {"forward": samples["forward"]} if "forward" in samples else {}
    if "weight" in samples:
        judged["backward"] = {
            name: sample._replace(seconds=together(sample.seconds, samples["weight"][name].seconds))
            for name, sample in samples["input"].items()
        }
    for direction, found in judged.items():
        print(f"\nfastconv {fastconv.__version__}, {isa}, {direction}")
        judge(found, direction)
    if chosen.save:
        times = {
            direction: {name: sample.seconds for name, sample in found.items()}
            for direction, found in samples.items()
        }
        chosen.save.write_text(json.dumps(times, indent=1))
    if chosen.fit:
        everything = [sample for found in samples.values() for sample in found.values()]
        table = asdict(fit(everything, SHIPPED[isa]))
        print(f"\nfor costs/table.py, {isa}:")
        print(", ".join(f"{name}={value:.3g}" for name, value in table.items()))


if __name__ == "__main__":
    main()
