"""Times the version of fastconv that this process imports, as another process asks for it.

Two versions of a package cannot be in one process under one name, so each has a worker.  Requests
and answers are JSON, one line each.  ``{"make": [kind, name, variant], "save": file}`` makes a
call; the answer has the seconds that it takes or, if this version cannot do it, the reason.
``{"turn": seconds}`` is answered with the samples of a turn.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from suite.shapes import normal

import fastconv
from peers.cases import POOL_CASES, TABLES, WIDE_POOLS
from peers.contenders import as_arrays
from peers.networks import IMAGES, trained
from peers.timing import Call, estimate, turn

__all__ = ["KINDS"]

BATCH = 100
LAYERS = {name: layer for table in ("first", "others") for name, layer in TABLES[table].items()}
LAYERS |= {name: layer for table in TABLES.values() for name, layer in table.items()}
POOLS = POOL_CASES | WIDE_POOLS


def forward(name: str, variant: str) -> Call:
    """Return `conv2d` with weights packed ahead; a variant is an algorithm and a precision."""
    layer = LAYERS[name]
    algorithm, *precision = variant.split()
    options = {**layer.options, "algorithm": algorithm}
    options |= {"precision": precision[0]} if precision else {}
    packed = fastconv.prepare_conv2d(normal(layer.weight_shape, 1), **options)
    return partial(fastconv.conv2d, normal(layer.x_shape), packed, normal((layer.K,), 2), **options)


def backward(name: str, variant: str) -> Call:
    """Return all gradients; a variant is a precision or nothing."""
    layer = LAYERS[name]
    x, weight = normal(layer.x_shape), normal(layer.weight_shape, 1)
    dy = normal(fastconv.conv2d(x, weight, **layer.options).shape, 3)
    options = {**layer.options, **({"precision": variant} if variant else {})}
    return partial(fastconv.conv2d_backward, dy, x, weight, **options)


def pooling(name: str, variant: str) -> Call:
    """Return a variant of pooling: max, argmax, average, or the gradient of the last two."""
    pool, f = POOLS[name], fastconv.functional
    x = normal(pool.x_shape)
    if variant in ("max", "argmax", "average"):
        functions = {"max": "max_pool2d", "argmax": "max_pool2d_argmax", "average": "avg_pool2d"}
        return partial(getattr(f, functions[variant]), x, pool.R, **pool.options)
    if variant == "argmax backward":
        y, argmax = f.max_pool2d_argmax(x, pool.R, **pool.options)
        given = (normal(y.shape, 3), argmax, x.shape, pool.R)
        return partial(f.max_pool2d_argmax_backward, *given, **pool.options)
    y = f.avg_pool2d(x, pool.R, **pool.options)
    return partial(f.avg_pool2d_backward, normal(y.shape, 3), x.shape, pool.R, **pool.options)


def training(name: str, variant: str) -> Call:
    """Return a step of training."""
    net = trained(name)
    net.compile(optimizer="adam", loss="softmax_cross_entropy")
    return partial(net.train_on_batch, normal((BATCH, *IMAGES)), np.arange(BATCH) % 10)


KINDS: dict[str, Callable[[str, str], Call]] = {
    "forward": forward,
    "backward": backward,
    "pooling": pooling,
    "training": training,
}


def serve() -> None:
    """Answer requests until there are none."""
    fastconv.set_num_threads(int(sys.argv[1]))
    about = {"version": fastconv.__version__, "file": fastconv.__file__}
    answer({**about, "isa": fastconv.active_isa()})
    gc.disable()
    call: Call = bool
    expected = 0.0
    for line in sys.stdin:
        request = json.loads(line)
        if "turn" in request:
            answer({"samples": turn(call, expected, request["turn"])})
            continue
        call = bool  # lets go of the arrays of the case before
        gc.collect()
        try:
            call = made(request)
        except Exception as error:  # an older version may raise anything
            answer({"lacks": f"{type(error).__name__}: {error}"})
            continue
        expected = estimate(call)
        answer({"seconds": expected})


def made(request: dict[str, Any]) -> Call:
    """Return the call that is requested; save its first result if that is asked for."""
    kind, name, variant = request["make"]
    call = KINDS[kind](name, variant)
    result = call()
    if request.get("save"):
        np.save(request["save"], as_arrays(result)[0])
    return call


def answer(data: dict[str, Any]) -> None:
    """Send an answer."""
    print(json.dumps(data), flush=True)


if __name__ == "__main__":
    serve()
