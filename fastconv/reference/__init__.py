"""Naive NumPy twins of every operation: the specification of the kernels.

Each function has the signature of its namesake in :mod:`fastconv.functional` without the
options that only choose how the work is done. All share one idea, the `tap`: a place (r, s) of
the window. The inputs that a tap reads are a strided rectangle. Outputs for which the tap would
fall in the padding are left out of it. Nothing is really padded, so no padding can reach a result.

::

    output, one number per window        input, read by the tap (r, s)

    . . . . .   '.' the tap falls in     o = output row
    . # # # #       the padding          i = o * stride - top + r * dilation
    . # # # #   '#' 0 <= i < H

Arrays may have any numeric dtype. Whole numbers in float64 give exact sums. Functions of one
number are computed in float64. Nothing checks the arguments here: :mod:`fastconv.functional` does.

The taps are in :mod:`fastconv.reference.taps`; each family of operations has a file of its own.
"""

from fastconv.reference.activations import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    hard_sigmoid,
    hard_sigmoid_backward,
    hard_swish,
    hard_swish_backward,
    leaky_relu,
    leaky_relu_backward,
    relu6,
    relu6_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    tanh_backward,
)
from fastconv.reference.channels import prelu, prelu_backward, rescale
from fastconv.reference.convolution import conv2d, conv2d_backward
from fastconv.reference.dense import dense, dense_backward
from fastconv.reference.elementwise import erf, exp, expm1, log, log1p, tanh
from fastconv.reference.embedding import embedding, embedding_backward
from fastconv.reference.local_response import local_response_norm, local_response_norm_backward
from fastconv.reference.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from fastconv.reference.resampling import (
    upsample2d,
    upsample2d_backward,
    zero_padding2d,
    zero_padding2d_backward,
)
from fastconv.reference.sample_norms import (
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
)
from fastconv.reference.softmax import log_softmax, softmax, softmax_backward
from fastconv.reference.transposed import conv2d_transpose, conv2d_transpose_backward
from fastconv.reference.unfolding import col2im, fold2d, im2col, unfold2d

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv2d_transpose",
    "conv2d_transpose_backward",
    "dense",
    "dense_backward",
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
    "max_pool2d_backward",
    "prelu",
    "prelu_backward",
    "relu6",
    "relu6_backward",
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
