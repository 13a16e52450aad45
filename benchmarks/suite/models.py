"""Time of whole networks: a step of training, and prediction."""

from __future__ import annotations

import numpy as np

from . import Timing, needs
from .shapes import normal

#: Networks by name, on images of 28 by 28.  Append only.
NETWORKS = {
    # the book's SimpleConvNet, its softmax in the loss
    "SimpleConvNet": [
        ("Conv2D", {"filters": 30, "kernel_size": 5}), "ReLU", ("MaxPool2D", {"pool_size": 2}),
        "Flatten", ("Dense", {"units": 100}), "ReLU", ("Dense", {"units": 10}),
    ],
}  # fmt: skip


class Network(Timing):
    """Batches of 100, Adam, softmax cross-entropy; float32."""

    params = [list(NETWORKS)]
    param_names = ["network"]
    batch = 100

    def setup(self, network: str) -> None:
        fastconv = needs("Sequential", "Sequential.train_on_batch", "Sequential.predict")
        self.x = normal((self.batch, 1, 28, 28))
        self.y = np.arange(self.batch) % 10
        self.net = fastconv.Sequential(NETWORKS[network], input_shape=(1, 28, 28), seed=0)
        self.net.compile(optimizer="adam", loss="softmax_cross_entropy")
        # plans, the optimizer's state and packed weights are made by the first calls
        self.net.train_on_batch(self.x, self.y)
        self.net.predict(self.x)

    def time_train_step(self, network: str) -> None:
        self.net.train_on_batch(self.x, self.y)

    def time_predict(self, network: str) -> None:
        self.net.predict(self.x)
