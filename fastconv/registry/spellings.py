"""What Keras, PyTorch, ONNX, Chainer and the book call the things that have other names here."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fastconv.errors import nearest
from fastconv.registry.names import short

__all__ = ["absent", "either", "name_offers", "setting_remedy"]

# By kind. Names are written without capitals, underscores and the module before them. Where a name
# may mean several things, the likeliest comes first.
_NAMES: dict[str, dict[str, str | tuple[str, ...]]] = {
    "layer": {
        "adaptiveavgpool2d": "GlobalAvgPool2D",
        "affine": "Dense",
        "averagepool": "AvgPool2D",
        "averagepooling2d": "AvgPool2D",
        "batchnorm1d": "BatchNorm",
        "batchnorm2d": "BatchNorm",
        "batchnormalization": "BatchNorm",
        "cat": "Concatenate",
        "concat": "Concatenate",
        "conv": "Conv2D",
        "convolution": "Conv2D",
        "convolution2d": "Conv2D",
        "depthwiseconv2d": "Conv2D",
        "fullyconnected": "Dense",
        "gemm": "Dense",
        "globalaveragepool": "GlobalAvgPool2D",
        "globalaveragepooling2d": "GlobalAvgPool2D",
        "innerproduct": "Dense",
        "linear": "Dense",
        "maxpool": "MaxPool2D",
        "maxpooling2d": "MaxPool2D",
        "mul": "Multiply",
        "pooling": "MaxPool2D",
        "softmaxwithloss": "Softmax",
        "sum": "Add",
    },
    "loss": {
        "categoricalcrossentropy": ("softmax_cross_entropy", "cross_entropy"),
        "crossentropyerror": "cross_entropy",
        "crossentropyloss": "softmax_cross_entropy",
        "mse": "mean_squared_error",
        "mseloss": "mean_squared_error",
        "nllloss": "cross_entropy",
        "softmaxwithloss": "softmax_cross_entropy",
        "sparsecategoricalcrossentropy": ("softmax_cross_entropy", "cross_entropy"),
    },
    "metric": {"acc": "accuracy", "categoricalaccuracy": "accuracy"},
    "initializer": {
        "glorot": "xavier",
        "glorotnormal": "xavier",
        "glorotuniform": "xavier",
        "henormal": "he",
        "kaiming": "he",
        "kaimingnormal": "he",
        "normal": "gaussian",
        "randomnormal": "gaussian",
        "xaviernormal": "xavier",
    },
}

# What other libraries have and fastconv has not. No name that merely looks alike is offered.
_ABSENT = {
    "layer": {
        "celu",
        "conv1d",
        "conv2dtranspose",
        "conv3d",
        "convtranspose",
        "convtranspose2d",
        "elu",
        "embedding",
        "gelu",
        "groupnorm",
        "groupnormalization",
        "gru",
        "hardsigmoid",
        "hardswish",
        "instancenorm2d",
        "layernorm",
        "layernormalization",
        "leakyrelu",
        "lstm",
        "maxpool1d",
        "maxpool3d",
        "mish",
        "prelu",
        "relu6",
        "rnn",
        "selu",
        "silu",
        "softplus",
        "swish",
        "upsample",
        "upsampling2d",
    }
}

_SETTINGS = {
    "dilation_rate": "dilation",
    "dilations": "dilation",
    "dim": "axis",
    "dropout_ratio": "rate",
    "eps": "epsilon",
    "filter_num": "filters",
    "filter_size": "kernel_size",
    "group": "groups",
    "hidden_size": "units",
    "kernel": "kernel_size",
    "kernel_initializer": "initializer",
    "kernel_shape": "kernel_size",
    "kernel_size": "pool_size",
    "lr": "learning_rate",
    "num_filters": "filters",
    "out_channels": "filters",
    "out_features": "units",
    "output_size": "units",
    "p": "rate",
    "pad": "padding",
    "pads": "padding",
    "pool_h": "pool_size",
    "pool_w": "pool_size",
    "strides": "stride",
    "use_bias": "bias",
    "weight_init_std": "initializer",
}

_INFERRED = {"in_channels", "in_features", "input_dim", "input_shape", "input_size", "num_features"}


def name_offers(kind: str, name: object, names: Collection[str]) -> list[str]:
    """Return which of `names` may be meant by `name`, of a layer or of another `kind`."""
    if not isinstance(name, str) or absent(kind, name, names):
        return []
    name = short(name)
    last = name[-80:].rpartition(".")[2]
    elsewhere = _NAMES.get(kind, {}).get(_folded(name), ())
    offers = (elsewhere,) if isinstance(elsewhere, str) else elsewhere
    if found := [offer for offer in offers if offer in names]:
        return found
    same = [known for known in names if _folded(short(known)) == _folded(name)]
    return same or nearest(name, names) or nearest(last, names)


def absent(kind: str, name: object, names: Collection[str]) -> bool:
    """Return whether `name` is something that other libraries have and none of `names` is."""
    if not isinstance(name, str):
        return False
    asked = _folded(short(name))
    return asked in _ABSENT.get(kind, ()) and asked not in {_folded(short(n)) for n in names}


def _folded(name: str) -> str:
    """Return `name` without case, underscores and the module before it."""
    return name[-80:].rpartition(".")[2].replace("_", "").lower()


def setting_remedy(key: object, settings: Collection[str]) -> str:
    """Return what to do about the unknown setting `key` of something that has `settings`."""
    if key in _INFERRED:
        return "it follows from the input, leave it out"
    elsewhere = _SETTINGS.get(key) if isinstance(key, str) else None
    offers = [elsewhere] if elsewhere and elsewhere in settings else nearest(key, settings)
    if offers:
        return f"did you mean {either(offers)}?"
    return f"it has {', '.join(settings)}" if settings else "it has none"


def either(names: Iterable[str]) -> str:
    """Return ``'a' or 'b'``."""
    return " or ".join(repr(name) for name in names)
