"""The networks that are measured and predicted: those of the zoo, as their papers have them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import fastconv

__all__ = ["NETWORKS", "STEPS", "Case", "Network"]


@dataclass(frozen=True)
class Case:
    """A step: of which network, of how many rows, in how many pieces."""

    network: str
    batch: int
    shards: int


@dataclass(frozen=True)
class Network:
    """A network by name, and in which pieces it is measured.

    Attributes
    ----------
    name : str
        Under which it is filed.
    rows : int
        Of the smallest piece.
    model : str
        In the zoo; by default `name`.
    config : dict
        Its settings there.
    """

    name: str
    rows: int
    model: str = ""
    config: dict[str, Any] = field(default_factory=dict)

    def cases(self) -> list[Case]:
        """Return the steps that are measured on each rank alone: more of them if they are short."""
        short = ((1, 1), (4, 1), (4, 4), (8, 1), (8, 8))
        times = short if self.rows > 2 else ((1, 1), (4, 1), (4, 4))
        return [Case(self.name, rows * self.rows, pieces) for rows, pieces in times]

    def make(self) -> fastconv.Model:
        """Return it, compiled; for labels that are classes, but of UNet numbers."""
        net = fastconv.create_model(self.model or self.name, seed=0, **self.config)
        loss = "sigmoid_cross_entropy" if self.name == "UNet" else "softmax_cross_entropy"
        net.compile(("momentum", {"learning_rate": 1e-4}), loss)
        return net


SMALL = {"classes": 10, "input_shape": (3, 32, 32)}
NETWORKS = (
    Network("SimpleConvNet", 16),
    Network("DeepConvNet", 16),
    Network("DigitsNet", 16),
    Network("KerasMNIST", 16),
    Network("LeNet5", 16),
    Network("ResNet18 on 32x32", 16, "ResNet18", SMALL),
    Network("AlexNet", 2),
    Network("VGG16", 2),
    Network("ResNet18", 2),
    Network("ResNet50", 2),
    Network("MobileNetV1", 2),
    Network("MobileNetV2", 2),
    Network("UNet", 2),
)


#: On two ranks; the simulation must reproduce them.
STEPS = tuple(
    Case(name, 256, shards)
    for name in ("SimpleConvNet", "DeepConvNet", "ResNet18 on 32x32")
    for shards in (2, 16)
)
