"""Operations on arrays, without state: check, choose, take memory, call the kernel."""

from fastconv.functional.average_pooling import avg_pool2d, avg_pool2d_backward
from fastconv.functional.choosing import conv2d_costs
from fastconv.functional.conv2d import conv2d, conv2d_backward
from fastconv.functional.dense import dense, dense_backward
from fastconv.functional.elementwise import dropout, relu, relu_backward
from fastconv.functional.functions import (
    erf,
    exp,
    expm1,
    log,
    log1p,
    sigmoid,
    sigmoid_backward,
    tanh,
    tanh_backward,
)
from fastconv.functional.normalize import batch_norm, batch_norm_backward
from fastconv.functional.packing import PackedWeight, prepare_conv2d, prepare_dense
from fastconv.functional.pooling import (
    max_pool2d,
    max_pool2d_argmax,
    max_pool2d_argmax_backward,
    max_pool2d_backward,
)
from fastconv.functional.softmax import log_softmax, softmax, softmax_backward
from fastconv.functional.unfold import col2im, im2col

__all__ = [
    "PackedWeight",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv2d_costs",
    "dense",
    "dense_backward",
    "dropout",
    "erf",
    "exp",
    "expm1",
    "im2col",
    "log",
    "log1p",
    "log_softmax",
    "max_pool2d",
    "max_pool2d_argmax",
    "max_pool2d_argmax_backward",
    "max_pool2d_backward",
    "prepare_conv2d",
    "prepare_dense",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]
