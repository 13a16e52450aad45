"""Runs of training that stop somewhere and go on, for several tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from networks import small

import fastconv
from fastconv.testing import assert_bits_equal
from fastconv.training import Callback

RNG = np.random.default_rng(0)
#: 23 rows: batches of 5 leave one of 3.
X = RNG.standard_normal((23, 2, 8, 8)).astype("float32")
Y = RNG.integers(0, 3, 23)
SETTINGS: dict[str, Any] = {
    "batch_size": 5,
    "epochs": 3,
    "seed": 4,
    "verbose": 0,
    "validation_data": (X[:7], Y[:7]),
}


class StopAt(Callback):
    """Ends a run as Ctrl-C does, after so many batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_batch_end(self, run: Any, batch: int, figures: Any) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


class Late(StopAt):
    """Does so after callbacks that save."""

    runs_last = True


def compiled(
    optimizer: Any = "adam", loss: Any = "softmax_cross_entropy", metrics: Any = "accuracy"
):
    """A network with BatchNorm and dropout that is ready to learn."""
    net = small()
    net.compile(optimizer, loss, metrics)
    return net


def stopped(
    net: Any, batches: int, path: Any, callbacks: Any = (), y: Any = Y, **settings: Any
) -> None:
    """Train `net` for so many batches, and write a checkpoint."""
    try:
        net.fit(X, y, callbacks=[*callbacks, StopAt(batches)], **{**SETTINGS, **settings})
    except KeyboardInterrupt:
        pass
    net.save(path, training=True)


def assert_equal_networks(one: Any, other: Any) -> None:
    """Two networks have the same bits, and their optimizers too."""
    for key, value in one.weights().items():
        assert_bits_equal(value, other.weights()[key])
    assert (one.seed, one.compiled.step, one.compiled.epoch) == (
        other.seed,
        other.compiled.step,
        other.compiled.epoch,
    )
    states = one.compiled.optimizer.state(), other.compiled.optimizer.state()
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        assert np.array_equal(value, states[1][key]), key
    assert set(one.trainable_parameters()) == set(other.trainable_parameters())


def changed(path: Any, change: Any) -> None:
    """Rewrite a checkpoint with another text of its training, or other arrays, sealed anew.

    `change` takes the text as parsed JSON, and all arrays by name, to alter them.
    """
    import json

    from safetensors import safe_open

    from fastconv.models import saving
    from fastconv.models.saving import sealing

    with safe_open(path, "np") as file:
        metadata = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del arrays[sealing.SEAL]
    state = json.loads(metadata[saving.TRAINING])
    found = change(state, arrays)
    metadata[saving.TRAINING] = found if isinstance(found, str) else json.dumps(state)
    target = saving.target_of("save", path)
    saving.write_weights(target, arrays, metadata, seal=sealing.SEAL)


def loaded(path: Any) -> fastconv.Model:
    """The network of a file, compiled as `compiled` does."""
    net = fastconv.load(path)
    net.compile("adam", "softmax_cross_entropy", "accuracy")
    return net
