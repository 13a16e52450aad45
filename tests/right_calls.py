"""A right call of every public function and method: what wrong ones are made of."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

import fastconv
from fastconv import (
    Layer,
    data,
    explain,
    functional,
    layers,
    memory,
    models,
    plot,
    registry,
    sklearn,
    testing,
    training,
    zoo,
)
from fastconv.compat import deep_learning_from_scratch as book

Call = tuple[Callable[..., Any], dict[str, Any]]

MODULES = {
    "": fastconv,
    "compat.deep_learning_from_scratch": book,
    **({"dask": fastconv.dask} if find_spec("dask") else {}),
    "data": data,
    "explain": explain,
    "functional": functional,
    "layers": layers,
    "memory": memory,
    "models": models,
    "plot": plot,
    "registry": registry,
    "sklearn": sklearn,
    "testing": testing,
    "training": training,
    "zoo": zoo,
}


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def public() -> Iterator[tuple[str, Any]]:
    """Yield every public function, class and method, each once, by its name."""
    seen = set()
    for prefix, module in MODULES.items():
        for name in module.__all__:
            thing = getattr(module, name)
            if isinstance(thing, (ModuleType, registry.Registry)) or id(thing) in seen:
                continue
            seen.add(id(thing))
            if inspect.isclass(thing) and issubclass(thing, (Exception, Warning)):
                continue
            own = f"{prefix}.{name}".lstrip(".")
            yield own, thing
            if inspect.isclass(thing) and not (prefix == "layers" and issubclass(thing, Layer)):
                yield from methods(own, thing)


#: Classes whose methods are not tried again in what is derived from them.
SHARED = {"Model", "Optimizer", "Callback", "EpochLines"}


def methods(owner: str, cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the methods that a class does not share with another public class above it."""
    above = {base for base in cls.__mro__[1:] if base.__name__ in SHARED}
    for name, method in inspect.getmembers(cls, inspect.isroutine):
        wanted = not name.startswith("_") or name in ("__call__", "__getitem__")
        inherited = any(getattr(base, name, None) is method for base in above)
        ours = inspect.isfunction(method) and method.__module__.startswith("fastconv")
        if wanted and ours and not inherited:
            yield f"{owner}.{name}", method


class Given:
    """What right calls are made with."""

    def __init__(self) -> None:
        self.x, self.weight = ones(2, 1, 8, 8), ones(2, 1, 3, 3)
        self.labels = np.array([0, 1])
        self.net = self.network()
        self.frozen = self.net.for_inference()
        self.net.save("net.safetensors")
        self.net.save_weights("weights.safetensors")
        fastconv.register_model("acme.Net.v1")(self.network)
        self.node = fastconv.Input((1, 8, 8))
        self.layer = layers.Dense(3)
        self.layer.ensure_built(0, fastconv.Spec((4,)))

    def network(self) -> fastconv.Model:
        conv = ("Conv2D", {"filters": 2, "kernel_size": 3})
        net = fastconv.Sequential([conv, "Flatten", ("Dense", {"units": 3})], (1, 8, 8), seed=0)
        net.compile("sgd", "softmax_cross_entropy", ["accuracy"])
        return net


CONVOLUTION = {
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "algorithm": "auto",
    "precision": "standard",
}
POOLING = {"pool_size": 2, "stride": None, "padding": 0, "ceil_mode": False}


class Own(fastconv.Layer):
    """A layer of somebody else's."""

    def infer(self, *specs):
        return specs[0]

    def forward(self, ctx, x):
        return x * 1

    def backward(self, ctx, dy):
        return dy * 1


def in_build(method: str) -> Callable[..., None]:
    """Return a function that calls `method` of a layer where it may be called: in build."""

    def call(**given: Any) -> None:
        def build(self: Any, rng: Any, *specs: Any) -> None:
            getattr(self, method)(**given)

        type("Own", (Own,), {"build": build})().ensure_built(0, fastconv.Spec((4,)))

    return call


def right_calls(g: Given) -> dict[str, Call]:
    """Return a right call, a function and its arguments by name, for each public name."""
    return {
        **functions(g),
        **of_functional(g),
        **of_layers(g),
        **of_models(g),
        **of_training(g),
        **of_registry(g),
        **of_the_rest(g),
    }


def functions(g: Given) -> dict[str, Call]:
    free = {"activation": None, "workspace_limit": None, "out": None}
    dy, pooled = ones(2, 2, 6, 6), ones(2, 1, 4, 4)
    indices = fastconv.max_pool2d(g.x, 2, return_indices=True)[1]
    options = {k: v for k, v in CONVOLUTION.items() if k != "algorithm"}
    spread = {"x": g.x, "weight": ones(1, 2, 3, 3), "output_padding": 0, **CONVOLUTION}
    return {
        "conv2d": (
            fastconv.conv2d,
            {"x": g.x, "weight": g.weight, "bias": ones(2), **CONVOLUTION, **free},
        ),
        "conv2d_backward": (
            fastconv.conv2d_backward,
            {
                "dy": dy,
                "x": g.x,
                "weight": g.weight,
                "needs": ("x", "bias"),
                "workspace_limit": None,
                **CONVOLUTION,
            },
        ),
        "conv2d_costs": (
            fastconv.conv2d_costs,
            {
                "x_shape": g.x.shape,
                "weight_shape": g.weight.shape,
                "dtype": "float32",
                "direction": "forward",
                "workspace_limit": None,
                "threads": None,
                **options,
            },
        ),
        "conv2d_transpose": (fastconv.conv2d_transpose, {"bias": ones(2), **spread, **free}),
        "conv2d_transpose_backward": (
            fastconv.conv2d_transpose_backward,
            {"dy": ones(2, 2, 10, 10), "needs": ("x", "bias"), "workspace_limit": None, **spread},
        ),
        "upsample2d": (fastconv.upsample2d, {"x": g.x, "scale": 2, "mode": "nearest", "out": None}),
        "upsample2d_backward": (
            fastconv.upsample2d_backward,
            {"dy": g.x, "scale": 2, "mode": "bilinear"},
        ),
        "prepare_conv2d": (fastconv.prepare_conv2d, {"weight": g.weight, **CONVOLUTION}),
        "im2col": (
            fastconv.im2col,
            {"input_data": g.x, "filter_h": 3, "filter_w": 3, "stride": 1, "pad": 0},
        ),
        "col2im": (
            fastconv.col2im,
            {
                "col": ones(72, 9),
                "input_shape": g.x.shape,
                "filter_h": 3,
                "filter_w": 3,
                "stride": 1,
                "pad": 0,
            },
        ),
        "max_pool2d": (
            fastconv.max_pool2d,
            {"x": g.x, "dilation": 1, "return_indices": False, "out": None, **POOLING},
        ),
        "max_pool2d_backward": (
            fastconv.max_pool2d_backward,
            {"dy": pooled, "indices": indices, "input_shape": g.x.shape},
        ),
        "avg_pool2d": (
            fastconv.avg_pool2d,
            {"x": g.x, "count_include_pad": False, "out": None, **POOLING},
        ),
        "avg_pool2d_backward": (
            fastconv.avg_pool2d_backward,
            {"dy": pooled, "input_shape": g.x.shape, "count_include_pad": False, **POOLING},
        ),
        "set_num_threads": (fastconv.set_num_threads, {"n": None}),
    }


#: Name, what the gradient reads, and settings.
ACTIVATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("elu", "y", {"alpha": 1.0}),
    ("gelu", "x", {"approximate": "tanh"}),
    ("hard_sigmoid", "y", {"alpha": 0.2, "beta": 0.5}),
    ("hard_swish", "x", {}),
    ("leaky_relu", "y", {"negative_slope": 0.01}),
    ("relu6", "y", {}),
    ("sigmoid", "y", {}),
    ("silu", "x", {}),
    ("softplus", "y", {}),
    ("tanh", "y", {}),
]


def of_functional(g: Given) -> dict[str, Call]:
    f, x = functional, g.x
    y, mean, _, inverse = f.batch_norm(x, ones(1), ones(1), 1e-5)
    argmax = f.max_pool2d_argmax(x, 2)[1]
    a, w = ones(2, 3), ones(4, 3)
    window = {"kernel_size": 3, "stride": 1, "padding": 0, "dilation": 1}
    found: dict[str, Call] = {
        "dense": (f.dense, {"x": a, "weight": w, "bias": ones(4), "activation": None, "out": None}),
        "dense_backward": (f.dense_backward, {"dy": ones(2, 4), "x": a, "weight": w, "needs": "x"}),
        "prepare_dense": (f.prepare_dense, {"weight": w}),
        "batch_norm": (
            f.batch_norm,
            {"x": x, "weight": ones(1), "bias": ones(1), "epsilon": 1e-5, "running": None},
        ),
        "batch_norm_backward": (
            f.batch_norm_backward,
            {
                "dy": y,
                "x": x,
                "weight": ones(1),
                "mean": mean,
                "inverse": inverse,
                "batch": True,
                "needs_x": True,
            },
        ),
        "max_pool2d_argmax": (
            f.max_pool2d_argmax,
            {"x": x, "dilation": 1, "activation": None, **POOLING},
        ),
        "max_pool2d_argmax_backward": (
            f.max_pool2d_argmax_backward,
            {
                "dy": ones(2, 1, 4, 4),
                "argmax": argmax,
                "dilation": 1,
                "input_shape": x.shape,
                **POOLING,
            },
        ),
        "unfold2d": (f.unfold2d, {"x": x, **window}),
        "fold2d": (f.fold2d, {"columns": ones(2, 9, 36), "output_size": 8, **window}),
        "zero_padding2d": (f.zero_padding2d, {"x": x, "padding": 1, "out": None}),
        "zero_padding2d_backward": (f.zero_padding2d_backward, {"dy": x, "padding": 1}),
        "relu": (f.relu, {"x": x, "out": None}),
        "relu_backward": (f.relu_backward, {"dy": x, "y": x, "out": None}),
        "dropout": (f.dropout, {"x": x, "kept": np.ones(x.shape, bool), "scale": 2.0, "out": None}),
    }
    for name in ("erf", "exp", "expm1", "log", "log1p"):
        found[name] = getattr(f, name), {"x": x}
    for name, kept, settings in ACTIVATIONS:
        found[name] = getattr(f, name), {"x": x, **settings, "out": None}
        backward = getattr(f, f"{name}_backward")
        found[f"{name}_backward"] = backward, {"dy": x, kept: x, **settings, "out": None}
    found["rescale"] = f.rescale, {"x": x, "scale": 2.0, "offset": [1.0], "out": None}
    found["prelu"] = f.prelu, {"x": x, "weight": ones(1), "out": None}
    slopes = {"dy": x, "x": x, "weight": ones(1), "needs_x": True}
    found["prelu_backward"] = f.prelu_backward, slopes
    for name in ("softmax", "log_softmax"):
        found[name] = getattr(f, name), {"x": x, "axis": 1}
    numbers = np.array([[0, 3], [2, 2]])
    found["embedding"] = f.embedding, {"indices": numbers, "weight": w}
    found["embedding_backward"] = (
        f.embedding_backward,
        {"dy": ones(2, 2, 3), "indices": numbers, "entries": 4},
    )
    one, norms = ones(1), {"epsilon": 1e-5, "statistics": True, "bias": ones(1), "weight": ones(1)}
    grouped = f.group_norm(x, one, one, 1)
    found["group_norm"] = f.group_norm, {"x": x, "groups": 1, **norms}
    found["group_norm_backward"] = (
        f.group_norm_backward,
        {
            "dy": x,
            "x": x,
            "weight": one,
            "mean": grouped[1],
            "inverse": grouped[2],
            "needs": ("x", "bias"),
        },
    )
    found["layer_norm"] = f.layer_norm, {"x": x, "axes": (1,), **norms}
    over = f.layer_norm(x, one, one, (1,))
    found["layer_norm_backward"] = (
        f.layer_norm_backward,
        {
            "dy": x,
            "x": x,
            "weight": one,
            "mean": over[1],
            "inverse": over[2],
            "axes": (1,),
            "needs": ("x", "bias"),
        },
    )
    local = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0}
    found["local_response_norm"] = f.local_response_norm, {"x": x, **local}
    found["local_response_norm_backward"] = (
        f.local_response_norm_backward,
        {"dy": x, "x": x, **local},
    )
    found["softmax_backward"] = f.softmax_backward, {"dy": x, "y": x, "axis": 1}
    return {f"functional.{name}": call for name, call in found.items()}


def every_layer() -> dict[str, Call]:
    """Return the call of each layer that its example shows, every setting given."""
    found: dict[str, Call] = {}
    for name in layers.__all__:
        cls = getattr(layers, name)
        if isinstance(cls, type) and issubclass(cls, Layer) and cls is not Layer:
            settings = inspect.signature(cls).parameters.values()
            defaults = {p.name: p.default for p in settings if p.default is not p.empty}
            found[f"layers.{name}"] = cls, {**defaults, **cls.example_config, "name": "one"}
    return found


def of_layers(g: Given) -> dict[str, Call]:
    spec = fastconv.Spec((4,))
    dense, relu = g.layer, layers.ReLU()

    def registered(name: Any, override: Any, cls: Any) -> Any:
        return fastconv.register_layer(name, override=override)(cls)

    return {
        **every_layer(),
        "Spec": (fastconv.Spec, {"shape": (1, 8, 8), "dtype": "float32", "batch_axis": 0}),
        "Layer": (fastconv.Layer, {"name": "one"}),
        "Layer.__call__": (lambda node: relu(node), {"node": g.node}),
        "Layer.add_param": (
            in_build("add_param"),
            {"name": "a", "shape": (2,), "initializer": "he", "fan_in": 2, "dtype": "float32"},
        ),
        "Layer.add_state": (in_build("add_state"), {"name": "a", "shape": (2,), "value": 0.0}),
        "Layer.ensure_built": (
            lambda rng, spec: layers.Dense(2).ensure_built(rng, spec),
            {"rng": 0, "spec": spec},
        ),
        "Layer.infer": (lambda spec: dense.infer(spec), {"spec": spec}),
        "Layer.one_input": (dense.one_input, {"specs": (spec,)}),
        "Layer.param": (dense.param, {"name": "weight"}),
        "Layer.set_params": (dense.set_params, {"weight": ones(3, 4), "bias": ones(3)}),
        "layers.Parameter": (
            layers.Parameter,
            {"value": ones(2), "name": "one", "trainable": True},
        ),
        "layers.Parameter.assign": (dense.param("bias").assign, {"array": ones(3)}),
        "layers.Parameter.checked": (
            lambda array: dense.param("bias").checked(array, "f"),
            {"array": ones(3)},
        ),
        "create_layer": (
            lambda layer, name: fastconv.create_layer(layer, name=name),
            {"layer": "ReLU", "name": "one"},
        ),
        "describe_layer": (fastconv.describe_layer, {"layer": "ReLU"}),
        "list_layers": (fastconv.list_layers, {"pattern": "*"}),
        "register_layer": (registered, {"name": "acme.Own.v1", "override": True, "cls": Own}),
    }


def of_models(g: Given) -> dict[str, Call]:
    net, x, dy = g.net, g.x, ones(2, 3)
    weights = {"path": "weights.safetensors", "only": "*", "strict": True, "mapping": None}
    limits = {"batch_size": 1, "workspace_limit": None, "memory_limit": None}
    run = {"x": x, "batch_size": 2, "memory_limit": None}
    fit = {
        "y": g.labels,
        "epochs": 1,
        "validation_data": None,
        "shuffle": True,
        "seed": 0,
        "verbose": 0,
        "callbacks": (),
        "resume": None,
        "comm": None,
        "shards": 2,
        "batch_norm": "by_piece",
    }
    arrays = {"dense_1/bias": ones(3)}
    found: dict[str, Call] = {
        "Model": (
            fastconv.Model,
            {"inputs": g.node, "outputs": layers.ReLU()(g.node), "name": "title", "seed": 0},
        ),
        "Sequential": (
            fastconv.Sequential,
            {
                "layers": ["ReLU"],
                "input_shape": (3,),
                "dtype": "float32",
                "seed": 0,
                "name": "title",
            },
        ),
        "Model.compile": (
            net.compile,
            {"optimizer": "sgd", "loss": "softmax_cross_entropy", "metrics": ["accuracy"]},
        ),
        "Model.fit": (lambda **k: g.network().fit(**k), {**run, **fit}),
        "Model.evaluate": (g.network().evaluate, {"y": g.labels, **run}),
        "Model.train_on_batch": (
            g.network().train_on_batch,
            {"x": x, "y": g.labels, "memory_limit": None},
        ),
        "Model.loss_gradients": (
            g.network().loss_gradients,
            {"x": x, "y": g.labels, "sample_weight": ones(2), "memory_limit": None},
        ),
        "Model.plan": (
            g.network().plan,
            {**limits, "batch_size": 2, "training": True, "shards": 2, "batch_norm": "by_piece"},
        ),
        "Model.measure": (net.measure, {"batch_size": 1, "memory_limit": None}),
        "Model.__getitem__": (net.__getitem__, {"name": "dense_1"}),
        "Model.input_gradient": (net.input_gradient, {"x": x, "dy": dy}),
        "Model.freeze": (net.freeze, {"pattern": "*"}),
        "Model.unfreeze": (net.unfreeze, {"pattern": "*"}),
        "Model.save": (
            g.network().save,
            {"path": "other.safetensors", "training": True, "keep": 2},
        ),
        "Model.save_weights": (net.save_weights, {"path": "other.safetensors"}),
        "Model.load_weights": (net.load_weights, weights),
        "Model.set_weights": (
            lambda arrays, value: net.set_weights(
                arrays if value is arrays else {"dense_1/bias": value}
            ),
            {"arrays": arrays, "value": arrays},
        ),
        "InferenceModel.plan": (g.frozen.plan, {"training": False, **limits}),
        "InferenceModel.measure": (g.frozen.measure, {"batch_size": 1, "memory_limit": None}),
        "Input": (fastconv.Input, {"shape": (1, 8, 8), "dtype": "float32", "batch_axis": 0}),
        "load": (fastconv.load, {"path": "net.safetensors", "for_inference": False}),
        "Predictor": (
            fastconv.Predictor,
            {
                "source": "net.safetensors",
                "memory_limit": None,
                "batch_size": 1,
                "columns": "x",
                "results": ["y"],
                "for_inference": False,
            },
        ),
        "Predictor.__call__": (
            lambda table, x: fastconv.Predictor(net)(table if x is g.x else x),
            {"table": {"x": g.x}, "x": g.x},
        ),
        **of_dask(g),
        "from_config": (fastconv.from_config, {"config": net.to_config(), "seed": 0}),
        "create_model": (
            lambda model, name: fastconv.create_model(model, name=name),
            {"model": "acme.Net", "name": "title"},
        ),
        "zoo.torchvision": (zoo.torchvision, {"network": "ResNet50"}),
        "describe_model": (fastconv.describe_model, {"model": "acme.Net"}),
        "list_models": (fastconv.list_models, {"pattern": "*"}),
        "register_model": (
            lambda name, override, make: fastconv.register_model(name, override=override)(make),
            {"name": "acme.Net.v1", "override": True, "make": lambda: net},
        ),
    }
    for owner, network in (("Model", net), ("InferenceModel", g.frozen)):
        call = {"x": x, "training": owner == "Model", "seed": None, "memory_limit": None}
        found[f"{owner}.__call__"] = (lambda x, network=network, **k: network(x, **k)), call
        found[f"{owner}.predict"] = network.predict, run
        found[f"{owner}.intermediate"] = network.intermediate, {"x": x, "ids": "dense_1"}
        found[f"{owner}.cast_inputs"] = network.cast_inputs, {"x": x}
    return found


def of_training(g: Given) -> dict[str, Call]:
    t, y = training, ones(2, 3) / np.float32(3)
    found: dict[str, Call] = {}
    settings = {
        "SGD": {},
        "Momentum": {"momentum": 0.9},
        "Nesterov": {"momentum": 0.9},
        "AdaGrad": {"epsilon": 1e-8},
        "RMSProp": {"decay": 0.9, "epsilon": 1e-8},
        "Adam": {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8},
        "AdamW": {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8},
    }
    common = {"learning_rate": 0.1, "weight_decay": 0.1, "clip_norm": 1.0, "clip_value": 1.0}
    for name, given in settings.items():
        found[name] = getattr(t, name), {**common, **given}
    found.update(of_schedules_and_callbacks())
    for name, targets in (
        ("SoftmaxCrossEntropy", g.labels),
        ("CrossEntropy", g.labels),
        ("SigmoidCrossEntropy", y),
        ("BinaryCrossEntropy", y),
        ("MeanSquaredError", y),
        ("MeanAbsoluteErrorLoss", y),
        ("Huber", y),
    ):
        loss = getattr(t, name)()
        given = {"outputs": y, "targets": targets, "weights": ones(2)}
        found[f"{name}.__call__"] = loss, given
        found[f"{name}.value_and_gradient"] = loss.value_and_gradient, given
        found[f"{name}.check_outputs"] = loss.check_outputs, {"shape": (3,)}
        found[f"{name}.check_targets"] = loss.check_targets, {"shape": (2, 3), "targets": targets}
        sizes = {"shape": (2, 3), "itemsize": 4, "gradient": True}
        found[f"{name}.temporary_bytes"] = loss.temporary_bytes, sizes
    found["SoftmaxCrossEntropy"] = t.SoftmaxCrossEntropy, {"label_smoothing": 0.1}
    found["Huber"] = t.Huber, {"delta": 1.0}
    for name, targets in (("Accuracy", g.labels), ("MeanAbsoluteError", y), ("BinaryAccuracy", y)):
        found[f"{name}.__call__"] = getattr(t, name)(), {"outputs": y, "targets": targets}
    found["TopK.__call__"] = t.TopK(2), {"outputs": y, "targets": g.labels}
    found["Accuracy.check_outputs"] = t.Accuracy().check_outputs, {"shape": (3,)}
    found["TopK.check_outputs"] = t.TopK(2).check_outputs, {"shape": (3,)}
    found["TopK"] = t.TopK, {"k": 5}
    found["BinaryAccuracy"] = t.BinaryAccuracy, {"threshold": 0.5}
    found["AUC"] = t.AUC, {"average": "macro"}
    for name in ("Precision", "Recall", "F1", "AUC"):
        metric = getattr(t, name)
        if name != "AUC":
            found[name] = metric, {"average": "macro", "threshold": 0.5}
        given = {"outputs": y, "targets": g.labels, "weights": ones(2)}
        found[f"{name}.__call__"] = metric(), given
        found[f"{name}.check_outputs"] = metric().check_outputs, {"shape": (3,)}
    labels = {"y": g.labels, "predicted": g.labels, "classes": 3}
    found["confusion_matrix"] = t.confusion_matrix, labels
    parameters = {"dense/bias": g.layer.param("bias")}
    found["Optimizer.update"] = (
        lambda **k: t.Adam().update(**k),
        {"parameters": parameters, "gradients": {"dense/bias": ones(3)}},
    )
    adam = t.Adam()
    adam.update(parameters, {"dense/bias": ones(3)})
    found["Optimizer.restore"] = t.Adam().restore, {"state": adam.state()}
    found["Optimizer.rate_at"] = t.Adam("constant").rate_at, {"step": 3}
    found["Optimizer.load_state_dict"] = t.Adam().load_state_dict, {"state": adam.state_dict()}
    return {f"training.{name}": call for name, call in found.items()}


def of_schedules_and_callbacks() -> dict[str, Call]:
    t = training
    common = {"learning_rate": 0.1, "warm_up": 2}
    watching = {"patience": 3, "monitor": "loss", "min_delta": 0.1, "mode": "min"}
    kinds = {
        "ConstantRate": common,
        "StepDecay": {"steps": 3, "factor": 0.5, **common},
        "ExponentialDecay": {"factor": 0.5, "steps": 3, **common},
        "CosineDecay": {"steps": 9, "final": 0.1, **common},
        "EarlyStopping": {**watching, "restore_best": True},
        "ReduceOnPlateau": {**watching, "factor": 0.5},
        "LearningRateSchedule": {"schedule": "constant"},
        "ModelCheckpoint": {"path": "a", "every": "epoch", "monitor": "loss", "keep": 2},
        "CSVLog": {"path": "a.csv"},
    }
    found: dict[str, Call] = {name: (getattr(t, name), given) for name, given in kinds.items()}
    for name in ("ConstantRate", "StepDecay", "ExponentialDecay", "CosineDecay"):
        schedule = getattr(t, name)(**kinds[name])
        found[f"{name}.__call__"] = schedule, {"step": 3}
    for name in ("EarlyStopping", "ReduceOnPlateau", "ModelCheckpoint", "CSVLog"):
        callback = getattr(t, name)(**kinds[name])
        found[f"{name}.restore"] = callback.restore, {"state": callback.state()}
    found["History.restore"] = t.History().restore, {"state": {"history/loss": np.zeros(3)}}
    found["Callback.restore"] = t.Callback().restore, {"state": {}}
    return found


def of_registry(g: Given) -> dict[str, Call]:
    where = registry.layers
    return {
        "registry.Registry.get": (where.get, {"name": "ReLU"}),
        "registry.Registry.canonical": (where.canonical, {"name": "ReLU"}),
        "registry.Registry.names": (where.names, {"pattern": "*"}),
        "registry.Registry.register": (
            where.register,
            {"name": "acme.Own.v1", "obj": Own, "override": True},
        ),
        "registry.create": (
            lambda name, config: registry.create(where, name, config, "f"),
            {"name": "ReLU", "config": {}},
        ),
        "registry.resolve": (
            lambda spec: registry.resolve(registry.losses, spec, "f"),
            {"spec": "mean_squared_error"},
        ),
    }


def of_the_book() -> dict[str, Call]:
    """Return calls of the book's names; a layer is made, and runs forward or backward."""
    x, w, b, t = ones(2, 1, 8, 8), ones(2, 1, 3, 3), ones(2), np.array([0, 1])
    rows, dy = ones(2, 3), ones(2, 2)

    def passes(make: Any, backward: bool = False) -> Callable[..., Any]:
        """Return a function that makes a layer of what is not given to `forward`."""

        def call(x: Any, dout: Any = None, **given: Any) -> Any:
            layer = make(**given)
            y = layer.forward(x)
            return layer.backward(dout) if backward else y

        return call

    def fresh(**options: Any) -> book.SimpleConvNet:
        sizes = {"filter_num": 2, "filter_size": 3, "pad": 0, "stride": 1}
        return book.SimpleConvNet((1, 8, 8), sizes, 4, 3, **options)

    def step(cls: Any) -> Callable[..., None]:
        def call(params: Any, grads: Any, **given: Any) -> None:
            cls(**given).update(params, grads)

        return call

    net = fresh()
    net.save_params("params.pkl")
    norm = {"gamma": ones(3), "beta": ones(3), "momentum": 0.9}
    norm |= {"running_mean": None, "running_var": None}
    deep = {f"conv_param_{n}": None for n in range(1, 7)}
    affine = {"input_size": 3, "output_size": 2, "dtype": "float32"}
    many = {"hidden_size_list": [2], "activation": "relu", "weight_init_std": 0.1}
    many |= {"weight_decay_lambda": 0.1}
    more = {"use_dropout": False, "dropout_ration": 0.5, "use_batchnorm": False}
    steps = {"params": {"a": ones(2)}, "grads": {"a": ones(2)}}
    sets = {"x_train": rows, "t_train": t, "x_test": rows, "t_test": t}
    found: dict[str, Call] = {
        "Affine": (passes(book.Affine), {"x": rows, "W": ones(3, 2), "b": b}),
        "Affine.backward": (
            passes(lambda: book.Affine(ones(3, 2), b), True),
            {"x": rows, "dout": dy},
        ),
        "BatchNormalization": (passes(book.BatchNormalization), {"x": rows, **norm}),
        "Convolution": (passes(book.Convolution), {"x": x, "W": w, "b": b, "stride": 1, "pad": 0}),
        "Dropout": (passes(book.Dropout), {"x": rows, "dropout_ratio": 0.5}),
        "Pooling": (
            passes(book.Pooling),
            {"x": x, "pool_h": 2, "pool_w": 2, "stride": 2, "pad": 0},
        ),
        "SimpleConvNet": (
            book.SimpleConvNet,
            {
                "input_dim": (1, 8, 8),
                "conv_param": None,
                "hidden_size": 4,
                "output_size": 3,
                "weight_init_std": 0.1,
                "dtype": "float32",
            },
        ),
        "DeepConvNet": (
            book.DeepConvNet,
            {"input_dim": (1, 8, 8), **deep, "hidden_size": 4, "output_size": 3, "dtype": "f4"},
        ),
        "TwoLayerNet": (book.TwoLayerNet, {**affine, "hidden_size": 4, "weight_init_std": 0.1}),
        "MultiLayerNet": (book.MultiLayerNet, {**affine, **many}),
        "MultiLayerNetExtend": (book.MultiLayerNetExtend, {**affine, **many, **more}),
        "SimpleConvNet.predict": (net.predict, {"x": x, "train_flg": False}),
        "SimpleConvNet.loss": (net.loss, {"x": x, "t": t, "train_flg": False}),
        "SimpleConvNet.accuracy": (net.accuracy, {"x": x, "t": t, "batch_size": 1}),
        "SimpleConvNet.gradient": (net.gradient, {"x": x, "t": t}),
        "SimpleConvNet.save_params": (net.save_params, {"file_name": "a.pkl"}),
        "SimpleConvNet.load_params": (net.load_params, {"file_name": "params.pkl"}),
        "Trainer": (
            lambda **given: book.Trainer(book.TwoLayerNet(3, 2, 2), **given).train(),
            {
                **sets,
                "epochs": 1,
                "mini_batch_size": 1,
                "optimizer": "sgd",
                "optimizer_param": None,
                "evaluate_sample_num_per_epoch": None,
                "verbose": False,
            },
        ),
        "SGD": (step(book.SGD), {"lr": 0.1, **steps}),
        "Momentum": (step(book.Momentum), {"lr": 0.1, "momentum": 0.9, **steps}),
        "Nesterov": (step(book.Nesterov), {"lr": 0.1, "momentum": 0.9, **steps}),
        "AdaGrad": (step(book.AdaGrad), {"lr": 0.1, **steps}),
        "RMSprop": (step(book.RMSprop), {"lr": 0.1, "decay_rate": 0.9, **steps}),
        "Adam": (step(book.Adam), {"lr": 0.1, "beta1": 0.9, "beta2": 0.9, **steps}),
        "conv_output_size": (
            book.conv_output_size,
            {"input_size": 8, "filter_size": 3, "stride": 1, "pad": 0},
        ),
        "cross_entropy_error": (book.cross_entropy_error, {"y": rows, "t": t}),
        "softmax_loss": (book.softmax_loss, {"x": rows, "t": t}),
        "mean_squared_error": (book.sum_squared_error, {"y": rows, "t": rows}),
        "numerical_gradient": (lambda x: book.numerical_gradient(np.sum, x), {"x": rows}),
        "shuffle_dataset": (book.shuffle_dataset, {"x": rows, "t": t}),
        "load_mnist": (
            book.load_mnist,
            {"normalize": True, "flatten": True, "one_hot_label": False, "folder": "."},
        ),
        "smooth_curve": (book.smooth_curve, {"x": ones(12)}),
    }
    for name in ("Relu", "Sigmoid"):
        found[f"{name}.forward"] = passes(getattr(book, name)), {"x": rows}
        found[f"{name}.backward"] = passes(getattr(book, name), True), {"x": rows, "dout": rows}
    for name in ("relu", "relu_grad", "sigmoid", "sigmoid_grad", "softmax", "step_function"):
        found[name] = getattr(book, name), {"x": rows}
    return {f"compat.deep_learning_from_scratch.{name}": call for name, call in found.items()}


def of_dask(g: Given) -> dict[str, Call]:
    """Where Dask is installed."""
    if "dask" not in MODULES:
        return {}
    array = import_module("dask.array").from_array(g.x)
    right = {"net": "net.safetensors", "array": array, "memory_limit": None}
    return {"dask.predict": (fastconv.dask.predict, right)}


def explanations() -> dict[str, Call]:
    x, w = ones(4, 4), ones(2, 2)
    options = {"stride": 1, "padding": 0}
    unfolding = {"input_data": x, "filter_h": 2, "filter_w": 2, "stride": 1, "pad": 0}
    return {
        "explain.conv2d": (
            explain.conv2d,
            {"x": x, "weight": w, "bias": 0.5, "dilation": 1, **options},
        ),
        "explain.im2col": (explain.im2col, unfolding),
        "explain.pool2d": (explain.pool2d, {"x": x, "pool_size": 2, "kind": "max", **options}),
    }


def pictures(g: Given) -> dict[str, Call]:
    image, costs = ones(1, 8, 8), {"batch_size": 1, "training": False, "ax": None}
    history = training.History({"loss": [1.0]}, [0.1])
    return {
        "plot.filters": (plot.filters, {"net": g.net, "before": g.weight, "layer": None}),
        "plot.feature_maps": (
            plot.feature_maps,
            {"net": g.net, "image": image, "layers": ["conv2d_1"], "channels": 2},
        ),
        "plot.activation_maximization": (
            plot.activation_maximization,
            {"net": g.net, "layer": "conv2d_1", "channels": [1], "steps": 1, "seed": 0, "ax": None},
        ),
        "plot.filter_responses": (
            plot.filter_responses,
            {"image": ones(5, 6), "filters": {"a": [[1, -1]]}},
        ),
        "plot.history": (plot.history, {"history": history, "figures": ["loss"], "ax": None}),
        "plot.confusion_matrix": (
            plot.confusion_matrix,
            {"y": [0, 1], "predicted": [1, 1], "names": ["a", "b"], "ax": None},
        ),
        "plot.misclassified": (
            plot.misclassified,
            {"net": g.net, "x": g.x, "y": g.labels, "names": ["a", "b", "c"], "most": 2},
        ),
        "plot.graph": (plot.graph, {"net": g.net, "ax": None}),
        "plot.memory": (plot.memory, {"net": g.net, **costs}),
        "plot.algorithms": (plot.algorithms, {"net": g.net, **costs}),
        "plot.time_against_memory": (
            plot.time_against_memory,
            {
                "x_shape": g.x.shape,
                "weight_shape": g.weight.shape,
                "stride": 1,
                "padding": 0,
                "dilation": 1,
                "groups": 1,
                "repeats": 0,
                "ax": None,
            },
        ),
        "training.History.plot": (history.plot, {"figures": None, "ax": None}),
    }


def estimators() -> dict[str, Call]:
    """Return the estimators of scikit-learn, which look at their parameters where they are fitted.

    `random_state` is looked at by scikit-learn, and `augment` is whatever can be called.
    """
    x, y = np.arange(32.0).reshape(8, 4) / 32, np.arange(8) % 2
    settings = {
        "model": None,
        "input_shape": (4,),
        "epochs": 1,
        "batch_size": 8,
        "optimizer": "sgd",
        "learning_rate": 0.01,
        "loss": None,
        "early_stopping": True,
        "patience": 1,
        "validation_fraction": 0.5,
        "callbacks": (),
        "threads": 1,
        "memory_limit": "1 MiB",
        "verbose": 0,
    }

    def fitted(cls: Any) -> Callable[..., Any]:
        return lambda **given: cls(**given).fit(x, y)

    return {
        "sklearn.CNNClassifier": (
            fitted(sklearn.CNNClassifier),
            {**settings, "class_weight": "balanced"},
        ),
        "sklearn.CNNRegressor": (fitted(sklearn.CNNRegressor), settings),
    }


def of_the_rest(g: Given) -> dict[str, Call]:
    filters = {"edge": g.weight}
    return {
        "data.mnist": (data.mnist, {"folder": "mnist"}),
        "data.read_idx": (data.read_idx, {"path": "one"}),
        "data.Images": (data.Images, {"paths": [], "size": 2, "grey": False}),
        "data.Images.__getitem__": (data.Images(["none.png"]).__getitem__, {"row": 0}),
        "data.Transform.__call__": (
            data.shift(1).__call__,
            {"rng": np.random.default_rng(0), "x": ones(2, 3, 3), "y": None},
        ),
        "data.Transform": (data.Transform, {"name": "a", "settings": {}, "apply": max}),
        "data.compose": (lambda transform: data.compose(transform), {"transform": max}),
        "data.crop": (data.crop, {"size": 2, "padding": 0, "fill": 0, "targets": False}),
        "data.flip": (
            data.flip,
            {"horizontal": True, "vertical": False, "share": 0.5, "targets": False},
        ),
        "data.image_folder": (data.image_folder, {"folder": "none", "size": 2, "grey": False}),
        "data.noise": (data.noise, {"scale": 0.5}),
        "data.normalise": (data.normalise, {"mean": 0.0, "std": 1.0}),
        "data.read_csv": (
            data.read_csv,
            {"path": "one", "shape": (1, 2), "label": "first", "largest": 255},
        ),
        "data.read_npz": (data.read_npz, {"path": "one"}),
        "data.shift": (data.shift, {"pixels": 1, "fill": 0, "targets": False}),
        "data.stratified_split": (
            data.stratified_split,
            {"y": [0, 0, 1, 1], "test_fraction": 0.5, "seed": 0},
        ),
        "memory.format_bytes": (memory.format_bytes, {"nbytes": 3}),
        "memory.parse_bytes": (lambda value: memory.parse_bytes("f", "x", value), {"value": 3}),
        **explanations(),
        **of_the_book(),
        **estimators(),
        "plot.draws_blocks": (plot.draws_blocks, {"stream": None}),
        "plot.filters_text": (plot.filters_text, {"weights": filters, "width": 80, "blocks": True}),
        "plot.filters_png": (plot.filters_png, {"weights": filters, "path": "a.png", "title": ""}),
        "plot.plan_page": (
            plot.plan_page,
            {
                "net": g.net,
                "batch_size": 1,
                "training": False,
                "workspace_limit": None,
                "memory_limit": None,
            },
        ),
        "plot.plan_png": (plot.plan_png, {"plan": g.net.plan(1), "path": "a.png"}),
        **pictures(g),
        "testing.assert_bits_equal": (testing.assert_bits_equal, {"actual": g.x, "expected": g.x}),
        "testing.assert_close": (
            testing.assert_close,
            {"actual": g.x, "expected": g.x, "factor": 1.0},
        ),
        "testing.check_network": (
            testing.check_network,
            {"net": g.network(), "x": g.x, "y": g.labels, "entries": 1, "seed": 0},
        ),
        "testing.check_layer": (
            lambda layer, shape, rng, dtype: testing.check_layer(
                layer, shape, rng=rng, dtype=dtype
            ),
            {"layer": "ReLU", "shape": (2, 3), "rng": 0, "dtype": "float32"},
        ),
        "testing.tolerance": (testing.tolerance, {"dtype": "float32"}),
    }
