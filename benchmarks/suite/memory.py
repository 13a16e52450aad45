"""Bytes that convolutions take, measured by `fastconv.memory.track` while they run.

These figures are exact: they repeat to the byte, so that any change in them is a change of the
code.  Those of the forward workspace do not depend on the machine; packed weights, and the
partial sums of the backward pass, come in whole vectors of the instruction set, so compare
them between machines under ``FASTCONV_ISA=baseline``.
"""

from __future__ import annotations

from typing import Any

from . import needs
from .shapes import ALGORITHMS, LAYERS, normal


class Memory:
    """One call for each layer and algorithm; float32."""

    version = "1"
    params = [list(LAYERS), ALGORITHMS]
    param_names = ["layer", "algorithm"]
    timeout = 120

    def setup(self, layer: str, algorithm: str) -> None:
        self.fastconv = needs("conv2d", "conv2d_backward", "conv2d_costs", "memory.track")
        case = LAYERS[layer]
        costs = self.fastconv.conv2d_costs(case.x_shape, case.weight_shape, **case.options)
        if algorithm not in costs:
            raise NotImplementedError(f"no algorithm {algorithm} for this layer on this commit")
        self.options = case.options
        self.x = normal(case.x_shape)
        self.weight = normal(case.weight_shape, 1)

    def run(self, algorithm: str) -> tuple[Any, Any]:
        """Return the output of one forward pass, and what it took."""
        with self.fastconv.memory.track() as used:
            y = self.fastconv.conv2d(self.x, self.weight, algorithm=algorithm, **self.options)
        return y, used

    def held(self, algorithm: str) -> int:
        """Return every byte that one forward pass holds, arguments and output included."""
        y, used = self.run(algorithm)
        arrays = self.x.nbytes + self.weight.nbytes + y.nbytes
        return arrays + used.packed + used.copies + used.workspace_peak

    def track_workspace_bytes(self, layer: str, algorithm: str) -> int:
        return self.run(algorithm)[1].workspace_peak

    def track_backward_workspace_bytes(self, layer: str, algorithm: str) -> int:
        dy = self.run("direct")[0]
        with self.fastconv.memory.track() as used:
            self.fastconv.conv2d_backward(
                dy, self.x, self.weight, algorithm=algorithm, **self.options
            )
        return used.workspace_peak

    def track_overhead_ratio(self, layer: str, algorithm: str) -> float:
        """All bytes that the algorithm holds over all bytes that ``direct`` holds."""
        return self.held(algorithm) / self.held("direct")

    track_workspace_bytes.unit = "bytes"  # type: ignore[attr-defined]
    track_backward_workspace_bytes.unit = "bytes"  # type: ignore[attr-defined]
    track_overhead_ratio.unit = "times direct"  # type: ignore[attr-defined]
