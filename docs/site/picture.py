"""The picture of the first page: what a network takes, with im2col, with fastconv, in a limit.

It is drawn from plans, so it says what the version of the page says. It is HTML and no image: it
has the reader's colours, and text that can be read on a phone.
"""

from __future__ import annotations

import html
from typing import Any

import fastconv

__all__ = ["picture"]

NETWORK, BATCH, LIMIT = "DeepConvNet", 100, "1 MB"


def picture() -> str:
    """Return the picture, in HTML."""
    net = fastconv.create_model(NETWORK)
    plans = _unfolded(net).plan(BATCH), net.plan(BATCH), net.plan(BATCH, memory_limit=LIMIT)
    series = [_alive(plan) for plan in plans]
    largest = max(series[0])
    configs = {node["id"]: node.get("config", {}) for node in net.to_config()["nodes"]}
    rows = []
    for node, *alive in zip(plans[1].nodes, *series, strict=True):
        config = configs[node.id.partition("+")[0]]
        if "kernel_size" not in config:
            continue  # only convolutions differ
        told = "; ".join(f"{name} {_mb(n)}" for name, n in zip(KINDS.values(), alive, strict=True))
        bars = "".join(
            f'<span class="bar {kind}" style="width: {100 * nbytes / largest:.1f}%"></span>'
            for kind, nbytes in zip(KINDS, alive, strict=True)
        )
        rows.append(
            f'<div class="layer" title="{html.escape(told)}"><code>{_label(config)}</code>'
            f'<div class="bars">{bars}</div></div>'
        )
    keys = (
        f'<span class="key"><span class="bar {kind}"></span>{html.escape(name)}'
        f" <strong>{_mb(plan.peak)}</strong></span>"
        for (kind, name), plan in zip(KINDS.items(), plans, strict=True)
    )
    lines = [
        '<figure class="plan">',
        f'<div class="keys">{"".join(keys)}</div>',
        *rows,
        f"<figcaption>Bytes in use at each convolution of the book's {NETWORK} with {BATCH} "
        "images, as <code>net.plan()</code> tells them before anything runs. A run takes just "
        "that.</figcaption>",
        "</figure>",
    ]
    return "\n".join(lines) + "\n"


def _alive(plan: fastconv.models.Plan) -> list[int]:
    """Return the bytes in use at each node, without scratch memory kept for later ones."""
    kept = 0 if plan.memory_limit else max(node.workspace for node in plan.nodes)
    return [node.live - kept + node.workspace if kept else node.live for node in plan.nodes]


KINDS = {
    "unfolded": "every convolution by im2col",
    "free": "fastconv's choice",
    "bounded": f'memory_limit="{LIMIT}"',
}


def _unfolded(net: fastconv.Model) -> fastconv.Model:
    """Return the network with the book's algorithm in every convolution."""
    config = net.to_config()
    for node in config["nodes"]:
        if "algorithm" in node.get("config", {}):
            node["config"]["algorithm"] = "im2col"
    return fastconv.from_config(config)


def _label(config: dict[str, Any]) -> str:
    """Return the name of a convolution as a configuration has it, and its sizes."""
    size = config["kernel_size"]
    return f"Conv2D {config['filters']} of {size}x{size}"


def _mb(nbytes: int) -> str:
    return f"{nbytes / 1e6:.3g} MB"
