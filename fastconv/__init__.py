"""Convolutional networks on a CPU with NumPy arrays.

Three promises: compiled kernels at the machine's limit, memory that is seen, chosen and
bounded before anything runs, and a registry and files that last.

::

    models     Sequential, Model      connect layers, plan, run, save and load
       |
    layers     Conv2D, Dense, ...     remember a configuration and parameters
       |
    functional conv2d, im2col, ...    check, choose an algorithm, take memory
       |
    kernels    Cython, one build per instruction set: they compute, and nothing else

>>> import numpy as np, fastconv
>>> net = fastconv.Sequential([("Conv2D", {"filters": 8, "kernel_size": 3}), "ReLU", "Flatten",
...                            ("Dense", {"units": 10})], input_shape=(1, 8, 8))
>>> net(np.zeros((2, 1, 8, 8), np.float32)).shape
(2, 10)
"""

import importlib
from typing import TYPE_CHECKING, Any

from fastconv import errors, functional, layers, memory, registry, zoo
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckpointWarning,
    ConfigError,
    DataWarning,
    FastconvError,
    FormatError,
    InstructionSetError,
    InstructionSetWarning,
    MemoryLimitError,
    MissingExtraError,
    PluginWarning,
    ShapeError,
    TrainingError,
    UnknownNameError,
)
from fastconv.functional import (
    PackedWeight,
    avg_pool2d,
    avg_pool2d_backward,
    col2im,
    conv2d,
    conv2d_backward,
    conv2d_costs,
    conv2d_transpose,
    conv2d_transpose_backward,
    im2col,
    max_pool2d,
    max_pool2d_backward,
    prepare_conv2d,
    upsample2d,
    upsample2d_backward,
)
from fastconv.kernels import active_isa, available_isas
from fastconv.layers import Layer, Spec, create_layer, describe_layer, list_layers, register_layer
from fastconv.models import (
    InferenceModel,
    Input,
    Model,
    Sequential,
    create_model,
    describe_model,
    from_config,
    list_models,
    load,
    register_model,
)
from fastconv.serving import Predictor
from fastconv.threads import get_num_threads, set_num_threads
from fastconv.threads import introduce as _introduce

if TYPE_CHECKING:
    from fastconv import data as data
    from fastconv import training as training

__version__ = "0.27.0"
_introduce()

#: Modules that not every program needs, imported when they are first named.
_LATER = ("compat", "dask", "data", "explain", "plot", "sklearn", "testing", "training")
for _named in ("callbacks", "losses", "metrics", "optimizers", "schedules"):
    getattr(registry, _named).live_in("fastconv.training")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return importlib.import_module(f"{__name__}.{name}")
    if name.startswith("_"):  # Python itself asks for such names
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = (layers, functional, importlib.import_module(f"{__name__}.training"))
    known = {key: f"{home.__name__}.{key}" for home in homes for key in home.__all__}
    if name in known:
        remedy = f"it is {known[name]}"
    else:
        known |= {key: f"{__name__}.{key}" for key in (*__all__, *_LATER)}
        alike = [key for key in known if key[:1].isupper() == name[:1].isupper()]  # classes first
        near = errors.nearest(name, alike, 1) or errors.nearest(name, known, 1)
        remedy = f"did you mean {known[near[0]]}?" if near else ""
    rule = "is no name of the package"
    raise errors.UnknownAttributeError("fastconv", name, rule, remedy=remedy)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "ConfigError",
    "CheckpointWarning",
    "DataWarning",
    "FastconvError",
    "FormatError",
    "InferenceModel",
    "Input",
    "InstructionSetError",
    "InstructionSetWarning",
    "Layer",
    "MemoryLimitError",
    "MissingExtraError",
    "Model",
    "PackedWeight",
    "PluginWarning",
    "Predictor",
    "Sequential",
    "ShapeError",
    "Spec",
    "TrainingError",
    "UnknownNameError",
    "active_isa",
    "available_isas",
    "avg_pool2d",
    "avg_pool2d_backward",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv2d_costs",
    "conv2d_transpose",
    "conv2d_transpose_backward",
    "create_layer",
    "create_model",
    "data",
    "describe_layer",
    "describe_model",
    "errors",
    "from_config",
    "get_num_threads",
    "im2col",
    "layers",
    "list_layers",
    "list_models",
    "load",
    "max_pool2d",
    "max_pool2d_backward",
    "memory",
    "prepare_conv2d",
    "register_layer",
    "register_model",
    "registry",
    "set_num_threads",
    "upsample2d",
    "upsample2d_backward",
    "zoo",
]
