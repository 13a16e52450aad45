"""What a memory limit costs: the table of docs/memory.md.

    python benchmarks/limits.py                # or: make limits

Bytes are those of plans, freely and at the least limit, which an error of a smaller one names. The
time is that within 1.05 of the least, over that without a limit: one thread, medians of turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from suite import networks

import fastconv

ROOM = 1.05
TURNS = 7


def residual() -> Any:
    """Return that of He et al. (2015), section 4.2, for n = 3, with twice the filters."""
    layer = fastconv.create_layer

    def normed(node: Any, filters: int, stride: int = 1) -> Any:
        convolve = layer("Conv2D", filters=filters, kernel_size=3, stride=stride, padding=1)
        return layer("BatchNorm")(convolve(node))

    start = fastconv.Input((3, 32, 32))
    node = layer("ReLU")(normed(start, 32))
    for block in range(9):
        filters, stride = 32 << block // 3, 2 if block in (3, 6) else 1
        inner = layer("ReLU")(normed(node, filters, stride))
        short = node
        if stride > 1:
            short = layer("Conv2D", filters=filters, kernel_size=1, stride=stride)(node)
        node = layer("ReLU")(layer("Add")(normed(inner, filters), short))
    scores = layer("Dense", units=10)(layer("GlobalAvgPool2D")(node))
    return fastconv.Model(start, scores, seed=0)


class Case(NamedTuple):
    """A row of the table."""

    name: str
    make: Callable[[], Any]
    x_shape: tuple[int, ...]
    trains: bool = True


def named(name: str) -> Callable[[], Any]:
    """Return what makes a network of the suite."""
    return lambda: networks.make(fastconv, name)


CASES = [
    Case("ResNet-50, 4 images of 224x224", named("ResNet-50"), (4, 3, 224, 224), trains=False),
    Case(
        "the same, loaded for inference",
        lambda: networks.make(fastconv, "ResNet-50").for_inference(),
        (4, 3, 224, 224),
        trains=False,
    ),
    Case("residual network of 9 blocks, 64 images of 32x32", residual, (64, 3, 32, 32)),
    Case(
        "3x3 convolution of 128 filters, ReLU, max pooling, ten units; 100 images of 28x28",
        named("conv128"),
        (100, *networks.IMAGES),
    ),
    Case("the book's DeepConvNet, 100 images", named("DeepConvNet"), (100, *networks.IMAGES)),
    Case("the book's SimpleConvNet, 100 images", named("SimpleConvNet"), (100, *networks.IMAGES)),
]
HEAD = (
    "network, batch | inference: free, least | time | training: free, least | time | computed again"
)


def least_of(plan: Callable[..., Any]) -> int:
    """Return the smallest limit that a plan can keep."""
    try:
        plan(memory_limit=1)
    except fastconv.MemoryLimitError as error:
        return error.least
    return 1


def cost(call: Callable[[int | None], Any], limit: int) -> str:
    """Return the time within `limit` over that without one."""
    times: dict[int | None, list[float]] = {None: [], limit: []}
    for turn in range(TURNS + 1):
        for one, found in times.items():
            begun = time.perf_counter()
            call(one)
            if turn:  # in the first of them memory is taken from the system
                found.append(time.perf_counter() - begun)
    free, within = (statistics.median(found) for found in times.values())
    return f"{within / free:.1f}"


def megabytes(*sizes: int) -> str:
    """Return sizes in MB of 10^6 bytes, to three digits where that is exact enough."""
    return ", ".join(
        f"{size / 1e6:.{0 if size > 1e8 else 1 if size > 1e7 else 2}f}" for size in sizes
    )


def row(case: Case) -> str:
    """Return a line of the table."""
    net, batch = case.make(), case.x_shape[0]
    x = np.random.default_rng(0).random(case.x_shape, np.float32)

    def figures(training: bool, call: Callable[[int | None], Any]) -> tuple[list[str], Any]:
        def plan(**more: int) -> Any:
            return net.plan(batch, training=training, **more)

        free, least = plan().peak, least_of(plan)
        limit = int(ROOM * least)
        return [megabytes(free, least), cost(call, limit)], plan(memory_limit=limit).nodes

    cells, _ = figures(False, lambda limit: net.predict(x, batch, memory_limit=limit))
    trained = ["", "", ""]
    if case.trains:
        y = np.arange(batch) % 10
        net.compile("adam", "softmax_cross_entropy")
        trained, nodes = figures(True, lambda limit: net.train_on_batch(x, y, memory_limit=limit))
        again = sum(node.recomputed for node in nodes)
        trained.append(f"{again} of {len(nodes)} nodes" if again else "none")
    return f"| {' | '.join([case.name, *cells, *trained])} |"


def main() -> None:
    """Print the table."""
    fastconv.set_num_threads(1)
    print(f"{fastconv.__version__}, {fastconv.active_isa()}, one thread, MB of 10^6 bytes\n")
    print(f"| {HEAD} |\n|{'---|' * (HEAD.count('|') + 1)}")
    for case in CASES:
        print(row(case), flush=True)


if __name__ == "__main__":
    main()
