"""Operations on arrays, without state: check, choose, take memory, call the kernel."""

from fastconv.functional.activations import (
    elu,
    elu_backward,
    hard_sigmoid,
    hard_sigmoid_backward,
    leaky_relu,
    leaky_relu_backward,
    relu6,
    relu6_backward,
    softplus,
    softplus_backward,
)
from fastconv.functional.average_pooling import avg_pool2d, avg_pool2d_backward
from fastconv.functional.channels import prelu, prelu_backward, rescale
from fastconv.functional.choosing import conv2d_costs
from fastconv.functional.conv2d import conv2d, conv2d_backward
from fastconv.functional.dense import dense, dense_backward
from fastconv.functional.elementwise import dropout, relu, relu_backward
from fastconv.functional.embedding import embedding, embedding_backward
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
from fastconv.functional.gated import (
    gelu,
    gelu_backward,
    hard_swish,
    hard_swish_backward,
    silu,
    silu_backward,
)
from fastconv.functional.group_norm import group_norm, group_norm_backward
from fastconv.functional.layer_norm import layer_norm, layer_norm_backward
from fastconv.functional.local_response import local_response_norm, local_response_norm_backward
from fastconv.functional.normalize import batch_norm, batch_norm_backward
from fastconv.functional.packing import PackedWeight, prepare_conv2d, prepare_dense
from fastconv.functional.pooling import (
    max_pool2d,
    max_pool2d_argmax,
    max_pool2d_argmax_backward,
    max_pool2d_backward,
)
from fastconv.functional.resampling import upsample2d, upsample2d_backward
from fastconv.functional.softmax import log_softmax, softmax, softmax_backward
from fastconv.functional.transposed import conv2d_transpose, conv2d_transpose_backward
from fastconv.functional.unfold import col2im, im2col
from fastconv.functional.windows import fold2d, unfold2d
from fastconv.functional.zero_padding import zero_padding2d, zero_padding2d_backward

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
    "conv2d_transpose",
    "conv2d_transpose_backward",
    "dense",
    "dense_backward",
    "dropout",
    "elu",
    "elu_backward",
    "embedding",
    "embedding_backward",
    "erf",
    "exp",
    "expm1",
    "fold2d",
    "gelu",
    "gelu_backward",
    "group_norm",
    "group_norm_backward",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "hard_swish",
    "hard_swish_backward",
    "im2col",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "local_response_norm",
    "local_response_norm_backward",
    "log",
    "log1p",
    "log_softmax",
    "max_pool2d",
    "max_pool2d_argmax",
    "max_pool2d_argmax_backward",
    "max_pool2d_backward",
    "prelu",
    "prelu_backward",
    "prepare_conv2d",
    "prepare_dense",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "rescale",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
    "unfold2d",
    "upsample2d",
    "upsample2d_backward",
    "zero_padding2d",
    "zero_padding2d_backward",
]
