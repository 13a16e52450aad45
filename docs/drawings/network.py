"""Bytes alive at each step of a network, from its plan: nothing is computed."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from style import COLOURS, MB, QUIET, headline, new, plain, save

import fastconv

#: VGG-16's convolutions: filters, and "pool".
ROWS = (
    64,
    64,
    "pool",
    128,
    128,
    "pool",
    256,
    256,
    256,
    "pool",
    512,
    512,
    512,
    "pool",
    512,
    512,
    512,
    "pool",
)
BATCH = 8


def vgg(algorithm: str) -> fastconv.Sequential:
    """Return VGG-16 without its classifier, all convolutions by one algorithm."""
    layers: list[object] = []
    for row in ROWS:
        if row == "pool":
            layers.append(("MaxPool2D", {"pool_size": 2}))
        else:
            settings = {"filters": row, "kernel_size": 3, "padding": 1, "algorithm": algorithm}
            layers += [("Conv2D", settings), "ReLU"]
    return fastconv.Sequential(layers, input_shape=(3, 224, 224), seed=0)


def draw() -> Figure:
    """Return the picture."""
    figure = new(10.5, 4.4)
    axes = plain(figure.subplots())
    # within a limit, however large, the workspace of a step is gone when the step is done
    plans = {
        name: vgg(name).plan(batch_size=BATCH, memory_limit="1000 GB")
        for name in ("im2col", "direct")
    }
    steps = range(len(plans["direct"].nodes))
    for name, plan in plans.items():
        live = [node.live / MB for node in plan.nodes]
        ends, live = [*steps, len(steps)], [*live, live[-1]]
        axes.fill_between(ends, live, step="post", color="white", lw=0)
        axes.fill_between(ends, live, step="post", color=COLOURS[name], alpha=0.25, lw=0)
        axes.step(ends, live, where="post", color=COLOURS[name])
        top = max(steps, key=live.__getitem__)
        axes.annotate(
            f"{name}: at most {plan.peak / MB:,.0f} MB",
            (top + 1, live[top]),
            xytext=(6, -10 if name == "im2col" else 4),
            textcoords="offset points",
            color=COLOURS[name],
            weight="bold",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
    nodes = plans["direct"].nodes
    labels = [
        node.id.split("+")[0]
        .replace("max_pool2d", "pool")
        .replace("conv2d", "conv")
        .replace("_", " ")
        for node in nodes
    ]
    axes.set_xticks([step + 0.5 for step in steps], labels, rotation=90, size=8.5)
    axes.set(xlim=(0, len(steps)), ylim=(0, None), ylabel="MB alive")
    headline(figure, f"VGG-16's convolutions, {BATCH} images: what is alive, step by step")
    axes.set_xlabel(
        "activations still needed, workspace and packed weights; parameters and the images apart",
        color=QUIET,
        size=9,
    )
    return figure


if __name__ == "__main__":
    print(save(draw, "network"))
