"""Networks of fastconv in PyTorch, with the same layers and the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from peers.contenders import Contender
from peers.libraries.pytorch import LAST, LAYOUTS, PLAIN
from peers.networks import nodes_of

__all__ = ["FUSED", "inference", "training"]

FUSED = f"{LAST}, fused Adam"


class Network(nn.Module):
    """The nodes of a network of fastconv, run in their order.

    With `inference` every BatchNorm is folded into the convolution before it.
    """

    def __init__(self, net: Any, *, inference: bool) -> None:
        super().__init__()
        self.parts = nn.ModuleList()
        self.sources: list[list[int]] = []
        place = {"x": 0}
        kinds: list[str] = []
        weights = net.weights()
        shapes = {name: weight.shape for name, weight in weights.items()}
        for node in nodes_of(net):
            own = {
                key: torch.from_numpy(weights[f"{node.id}/{key}"].copy())
                for key in ("weight", "bias", "running_mean", "running_var")
                if f"{node.id}/{key}" in shapes
            }
            part = _module(node.kind, node.config, own)
            part.load_state_dict(own, strict=False)
            source = [place[name] for name in node.sources]
            if inference and node.kind == "BatchNorm":
                before = source[0] - 1
                assert kinds[before] == "Conv2D"
                self.parts[before] = fuse_conv_bn_eval(self.parts[before].eval(), part.eval())
                place[node.id] = source[0]
                continue
            self.parts.append(part)
            self.sources.append(source)
            kinds.append(node.kind)
            place[node.id] = len(self.parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last node's value."""
        values = [x]
        for part, source in zip(self.parts, self.sources, strict=True):
            values.append(part(*(values[i] for i in source)))
        return values[-1]


class Sum(nn.Module):
    """Add in place: nothing else reads the first of the two."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Return a + b."""
        return a.add_(b)


def _module(kind: str, config: Mapping[str, Any], own: Mapping[str, torch.Tensor]) -> nn.Module:
    """Return the module of a layer; ReLU works in place, as PyTorch's own networks do."""
    if kind == "Conv2D":
        filters, channels = own["weight"].shape[:2]
        return nn.Conv2d(
            channels * config["groups"],
            filters,
            config["kernel_size"],
            config["stride"],
            config["padding"],
            groups=config["groups"],
            bias=config["bias"],
        )
    if kind == "Dense":
        units, inputs = own["weight"].shape
        return nn.Linear(inputs, units)
    if kind == "MaxPool2D":
        return nn.MaxPool2d(config["pool_size"], config["stride"], config["padding"])
    if kind == "BatchNorm":
        return nn.BatchNorm2d(len(own["weight"]), config["epsilon"])
    if kind == "GlobalAvgPool2D":
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    if kind == "Dropout":
        return nn.Dropout(config["rate"])
    return {"ReLU": partial(nn.ReLU, inplace=True), "Flatten": nn.Flatten, "Add": Sum}[kind]()


def inference(net: Any, x: np.ndarray) -> list[Contender]:
    """Return the network in each layout, with BatchNorm folded."""
    found = []
    for name, layout in LAYOUTS.items():
        module = Network(net, inference=True).eval().to(memory_format=layout)
        image = torch.from_numpy(x).contiguous(memory_format=layout)
        found.append(Contender(name, partial(module, image)))
    return found


def training(net: Any, x: np.ndarray, y: np.ndarray) -> list[Contender]:
    """Return a step of training: plain with Adam, and channels_last with fused Adam."""
    found = []
    for name, layout, fused in ((PLAIN, LAYOUTS[PLAIN], None), (FUSED, LAYOUTS[LAST], True)):
        module = Network(net, inference=False).train().to(memory_format=layout)
        adam = torch.optim.Adam(module.parameters(), lr=0.001, fused=fused)
        images = torch.from_numpy(x).contiguous(memory_format=layout)
        found.append(Contender(name, partial(_step, module, adam, images, torch.from_numpy(y))))
    return found


def _step(
    module: nn.Module, adam: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor
) -> float:
    with torch.enable_grad():
        adam.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(module(images), labels)
        loss.backward()
        adam.step()
    return loss.item()
