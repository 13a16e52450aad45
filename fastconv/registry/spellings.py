"""How Keras, PyTorch, ONNX, Chainer and the book spell what is called otherwise here."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fastconv.errors import nearest

__all__ = ["either", "name_offers", "setting_remedy"]

# By kind; without case, underscores and the module before the name.
_NAMES = {
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
        "categoricalcrossentropy": "cross_entropy",
        "crossentropyerror": "cross_entropy",
        "crossentropyloss": "softmax_cross_entropy",
        "mse": "mean_squared_error",
        "mseloss": "mean_squared_error",
        "nllloss": "cross_entropy",
        "softmaxwithloss": "softmax_cross_entropy",
        "sparsecategoricalcrossentropy": "cross_entropy",
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


def name_offers(kind: str, name: str, names: Collection[str]) -> list[str]:
    """Return the names among `names` that `name`, of a layer or another `kind`, may mean."""
    last = name[-80:].rpartition(".")[2]
    elsewhere = _NAMES.get(kind, {}).get(last.replace("_", "").lower())
    if elsewhere is not None and elsewhere in names:
        return [elsewhere]
    return nearest(name, names) or nearest(last, names)


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
