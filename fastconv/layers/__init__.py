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
`fusing`, `merge`).
"""

from fastconv.layers.add import Add
from fastconv.layers.avg_pool2d import AvgPool2D
from fastconv.layers.base import Layer
from fastconv.layers.batch_norm import BatchNorm
from fastconv.layers.catalogue import create_layer, describe_layer, list_layers, register_layer
from fastconv.layers.concatenate import Concatenate
from fastconv.layers.context import Context
from fastconv.layers.conv2d import Conv2D
from fastconv.layers.dense import Dense
from fastconv.layers.dropout import Dropout
from fastconv.layers.flatten import Flatten
from fastconv.layers.global_avg_pool2d import GlobalAvgPool2D
from fastconv.layers.max_pool2d import MaxPool2D
from fastconv.layers.multiply import Multiply
from fastconv.layers.parameter import Parameter
from fastconv.layers.relu import ReLU
from fastconv.layers.sigmoid import Sigmoid
from fastconv.layers.softmax import Softmax
from fastconv.layers.spec import LayerCosts, PassCosts, Spec
from fastconv.layers.tanh import Tanh
from fastconv.layers.traits import Affine

__all__ = [
    "Add",
    "Affine",
    "AvgPool2D",
    "BatchNorm",
    "Concatenate",
    "Context",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2D",
    "Layer",
    "LayerCosts",
    "PassCosts",
    "MaxPool2D",
    "Multiply",
    "Parameter",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Spec",
    "Tanh",
    "create_layer",
    "describe_layer",
    "list_layers",
    "register_layer",
]
