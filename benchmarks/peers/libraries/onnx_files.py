"""ONNX files in memory: the same file serves ONNX Runtime, OpenVINO and MNN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from peers.cases import Case, Pool, pair
from peers.networks import nodes_of

__all__ = ["convolution", "network", "pool"]

OPSET, IR = 17, 8  # old enough for every version of the readers


def _pack(
    nodes: Sequence[onnx.NodeProto], x_shape: Sequence[int], weights: Mapping[str, np.ndarray]
) -> bytes:
    """Return the file of a graph from ``x`` to ``y``."""
    graph = helper.make_graph(
        list(nodes),
        "case",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x_shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in weights.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR)
    return model.SerializeToString()


def _window(kernel: Any, stride: Any, padding: Any) -> dict[str, Sequence[int]]:
    return {"kernel_shape": pair(kernel), "strides": pair(stride), "pads": pair(padding) * 2}


def convolution(layer: Case, weight: np.ndarray, bias: np.ndarray) -> bytes:
    """Return one Conv; weights are constants, which the readers pack ahead."""
    window = _window(layer.weight_shape[2:], layer.stride, layer.padding)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=layer.groups, **window)
    return _pack([node], layer.x_shape, {"w": weight, "b": bias})


def pool(windows: Pool, operator: str) -> bytes:
    """Return one MaxPool or AveragePool; the padding does not count."""
    window = _window(windows.R, windows.stride, windows.padding)
    return _pack([helper.make_node(operator, ["x"], ["y"], **window)], windows.x_shape, {})


def network(net: Any, x_shape: Sequence[int]) -> bytes:
    """Return a network of fastconv with its weights."""
    weights = net.weights()
    nodes = []
    for node in nodes_of(net):
        operator, config = _operator(node.kind, node.config)
        inputs = [*node.sources, *_parameters(node.id, weights)]
        if operator == "GlobalAveragePool":  # its maps of 1 by 1 have no axes in fastconv
            nodes.append(helper.make_node(operator, inputs, [f"{node.id}/maps"]))
            operator, inputs = "Flatten", [f"{node.id}/maps"]
        nodes.append(helper.make_node(operator, inputs, [node.id], **config))
    nodes[-1].output[0] = "y"
    return _pack(nodes, x_shape, weights)


def _operator(kind: str, config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return ONNX's name and attributes of a layer."""
    if kind == "Conv2D":
        window = _window(config["kernel_size"], config["stride"], config["padding"])
        return "Conv", {**window, "group": config["groups"]}
    if kind == "MaxPool2D":
        return "MaxPool", _window(config["pool_size"], config["stride"], config["padding"])
    if kind == "BatchNorm":
        return "BatchNormalization", {"epsilon": config["epsilon"]}
    if kind == "Dense":
        return "Gemm", {"transB": 1}
    return {
        "ReLU": "Relu",
        "Add": "Add",
        "Flatten": "Flatten",
        "GlobalAvgPool2D": "GlobalAveragePool",
    }[kind], {}


def _parameters(name: str, weights: Mapping[str, np.ndarray]) -> list[str]:
    """Return the constants that a node reads, in ONNX's order, which is fastconv's."""
    order = ["weight", "bias", "running_mean", "running_var"]
    return [f"{name}/{key}" for key in order if f"{name}/{key}" in weights]
