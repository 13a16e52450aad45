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
        "adaptivemaxpool2d": "GlobalMaxPool2D",
        "affine": "Dense",
        "averagepool": "AvgPool2D",
        "averagepooling1d": "AvgPool1D",
        "averagepooling2d": "AvgPool2D",
        "batchnorm1d": "BatchNorm",
        "batchnorm2d": "BatchNorm",
        "batchnormalization": "BatchNorm",
        "cat": "Concatenate",
        "clippedrelu": "ReLU6",
        "col2im": "Fold",
        "concat": "Concatenate",
        "constantpad2d": "ZeroPadding2D",
        "conv": "Conv2D",
        "convolution": "Conv2D",
        "convolution1d": "Conv1D",
        "convolution2d": "Conv2D",
        "depthwiseconv2d": "Conv2D",
        "exponentiallinearunit": "ELU",
        "convolution2dtranspose": "Conv2DTranspose",
        "convtranspose": "Conv2DTranspose",
        "convtranspose2d": "Conv2DTranspose",
        "deconv2d": "Conv2DTranspose",
        "deconvolution": "Conv2DTranspose",
        "deconvolution2d": "Conv2DTranspose",
        "depthwiseconv": "DepthwiseConv2D",
        "depthwiseconvolution2d": "DepthwiseConv2D",
        "fullyconnected": "Dense",
        "gemm": "Dense",
        "globalaveragepool": "GlobalAvgPool2D",
        "globalaveragepooling2d": "GlobalAvgPool2D",
        "hsigmoid": "HardSigmoid",
        "hswish": "HardSwish",
        "globalmaxpool": "GlobalMaxPool2D",
        "globalmaxpooling2d": "GlobalMaxPool2D",
        "im2col": "Unfold",
        "innerproduct": "Dense",
        "interpolate": "UpSampling2D",
        "linear": "Dense",
        "lrelu": "LeakyReLU",
        "groupnormalization": "GroupNorm",
        "instancenormalization": "GroupNorm",
        "instancenorm2d": "GroupNorm",
        "layernormalization": "LayerNorm",
        "localresponsenormalization": "LocalResponseNorm",
        "lrn": "LocalResponseNorm",
        "maxpool": "MaxPool2D",
        "maxpooling1d": "MaxPool1D",
        "maxpooling2d": "MaxPool2D",
        "mul": "Multiply",
        "noop": "Identity",
        "parametricrelu": "PReLU",
        "pooling": "MaxPool2D",
        "rescale": "Rescaling",
        "sigmoidlinearunit": "SiLU",
        "softmaxwithloss": "Softmax",
        "sum": "Add",
        "swish": "SiLU",
    },
    "activation": {
        "hardswish": "hard_swish",
        "hsigmoid": "hard_sigmoid",
        "hswish": "hard_swish",
        "lrelu": "leaky_relu",
        "swish": "silu",
        "pad": "ZeroPadding2D",
        "pooling": "MaxPool2D",
        "resize": "UpSampling2D",
        "resizeimages": "UpSampling2D",
        "separableconv2d": ("DepthwiseConv2D", "Conv2D"),
        "separableconvolution2d": ("DepthwiseConv2D", "Conv2D"),
        "softmaxwithloss": "Softmax",
        "sum": "Add",
        "transposedconv2d": "Conv2DTranspose",
        "unflatten": "Reshape",
        "unpooling2d": "UpSampling2D",
        "upsample": "UpSampling2D",
        "upsample2d": "UpSampling2D",
        "upsamplingbilinear2d": "UpSampling2D",
        "upsamplingnearest2d": "UpSampling2D",
        "view": "Reshape",
        "zeropad2d": "ZeroPadding2D",
        "zeropadding": "ZeroPadding2D",
    },
    "loss": {
        "bceloss": "binary_cross_entropy",
        "bcewithlogitsloss": "sigmoid_cross_entropy",
        "binarycrossentropy": ("sigmoid_cross_entropy", "binary_cross_entropy"),
        "binarycrossentropywithlogits": "sigmoid_cross_entropy",
        "categoricalcrossentropy": ("softmax_cross_entropy", "cross_entropy"),
        "crossentropyerror": "cross_entropy",
        "crossentropyloss": "softmax_cross_entropy",
        "huberloss": "huber",
        "l1loss": "mean_absolute_error",
        "mae": "mean_absolute_error",
        "mse": "mean_squared_error",
        "mseloss": "mean_squared_error",
        "multilabelsoftmarginloss": "sigmoid_cross_entropy",
        "nllloss": "cross_entropy",
        "smoothl1loss": "huber",
        "softmaxcrossentropywithlogits": "softmax_cross_entropy",
        "softmaxwithloss": "softmax_cross_entropy",
        "sparsecategoricalcrossentropy": ("softmax_cross_entropy", "cross_entropy"),
    },
    "metric": {
        "acc": "accuracy",
        "auroc": "auc",
        "categoricalaccuracy": "accuracy",
        "f1score": "f1",
        "mae": "mean_absolute_error",
        "precisionscore": "precision",
        "recallscore": "recall",
        "rocauc": "auc",
        "rocaucscore": "auc",
        "sensitivity": "recall",
        "sparsecategoricalaccuracy": "accuracy",
        "sparsetopkcategoricalaccuracy": "top_k",
        "top5": "top_k",
        "top5accuracy": "top_k",
        "topkaccuracy": "top_k",
        "topkcategoricalaccuracy": "top_k",
    },
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
    "optimizer": {
        "gradientdescent": "sgd",
        "momentumsgd": "momentum",
        "rms": "rmsprop",
        "sgdmomentum": "momentum",
    },
    "schedule": {
        "constantlr": "constant",
        "cosineannealing": "cosine",
        "cosineannealinglr": "cosine",
        "cosinedecay": "cosine",
        "exponentialdecay": "exponential",
        "exponentiallr": "exponential",
        "linearlr": "constant",
        "linearwarmup": "constant",
        "multisteplr": "step",
        "piecewiseconstantdecay": "step",
        "steplr": "step",
        "warmup": "constant",
    },
    "callback": {
        "csvlogger": "csv_log",
        "cosineannealinglr": "learning_rate_schedule",
        "learningratescheduler": "learning_rate_schedule",
        "lrscheduler": "learning_rate_schedule",
        "modelcheckpoint": "checkpoint",
        "progbarlogger": "progress_bar",
        "reducelronplateau": "reduce_on_plateau",
        "steplr": "learning_rate_schedule",
        "tqdmcallback": "progress_bar",
    },
}

# What other libraries have and fastconv has not. No name that merely looks alike is offered.
_ABSENT = {
    "layer": {
        "celu",
        "conv3d",
        "convtranspose",
        "convtranspose2d",
        "elu",
        "embedding",
        "groupnorm",
        "groupnormalization",
        "gru",
        "instancenorm2d",
        "layernorm",
        "layernormalization",
        "gelu",
        "hardsigmoid",
        "hardswish",
        "leakyrelu",
        "lstm",
        "maxpool3d",
        "mish",
        "rnn",
        "selu",
        "upsample",
        "upsampling2d",
        "silu",
        "softplus",
        "swish",
    }
}

_SETTINGS = {
    "alpha": "negative_slope",
    "axis": "axes",
    "beta_1": "beta1",
    "beta_2": "beta2",
    "bias": "k",
    "boundaries": "steps",
    "clipnorm": "clip_norm",
    "clipvalue": "clip_value",
    "decay": "weight_decay",
    "decay_rate": "factor",
    "decay_steps": "steps",
    "depth_multiplier": "multiplier",
    "dilation_rate": "dilation",
    "dilations": "dilation",
    "dim": "axis",
    "dropout_ratio": "rate",
    "embedding_dim": "units",
    "eps": "epsilon",
    "eta_min": "final",
    "factor": "scale",
    "filename": "path",
    "filepath": "path",
    "filter_num": "filters",
    "filter_size": "kernel_size",
    "gamma": "factor",
    "global_clipnorm": "clip_norm",
    "group": "groups",
    "hidden_size": "units",
    "input_dim": "entries",
    "interpolation": "mode",
    "kernel": "kernel_size",
    "kernel_initializer": "initializer",
    "kernel_shape": "kernel_size",
    "kernel_size": "pool_size",
    "l2": "weight_decay",
    "local_size": "size",
    "lr": "learning_rate",
    "max_grad_norm": "clip_norm",
    "max_to_keep": "keep",
    "milestones": "steps",
    "normalized_shape": "axes",
    "num_embeddings": "entries",
    "num_filters": "filters",
    "num_groups": "groups",
    "out_channels": "filters",
    "out_features": "units",
    "output_dim": "units",
    "output_size": "units",
    "p": "rate",
    "pad": "padding",
    "pads": "padding",
    "pool_h": "pool_size",
    "pool_w": "pool_size",
    "restore_best_weights": "restore_best",
    "rho": "decay",
    "save_freq": "every",
    "scale_factor": "scale",
    "scales": "scale",
    "size": "scale",
    "slope": "negative_slope",
    "smoothing": "label_smoothing",
    "step_size": "steps",
    "strides": "stride",
    "T_max": "steps",
    "target_shape": "shape",
    "threshold": "min_delta",
    "top_k": "k",
    "total_steps": "steps",
    "upscale_factor": "scale",
    "use_bias": "bias",
    "warmup": "warm_up",
    "warmup_steps": "warm_up",
    "weight_init_std": "initializer",
}

# Settings of SGD elsewhere, and here optimizers of their own.
_OPTIMIZERS = ("momentum", "nesterov")

_INFERRED = {"in_channels", "in_features", "input_dim", "input_shape", "input_size", "num_features"}
_INFERRED = {
    "in_channels",
    "in_features",
    "input_dim",
    "input_shape",
    "input_size",
    "num_channels",
    "num_features",
}


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
    if key in _OPTIMIZERS and "learning_rate" in settings:
        return f"take the optimizer {key!r}"
    elsewhere = _SETTINGS.get(key) if isinstance(key, str) else None
    if elsewhere not in settings and key in _INFERRED:
        return "it follows from the input, leave it out"
    offers = [elsewhere] if elsewhere and elsewhere in settings else nearest(key, settings)
    if offers:
        return f"did you mean {either(offers)}?"
    return f"it has {', '.join(settings)}" if settings else "it has none"


def either(names: Iterable[str]) -> str:
    """Return ``'a' or 'b'``."""
    return " or ".join(repr(name) for name in names)
