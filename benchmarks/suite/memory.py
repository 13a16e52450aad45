"""Bytes that convolutions take: stated before, measured by `fastconv.memory.track` after.

These figures are exact: they repeat to the byte, so that any change in them is a change of the
code.  Those of the forward workspace do not depend on the machine, but for ``winograd``, which
takes a slot a thread; packed weights, and the partial sums of the backward pass, come in whole
vectors of the instruction set.  `asv.exact.conf.json` pins all of these.
"""

from __future__ import annotations

from suite import needs, stated
from suite.shapes import ALGORITHMS, DIRECTIONS, LAYERS, normal


class Memory:
    """One call for each layer, algorithm and direction; float32."""

    version = "1"
    params = [list(LAYERS), ALGORITHMS, DIRECTIONS]
    param_names = ["layer", "algorithm", "direction"]
    timeout = 120

    def setup(self, layer: str, algorithm: str, direction: str) -> None:
        fastconv = needs("conv2d", "conv2d_backward", "memory.track")
        case = LAYERS[layer]
        self.stated = stated(case, algorithm, direction)
        options = {**case.options, "algorithm": algorithm}
        arrays = normal(case.x_shape), normal(case.weight_shape, 1)
        self.track = fastconv.memory.track
        if direction == "forward":
            self.run = lambda: fastconv.conv2d(*arrays, **options)
        else:
            self.run = lambda: fastconv.conv2d_backward(normal(case.y_shape, 2), *arrays, **options)

    def track_workspace_bytes(self, layer: str, algorithm: str, direction: str) -> int:
        """Return what a call took; fail if that is not what `conv2d_costs` states."""
        with self.track() as used:
            self.run()
        if used.workspace_peak != self.stated.workspace:
            raise AssertionError(
                f"{layer}, {algorithm}, {direction}: conv2d_costs states {self.stated.workspace} "
                f"bytes of workspace, memory.track measured {used.workspace_peak}"
            )
        return used.workspace_peak

    track_workspace_bytes.unit = "bytes"  # type: ignore[attr-defined]


class Overhead:
    """What an algorithm adds to the arrays that every algorithm needs."""

    version = "1"
    params = [list(LAYERS), ALGORITHMS]
    param_names = ["layer", "algorithm"]

    def setup(self, layer: str, algorithm: str) -> None:
        self.case = LAYERS[layer]
        self.stated = stated(self.case, algorithm)

    def track_packed_bytes(self, layer: str, algorithm: str) -> int:
        """Return the bytes of packed weights, which are kept beside the plain ones."""
        return self.stated.packed

    def track_overhead_ratio(self, layer: str, algorithm: str) -> float:
        """Return all bytes over those of input, weights and output; 1 adds nothing."""
        return (self.case.nbytes + self.stated.workspace) / self.case.nbytes

    track_packed_bytes.unit = "bytes"  # type: ignore[attr-defined]
    track_overhead_ratio.unit = "times the arrays"  # type: ignore[attr-defined]
