"""Whole networks: what their plans say they take, and the time of a step and of a prediction."""

from __future__ import annotations

import numpy as np

from suite import Timing, needs
from suite.networks import GRAPHS, IMAGES, ROWS, make
from suite.shapes import normal


class Peak:
    """The most bytes alive at one time, as `plan` states them before anything runs; float32."""

    version = "1"
    params = [[*ROWS, *GRAPHS], ["inference", "training"], [1, 32]]
    param_names = ["network", "mode", "batch"]
    timeout = 120

    def setup(self, network: str, mode: str, batch: int) -> None:
        fastconv = needs("Sequential.plan", "Model.plan")
        self.net = make(fastconv, network)

    def track_peak_bytes(self, network: str, mode: str, batch: int) -> int:
        return self.net.plan(batch_size=batch, training=mode == "training").peak

    track_peak_bytes.unit = "bytes"  # type: ignore[attr-defined]


class Network(Timing):
    """Batches of 100, Adam, softmax cross-entropy; float32."""

    params = [list(ROWS)]
    param_names = ["network"]
    batch = 100

    def setup(self, network: str) -> None:
        fastconv = needs("Sequential.train_on_batch", "Sequential.predict")
        self.x = normal((self.batch, *IMAGES))
        self.y = np.arange(self.batch) % 10
        self.net = make(fastconv, network)
        self.net.compile(optimizer="adam", loss="softmax_cross_entropy")
        # plans, the optimizer's state and packed weights are made by the first calls
        self.net.train_on_batch(self.x, self.y)
        self.net.predict(self.x)

    def time_train_step(self, network: str) -> None:
        self.net.train_on_batch(self.x, self.y)

    def time_predict(self, network: str) -> None:
        self.net.predict(self.x)


class Image(Timing):
    """One image through a large network, frozen for inference; float32."""

    params = [list(GRAPHS)]
    param_names = ["network"]

    def setup(self, network: str) -> None:
        fastconv = needs("Model.for_inference")
        self.net = make(fastconv, network).for_inference()
        self.x = normal((1, 3, 224, 224))
        self.net(self.x)

    def time_inference(self, network: str) -> None:
        self.net(self.x)
