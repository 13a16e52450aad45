"""Makes the golden files of the formats and layers that have none yet; never changes one.

Run it once when a layer version or a format is added: ``python tests/golden/make.py``.
For each network there are the file as saved, its configuration, and arrays in and out.  A layer
that stands in none of them has one file, ``layer_<Name>_<version>.npz``: the configuration of its
own example, the weights, and arrays in and out.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import fastconv

HERE = Path(__file__).parent
create = fastconv.create_layer

BY_HAND = {
    "input_shape": [1, 8, 8],
    "layers": [
        ["Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same"}],
        {"layer": "ReLU", "id": "activation"},
        ["MaxPool2D", {"pool_size": 2}],
        "Flatten",
        ["Dense", {"units": 10, "name": "scores"}],
    ],
}


def row() -> fastconv.Model:
    """Every layer of one input, and settings other than the defaults."""
    layers: list[Any] = [
        ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": [[1, 0], [0, 1]], "groups": 2}),
        "BatchNorm",
        "ReLU",
        (
            "Conv2D",
            {
                "filters": 6,
                "kernel_size": [3, 2],
                "stride": 2,
                "dilation": [1, 2],
                "padding": "same",
                "activation": "relu",
                "bias": False,
                "initializer": ["gaussian", {"std": 0.1}],
            },
        ),
        ("MaxPool2D", {"pool_size": 2, "stride": 1, "padding": 1}),
        ("AvgPool2D", {"pool_size": 2, "stride": 1, "count_include_pad": True}),
        "Tanh",
        ("Dropout", {"rate": 0.5}),
        "Flatten",
        ("Dense", {"units": 5, "initializer": "xavier"}),
        "Sigmoid",
        ("Dense", {"units": 3, "activation": "relu"}),
        ("BatchNorm", {"momentum": 0.5, "epsilon": 0.001}),
        "Softmax",
    ]
    return fastconv.Sequential(layers, input_shape=(2, 8, 8), seed=1, name="row")


def graph() -> fastconv.Model:
    """Several inputs and outputs, a shared layer, layers of several inputs; float64."""
    a = fastconv.Input((2, 6, 6), "float64", name="a")
    b = fastconv.Input((2, 6, 6), "float64", name="b")
    shared = create("Conv2D", name="twice", filters=3, kernel_size=3, padding=1)
    left, right = shared(a), shared(b)
    both = create("Concatenate")(left, create("Multiply")(left, right))
    total = create("Add")(both, create("ReLU")(both))
    scores = create("Dense", units=4, name="scores")(create("GlobalAvgPool2D")(total))
    return fastconv.Model((a, b), (scores, right), seed=2)


def frozen() -> fastconv.Model:
    """Frozen weights, which the metadata lists."""
    conv = "Conv2D", {"filters": 2, "kernel_size": 3}
    layers = [conv, "BatchNorm", "ReLU", "Flatten", ("Dense", {"units": 3})]
    net = fastconv.Sequential(layers, input_shape=(1, 5, 5), seed=3)
    net.freeze("conv*")
    net.freeze("*/bias")
    return net


def write(name: str, net: fastconv.Model) -> None:
    if (HERE / f"{name}.safetensors").exists():
        return
    rng = np.random.default_rng(1)
    for key, value in net.weights().items():
        running = key.rpartition("/")[2].startswith("running")
        noise = rng.uniform(0.1, 0.5, value.shape) if running else rng.normal(0, 0.3, value.shape)
        net.set_weights({key: value + noise})
    config, arrays = run(net, rng)
    net.save(HERE / f"{name}.safetensors")
    (HERE / f"{name}.json").write_text(json.dumps(config, indent=1) + "\n")
    np.savez_compressed(HERE / f"{name}.npz", **arrays)


def run(net: fastconv.Model, rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration of a network, and arrays in and out by name."""
    config = net.to_config()
    xs = {
        item["id"]: numbers(rng, (2, *item["shape"]), item.get("dtype", config["dtype"]))
        for item in config["inputs"]
    }
    ys = net(*xs.values())
    ys = ys if isinstance(ys, tuple) else (ys,)
    assert all(abs(y[0] - y[1]).max() > 0.05 for y in ys), "an output should depend on its input"
    return config, {**xs, **{f"y{i}": y for i, y in enumerate(ys)}}


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return normal random numbers, or small integers that are not negative."""
    values = rng.normal(0, 2, shape)
    return values.astype(dtype) if dtype.startswith("float") else np.abs(values).astype(dtype)


def names_held() -> set[str]:
    """Return the versioned names of the layers that golden files hold."""
    configs = [
        json.loads(path.with_suffix(".json").read_text()) for path in HERE.glob("*.safetensors")
    ]
    for path in HERE.glob("layer_*.npz"):
        with np.load(path) as arrays:
            configs.append(json.loads(arrays["config"].item()))
    return {node["layer"] for config in configs for node in config["nodes"] if "layer" in node}


def versioned_names() -> set[str]:
    """Return the versioned names of our layers."""
    return {
        fastconv.registry.layers.canonical(name)
        for name in fastconv.list_layers()
        if "." not in name
    }


def write_layer(name: str) -> None:
    """Write the golden file of a layer that no network above has."""
    kind = fastconv.registry.layers.get(name)
    dtype = kind.takes[0]
    nodes = [
        fastconv.Input(shape, dtype, name=f"x{i}") for i, shape in enumerate(kind.example_shapes)
    ]
    net = fastconv.Model(tuple(nodes), kind(**kind.example_config)(*nodes), seed=4)
    config, arrays = run(net, np.random.default_rng(1))
    weights = {f"weights:{key}": value for key, value in net.weights().items()}
    _, short, version = name.split(".")
    np.savez_compressed(
        HERE / f"layer_{short}_{version}.npz", config=json.dumps(config), **weights, **arrays
    )


def pickled() -> dict[str, Any]:
    """What users may have pickled: networks that were trained and run, plans, and their parts."""
    layers: list[Any] = [
        ("Conv2D", {"filters": 2, "kernel_size": 3}),
        "ReLU",
        ("MaxPool2D", {"pool_size": 2}),
        "Flatten",
        ("Dense", {"units": 3}),
        "BatchNorm",
        ("Dropout", {"rate": 0.25}),
    ]
    net = fastconv.Sequential(layers, input_shape=(1, 6, 6), seed=1)
    x = np.linspace(-1, 1, 4 * 36, dtype="float32").reshape(4, 1, 6, 6)
    net.compile("adam", "softmax_cross_entropy", "accuracy")
    history = net.fit(x, np.array([0, 1, 2, 0]), epochs=2, verbose=0, batch_size=2)
    y = net(x)
    net.plan(2)
    net.plan(2, training=True, memory_limit="1 MB")
    start = fastconv.Input((4,))
    node = create("Dense", units=4)(start)
    return {
        "sequential": net,
        "model": fastconv.Model(start, create("Add")(node, start), seed=2),
        "inference": net.for_inference(),
        "plan": net.plan(2, training=True),
        "limited": net.plan(100, memory_limit=net.plan(100).peak // 2),
        "history": history,
        "node": node,
        "layer": net["conv2d_1"],
        "compiled": net.compiled,
        "spec": fastconv.Spec((3, 2)),
        "x": x,
        "y": y,
        "weights": net.weights(),
    }


def halves() -> tuple[np.ndarray, np.ndarray]:
    """The data of the checkpoint: which half of a picture is bright."""
    rng = np.random.default_rng(6)
    y = np.arange(26) % 2
    x = rng.uniform(0, 0.5, (26, 1, 6, 6)).astype("float32")
    for picture, label in zip(x, y, strict=True):
        picture[:, 3 * label : 3 * label + 3] += 0.5
    return x, y


def settings_of_checkpoint() -> dict[str, Any]:
    """How the run of the checkpoint is trained."""
    x, y = halves()
    return {
        "batch_size": 5,
        "epochs": 4,
        "seed": 3,
        "verbose": 0,
        "validation_data": (x[:9], y[:9]),
        "callbacks": [
            ("early_stopping", {"patience": 3}),
            ("reduce_on_plateau", {"patience": 1}),
            ("csv_log", {"path": "figures.csv"}),
        ],
    }


def write_checkpoint(path: Path) -> None:
    """Write a checkpoint of the middle of an epoch, and what its run comes to."""
    layers: list[Any] = [
        ("Conv2D", {"filters": 2, "kernel_size": 3, "bias": False}),  # which BatchNorm takes away
        "BatchNorm",
        "Tanh",
        "Flatten",
        ("Dropout", {"rate": 0.25}),
        ("Dense", {"units": 2}),
    ]
    net = fastconv.Sequential(layers, input_shape=(1, 6, 6), dtype="float64", seed=5)
    optimizer = ("adamw", {"learning_rate": 0.02, "weight_decay": 0.1, "clip_norm": 1.0})
    net.compile(optimizer, "softmax_cross_entropy", ["accuracy", "f1"])
    net.freeze("batch_norm_1/bias")
    x, y = halves()
    settings = settings_of_checkpoint()
    saving = ("checkpoint", {"path": path, "every": 15, "keep": 1})  # of 24 batches
    history = net.fit(x, y, **{**settings, "callbacks": [*settings["callbacks"], saving]})
    end = {f"history:{name}": np.array(rows) for name, rows in history.history.items()}
    np.savez_compressed(path.with_suffix(".npz"), **net.weights(), **end)


def main() -> None:
    pickles = HERE / "pickled_v1.pkl"
    if not pickles.exists():
        pickles.write_bytes(pickle.dumps(pickled(), protocol=4))
    write("row_v1", row())
    write("graph_v1", graph())
    write("frozen_v1", frozen())
    checkpoint = HERE / "training" / "checkpoint_v1.safetensors"
    if not checkpoint.exists():
        checkpoint.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            write_checkpoint(checkpoint)
    for name in sorted(versioned_names() - names_held()):
        write_layer(name)
    by_hand = HERE / "by_hand_v1.json"
    if not by_hand.exists():
        by_hand.write_text(json.dumps(BY_HAND, indent=1) + "\n")
        full = fastconv.from_config(BY_HAND).to_config()
        (HERE / "full_by_hand_v1.json").write_text(json.dumps(full, indent=1) + "\n")


if __name__ == "__main__":
    main()
