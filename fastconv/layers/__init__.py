"""Layers: a configuration, parameters, and a pair of functions of arrays.

::

    catalogue   register_layer, create_layer, list_layers, describe_layer
    description the text of describe_layer
    base        Layer: records its settings, owns Parameters, keeps nothing of a call
    parameter   Parameter: an array, its version, its packed forms
    context     Context: what one node and call share between forward and backward
    spec        Spec: shape without the batch, dtype, batch axis; LayerCosts: bytes, multiply-adds
    traits      Traits: what a layer says of itself to whoever connects, plans and runs it

Every other module here is one layer, or what a few of them have in common (`activation`,
`avg_pooling`, `convolution`, `fusing`, `max_pooling`, `merge`, `spatial`).
"""

from fastconv.layers.add import Add
from fastconv.layers.avg_pool1d import AvgPool1D
from fastconv.layers.avg_pool2d import AvgPool2D
from fastconv.layers.base import Layer
from fastconv.layers.batch_norm import BatchNorm
from fastconv.layers.catalogue import create_layer, describe_layer, list_layers, register_layer
from fastconv.layers.concatenate import Concatenate
from fastconv.layers.context import Context
from fastconv.layers.conv1d import Conv1D
from fastconv.layers.conv2d import Conv2D
from fastconv.layers.conv2d_transpose import Conv2DTranspose
from fastconv.layers.dense import Dense
from fastconv.layers.depthwise_conv2d import DepthwiseConv2D
from fastconv.layers.dropout import Dropout
from fastconv.layers.elu import ELU
from fastconv.layers.embedding import Embedding
from fastconv.layers.flatten import Flatten
from fastconv.layers.gelu import GELU
from fastconv.layers.global_avg_pool2d import GlobalAvgPool2D
from fastconv.layers.global_max_pool2d import GlobalMaxPool2D
from fastconv.layers.group_norm import GroupNorm
from fastconv.layers.hard_sigmoid import HardSigmoid
from fastconv.layers.hard_swish import HardSwish
from fastconv.layers.identity import Identity
from fastconv.layers.layer_norm import LayerNorm
from fastconv.layers.leaky_relu import LeakyReLU
from fastconv.layers.local_response_norm import LocalResponseNorm
from fastconv.layers.max_pool1d import MaxPool1D
from fastconv.layers.max_pool2d import MaxPool2D
from fastconv.layers.multiply import Multiply
from fastconv.layers.parameter import Parameter
from fastconv.layers.prelu import PReLU
from fastconv.layers.relu import ReLU
from fastconv.layers.relu6 import ReLU6
from fastconv.layers.rescaling import Rescaling
from fastconv.layers.reshape import Reshape
from fastconv.layers.sigmoid import Sigmoid
from fastconv.layers.silu import SiLU
from fastconv.layers.softmax import Softmax
from fastconv.layers.softplus import Softplus
from fastconv.layers.spec import LayerCosts, PassCosts, Spec
from fastconv.layers.tanh import Tanh
from fastconv.layers.traits import Affine
from fastconv.layers.unfold import Fold, Unfold
from fastconv.layers.up_sampling2d import UpSampling2D
from fastconv.layers.zero_padding2d import ZeroPadding2D

__all__ = [
    "Add",
    "Affine",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNorm",
    "Concatenate",
    "Context",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "Fold",
    "GELU",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GroupNorm",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "Layer",
    "LayerCosts",
    "LayerNorm",
    "LeakyReLU",
    "LocalResponseNorm",
    "MaxPool1D",
    "MaxPool2D",
    "Multiply",
    "Parameter",
    "PassCosts",
    "PReLU",
    "ReLU",
    "ReLU6",
    "Rescaling",
    "Reshape",
    "Sigmoid",
    "SiLU",
    "Softmax",
    "Softplus",
    "Spec",
    "Tanh",
    "Unfold",
    "UpSampling2D",
    "ZeroPadding2D",
    "create_layer",
    "describe_layer",
    "list_layers",
    "register_layer",
]
